"""The guard's account of a depot: the kernel's journal in, beliefs and caps out.

It hears what the kernel heard, in the same order, and what was decided from it. What that adds up
to is controller.guard.sums; judging it is the guard's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from controller.guard.beliefs import ContactorBelief, SlotBelief, SourceBelief
from controller.guard.chargers import UNPROVEN_NS, ChargerBelief
from controller.guard.readings import Readings
from controller.records import (
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
        self._slots_of: dict[int, list[SlotBelief]] = {}  # where a cap may be below the rating
        for slot in self._slots:
            self._slots_of.setdefault(slot.row.circuit, []).append(slot)
        self.contactors = [ContactorBelief(row) for row in tables.contactors]
        self._relearns_ns = keep_ns + max((r.settle_ns + r.max_age_ns for r in rows), default=0)
        self._readings = Readings(tables.circuits, self._sources)
        self.heard = self._readings.heard
        self.began_ns = 0
        self.now_ns = 0
        self.learns_until_ns = 0
        self._missed = False  # records, since the last tick
        self.held = False  # latched, or left to itself
        self.left = False
        self.changed = False  # an output, in this tick
        self.pressed = False  # a reading is above its cap, or there is none any more
        self.caps: list[Phases] = [row.rating_ma for row in self.circuits]
        self.fell: set[tuple[int, int]] = set()
        self.lapsed = False

    def _up(self, circuit: int) -> Iterator[int]:
        while circuit != ROOT:
            yield circuit
            circuit = self.circuits[circuit].parent

    # --- what goes in ---------------------------------------------------------------------

    def hear(self, record: Record) -> None:
        """Takes one record in, in the order in which the kernel took it."""
        match record:
            case Reading(source, at_ns, current_ma):
                belief = self._sources[source]
                belief.read(at_ns, current_ma)
                self._readings.touch(belief.row.circuit)
            case Report():
                self.chargers[record.charger].report(record)
            case Tick():
                self._tick(record)
            case Distrust(source, distrusted):
                self._sources[source].distrust(distrusted)
                self._readings.touch(self._sources[source].row.circuit)
            case Limit():
                self._slots[record.slot].tell(record)
            case Contact(contactor, at_ns, closed):
                self.contactors[contactor].look(at_ns, closed)
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
        self._missed = True
        for source in self._sources:
            source.kept.clear()
        self._readings.touch_all()
        for slot in self._slots:
            slot.forgotten = True
        for charger in self.chargers:
            charger.forget()

    # --- another document, another guard ------------------------------------------------

    def adopt(self, old: Account, maps: Maps) -> None:
        """Goes on where the document before ended, with what stays, as its kernel does. What
        changed in a row is counted by the new one."""
        self.began_ns, self.now_ns = old.began_ns, old.now_ns
        self.learns_until_ns, self._missed = old.learns_until_ns, old._missed
        self.held, self.left = old.held, old.left
        for new, was in maps.sources.items():
            self._sources[new].adopt(old._sources[was])
        self._readings.touch_all()
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
        self.heard.update(range(len(self.circuits)))
        self.forget()

    # --- the ticks ------------------------------------------------------------------------

    def _tick(self, tick: Tick) -> None:
        now_ns = tick.now_ns
        first = self.began_ns == 0
        self.lapsed = not first and now_ns - self.now_ns >= self.tuning.dead_man_ns
        if self.lapsed:
            for charger in self.chargers:
                charger.nobody_decided()
        if first:
            self.began_ns = now_ns
            for charger in self.chargers:
                charger.begin(now_ns)
        if self._missed:  # until when, nobody knows before this tick tells what time it is
            self.learns_until_ns = now_ns + self._relearns_ns + UNPROVEN_NS
            self._missed = False
        self.now_ns = now_ns
        self.changed = self._take(tick)
        self._find_caps(now_ns)
        self.pressed = self._readings.look(now_ns, self.caps)

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
        self.fell.clear()
        for circuit, slots in self._slots_of.items():
            now, before = self.circuits[circuit].rating_ma, self.caps[circuit]
            for slot in slots:
                asked = slot.cap_ma(now_ns)
                if asked is not None:
                    now = min(now[0], asked[0]), min(now[1], asked[1]), min(now[2], asked[2])
            if now != before:
                self.fell.update((circuit, p) for p in range(3) if now[p] < before[p])
                self.caps[circuit] = now
                self._readings.touch(circuit)

    def readings(self, circuit: int) -> list[SourceBelief]:
        """Sources that count in this tick: unsigned ones only where no other does."""
        return self._readings.counted[circuit]
