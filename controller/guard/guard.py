"""The guard: adds the kernel's decisions up once more, from the same inputs, and can only veto.

It is fed with the kernel's own journal, so that it sees exactly what each decision was made from.
It shares no code with the kernel and was not written from it, but from the rules:

- nothing rises without slack on every circuit above: the upper end of the base load and the most
  that all chargers may draw fit the cap on each phase, and what the three together may carry; the
  cap is never above the rating; what chargers may draw fits a bus bar, whatever is read
- while a reading is above its cap nothing below it rises, and what is ordered would bring it under
  the cap, or nothing is left that can be lowered
- the same where a cap fell, or nothing is measured, with the upper end in the reading's place; and
  on a bus bar, with what is ordered alone
- who is silent, unproven, stubborn or behind an open contactor never rises; nobody does where a
  circuit was never read, while the depot is latched or left, or after orders had expired
- an order is 0 or within the charger's range; its first one is not above what is in force, nor
  above its fallback
- a contactor closes only where what wakes up fits, one at a time

What it counts is the least that the rules allow (controller.guard.sums): a disputed decision is
wrong, but not every wrong one is disputed. An imbalance limit it does not know: that is a network's
rule about chargers, and no bound of what anything bears.

A site of a thousand chargers takes it tens of milliseconds, in which nobody else would be heard. So
it can be had in pieces; what a decision is judged by stands still until it is judged.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

from cext.rows import ChargerRow
from controller.guard.account import Account, Maps, Orders, Tables
from controller.guard.chargers import ChargerBelief
from controller.guard.sums import BAR, SUM, Sums
from controller.records import Record, Tick
from controller.units import amperes_text

CIRCUITS = 8  # looked at in one piece
CHARGERS = 64
QUARTERS = 4  # every image is judged at least so often in a dead-man time


class Dispute(NamedTuple):
    """What is wrong with a decision. Indexes are -1 where nothing is to blame."""

    rule: str
    charger: int
    circuit: int
    phase: int
    why: str  # with the values
    ordered_ma: int = 0  # what was decided that is wrong, as long as it stays the same


class Verdict(NamedTuple):
    """What the guard says of one tick."""

    tick: int
    now_ns: int
    disputes: tuple[Dispute, ...]  # none: it passes
    bound_ma: tuple[int | None, ...]  # the most that each charger may be sent
    closed: tuple[bool, ...]  # which contactors may be closed
    learns: bool  # it has missed records, and lets nothing rise meanwhile


Found = tuple[str, int, int, str]  # rule, circuit, phase and words of a dispute
Pieces = Generator[None, None, None]


class Guard:
    """One site's. `hear` its kernel's journal, in order; judges the ticks in it."""

    def __init__(self, tables: Tables) -> None:
        self._it = Account(tables)
        self._sums = Sums(self._it)
        self._observe = tables.tuning.observe
        self._apart_ns = tables.tuning.dead_man_ns // QUARTERS
        self._judged_ns = -self._apart_ns
        self._disputes = False  # the last verdict did
        self._owed = False  # a decision was passed over that would have been judged
        self._fell: set[tuple[int, int]] = set()  # caps, since the last verdict
        self._passed: list[int | None] = [None] * len(tables.chargers)
        self._passed_closed = [each.closed for each in self._it.contactors]
        self._late: set[int] = set()  # contactors that were to close while it learned

    def hear(self, record: Record) -> Verdict | None:
        """Takes one record in. A verdict on ticks that change something, and now and then."""
        judging = self.judging(record)
        while True:
            try:
                next(judging)
            except StopIteration as end:
                verdict: Verdict | None = end.value
                return verdict

    def judging(
        self, record: Record, *, newer: bool = False
    ) -> Generator[None, None, Verdict | None]:
        """The same in pieces. `newer`: another decision waits already, and is judged in this one's
        place: nothing of this one has gone out that rose."""
        it = self._it
        it.hear(record)
        if not isinstance(record, Tick):
            return None
        self._sums.clear()
        self._fell |= it.fell
        due = it.now_ns - self._judged_ns >= self._apart_ns
        self._owed = self._owed or it.changed or it.pressed or bool(it.fell) or due
        if not (self._owed or self._disputes):
            return None
        if newer and not it.lapsed:
            self._pass_over()
            return None
        self._judged_ns = it.now_ns
        return (yield from self._judge(record.tick, it.now_ns))

    def _pass_over(self) -> None:
        """What went down has gone out: to rise from there is to rise."""
        for index, charger in enumerate(self._it.chargers):
            passed_ma, order_ma = self._passed[index], charger.order_ma
            if passed_ma is not None and order_ma is not None and order_ma < passed_ma:
                self._passed[index] = order_ma
        for index, contactor in enumerate(self._it.contactors):
            self._passed_closed[index] = self._passed_closed[index] and contactor.closed

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

    def _judge(self, tick: int, now_ns: int) -> Generator[None, None, Verdict]:
        bound: list[int | None] = [charger.order_ma for charger in self._it.chargers]
        found: list[Dispute] = []
        closed = [each.closed for each in self._it.contactors]
        learns = now_ns < self._it.learns_until_ns
        if learns:
            self._late = {k for k, now in enumerate(closed) if now and not self._passed_closed[k]}
        else:
            closed = self._one_by_one(closed)
        if not (self._observe or learns):
            yield from self._rises(bound, found)
            found += self._closings(closed)
            for circuit in range(len(self._it.circuits)):
                yield from self._overloads(circuit, bound, found)
                if circuit % CIRCUITS == CIRCUITS - 1:
                    yield
        if found or learns:
            bound = [self._least(i, most, bool(found)) for i, most in enumerate(bound)]
            closed = [now and was for now, was in zip(closed, self._passed_closed, strict=True)]
        self._disputes, self._owed = bool(found), False
        self._fell.clear()
        self._passed, self._passed_closed = bound, closed
        return Verdict(tick, now_ns, tuple(found), tuple(bound), tuple(closed), learns)

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

    def _rises(self, bound: list[int | None], disputes: list[Dispute]) -> Pieces:
        for index, charger in enumerate(self._it.chargers):
            if index % CHARGERS == CHARGERS - 1:
                yield
            order_ma, passed_ma = charger.order_ma, self._passed[index]
            if order_ma is None or order_ma == passed_ma:
                continue
            found = self._off_range(charger)
            if found is None and passed_ma is None:
                found = self._first_order(charger)
            elif found is None and passed_ma is not None and order_ma > passed_ma:
                found = self._may_not_rise(charger)
                if found is None:
                    yield from self._sums.count_for(charger.row.circuit)
                    found = self._lacks_slack(charger)
            if found is not None:
                rule, circuit, phase, why = found
                bound[index] = passed_ma
                if passed_ma is None and charger.in_force_ma is not None:
                    bound[index] = min(charger.in_force_ma, charger.row.fallback_ma)
                at = "nothing" if passed_ma is None else f"{amperes_text(passed_ma)} A"
                why = f"from {at} to {amperes_text(order_ma)} A: {why}"
                disputes.append(Dispute(rule, index, circuit, phase, why, order_ma))

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
            for row in self._sums.rows[circuit]:
                if row != SUM and not self._bears(charger, row % BAR):
                    continue
                if found := self._too_much(circuit, row, closes=closes):
                    return found
        return None

    def _bears(self, charger: ChargerBelief, phase: int) -> bool:
        return phase in charger.used and not charger.frees(phase, self._it.now_ns)

    def _too_much(self, circuit: int, row: int, *, closes: bool) -> Found | None:
        sums = self._sums
        cap_ma, least_ma = sums.cap_ma(circuit, row), sums.read_ma(circuit, row)
        place = circuit, _phase(row)
        if least_ma is not None and least_ma > cap_ma:
            why = f"{amperes_text(least_ma)} A are read of {amperes_text(cap_ma)} A{_of(row)}"
            return "over", *place, why
        base_ma, drawn_ma = sums.base_ma(circuit, row), sums.drawn_ma(circuit, row)
        if closes:
            base_ma = sums.beneath_ma(circuit, row)
            drawn_ma -= sums.hidden_ma(circuit, row)
        if base_ma + drawn_ma <= cap_ma:
            return None
        load = "" if row >= BAR else f"{amperes_text(base_ma)} A of base load and "
        why = (
            f"up to {load}{amperes_text(drawn_ma)} A of chargers do not fit "
            f"{amperes_text(cap_ma)} A{_of(row)}"
        )
        return "no_slack", *place, why

    def _one_by_one(self, closed: list[bool]) -> list[bool]:
        """Contactors that were to close while it learned do so now, one in a tick."""
        waits = [k for k in self._late if closed[k] and not self._passed_closed[k]]
        self._late = set(waits[1:])
        return [now and k not in self._late for k, now in enumerate(closed)]

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
                yield Dispute(rule, chargers[0], circuit, phase, f"contactor closes: {why}", 1)

    def _overloads(self, circuit: int, bound: list[int | None], disputes: list[Dispute]) -> Pieces:
        """Where a circuit is over its cap, or may be unseen: what is ordered brings it under."""
        sums, blind = self._sums, not self._it.readings(circuit)
        for row in sums.rows[circuit]:
            cap_ma, read_ma = sums.cap_ma(circuit, row), sums.read_ma(circuit, row)
            over = read_ma is not None and read_ma > cap_ma
            unseen = blind or row >= BAR or (circuit, row) in self._fell
            if not (over or unseen):
                continue
            yield from sums.count_for(circuit)
            base_ma = sums.base_ma(circuit, row)
            too_much_ma = base_ma + sums.ordered_ma(circuit, row) - cap_ma
            if too_much_ma > 0 and not unseen:
                yield from sums.count_credits(circuit)
                left_ma = sums.left_ma(circuit, row)
                too_much_ma = min(too_much_ma, (left_ma or 0) - cap_ma)
            if too_much_ma <= 0:
                continue
            can = [i for i in self._it.below[circuit] if sums.can_be_shed(i, row)]
            if not can:
                continue
            self._cut(bound, can, row, too_much_ma)
            shown = "nothing" if read_ma is None else f"{amperes_text(read_ma)} A"
            base = "" if row >= BAR else f", base load up to {amperes_text(base_ma)} A"
            why = (
                f"{shown} is read{base}; what is ordered leaves {amperes_text(too_much_ma)} A "
                f"above {amperes_text(cap_ma)} A{_of(row)}"
            )
            ordered_ma = sum(self._it.chargers[i].order_ma or 0 for i in self._it.below[circuit])
            disputes.append(Dispute("not_shed", -1, circuit, _phase(row), why, ordered_ma))

    def _cut(self, bound: list[int | None], can: Sequence[int], row: int, too_much_ma: int) -> None:
        """Takes from each in proportion to its order, rounded down: an excess goes wholly."""
        chargers = [self._it.chargers[i] for i in can]
        total_ma = sum(
            (each.order_ma or 0) * (len(each.used) if row == SUM else 1) for each in chargers
        )
        for i, charger in zip(can, chargers, strict=True):
            order_ma, most_ma = charger.order_ma or 0, bound[i]
            left_ma = order_ma - -(-order_ma * too_much_ma // total_ma)
            cut_ma = fitting(charger.row, max(charger.least_ma, left_ma))
            bound[i] = cut_ma if most_ma is None else min(cut_ma, most_ma)


def _phase(row: int) -> int:
    return -1 if row == SUM else row % BAR


def _of(row: int) -> str:
    if row == SUM:
        return " of the three phases together"
    return " of the bus bar" if row >= BAR else ""


def fitting(row: ChargerRow, most_ma: int) -> int:
    """The highest setpoint that the charger takes and that is not above that."""
    ma = most_ma - most_ma % row.step_ma
    return ma if ma >= row.min_ma else 0
