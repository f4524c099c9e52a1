"""What goes wrong with a converter from TCP to RTU, and with the line behind it."""

from __future__ import annotations

from typing import Literal

from hil.devices.converter import Converter

LATE_EVERY = 5


class ConverterFault:
    """One that is without power, or that mixes replies up while now and then one is late, from
    `begin` to `end`."""

    def __init__(self, converter: Converter, kind: Literal["rebooted", "mixes"]) -> None:
        self._converter = converter
        self._kind = kind

    async def begin(self) -> None:
        if self._kind == "mixes":
            self._converter.habits.mixes = True
            self._converter.habits.late_every = LATE_EVERY
        elif self._converter.listens:
            await self._converter.close()

    async def end(self) -> None:
        self._converter.habits.mixes = False
        self._converter.habits.late_every = 0
        if not self._converter.listens:
            await self._converter.open()
