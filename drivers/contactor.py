"""A contactor's driver: follows its live order, and tells what its auxiliary contact says.

Closed is a permission. Without a live order the contactor is open: before the first decision,
when an order has expired, and after the end.
"""

from __future__ import annotations

from typing import Protocol

from controller.document.gpio import Contactor
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


class ContactorDriver:
    """Looks on absolute instants, at each new order and turn, and at each edge of its contact."""

    def __init__(
        self,
        contactor: Contactor,
        pin: OutputPin | None,
        contact: Contact | None,
        image: ProcessImage,
    ) -> None:
        """Without `pin` it only looks: nothing is ever driven."""
        self.id = contactor.id
        self._contactor = contactor
        self._pin = pin
        self._contact = contact
        self._image = image
        self._health = Health(contactor.id, image.clock, LOOK_NS, LOOK_NS)
        self._bell = Bell(contactor.id, LOOK_NS / NS_PER_S)
        self._closed = False  # as driven last
        self._changed_ns = image.clock.now_ns()
        self._told: bool | None = None  # the contact's last word

    def health(self) -> DeviceHealth:
        return self._health.now

    async def run(self) -> None:
        """Until cancelled."""
        self._image.on_contactor_change(self.id, self._bell.ring)
        turn = self._image.turn
        turn.join(self.id, self._bell.ring)
        remark = None if self._contact is None else self._contact.watch(self._bell.ring)
        try:
            while True:
                await self._bell.wait()
                tick = turn.tick
                try:
                    self._obey()
                    if self._contact is not None:
                        self._listen(self._contact)
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

    def _obey(self) -> None:
        order = self._image.contactor_order(self.id)
        closed = order is not None and order.closed
        if self._pin is not None:  # written each time: whatever disturbed the pin, it is mended
            self._pin.write(closed != self._contactor.open_high)
        if closed != self._closed:
            self._closed, self._changed_ns = closed, self._image.clock.now_ns()

    def _listen(self, contact: Contact) -> None:
        assert self._contactor.feedback is not None
        now_ns = self._image.clock.now_ns()
        high = contact.look(now_ns)
        if high is not None:
            self._told = self._contactor.feedback.closed(high)
            self._image.post_contactor(self.id, now_ns, self._told)

    def _remark(self) -> str | None:
        """Where the contact denies what was ordered, after the contactor has had its time."""
        if self._contact is None or self._told is None or self._told == self._closed:
            return None
        allowed_ns = self._contactor.opens_ns + DEBOUNCE_NS + 2 * LOOK_NS
        if self._pin is None or self._image.clock.now_ns() - self._changed_ns < allowed_ns:
            return None
        if self._closed:
            return "ordered to close, but its contact says open: no coil voltage, or a broken wire?"
        return "ordered to open, but its contact says closed: welded, or a broken wire?"
