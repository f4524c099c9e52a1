"""What drivers of output pins share: the pulsed ones, and those with a contact to watch."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Protocol

from controller.units import NS_PER_S
from drivers.bell import Bell
from drivers.contact import Contact
from drivers.device import PinError, ProcessImage
from drivers.health import DeviceHealth, Health

LOOK_NS = NS_PER_S // 10  # how often order and contact are looked at, whatever else happens
DEBOUNCE_NS = NS_PER_S // 50


class OutputPin(Protocol):
    """See drivers.pins.OutputPin."""

    def write(self, high: bool) -> None: ...
    def close(self) -> None: ...


class PulsedDriver:
    """Has its pin until the end; what it writes, whoever completes turns asks for."""

    def __init__(self, id_: str, pin: OutputPin | None) -> None:
        """Without `pin` nothing is ever driven."""
        self.id = id_
        self._pin = pin

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.close()

    def close(self) -> None:
        if self._pin is not None:
            self._pin.close()


class WatchedDriver(ABC):
    """Looks on absolute instants, at each new order and turn, and at each edge of its contact."""

    def __init__(
        self, id_: str, pin: OutputPin | None, contact: Contact | None, image: ProcessImage
    ) -> None:
        """Without `pin` it only looks: nothing is ever driven."""
        self.id = id_
        self._pin = pin
        self._contact = contact
        self._image = image
        self._health = Health(id_, image.clock, LOOK_NS, LOOK_NS)
        self._bell = Bell(id_, LOOK_NS / NS_PER_S)
        self._changed_ns = image.clock.now_ns()  # when it was driven otherwise last
        self._told: bool | None = None  # the contact's last word

    def health(self) -> DeviceHealth:
        return self._health.now

    async def run(self) -> None:
        """Until cancelled."""
        self._subscribe()
        turn = self._image.turn
        turn.join(self.id, self._bell.ring)
        remark = None if self._contact is None else self._contact.watch(self._bell.ring)
        try:
            while True:
                await self._bell.wait()
                tick = turn.tick
                try:
                    self._pass()
                except PinError as error:
                    self._health.bad(error)
                else:
                    self._health.good(self._remark() or remark)
                turn.taken(self.id, tick)
        finally:
            turn.leave(self.id)
            self.close()

    def close(self) -> None:
        if self._pin is not None:
            self._pin.close()
        if self._contact is not None:
            self._contact.close()

    @abstractmethod
    def _subscribe(self) -> None:
        """To what else is to ring its bell."""

    @abstractmethod
    def _pass(self) -> None:
        """Follows its order, and tells what it sees. Raises PinError."""

    @abstractmethod
    def _remark(self) -> str | None:
        """Where the contact denies what was ordered, after it has had its time."""
