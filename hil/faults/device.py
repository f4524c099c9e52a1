"""A device that does not answer, is not there, or takes its time."""

from __future__ import annotations

from hil.devices.mbap import Manner, Server


class DeviceFault:
    """One device's bad manner, from `begin` to `end`."""

    def __init__(self, server: Server, manner: Manner, delay_s: float = 0.0) -> None:
        self._server = server
        self._manner = manner
        self._delay_s = delay_s

    async def begin(self) -> None:
        await self._server.behave(self._manner, self._delay_s)

    async def end(self) -> None:
        await self._server.behave(Manner.ANSWERS)
