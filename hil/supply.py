"""Who has power in the rig: contactors and relays between the plant's chargers and their supply.

A charger that loses its supply draws nothing, and its Modbus server is gone. With power again it
boots, and is back with its power-on current.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from controller.document.gpio import Gpio
from hil.devices.pdu import Manner
from hil.wiring import Board, Switchgear, plug_in

BOOT_S = 1.0
LOOK_EVERY_S = 0.01


class Bootable(Protocol):
    """A simulated charger."""

    def reboot(self) -> None: ...


class Behaving(Protocol):
    """What carries requests to it."""

    manner: Manner

    async def behave(self, manner: Manner, delay_s: float = 0.0) -> None: ...


class Supplies:
    """Switches chargers on and off as the pins have it; nothing to do without [gpio]."""

    def __init__(
        self,
        gpio: Gpio | None,
        directory: Path,
        devices: Mapping[str, Bootable],
        servers: Mapping[str, Behaving],
        supply: Callable[[str, bool], None],
        switch: Callable[[int, bool], None],
        turn: Callable[[str, bool], None] = lambda charger, on: None,
    ) -> None:
        """`supply` tells the plant who has power and has booted, `switch` how contactors are,
        `turn` which chargers without a bus are on."""
        self.board = Board(directory / "pins.sock", falls=gpio is None or gpio.pins_fall)
        self._devices = devices
        self._servers = servers
        self._supply = supply
        self._switch = switch
        self._turn = turn
        self._manners: dict[str, Manner] = {}  # before the power went
        self._boots: dict[str, float] = {}  # who boots, and when it is ready
        self._task: asyncio.Task[None] | None = None
        self._plugins = directory
        self.gear = None if gpio is None else Switchgear(gpio, self.board)

    @property
    def environment(self) -> dict[str, str]:
        """For the enforcer."""
        return {} if self.gear is None else self.board.environment

    @property
    def plugins(self) -> Path | None:
        """For the enforcer's PYTHONPATH."""
        return None if self.gear is None else plug_in(self._plugins)

    async def open(self) -> None:
        """Nobody drives the pins yet: whatever is behind them is without power."""
        if self.gear is None:
            return
        await self.board.open()
        for charger in self.gear.supplied:
            await self._off(charger)
        self._tell(self.gear)
        self._task = asyncio.create_task(self._live(self.gear))

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.board.close()

    async def _live(self, gear: Switchgear) -> None:
        loop = asyncio.get_running_loop()
        while True:
            changed = gear.look(loop.time())
            self._tell(gear)
            for charger, powered in changed.items():
                if powered:
                    self._boots[charger] = loop.time() + BOOT_S
                elif self._boots.pop(charger, None) is None:
                    await self._off(charger)
            for charger, ready_s in list(self._boots.items()):
                if loop.time() >= ready_s:
                    del self._boots[charger]
                    await self._on(charger)
            await asyncio.sleep(LOOK_EVERY_S)

    def _tell(self, gear: Switchgear) -> None:
        for index, closed in enumerate(gear.closed()):
            self._switch(index, closed)
        for charger, on in gear.switched().items():
            self._turn(charger, on)

    async def _off(self, charger: str) -> None:
        self._supply(charger, False)
        if charger not in self._servers:
            return
        self._manners[charger] = self._servers[charger].manner
        await self._servers[charger].behave(Manner.GONE)

    async def _on(self, charger: str) -> None:
        self._supply(charger, True)
        self._devices[charger].reboot()
        if charger in self._servers:
            await self._servers[charger].behave(self._manners.pop(charger))
