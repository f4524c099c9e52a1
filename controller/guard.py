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

What it counts is the least that the rules allow (controller.beliefs): a disputed decision is wrong,
but not every wrong one is disputed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from cext.rows import (
    NO_PHASE,
    ROOT,
    ChargerRow,
    CircuitRow,
    ContactorRow,
    Phases,
    SlotRow,
    SourceRow,
    Tuning,
)
from controller.beliefs import (
    UNPROVEN_NS,
    ChargerBelief,
    ContactorBelief,
    SlotBelief,
    SourceBelief,
    fresh,
)
from controller.journal import (
    Contact,
    Distrust,
    Fallback,
    Latch,
    Leave,
    Limit,
    Lost,
    Proven,
    Reading,
    Record,
    Report,
    Tick,
)
from controller.units import NS_PER_S, amperes_text

QUARTERS = 4  # every image is judged at least so often in a dead-man time
SLOW_NS = 2 * NS_PER_S  # a credit may last this much longer than what it waits for
SUMS = (0, 1, 2)


class Tables(Protocol):
    """What the guard needs of the site."""

    @property
    def circuits(self) -> Sequence[CircuitRow]: ...
    @property
    def sources(self) -> Sequence[SourceRow]: ...
    @property
    def chargers(self) -> Sequence[ChargerRow]: ...
    @property
    def slots(self) -> Sequence[SlotRow]: ...
    @property
    def contactors(self) -> Sequence[ContactorRow]: ...
    @property
    def tuning(self) -> Tuning: ...


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


class Guard:
    """One site's. `hear` its kernel's journal, in order; judges the ticks in it."""

    def __init__(self, tables: Tables) -> None:
        self._circuits = tables.circuits
        self._tuning = tables.tuning
        self._path = [list(self._up(circuit)) for circuit in range(len(tables.circuits))]
        rows = tables.chargers
        self._below: list[list[int]] = [[] for _ in tables.circuits]
        for index, row in enumerate(rows):
            for circuit in self._path[row.circuit]:
                self._below[circuit].append(index)
        behind = [
            max((rows[i].lag_ns + rows[i].poll_ns for i in below if rows[i].metered), default=0)
            for below in self._below
        ]
        self._sources = [SourceBelief(row, behind[row.circuit]) for row in tables.sources]
        keeps = [row.lag_ns + behind[row.circuit] + row.max_age_ns for row in tables.sources]
        keep_ns = max(keeps, default=0)
        self._chargers = [ChargerBelief(row, keep_ns + row.lag_ns) for row in rows]
        self._slots = [SlotBelief(row) for row in tables.slots]
        self._contactors = [ContactorBelief(row) for row in tables.contactors]
        self._relearns_ns = keep_ns + max((r.settle_ns + r.max_age_ns for r in rows), default=0)
        self._heard = {s for s in range(len(self._circuits)) if not self._measured(s)}
        self._began_ns = 0
        self._now_ns = 0
        self._judged_ns = -tables.tuning.dead_man_ns
        self._learns_until_ns = 0
        self._held = False  # latched, or left to itself
        self._left = False
        self._caps: list[Phases] = [row.rating_ma for row in self._circuits]
        self._fell: set[tuple[int, int]] = set()
        self._lapsed = False
        self._passed: list[int | None] = [None] * len(rows)
        self._passed_closed = [each.closed for each in self._contactors]
        self._draws: dict[int, list[int]] = {}  # of this tick
        self._bases: dict[tuple[int, int], int] = {}
        self.disputing = False  # the last verdict was no pass

    def _up(self, circuit: int) -> Iterator[int]:
        while circuit != ROOT:
            yield circuit
            circuit = self._circuits[circuit].parent

    # --- what goes in ---------------------------------------------------------------------

    def hear(self, record: Record) -> Verdict | None:
        """Takes one record in. A verdict on ticks that change something, and now and then."""
        match record:
            case Reading(source, at_ns, current_ma):
                self._sources[source].read(at_ns, current_ma)
            case Report():
                self._chargers[record.charger].report(record)
            case Tick():
                return self._tick(record)
            case Distrust(source, distrusted):
                self._sources[source].distrust(distrusted)
            case Limit():
                self._slots[record.slot].tell(record)
            case Contact(contactor, at_ns, closed):
                belief = self._contactors[contactor]
                belief.looked_ns, belief.looks_closed = at_ns, closed
            case Fallback(charger, fallback_ma):
                belief_of = self._chargers[charger]
                belief_of.fallback_ma = max(belief_of.row.fallback_ma, fallback_ma)
            case Proven(charger, proven):
                self._chargers[charger].prove(proven, self._now_ns)
            case Latch(latched):
                self._held = latched
            case Leave():
                self._left = True
            case Lost():
                self._forget()
        return None

    def _forget(self) -> None:
        """Passes nothing up until what it needs has been told again; disputes nothing meanwhile."""
        self._learns_until_ns = self._now_ns + self._relearns_ns + UNPROVEN_NS
        for source in self._sources:
            source.kept.clear()
        for slot in self._slots:
            slot.forgotten = True
        for charger in self._chargers:
            charger.forget()

    # --- the ticks ------------------------------------------------------------------------

    def _tick(self, tick: Tick) -> Verdict | None:
        now_ns = tick.now_ns
        first = self._began_ns == 0
        self._lapsed = not first and now_ns - self._now_ns >= self._tuning.dead_man_ns
        self._began_ns = self._began_ns or now_ns
        self._now_ns = now_ns
        changed = self._take(tick)
        self._find_caps(now_ns)
        for circuit in range(len(self._circuits)):
            if circuit not in self._heard and self._readings(circuit):
                self._heard.add(circuit)
        due = now_ns - self._judged_ns >= self._tuning.dead_man_ns // QUARTERS
        if not (changed or self._fell or due or self.disputing):
            return None
        self._judged_ns = now_ns
        return self._judge(tick.tick, now_ns)

    def _take(self, tick: Tick) -> bool:
        """What was ordered, as the next ticks will find it; whether anything changed."""
        changed = False
        for order in tick.orders:
            charger = self._chargers[order.charger]
            if order.setpoint_ma is not None and order.setpoint_ma != charger.order_ma:
                charger.order(tick.tick, tick.now_ns, order.setpoint_ma)
                changed = True
        for switch in tick.contactors:
            contactor = self._contactors[switch.contactor]
            if contactor.closed != switch.closed:
                contactor.closed, contactor.ordered_ns = switch.closed, tick.now_ns
                changed = True
        self._part(tick.now_ns)
        return changed

    def _part(self, now_ns: int) -> None:
        if not self._contactors:
            return
        parted: set[int] = set()
        cut: set[int] = set()
        for contactor in self._contactors:
            if not contactor.closed:
                parted.update(contactor.row.chargers)
            if contactor.verified_open(now_ns):
                cut.update(contactor.row.chargers)
        for index, charger in enumerate(self._chargers):
            charger.part(index in parted, index in cut, now_ns)

    def _find_caps(self, now_ns: int) -> None:
        """The caps that hold, and where one fell in this tick."""
        caps = [list(row.rating_ma) for row in self._circuits]
        for slot in self._slots:
            asked, cap = slot.cap_ma(now_ns), caps[slot.row.circuit]
            if asked is not None:
                cap[:] = map(min, cap, asked)
        self._fell.clear()
        for circuit, cap in enumerate(caps):
            before, now = self._caps[circuit], (cap[0], cap[1], cap[2])
            if now != before:
                self._fell.update((circuit, phase) for phase in SUMS if now[phase] < before[phase])
                self._caps[circuit] = now

    def _judge(self, tick: int, now_ns: int) -> Verdict:
        self._draws.clear()
        self._bases.clear()
        bound: list[int | None] = [charger.order_ma for charger in self._chargers]
        disputes: list[Dispute] = []
        closed = [each.closed for each in self._contactors]
        if not self._tuning.observe and now_ns >= self._learns_until_ns:
            disputes += self._rises(bound)
            disputes += self._closings(closed)
            for circuit in range(len(self._circuits)):
                disputes += self._overloads(circuit, bound)
        withheld = bool(disputes) or now_ns < self._learns_until_ns
        if withheld:
            bound = [self._least(index, most) for index, most in enumerate(bound)]
            closed = [now and was for now, was in zip(closed, self._passed_closed, strict=True)]
        self.disputing = bool(disputes)
        self._passed, self._passed_closed = bound, closed
        return Verdict(tick, now_ns, tuple(disputes), tuple(bound), tuple(closed))

    def _least(self, index: int, most_ma: int | None) -> int | None:
        """Of a tick that does not pass: the least of order, bound, and what is in force."""
        charger = self._chargers[index]
        known = [each for each in (most_ma, charger.in_force_ma) if each is not None]
        passed_ma = self._passed[index]
        if charger.order_ma is None or most_ma is None or (passed_ma is None and len(known) < 2):
            return None  # it has no order, or nobody knows what would be none above it
        if passed_ma is not None:
            known.append(passed_ma)
        return fitting(charger.row, min(known))

    # --- the rules ------------------------------------------------------------------------

    def _rises(self, bound: list[int | None]) -> Iterator[Dispute]:
        for index, charger in enumerate(self._chargers):
            order_ma, passed_ma = charger.order_ma, self._passed[index]
            if order_ma is None or order_ma == passed_ma:
                continue
            found = self._off_range(charger)
            if found is None and passed_ma is None:
                found = self._first_order(charger)
            elif found is None and passed_ma is not None and order_ma > passed_ma:
                found = self._may_not_rise(charger) or self._lacks_slack(index, charger)
            if found is not None:
                rule, circuit, phase, why = found
                bound[index] = passed_ma if passed_ma is not None else charger.in_force_ma
                at = "nothing" if passed_ma is None else f"{amperes_text(passed_ma)} A"
                why = f"from {at} to {amperes_text(order_ma)} A: {why}"
                yield Dispute(rule, index, circuit, phase, why)

    @staticmethod
    def _off_range(charger: ChargerBelief) -> tuple[str, int, int, str] | None:
        row, order_ma = charger.row, charger.order_ma or 0
        most_ma = row.max_ma if row.ceiling_ma is None else min(row.max_ma, row.ceiling_ma)
        if order_ma == 0 or row.min_ma <= order_ma <= most_ma:
            return None
        why = f"not 0, nor within {amperes_text(row.min_ma)} and {amperes_text(most_ma)} A"
        return "off_range", -1, -1, why

    @staticmethod
    def _first_order(charger: ChargerBelief) -> tuple[str, int, int, str] | None:
        """It begins at no more than what is in force, and what it would do alone."""
        order_ma, in_force_ma = charger.order_ma or 0, charger.in_force_ma
        if charger.forgotten:
            return None
        if in_force_ma is None:
            return "first_order", -1, -1, "its setpoint in force is not known"
        if order_ma <= min(in_force_ma, charger.row.fallback_ma):
            return None
        least = amperes_text(in_force_ma), amperes_text(charger.row.fallback_ma)
        return "first_order", -1, -1, f"in force are {least[0]} A, and alone it does {least[1]} A"

    def _may_not_rise(self, charger: ChargerBelief) -> tuple[str, int, int, str] | None:
        now_ns = self._now_ns
        if self._held or self._left:
            return "held", -1, -1, "the depot is latched, or left to itself"
        if self._lapsed:
            return "lapsed", -1, -1, "its order had expired"
        if charger.silent(now_ns):
            return "silent", -1, -1, "it has not reported"
        if charger.missing_ns is not None:
            return "unproven", -1, -1, "its fallback is not proven"
        if charger.parted:
            return "parted", -1, -1, "its contactor is ordered open"
        if charger.stubborn(now_ns):
            return "stubborn", -1, -1, "it has drawn more than it may for 7 s"
        return None

    def _lacks_slack(
        self, index: int, charger: ChargerBelief
    ) -> tuple[str, int, int, str] | None:
        for circuit in self._path[charger.row.circuit]:
            if circuit not in self._heard:
                return "unread", circuit, -1, "this circuit was never read"
            for phase in charger.used:
                cap_ma = max(0, self._caps[circuit][phase])
                least = self._least_reading(circuit, phase)
                if least is not None and least > cap_ma:
                    why = f"{amperes_text(least)} A are read of {amperes_text(cap_ma)} A"
                    return "over", circuit, phase, why
                base_ma = self._base_hi(circuit, phase)
                drawn_ma = sum(self._draw(i)[phase] for i in self._below[circuit])
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
            chargers = self._contactors[contactor].row.chargers
            found: tuple[str, int, int, str] | None = None
            if self._held or self._left:
                found = "held", -1, -1, "the depot is latched, or left to itself"
            elif count:
                found = "together", -1, -1, "another one closes in the same tick"
            for index in chargers:
                charger = self._chargers[index]
                if found is None and not charger.parted:
                    found = self._lacks_slack(index, charger)
            if found is not None:
                rule, circuit, phase, why = found
                yield Dispute(rule, chargers[0], circuit, phase, f"contactor closes: {why}")

    def _overloads(self, circuit: int, bound: list[int | None]) -> Iterator[Dispute]:
        """Where a circuit is over its cap, or may be unseen: what is ordered brings it under."""
        blind = not self._readings(circuit)
        for phase in SUMS:
            cap_ma = max(0, self._caps[circuit][phase])
            read_ma = self._least_reading(circuit, phase)
            over = read_ma is not None and read_ma > cap_ma
            if not (blind or over or (circuit, phase) in self._fell):
                continue
            can = [i for i in self._below[circuit] if self._can_be_shed(i, phase)]
            if not can:
                continue
            ordered_ma = self._base_hi(circuit, phase) + self._ordered(circuit, phase)
            too_much_ma = ordered_ma - cap_ma
            if over and read_ma is not None and not (blind or (circuit, phase) in self._fell):
                shown_ma = read_ma - self._credits(circuit, phase)
                too_much_ma = min(too_much_ma, shown_ma - cap_ma)
            if too_much_ma > 0:
                self._cut(bound, can, too_much_ma)
                base_ma = amperes_text(self._base_hi(circuit, phase))
                shown = "nothing" if read_ma is None else f"{amperes_text(read_ma)} A"
                why = (
                    f"{shown} is read, base load up to {base_ma} A; what is ordered leaves "
                    f"{amperes_text(too_much_ma)} A above {amperes_text(cap_ma)} A"
                )
                yield Dispute("not_shed", -1, circuit, phase, why)

    def _cut(self, bound: list[int | None], can: Sequence[int], too_much_ma: int) -> None:
        """Takes from each in proportion to its order, rounded down: an excess goes wholly."""
        total_ma = sum(self._chargers[i].order_ma or 0 for i in can)
        for i in can:
            order_ma, most_ma = self._chargers[i].order_ma or 0, bound[i]
            left_ma = order_ma - -(-order_ma * too_much_ma // total_ma)
            cut_ma = fitting(self._chargers[i].row, max(0, left_ma))
            bound[i] = cut_ma if most_ma is None else min(cut_ma, most_ma)

    # --- the sums -------------------------------------------------------------------------

    def _measured(self, circuit: int) -> list[SourceBelief]:
        return [source for source in self._sources if source.row.circuit == circuit]

    def _readings(self, circuit: int) -> list[SourceBelief]:
        """Sources that count: unsigned ones only where no other does."""
        found = [source for source in self._measured(circuit) if source.fresh(self._now_ns)]
        return [source for source in found if not source.row.unsigned] or found

    def _least_reading(self, circuit: int, phase: int) -> int | None:
        shown = [source.kept[-1].current_ma[phase] for source in self._readings(circuit)]
        return min(shown, default=None)

    def _base_hi(self, circuit: int, phase: int) -> int:
        """The upper end of the base load: of what is read, of the parent's, as declared."""
        if (circuit, phase) not in self._bases:
            row = self._circuits[circuit]
            ends = [self._end(source, phase) for source in self._readings(circuit)]
            if not ends and row.parent != ROOT:
                ends = [self._base_hi(row.parent, phase)]
            least = min(ends, default=row.worst_base_ma[phase])
            if not row.credit_export:
                least = max(0, least)
            self._bases[circuit, phase] = min(least, row.worst_base_ma[phase])
        return self._bases[circuit, phase]

    def _end(self, source: SourceBelief, phase: int) -> int:
        drawn_ma = sum(
            self._chargers[i].draw_lo_ma(phase, source.since_ns, self._now_ns)
            for i in self._below[source.row.circuit]
        )
        return source.most_ma(phase) + source.row.error_ma - drawn_ma

    def _draw(self, index: int) -> list[int]:
        if index not in self._draws:
            self._draws[index] = self._chargers[index].draw_hi_ma(self._now_ns)
        return self._draws[index]

    def _ordered(self, circuit: int, phase: int) -> int:
        """The most that is drawn once all orders took effect. A start waits for its chargers."""
        total_ma = 0
        for i in self._below[circuit]:
            charger = self._chargers[i]
            if charger.order_ma is None and self._now_ns - self._began_ns < UNPROVEN_NS:
                continue
            drawn_ma = self._draw(i)[phase]
            if charger.order_ma is not None and not charger.silent(self._now_ns):
                drawn_ma = min(drawn_ma, charger.told_ma(charger.order_ma))
            total_ma += drawn_ma
        return total_ma

    def _can_be_shed(self, index: int, phase: int) -> bool:
        charger = self._chargers[index]
        return (
            bool(charger.order_ma)
            and phase in charger.used
            and not charger.silent(self._now_ns)
            and self._draw(index)[phase] > charger.row.standby_ma
            and not charger.elsewhere(phase)
        )

    def _credits(self, circuit: int, phase: int) -> int:
        """By how much orders on their way will lower the reading, at best."""
        source = max(self._readings(circuit), key=lambda each: each.row.lag_ns + each.row.poll_ns)
        late_ns = source.row.lag_ns + source.row.poll_ns + SLOW_NS
        total_ma = 0
        for i in self._below[circuit]:
            charger = self._chargers[i]
            row, order_ma = charger.row, charger.order_ma
            shows_ns = row.write_gap_ns + row.confirm_gap_ns + row.settle_ns
            shows_ns += row.lag_ns + row.poll_ns + late_ns
            if order_ma is None or phase not in charger.used:
                continue
            if self._now_ns - charger.changed_ns > shows_ns:
                continue
            peak_ma = charger.peak_ma(phase, source.since_ns - row.lag_ns)
            if not row.metered:
                peak_ma = charger.told_ma(charger.highest_ma(self._now_ns))
            total_ma += max(0, peak_ma - order_ma)
        return total_ma


def fitting(row: ChargerRow, most_ma: int) -> int:
    """The highest setpoint that the charger takes and that is not above that."""
    ma = most_ma - most_ma % row.step_ma
    return ma if ma >= row.min_ma else 0
