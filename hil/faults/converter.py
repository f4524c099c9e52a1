"""What goes wrong with a converter from TCP to RTU."""

from __future__ import annotations

from typing import Literal

from hil.devices.converter import Converter


class ConverterFault:
    """One that is without power, or that mixes replies up, from `begin` to `end`."""

    def __init__(self, converter: Converter, kind: Literal["rebooted", "mixes"]) -> None:
        self._converter = converter
        self._kind = kind

    async def begin(self) -> None:
        if self._kind == "mixes":
            self._converter.habits.mixes = True
        elif self._converter.listens:
            await self._converter.close()

    async def end(self) -> None:
        self._converter.habits.mixes = False
        if not self._converter.listens:
            await self._converter.open()
