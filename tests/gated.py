"""The enforcer on the virtual depot behind its gate: only what the guard passed is written.

cext.errands drives a hundred chargers without Python, and by what the kernel orders. These drivers
ask the image for each order, as the real ones do, and post their reports there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from controller.document.devices import Charger
from controller.guard.gate import Gate, MakeJudge
from controller.guard.guard import Verdict
from controller.image import ChargerReport, Order
from controller.plant import EXCHANGE_NS, VirtualEnforcer, same_devices
from controller.site import Site

REFRESHES = 3  # writes within a charger's own watchdog time
FOR_EVER_NS = 1 << 62


class GatedEnforcer(VirtualEnforcer):
    """With `judge`, which makes one, nothing goes out that it has not passed, as in the product."""

    def __init__(
        self,
        site: Site,
        *args: Any,
        judge: MakeJudge,
        disputed: Callable[[Verdict], None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(site, *args, **kwargs)
        self._disputed = disputed
        self._gate = Gate(self._tables, judge)
        self.image.guard_by(self._gate)
        self._follow()

    def switch(self, site: Site) -> None:
        before = self._tables
        self._tap.drain()  # what the old kernel heard, the old guard hears
        super().switch(site)
        stays = same_devices(before, self._tables)
        old, self._gate = self._gate, self._gate.for_tables(self._tables)
        self._gate.adopt(old, stays)
        self.image.guard_by(self._gate)
        self._follow()

    def _follow(self) -> None:
        self._tap.follow(self._gate.take)
        self._gate.on_verdict(self._judged)

    def _drive(self, charger: Charger, index: int, begin_ns: int) -> None:
        self.agenda.at(begin_ns, VirtualCharger(self, charger, index, EXCHANGE_NS).poll)

    def _hand_out(self) -> None:
        self.image.announce()  # what fell does not wait
        self._tap.drain()
        self.image.announce()


class VirtualCharger:
    """Reports each poll; writes what is new, was lost, or must be renewed."""

    def __init__(
        self, house: GatedEnforcer, charger: Charger, index: int, exchange_ns: int
    ) -> None:
        self._house = house
        self._id = charger.id
        self._index = index
        self._exchange_ns = exchange_ns
        self._metered = charger.facts.metered
        self._any_traffic = charger.facts.any_traffic
        fed_ns = (charger.fallback_delay_ns or FOR_EVER_NS) // REFRESHES
        self._look_ns = min(charger.poll_ns, fed_ns)
        self._refresh_ns = FOR_EVER_NS if self._any_traffic else fed_ns
        self._poll_ns = charger.poll_ns
        self._write_gap_ns = charger.facts.write_gap_ns
        house.plant.set_write_gap(index, self._write_gap_ns)
        self._next_poll_ns = self._next_write_ns = self._refresh_at_ns = 0
        self._waits: Callable[[], None] | None = None  # until the device takes a write
        self._writing = False
        self._owed = False  # an order has changed and is not written yet
        self._written_ma: int | None = None
        self._in_force_ma: int | None = None
        self._written = (0, -FOR_EVER_NS)  # tick of the last order acknowledged, and when
        self._written_before = 0  # tick of the one before
        house.image.on_change(charger.id, self._wake)

    def poll(self) -> None:
        house, now_ns = self._house, self._house.clock.at_ns
        house.agenda.at(now_ns + self._look_ns, self.poll)
        if "io" in house.stalled:
            return
        if now_ns >= self._next_poll_ns and self._answers():
            self._next_poll_ns = now_ns + self._poll_ns
            self._report(now_ns)
        state = house.plant.charger(self._index)
        if self._any_traffic and state.valid_ns and self._answers() and self._order() is not None:
            house.plant.feed(self._index)
        if self._owed or self._in_force_ma != self._written_ma or now_ns >= self._refresh_at_ns:
            self._write()

    def _order(self) -> Order | None:
        return self._house.image.order(self._id)

    def _answers(self) -> bool:
        return self._id not in self._house.silent and self._house.plant.answers(self._index)

    def _report(self, now_ns: int) -> None:
        state = self._house.plant.charger(self._index)
        tick, at_ns = self._written
        if at_ns > now_ns - self._exchange_ns:  # acknowledged while this reply was under way
            tick = self._written_before
        else:
            self._in_force_ma = state.offered_ma
        current_ma = state.current_ma if self._metered else None
        report = ChargerReport(now_ns, state.offered_ma, current_ma, state.vehicle, tick)
        self._house.image.post_charger(self._id, report)

    def _wake(self) -> None:
        self._owed = True
        self._write()

    def _write(self) -> None:
        house, now_ns = self._house, self._house.clock.at_ns
        if now_ns < self._next_write_ns:
            if self._waits is None:
                self._waits = self._gap_over
                house.agenda.at(self._next_write_ns, self._waits)
            return
        order = self._order()
        if order is not None and not self._writing:
            self._writing = True
            house.agenda.at(now_ns + self._exchange_ns, partial(self._arrive, order))

    def _gap_over(self) -> None:
        self._waits = None
        self._write()

    def _arrive(self, order: Order) -> None:
        """Takes effect and is acknowledged; a silent charger is tried again at the next poll."""
        self._writing = False
        if not self._answers() or self._id in self._house.deaf:
            return
        now_ns = self._house.clock.at_ns
        if not self._house.plant.write_setpoint(self._index, order.ma):
            return  # lost: too soon after another; its read-back will tell
        self._next_write_ns = now_ns + self._write_gap_ns
        self._written_before, self._written = self._written[0], (order.tick, now_ns)
        self._written_ma = self._in_force_ma = order.ma
        self._refresh_at_ns = now_ns + self._refresh_ns
        newest = self._order()
        self._owed = newest is not None and newest.ma != order.ma
        if self._owed:
            self._write()
