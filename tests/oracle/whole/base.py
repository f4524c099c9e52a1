"""What a circuit carries beside its chargers: readings, their windows, and both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.oracle.site import Meter, Site, Triple
from tests.oracle.whole.draw import BUCKETS_NS, KEPT, ChargerDraw
from tests.oracle.whole.span import Span, total


class Reading(NamedTuple):
    at_ns: int
    current_ma: Triple


@dataclass
class Source:
    """A meter or clamp, and what it showed."""

    row: Meter
    readings: list[Reading] = field(default_factory=list)
    distrusted: bool = False
    said: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # by phase, ticks before

    def read(self, at_ns: int, current_ma: Triple) -> None:
        """The newest wins; what comes of a distrusted one is dropped."""
        if self.distrusted or (self.readings and at_ns <= self.readings[-1].at_ns):
            return
        shown = current_ma
        if self.row.unsigned:
            shown = abs(current_ma[0]), abs(current_ma[1]), abs(current_ma[2])
        self.readings.append(Reading(at_ns, shown))
        del self.readings[:-KEPT]

    def distrust(self, distrusted: bool) -> None:
        """Trusted again, it begins anew with the next reading that arrives."""
        if distrusted:
            self.readings.clear()
        self.distrusted = distrusted

    def fresh(self, now_ns: int) -> bool:
        return bool(self.readings) and now_ns - self.readings[-1].at_ns <= self.row.max_age_ns

    def awake_ns(self, now_ns: int, back_ns: int) -> int:
        """So long ago; time in which none was fresh does not count."""
        before = self.lately(2 * back_ns + BUCKETS_NS)
        return min(before[-1].at_ns, now_ns - 2 * back_ns - BUCKETS_NS)

    def lately(self, back_ns: int) -> list[Reading]:
        """The readings of so long; time in which none was fresh does not count."""
        found: list[Reading] = []
        for reading in reversed(self.readings):
            gap_ns = found[-1].at_ns - reading.at_ns if found else 0
            back_ns -= gap_ns if gap_ns <= self.row.max_age_ns else 0
            if back_ns < 0:
                break
            found.append(reading)
        return found


@dataclass
class Circuits:
    """All circuits of a site, with their sources and chargers."""

    site: Site
    sources: list[Source]
    chargers: list[ChargerDraw]
    shown_ma: dict[tuple[int, int], int] = field(default_factory=dict)  # without what is declared
    told_ma: dict[tuple[int, int], Span] = field(default_factory=dict)  # upper ends, this tick

    def __post_init__(self) -> None:
        count = range(len(self.site.circuits))
        self.below = [self.site.below(circuit) for circuit in count]
        self.children = [
            [child for child in count if self.site.circuits[child].parent == circuit]
            for circuit in count
        ]
        self.measured_by = [
            [s for s, source in enumerate(self.sources) if source.row.circuit == circuit]
            for circuit in count
        ]

        for charger in self.chargers:
            sources = [
                (circuit, self.sources[s])
                for circuit in self.site.path(charger.row.circuit)
                for s in self.measured_by[circuit]
            ]
            windows = [self.window_ns(c, source) + source.row.max_age_ns for c, source in sources]
            row = charger.row
            charger.window_ns = max([*windows, row.lag_ns + row.poll_ns + row.max_age_ns])

    # -- readings ------------------------------------------------------------------------------

    def counting(self, circuit: int, now_ns: int) -> list[Source]:
        """Who is fresh; unsigned ones only where no signed one is."""
        fresh = [self.sources[s] for s in self.measured_by[circuit]]
        fresh = [source for source in fresh if source.fresh(now_ns)]
        signed = [source for source in fresh if not source.row.unsigned]
        return signed or fresh

    def reading(self, circuit: int, phase: int, now_ns: int) -> Span | None:
        """What flows by who counts; None: blind."""
        shown = [source.readings[-1].current_ma[phase] for source in self.counting(circuit, now_ns)]
        return Span(min(shown), max(shown)) if shown else None

    def most_error(self, circuit: int) -> int:
        """The largest error of its sources, whether they count now or not."""
        return max((self.sources[s].row.error_ma for s in self.measured_by[circuit]), default=0)

    # -- chargers below ------------------------------------------------------------------------

    def draw_hi(self, circuit: int, phase: int, now_ns: int) -> Span:
        return total([self.chargers[i].hi_on(phase, now_ns) for i in self.below[circuit]])

    def draw_lo(self, circuit: int, phase: int, from_ns: int, now_ns: int) -> Span:
        below = self.below[circuit]
        return total([self.chargers[i].lo_on(phase, from_ns, now_ns) for i in below])

    def window_ns(self, circuit: int, source: Source) -> int:
        """How far back what a reading shows may have been drawn: its lag, the largest lag of those
        below who measure themselves, and its poll."""
        rows = [self.chargers[i].row for i in self.below[circuit]]
        lag_ns = max((row.lag_ns for row in rows if row.metered), default=0)
        return source.row.lag_ns + lag_ns + source.row.poll_ns

    # -- the upper end -------------------------------------------------------------------------

    def base_hi(self, circuit: int, phase: int, now_ns: int, worst_ma: Sequence[Triple]) -> Span:
        """The most that the rest may be."""
        worst = worst_ma[circuit][phase]
        found = [
            self._upper(circuit, phase, now_ns, source) for source in self.counting(circuit, now_ns)
        ]
        if not found:
            return self._blind(circuit, phase, now_ns, worst_ma)
        error_ma = self.most_error(circuit)
        upper = Span(max(s.least for s in found), max(s.most for s in found), "by its reading")
        if not self.site.circuits[circuit].credit_export:
            upper = upper.raised_to(0, "export gives no headroom")
        self.shown_ma[circuit, phase] = upper.most
        lowered = upper.lowered_to(worst, "the declared worst case")
        # Observed: the kernel keeps a source's error free where less than that is declared.
        return lowered._replace(most=max(lowered.most, min(upper.most, max(worst, error_ma))))

    def _upper(self, circuit: int, phase: int, now_ns: int, source: Source) -> Span:
        """The window goes by the largest lag of the chargers below; each one's own is enough.

        Observed: of several sources the kernel takes the highest of all that they declare, and goes
        on with the error of one that is lost: that frees nothing.
        """
        error_ma, newest = source.row.error_ma, source.readings[-1]
        beside = self.counting(circuit, now_ns)
        window_ns = max(self.window_ns(circuit, each) for each in beside)
        worst_ma = self.most_error(circuit)
        from_ns = newest.at_ns - window_ns
        own_ns = newest.at_ns - source.row.lag_ns
        below = [self.chargers[i] for i in self.below[circuit]]
        narrow = total([c.lo_on(phase, own_ns - c.row.lag_ns, now_ns) for c in below])
        # Its poll: the kernel goes by the charger's, for what it drew may be told so much later.
        poll_ns = max((c.row.poll_ns for c in below if c.row.metered), default=0)
        wide = self.draw_lo(circuit, phase, from_ns - poll_ns - BUCKETS_NS, now_ns)
        late = [r.current_ma[phase] for r in source.lately(2 * window_ns + BUCKETS_NS)]
        least = newest.current_ma[phase] + error_ma - narrow.most
        most = max(late) + worst_ma - wide.least
        before = source.said.setdefault(phase, [])
        before.append((now_ns, most))
        del before[:-200]
        awake_ns = source.awake_ns(now_ns, window_ns)
        seen = [ma for at_ns, ma in before if at_ns >= awake_ns]
        return Span(least, max(seen))

    def _blind(self, circuit: int, phase: int, now_ns: int, worst_ma: Sequence[Triple]) -> Span:
        """The declared worst case; a parent's reading may know better."""
        worst = worst_ma[circuit][phase]
        least = worst
        parent = self.site.circuits[circuit].parent
        while parent >= 0:
            least = min(least, self.base_hi(parent, phase, now_ns, worst_ma).least)
            parent = self.site.circuits[parent].parent
        # Nothing is freed by a reading that is lost: what could be told from nothing still cannot.
        most = max(worst, self.most_error(circuit))
        return Span(min(least, worst), most, "blind: the declared worst case")
