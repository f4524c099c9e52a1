"""The guard's account of a depot: the kernel's journal in, caps and sums out.

It hears what the kernel heard, in the same order, and what was decided from it. Sums are those of
the last tick that it heard. Judging them is the guard's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import gt
from typing import NamedTuple, Protocol

from cext.rows import (
    ROOT,
    ChargerRow,
    CircuitRow,
    ContactorRow,
    Phases,
    SlotRow,
    SourceRow,
    Tuning,
)
from controller.guard.beliefs import (
    UNPROVEN_NS,
    ChargerBelief,
    ContactorBelief,
    SlotBelief,
    SourceBelief,
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
from controller.units import NS_PER_S

SLOW_NS = 2 * NS_PER_S  # a credit may last this much longer than what it waits for
SUMS = (0, 1, 2)
Orders = Sequence[tuple[int, int] | None]  # tick and setpoint of each charger's order


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


class Maps(NamedTuple):
    """What stays in another document: new indexes and old ones."""

    circuits: Mapping[int, int]
    sources: Mapping[int, int]
    chargers: Mapping[int, int]
    slots: Mapping[int, int]
    contactors: Mapping[int, int]


class Account:
    """Of one document. All indexes are those of its tables."""

    def __init__(self, tables: Tables) -> None:
        self.circuits = tables.circuits
        self.tuning = tables.tuning
        self.path = [list(self._up(circuit)) for circuit in range(len(tables.circuits))]
        rows = tables.chargers
        self.below: list[list[int]] = [[] for _ in tables.circuits]
        for index, row in enumerate(rows):
            for circuit in self.path[row.circuit]:
                self.below[circuit].append(index)
        behind = [
            max((rows[i].lag_ns + rows[i].poll_ns for i in below if rows[i].metered), default=0)
            for below in self.below
        ]
        self._sources = [SourceBelief(row, behind[row.circuit]) for row in tables.sources]
        keeps = [row.lag_ns + behind[row.circuit] + row.max_age_ns for row in tables.sources]
        keep_ns = max(keeps, default=0)
        self.chargers = [ChargerBelief(row, keep_ns + row.lag_ns) for row in rows]
        self._slots = [SlotBelief(row) for row in tables.slots]
        self.contactors = [ContactorBelief(row) for row in tables.contactors]
        self._relearns_ns = keep_ns + max((r.settle_ns + r.max_age_ns for r in rows), default=0)
        self._measured: list[list[SourceBelief]] = [[] for _ in tables.circuits]
        for source in self._sources:
            self._measured[source.row.circuit].append(source)
        self.heard = {i for i, sources in enumerate(self._measured) if not sources}
        self.began_ns = 0
        self.now_ns = 0
        self.learns_until_ns = 0
        self.held = False  # latched, or left to itself
        self.left = False
        self.changed = False  # an output, in this tick
        self.pressed = False  # a reading is above its cap, or there is none any more
        self._blind: set[int] = set()
        self.caps: list[Phases] = [row.rating_ma for row in self.circuits]
        self.fell: set[tuple[int, int]] = set()
        self.lapsed = False
        self._draws: dict[int, list[int]] = {}  # of this tick
        self._bases: dict[int, list[int]] = {}
        self._drawns: dict[int, list[int]] = {}
        self._ordereds: dict[int, list[int]] = {}
        self._reads: dict[int, list[SourceBelief]] = {}

    def _up(self, circuit: int) -> Iterator[int]:
        while circuit != ROOT:
            yield circuit
            circuit = self.circuits[circuit].parent

    # --- what goes in ---------------------------------------------------------------------

    def hear(self, record: Record) -> None:
        """Takes one record in, in the order in which the kernel took it."""
        match record:
            case Reading(source, at_ns, current_ma):
                self._sources[source].read(at_ns, current_ma)
            case Report():
                self.chargers[record.charger].report(record)
            case Tick():
                self._tick(record)
            case Distrust(source, distrusted):
                self._sources[source].distrust(distrusted)
            case Limit():
                self._slots[record.slot].tell(record)
            case Contact(contactor, at_ns, closed):
                belief = self.contactors[contactor]
                belief.looked_ns, belief.looks_closed = at_ns, closed
            case Fallback(charger, fallback_ma):
                self.chargers[charger].tell_fallback(fallback_ma)
            case Proven(charger, proven):
                self.chargers[charger].prove(proven, self.now_ns)
            case Latch(latched):
                self.held = latched
            case Leave():
                self.left = True
            case Lost():
                self.forget()

    def forget(self) -> None:
        """Records are missing: nothing is known until it has been told again."""
        self.learns_until_ns = self.now_ns + self._relearns_ns + UNPROVEN_NS
        for source in self._sources:
            source.kept.clear()
        for slot in self._slots:
            slot.forgotten = True
        for charger in self.chargers:
            charger.forget()

    # --- another document, another guard ------------------------------------------------

    def adopt(self, old: Account, maps: Maps) -> None:
        """Goes on where the document before ended, with what stays, as its kernel does. What
        changed in a row is counted by the new one."""
        self.began_ns, self.now_ns = old.began_ns, old.now_ns
        self.learns_until_ns = old.learns_until_ns
        self.held, self.left = old.held, old.left
        for new, was in maps.sources.items():
            self._sources[new].adopt(old._sources[was])
        for new, was in maps.slots.items():
            if self._slots[new].last is None:
                self._slots[new].last = old._slots[was].last
                self._slots[new].forgotten = old._slots[was].forgotten
        for new, was in maps.chargers.items():
            self.chargers[new].adopt(old.chargers[was])
        for new, was in maps.contactors.items():
            self.contactors[new].adopt(old.contactors[was])
        self.heard |= {new for new, was in maps.circuits.items() if was in old.heard}
        self._find_caps(self.now_ns)
        self.fell.clear()

    def resume(self, orders: Orders, closed: Sequence[bool]) -> None:
        """Begins in the midst of it."""
        for charger, order in zip(self.chargers, orders, strict=True):
            if order is not None:
                charger.order(order[0], 0, order[1])
        for contactor, is_closed in zip(self.contactors, closed, strict=True):
            contactor.closed = is_closed
        self.heard = set(range(len(self.circuits)))
        self.forget()

    # --- the ticks ------------------------------------------------------------------------

    def _tick(self, tick: Tick) -> None:
        now_ns = tick.now_ns
        first = self.began_ns == 0
        self.lapsed = not first and now_ns - self.now_ns >= self.tuning.dead_man_ns
        if self.began_ns == 0:
            self.began_ns = now_ns
            for charger in self.chargers:
                charger.begin(now_ns)
            if self.learns_until_ns:  # it began in the midst of it
                self.learns_until_ns += now_ns
        self.now_ns = now_ns
        self._reads.clear()
        self.changed = self._take(tick)
        self._find_caps(now_ns)
        for circuit in range(len(self.circuits)):
            if circuit not in self.heard and self.readings(circuit):
                self.heard.add(circuit)
        for sums in (self._draws, self._bases, self._drawns, self._ordereds):
            sums.clear()
        self._look()

    def _look(self) -> None:
        """Whether a circuit is in such a state that the next decision cannot wait to be judged."""
        self.pressed = False
        for circuit, sources in enumerate(self._measured):
            if not sources:
                continue
            found = self.readings(circuit)
            for source in found:
                if any(map(gt, source.kept[-1].current_ma, self.caps[circuit])):
                    self.pressed = True
            if bool(found) == (circuit in self._blind):
                self._blind ^= {circuit}
                self.pressed = self.pressed or not found

    def _take(self, tick: Tick) -> bool:
        """What was ordered, as the next ticks will find it; whether anything changed."""
        changed = False
        for order in tick.orders:
            charger = self.chargers[order.charger]
            if order.setpoint_ma is not None and order.setpoint_ma != charger.order_ma:
                charger.order(tick.tick, tick.now_ns, order.setpoint_ma)
                changed = True
        for switch in tick.contactors:
            contactor = self.contactors[switch.contactor]
            if contactor.closed != switch.closed:
                contactor.closed, contactor.ordered_ns = switch.closed, tick.now_ns
                changed = True
        self._part(tick.now_ns)
        return changed

    def _part(self, now_ns: int) -> None:
        if not self.contactors:
            return
        parted: set[int] = set()
        cut: set[int] = set()
        for contactor in self.contactors:
            if not contactor.closed:
                parted.update(contactor.row.chargers)
            if contactor.verified_open(now_ns):
                cut.update(contactor.row.chargers)
        for index, charger in enumerate(self.chargers):
            charger.part(index in parted, index in cut, now_ns)

    def _find_caps(self, now_ns: int) -> None:
        """The caps that hold, and where one fell in this tick."""
        caps = [list(row.rating_ma) for row in self.circuits]
        for slot in self._slots:
            asked, cap = slot.cap_ma(now_ns), caps[slot.row.circuit]
            if asked is not None:
                cap[:] = map(min, cap, asked)
        self.fell.clear()
        for circuit, cap in enumerate(caps):
            before, now = self.caps[circuit], (cap[0], cap[1], cap[2])
            if now != before:
                self.fell.update((circuit, phase) for phase in SUMS if now[phase] < before[phase])
                self.caps[circuit] = now

    # --- the sums -------------------------------------------------------------------------

    def readings(self, circuit: int) -> list[SourceBelief]:
        """Sources that count in this tick: unsigned ones only where no other does."""
        if circuit not in self._reads:
            found = [each for each in self._measured[circuit] if each.fresh(self.now_ns)]
            self._reads[circuit] = [each for each in found if not each.row.unsigned] or found
        return self._reads[circuit]

    def least_reading(self, circuit: int, phase: int) -> int | None:
        shown = [source.kept[-1].current_ma[phase] for source in self.readings(circuit)]
        return min(shown, default=None)

    def base_hi(self, circuit: int) -> list[int]:
        """The upper end of the base load: of what is read, of the parent's, as declared."""
        if circuit not in self._bases:
            row, least = self.circuits[circuit], None
            for source in self.readings(circuit):
                end = self._end(source)
                least = end if least is None else list(map(min, least, end))
            if least is None and row.parent != ROOT:
                least = self.base_hi(row.parent)
            if least is None:
                least = list(row.worst_base_ma)
            elif not row.credit_export:
                least = [max(0, ma) for ma in least]
            self._bases[circuit] = list(map(min, least, row.worst_base_ma))
        return self._bases[circuit]

    def _end(self, source: SourceBelief) -> list[int]:
        end, since_ns = source.most_ma(), source.since_ns
        for i in self.below[source.row.circuit]:
            lo_ma = self.chargers[i].draw_lo_ma(since_ns, self.now_ns)
            if lo_ma is not None:
                for phase in self.chargers[i].used:
                    end[phase] -= lo_ma[phase]
        return end

    def draw(self, index: int) -> list[int]:
        if index not in self._draws:
            self._draws[index] = self.chargers[index].draw_hi_ma(self.now_ns)
        return self._draws[index]

    def drawn(self, circuit: int) -> list[int]:
        """The most that all below it may draw."""
        if circuit not in self._drawns:
            one = two = three = 0
            for i in self.below[circuit]:
                first, second, third = self.draw(i)
                one, two, three = one + first, two + second, three + third
            self._drawns[circuit] = [one, two, three]
        return self._drawns[circuit]

    def hidden(self, circuit: int, phase: int) -> int:
        """What those may draw who are ordered off, silent, and not known to be without power."""
        return sum(
            self.draw(i)[phase]
            for i in self.below[circuit]
            if (charger := self.chargers[i]).parted and charger.silent(self.now_ns)
        )

    def beneath(self, circuit: int, phase: int) -> int:
        """The base load with what is hidden: together no more than is read, here or above."""
        base_ma, hidden_ma = self.base_hi(circuit)[phase], self.hidden(circuit, phase)
        for above in self.path[circuit]:
            ends_ma = [self._end(source)[phase] for source in self.readings(above)]
            if ends_ma and above == circuit:
                return max(base_ma, min(base_ma + hidden_ma, *ends_ma))
            if ends_ma:
                return base_ma + min(hidden_ma, max(0, min(ends_ma)))
        return base_ma + hidden_ma

    def ordered(self, circuit: int) -> list[int]:
        """The most that is drawn once all orders took effect. A start waits for its chargers."""
        if circuit not in self._ordereds:
            starts = self.now_ns - self.began_ns < UNPROVEN_NS
            total = [0, 0, 0]
            for i in self.below[circuit]:
                charger, draw = self.chargers[i], self.draw(i)
                if charger.order_ma is None and starts:
                    continue
                told_ma = max(draw)
                if charger.order_ma is not None and not charger.silent(self.now_ns):
                    told_ma = max(charger.told_ma(charger.order_ma), self._disobeyed_ma(charger))
                for phase in charger.used:
                    total[phase] += min(draw[phase], told_ma)
            self._ordereds[circuit] = total
        return self._ordereds[circuit]

    def _disobeyed_ma(self, charger: ChargerBelief) -> int:
        """What it draws beyond its order, long after it should have followed it; else 0."""
        late = self.now_ns - charger.changed_ns > charger.shows_ns + SLOW_NS
        return charger.beyond_ma() if late else 0

    def can_be_shed(self, index: int, phase: int) -> bool:
        """Whether to lower it would help. Of who disobeys nobody knows: he is escalated against."""
        charger = self.chargers[index]
        return (
            (charger.order_ma or 0) > charger.least_ma
            and phase in charger.used
            and not charger.silent(self.now_ns)
            and self.draw(index)[phase] > charger.row.standby_ma
            and not charger.elsewhere(phase)
            and not self._disobeyed_ma(charger)
        )

    def credits(self, circuit: int, phase: int) -> int:
        """By how much orders on their way will lower the reading, at best."""
        source = max(self.readings(circuit), key=lambda each: each.row.lag_ns + each.row.poll_ns)
        late_ns = source.row.lag_ns + source.row.poll_ns + SLOW_NS
        total_ma = 0
        for i in self.below[circuit]:
            charger = self.chargers[i]
            row, order_ma = charger.row, charger.order_ma
            if order_ma is None or phase not in charger.used:
                continue
            if self.now_ns - charger.changed_ns > charger.shows_ns + late_ns:
                continue
            peak_ma = charger.peak_ma(phase, source.since_ns - row.lag_ns)
            if not row.metered:
                peak_ma = charger.told_ma(charger.highest_ma(self.now_ns))
            total_ma += max(0, peak_ma - order_ma)
        return total_ma
