"""The whole tick: everything that goes into a controller goes in here, too."""

from __future__ import annotations

from typing import NamedTuple

from tests.oracle.site import Site, Triple
from tests.oracle.whole.base import Circuits, Source
from tests.oracle.whole.draw import ChargerDraw, Report
from tests.oracle.whole.excess import net_excess
from tests.oracle.whole.limits import Asked, LimitSlot, binding
from tests.oracle.whole.orders import Orders
from tests.oracle.whole.span import Span

PHASES = (0, 1, 2)


class CircuitView(NamedTuple):
    """What the rules say of a circuit; per phase."""

    caps_ma: list[set[int]]
    blind: bool
    reading: list[Span | None]
    base_hi: list[Span]
    draw_hi: list[Span]
    excess: list[Span]


class WholeTick:
    """The model of one controller since its start."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.slots = [LimitSlot(row) for row in site.slots]
        self.sources = [Source(row) for row in site.meters]
        self.chargers = [ChargerDraw(row) for row in site.chargers]
        self.circuits = Circuits(site, self.sources, self.chargers)
        self.worst_ma: list[Triple] = [row.worst_base_ma for row in site.circuits]
        self.heard: set[int] = set()
        self.lowered_ns: dict[int, int] = {}
        self._caps: dict[tuple[int, int], int] = {}
        self._blind: set[int] = set()
        self._highs: dict[int, list[Span]] = {}
        self.latched = False
        self.closing = False  # since the tick before
        self.ticks = 0
        self.now_ns = 0

    # -- what goes in --------------------------------------------------------------------------

    def reading(self, source: int, at_ns: int, current_ma: Triple) -> None:
        self.sources[source].read(at_ns, current_ma)

    def distrust(self, source: int, distrusted: bool) -> None:
        self.sources[source].distrust(distrusted)

    def report(self, charger: int, report: Report) -> None:
        self.chargers[charger].report(report)

    def limit(self, slot: int, ma: Triple | None, until_ns: int, alive_until_ns: int) -> None:
        self.slots[slot].tell(ma, until_ns, alive_until_ns)

    def prove(self, charger: int, proven: bool | None) -> None:
        self.chargers[charger].prove(self.now_ns, proven)

    def latch(self, on: bool) -> None:
        """While it is latched nothing rises; when it closes, all go to fail-safe setpoints."""
        self.closing = on and not self.latched
        self.latched = on

    # -- a tick --------------------------------------------------------------------------------

    def tick(self, now_ns: int, failsafe_ma: list[int]) -> None:
        """Before what was ordered in it is told."""
        lapsed = self.ticks > 0 and now_ns - self.now_ns >= self.site.pace.dead_man_ns
        self.now_ns, self.ticks = now_ns, self.ticks + 1
        for charger in self.chargers:
            charger.ticked(now_ns)

        count = range(len(self.site.circuits))
        places = [(circuit, phase) for circuit in count for phase in PHASES]
        of = self.circuits
        of.told_ma.clear()
        for circuit, phase in places:
            of.told_ma[circuit, phase] = of.base_hi(circuit, phase, now_ns, self.worst_ma)
        self.heard |= {circuit for circuit in count if of.counting(circuit, now_ns)}
        caps = {place: max(self.cap(*place)) for place in places}
        least = {place: min(self.cap(*place)) for place in places}
        blind = {circuit for circuit in count if not of.counting(circuit, now_ns)}
        fell = {place for place in places if least[place] < self._caps.get(place, 0)}
        fell |= {(c, p) for c in blind - self._blind for p in PHASES} | self._taken_back()
        self._caps, self._blind = caps, blind
        self.orders = Orders(
            self.site,
            of,
            now_ns,
            caps,
            fell,
            self.heard,
            self.excess(),
            failsafe_ma,
            {(circuit, phase): of.draw_hi(circuit, phase, now_ns) for circuit, phase in places},
            self.lowered_ns,
            lapsed,
            self.latched,
            self.closing,
        )
        self.closing = False

    def _taken_back(self) -> set[tuple[int, int]]:
        """Where a vehicle may draw again that had left a phase free, or as much as to be silent."""
        found = set()
        for index, charger in enumerate(self.chargers):
            now_hi = [charger.hi_on(phase, self.now_ns) for phase in PHASES]
            before = self._highs.get(index)
            for phase in PHASES:
                if before and now_hi[phase].most > before[phase].least:
                    found |= {(c, phase) for c in self.site.path(charger.row.circuit)}
            self._highs[index] = now_hi
        return found

    def excess(self) -> dict[tuple[int, int], Span]:
        """Net excess by circuit and phase, by the orders as they are."""
        found = {}
        for circuit in range(len(self.site.circuits)):
            for phase in PHASES:
                spans = [
                    net_excess(self.circuits, circuit, phase, cap, self.now_ns)
                    for cap in self.cap(circuit, phase)
                ]
                least, most = min(s.least for s in spans), max(s.most for s in spans)
                found[circuit, phase] = Span(least, most, spans[0].why)
        return found

    def ordered(self, charger: int, ma: int, for_a_cap: bool) -> None:
        """What the controller ordered in this tick; lowered for a cap, it says."""
        was = self.chargers[charger].ordered_ma
        if for_a_cap and was is not None and ma < was:
            self.lowered_ns[charger] = self.now_ns
        self.chargers[charger].order(self.ticks, self.now_ns, ma)

    def counting(self, circuit: int) -> list[Source]:
        return self.circuits.counting(circuit, self.now_ns)

    def disprove(self, circuit: int, worst_ma: Triple) -> str:
        """The controller says that more was proved; why that cannot be, or nothing."""
        for phase in PHASES:
            was = self.worst_ma[circuit][phase]
            if worst_ma[phase] == was:
                continue
            drawn = self.circuits.draw_hi(circuit, phase, self.now_ns).least
            shown = [
                reading.current_ma[phase] - source.row.error_ma - drawn
                for source in (self.sources[s] for s in self.circuits.measured_by[circuit])
                for reading in source.readings[-10:]
            ]
            above = [ma for ma in shown if ma > was]
            if worst_ma[phase] < was or len(above) < 3 or worst_ma[phase] > max(above):
                return f"{was} on phase {phase}: readings show {above} above it"
        self.worst_ma[circuit] = worst_ma
        return ""

    # -- what the rules say --------------------------------------------------------------------

    def asked(self, slot: int) -> list[Asked]:
        return self.slots[slot].asks(self.now_ns)

    def cap(self, circuit: int, phase: int) -> set[int]:
        """What holds there: the lowest of the rating and of all limits; in each reading."""
        rating = self.site.circuits[circuit].rating_ma
        here = [slot for slot in self.slots if slot.row.circuit == circuit]
        most = [slot.asks(self.now_ns)[0].cap_ma for slot in here]
        least = [slot.asks(self.now_ns)[-1].cap_ma for slot in here]
        return {binding(rating, caps, phase)[0] for caps in (most, least)}

    def circuit(self, circuit: int) -> CircuitView:
        now, of = self.now_ns, self.circuits
        caps = [self.cap(circuit, phase) for phase in PHASES]
        excess = self.excess()
        return CircuitView(
            caps,
            not of.counting(circuit, now),
            [of.reading(circuit, phase, now) for phase in PHASES],
            [of.told_ma[circuit, phase] for phase in PHASES],
            [of.draw_hi(circuit, phase, now) for phase in PHASES],
            [excess[circuit, phase] for phase in PHASES],
        )
