"""A device that does not answer, is not there, or takes its time."""

from __future__ import annotations

from typing import Protocol

from hil.devices.pdu import Manner


class Behaves(Protocol):
    """A device that answers, on whatever line."""

    async def behave(self, manner: Manner, delay_s: float = 0.0) -> None: ...


class DeviceFault:
    """One device's bad manner, from `begin` to `end`."""

    def __init__(self, server: Behaves, manner: Manner, delay_s: float = 0.0) -> None:
        self._server = server
        self._manner = manner
        self._delay_s = delay_s

    async def begin(self) -> None:
        await self._server.behave(self._manner, self._delay_s)

    async def end(self) -> None:
        await self._server.behave(Manner.ANSWERS)
