"""The guard: adds the kernel's decisions up once more, from the same inputs, and can only veto.

It is fed with the kernel's own journal, so that it sees exactly what each decision was made from.
It shares no code with the kernel and was not written from it, but from the rules:

- nothing rises without slack on every circuit above: the upper end of the base load and the most
  that all chargers may draw fit the cap; the cap is never above the rating
- while a reading is above its cap nothing below it rises, and what is ordered would bring it under
  the cap, or nothing is left that can be lowered
- the same where a cap fell, or nothing is measured, with the upper end in the reading's place
- who is silent, unproven, stubborn or behind an open contactor never rises; nobody does where a
  circuit was never read, while the depot is latched or left, or after orders had expired
- an order is 0 or within the charger's range; its first one is not above what is in force, nor
  above its fallback
- a contactor closes only where what wakes up fits, one at a time

What it counts is the least that the rules allow (controller.guard.beliefs): a disputed decision
is wrong, but not every wrong one is disputed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cext.rows import ChargerRow
from controller.guard.account import SUMS, Account, Maps, Orders, Tables
from controller.guard.beliefs import ChargerBelief
from controller.journal import Record, Tick
from controller.units import amperes_text

QUARTERS = 4  # every image is judged at least so often in a dead-man time


class Dispute(NamedTuple):
    """What is wrong with a decision. Indexes are -1 where nothing is to blame."""

    rule: str
    charger: int
    circuit: int
    phase: int
    why: str  # with the values


class Verdict(NamedTuple):
    """What the guard says of one tick."""

    tick: int
    now_ns: int
    disputes: tuple[Dispute, ...]  # none: it passes
    bound_ma: tuple[int | None, ...]  # the most that each charger may be sent
    closed: tuple[bool, ...]  # which contactors may be closed
    learns: bool  # it has missed records, and lets nothing rise meanwhile


Found = tuple[str, int, int, str]  # rule, circuit, phase and words of a dispute


class Guard:
    """One site's. `hear` its kernel's journal, in order; judges the ticks in it."""

    def __init__(self, tables: Tables) -> None:
        self._it = Account(tables)
        self._observe = tables.tuning.observe
        self._apart_ns = tables.tuning.dead_man_ns // QUARTERS
        self._judged_ns = -self._apart_ns
        self._disputes = False  # the last verdict did
        self._passed: list[int | None] = [None] * len(tables.chargers)
        self._passed_closed = [each.closed for each in self._it.contactors]

    def hear(self, record: Record) -> Verdict | None:
        """Takes one record in. A verdict on ticks that change something, and now and then."""
        it = self._it
        it.hear(record)
        if not isinstance(record, Tick):
            return None
        due = it.now_ns - self._judged_ns >= self._apart_ns
        if not (it.changed or it.fell or it.pressed or due or self._disputes):
            return None
        self._judged_ns = it.now_ns
        return self._judge(record.tick, it.now_ns)

    def adopt(self, old: Guard, maps: Maps) -> None:
        """Goes on where the guard of the document before ended, with what stays."""
        self._it.adopt(old._it, maps)
        for new, was in maps.chargers.items():
            self._passed[new] = old._passed[was]
        for new, was in maps.contactors.items():
            self._passed_closed[new] = old._passed_closed[was]

    def resume(
        self, orders: Orders, passed_ma: Sequence[int | None], closed: Sequence[bool]
    ) -> None:
        """Begins in the midst of it: with what was ordered, and what went out of that."""
        self._it.resume(orders, closed)
        self._passed, self._passed_closed = list(passed_ma), list(closed)

    def _judge(self, tick: int, now_ns: int) -> Verdict:
        bound: list[int | None] = [charger.order_ma for charger in self._it.chargers]
        disputes: list[Dispute] = []
        closed = [each.closed for each in self._it.contactors]
        learns = now_ns < self._it.learns_until_ns
        if not (self._observe or learns):
            disputes += self._rises(bound)
            disputes += self._closings(closed)
            for circuit in range(len(self._it.circuits)):
                disputes += self._overloads(circuit, bound)
        if disputes or learns:
            bound = [self._least(i, most, bool(disputes)) for i, most in enumerate(bound)]
            closed = [now and was for now, was in zip(closed, self._passed_closed, strict=True)]
        self._disputes = bool(disputes)
        self._passed, self._passed_closed = bound, closed
        return Verdict(tick, now_ns, tuple(disputes), tuple(bound), tuple(closed), learns)

    def _least(self, index: int, most_ma: int | None, disputed: bool) -> int | None:
        """Where nothing may rise: the least of order, bound, what went out last, and, of a tick
        that is disputed, what is in force."""
        charger, passed_ma = self._it.chargers[index], self._passed[index]
        in_force_ma = charger.in_force_ma if disputed or passed_ma is None else None
        if most_ma is None or (passed_ma is None and in_force_ma is None):
            return None  # it has no order, or nobody knows what would be none above it
        all_ma = (charger.order_ma, most_ma, passed_ma, in_force_ma)
        known = [each for each in all_ma if each is not None]
        return fitting(charger.row, min(known))

    # --- the rules ------------------------------------------------------------------------

    def _rises(self, bound: list[int | None]) -> Iterator[Dispute]:
        for index, charger in enumerate(self._it.chargers):
            order_ma, passed_ma = charger.order_ma, self._passed[index]
            if order_ma is None or order_ma == passed_ma:
                continue
            found = self._off_range(charger)
            if found is None and passed_ma is None:
                found = self._first_order(charger)
            elif found is None and passed_ma is not None and order_ma > passed_ma:
                found = self._may_not_rise(charger) or self._lacks_slack(charger)
            if found is not None:
                rule, circuit, phase, why = found
                bound[index] = passed_ma
                if passed_ma is None and charger.in_force_ma is not None:
                    bound[index] = min(charger.in_force_ma, charger.row.fallback_ma)
                at = "nothing" if passed_ma is None else f"{amperes_text(passed_ma)} A"
                why = f"from {at} to {amperes_text(order_ma)} A: {why}"
                yield Dispute(rule, index, circuit, phase, why)

    @staticmethod
    def _off_range(charger: ChargerBelief) -> Found | None:
        row, order_ma = charger.row, charger.order_ma or 0
        most_ma = row.max_ma if row.ceiling_ma is None else min(row.max_ma, row.ceiling_ma)
        if order_ma == 0 or row.min_ma <= order_ma <= most_ma:
            return None
        why = f"not 0, nor within {amperes_text(row.min_ma)} and {amperes_text(most_ma)} A"
        return "off_range", -1, -1, why

    @staticmethod
    def _first_order(charger: ChargerBelief) -> Found | None:
        """It begins at no more than what is in force, and what it would do alone."""
        order_ma, in_force_ma = charger.order_ma or 0, charger.in_force_ma
        if charger.forgotten:
            return None
        if in_force_ma is None:
            return "first_order", -1, -1, "its setpoint in force is not known"
        alone_ma = max(charger.row.fallback_ma, charger.always_ma)
        if order_ma <= min(in_force_ma, alone_ma):
            return None
        least = amperes_text(in_force_ma), amperes_text(alone_ma)
        return "first_order", -1, -1, f"in force are {least[0]} A, and alone it does {least[1]} A"

    def _may_not_rise(self, charger: ChargerBelief) -> Found | None:
        now_ns = self._it.now_ns
        for rule, holds, why in (
            ("held", self._it.held or self._it.left, "the depot is latched, or left to itself"),
            ("lapsed", self._it.lapsed, "its order had expired"),
            ("silent", charger.silent(now_ns), "it has not reported"),
            ("unproven", charger.missing_ns is not None, "its fallback is not proven"),
            ("parted", charger.parted, "its contactor is ordered open"),
            ("stubborn", charger.stubborn(now_ns), "it has drawn more than it may for 7 s"),
        ):
            if holds:
                return rule, -1, -1, why
        return None

    def _lacks_slack(self, charger: ChargerBelief, *, closes: bool = False) -> Found | None:
        """`closes`: its contactor does, beside others of which a meter shows whether they draw."""
        for circuit in self._it.path[charger.row.circuit]:
            if circuit not in self._it.heard:
                return "unread", circuit, -1, "this circuit was never read"
            for phase in charger.used:
                if charger.frees(phase, self._it.now_ns):
                    continue
                cap_ma = max(0, self._it.caps[circuit][phase])
                least = self._it.least_reading(circuit, phase)
                if least is not None and least > cap_ma:
                    why = f"{amperes_text(least)} A are read of {amperes_text(cap_ma)} A"
                    return "over", circuit, phase, why
                base_ma, drawn_ma = self._it.base_hi(circuit)[phase], self._it.drawn(circuit)[phase]
                if closes:
                    base_ma = self._it.beneath(circuit, phase)
                    drawn_ma -= self._it.hidden(circuit, phase)
                if base_ma + drawn_ma > cap_ma:
                    why = (
                        f"up to {amperes_text(base_ma)} A of base load and {amperes_text(drawn_ma)}"
                        f" A of chargers do not fit {amperes_text(cap_ma)} A"
                    )
                    return "no_slack", circuit, phase, why
        return None

    def _closings(self, closed: list[bool]) -> Iterator[Dispute]:
        news = [k for k, now in enumerate(closed) if now and not self._passed_closed[k]]
        for count, contactor in enumerate(news):
            chargers = self._it.contactors[contactor].row.chargers
            found: Found | None = None
            if self._it.held or self._it.left:
                found = "held", -1, -1, "the depot is latched, or left to itself"
            elif count:
                found = "together", -1, -1, "another one closes in the same tick"
            for index in chargers:
                charger = self._it.chargers[index]
                if found is None and not charger.parted:
                    found = self._lacks_slack(charger, closes=True)
            if found is not None:
                rule, circuit, phase, why = found
                yield Dispute(rule, chargers[0], circuit, phase, f"contactor closes: {why}")

    def _overloads(self, circuit: int, bound: list[int | None]) -> Iterator[Dispute]:
        """Where a circuit is over its cap, or may be unseen: what is ordered brings it under."""
        blind = not self._it.readings(circuit)
        for phase in SUMS:
            cap_ma = max(0, self._it.caps[circuit][phase])
            read_ma = self._it.least_reading(circuit, phase)
            over = read_ma is not None and read_ma > cap_ma
            if not (blind or over or (circuit, phase) in self._it.fell):
                continue
            base_ma = self._it.base_hi(circuit)[phase]
            too_much_ma = base_ma + self._it.ordered(circuit)[phase] - cap_ma
            if over and read_ma is not None and not (blind or (circuit, phase) in self._it.fell):
                shown_ma = read_ma - self._it.credits(circuit, phase)
                too_much_ma = min(too_much_ma, shown_ma - cap_ma)
            if too_much_ma <= 0:
                continue
            if can := [i for i in self._it.below[circuit] if self._it.can_be_shed(i, phase)]:
                self._cut(bound, can, too_much_ma)
                shown = "nothing" if read_ma is None else f"{amperes_text(read_ma)} A"
                why = (
                    f"{shown} is read, base load up to {amperes_text(base_ma)} A; what is ordered "
                    f"leaves {amperes_text(too_much_ma)} A above {amperes_text(cap_ma)} A"
                )
                yield Dispute("not_shed", -1, circuit, phase, why)

    def _cut(self, bound: list[int | None], can: Sequence[int], too_much_ma: int) -> None:
        """Takes from each in proportion to its order, rounded down: an excess goes wholly."""
        total_ma = sum(self._it.chargers[i].order_ma or 0 for i in can)
        for i in can:
            order_ma, most_ma = self._it.chargers[i].order_ma or 0, bound[i]
            left_ma = order_ma - -(-order_ma * too_much_ma // total_ma)
            charger = self._it.chargers[i]
            cut_ma = fitting(charger.row, max(charger.least_ma, left_ma))
            bound[i] = cut_ma if most_ma is None else min(cut_ma, most_ma)


def fitting(row: ChargerRow, most_ma: int) -> int:
    """The highest setpoint that the charger takes and that is not above that."""
    ma = most_ma - most_ma % row.step_ma
    return ma if ma >= row.min_ma else 0
