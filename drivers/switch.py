"""The driver of a charger that has no bus: a pin switches it on and off as its live order says.

To be on is a permission. Without a live order the charger is off: before its first order, when one
has expired, and after the end. What it reports is what its pin and its auxiliary contact say, at
the higher of both; what it draws, only where a meter measures it alone.
"""

from __future__ import annotations

from cext.rows import NO_PHASE, Phases, Vehicle
from controller.document.contacts import Switch
from controller.document.devices import Charger
from controller.image import ChargerReport, Order
from drivers.contact import Contact
from drivers.device import ProcessImage
from drivers.pindriver import DEBOUNCE_NS, LOOK_NS, OutputPin, WatchedDriver


class SwitchDriver(WatchedDriver):
    def __init__(
        self,
        charger: Charger,
        switch: Switch,
        pin: OutputPin | None,
        contact: Contact | None,
        image: ProcessImage,
    ) -> None:
        super().__init__(charger.id, pin, contact, image)
        self._charger = charger
        self._switch = switch
        self._taken: Order | None = None  # followed last
        self._on = False  # as driven last
        self._told_ns = image.clock.now_ns()  # since when the contact's word may be old
        self._follows_ns = switch.opens_ns + DEBOUNCE_NS + 2 * LOOK_NS
        self._reading: tuple[int, Phases | None] | None = None  # its meter's, not reported yet
        self._read_ns = image.clock.now_ns()  # when the last was

    def _subscribe(self) -> None:
        self._image.on_change(self.id, self._bell.ring)
        if self._switch.meter is not None:
            self._image.on_reading(self._switch.meter, self._measured)

    def _pass(self) -> None:
        before, was_on = self._taken, self._on
        self._obey()
        self._look()
        self._report(before, was_on)

    def _obey(self) -> None:
        order = self._image.order(self.id)
        on = self._pin is not None and order is not None and order.ma >= self._switch.rated_ma
        if self._pin is not None:  # written each time: whatever disturbed the pin, it is mended
            self._pin.write(on != self._switch.off_high)
        self._taken = order
        if on != self._on:
            self._on, self._changed_ns = on, self._image.clock.now_ns()

    def _look(self) -> None:
        if self._contact is None:
            return
        assert self._switch.feedback is not None
        now_ns = self._image.clock.now_ns()
        high = self._contact.look(now_ns)
        if high is not None:
            self._told, self._told_ns = self._switch.feedback.closed(high), now_ns
        elif now_ns - self._told_ns >= self._follows_ns:  # no relay bounces so long
            self._told = None

    # What it says.

    def _measured(self, at_ns: int, grid_ma: Phases | None) -> None:
        """A reading of its meter has arrived; None: one that is not believed."""
        self._reading = (at_ns, grid_ma)
        self._bell.ring()

    def _report(self, before: Order | None, was_on: bool) -> None:
        """What was true before this pass, and after: only the next one shows its effect alone.

        With a meter there is one report for each reading, and without current when none comes.
        """
        now_ns = self._image.clock.now_ns()
        current_ma, at_ns = None, now_ns
        if self._switch.meter is not None:
            if self._reading is not None:
                at_ns, grid_ma = self._reading
                self._reading, self._read_ns = None, now_ns
                current_ma = None if grid_ma is None else self._at_terminals(grid_ma)
            elif now_ns - self._read_ns < self._charger.max_age_ns:
                return
        report = ChargerReport(
            at_ns=at_ns,
            in_force_ma=self._in_force_ma(was_on),
            current_ma=current_ma,
            vehicle=Vehicle.UNKNOWN,
            written_tick=0 if before is None else before.tick,
        )
        self._image.post_charger(self.id, report)

    def _in_force_ma(self, was_on: bool) -> int:
        """Its rated current unless it is off for all we know; a contact in doubt says on.

        Where nothing may be driven, somebody else may have bridged the contact meanwhile.
        """
        on = self._pin is None if self._contact is None else self._told is not False
        return self._switch.rated_ma if on or was_on or self._on else 0

    def _at_terminals(self, grid_ma: Phases) -> Phases | None:
        """Less than 0 by more than the meter's error is no current of a charger."""
        seen = [0 if phase == NO_PHASE else grid_ma[phase] for phase in self._switch.phases]
        if min(seen) < -self._charger.facts.error_ma:
            return None
        first, second, third = (max(0, ma) for ma in seen)
        return first, second, third

    def _remark(self) -> str | None:
        now_ns = self._image.clock.now_ns()
        if self._contact is not None and now_ns - self._told_ns >= self._follows_ns:
            return "its contact is never still: a loose wire, or a relay that chatters?"
        if self._told is None or self._told == self._on or self._pin is None:
            return None
        if now_ns - self._changed_ns < self._follows_ns:
            return None
        if self._on:
            return "switched on, but its contact says off: no coil voltage, or a broken wire?"
        return "switched off, but its contact says on: welded, or a broken wire?"
