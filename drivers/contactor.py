"""A contactor's driver: follows its live order, and tells what its auxiliary contact says.

Closed is a permission. Without a live order the contactor is open: before the first decision,
when an order has expired, and after the end.
"""

from __future__ import annotations

from controller.document.gpio import Contactor
from drivers.contact import Contact
from drivers.device import ProcessImage
from drivers.pindriver import DEBOUNCE_NS, LOOK_NS, OutputPin, WatchedDriver


class ContactorDriver(WatchedDriver):
    def __init__(
        self,
        contactor: Contactor,
        pin: OutputPin | None,
        contact: Contact | None,
        image: ProcessImage,
    ) -> None:
        super().__init__(contactor.id, pin, contact, image)
        self._contactor = contactor
        self._closed = False  # as driven last

    def _subscribe(self) -> None:
        self._image.on_contactor_change(self.id, self._bell.ring)

    def _pass(self) -> None:
        self._obey()
        if self._contact is not None:
            self._listen(self._contact)

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
        if self._contact is None or self._told is None or self._told == self._closed:
            return None
        allowed_ns = self._contactor.opens_ns + DEBOUNCE_NS + 2 * LOOK_NS
        if self._pin is None or self._image.clock.now_ns() - self._changed_ns < allowed_ns:
            return None
        if self._closed:
            return "ordered to close, but its contact says open: no coil voltage, or a broken wire?"
        return "ordered to open, but its contact says closed: welded, or a broken wire?"
