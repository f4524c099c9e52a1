"""Readings held against each other: which source cannot be what it says.

A false alarm costs a depot its measurement, so a doubt needs evidence that no healthy depot
gives: something else moved and this did not, or moved the other way, or stood elsewhere; and
not once by chance. What nobody else sees stays unseen.

- *frozen*: not a digit of it, or of one phase alone, changed, while the chargers' draw, the
  sub-meters or (where the whole of it never stands still otherwise) the other source moved by 3 A
  or more, long enough ago to show
- *jumps*: three times in a minute beyond ten times the rating, or far away and back at once
- *reversed*: four steps of the draw below it in a row, each shown as its mirror image
- *swapped*: likewise, each shown on another phase
- *disputed*: clamp and meter apart in magnitude in three frames, time and errors allowed for
- *strays*: where chargers are all there is, below their sum

Lags are allowed for by comparing stretches of time, never instants. Of meter and clamp in dispute
the meter is believed, unless the last two steps of the draw were shown in their size by the clamp
and not by the meter, or the meter shows less than what is below it draws, and the clamp does not. A
doubt ends when the source has been in order for 10 s.

Whole milliamps and nanoseconds; time is handed in; every record is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cext.rows import ROOT, ChargerRow, CircuitRow, Phases, SourceRow
from controller.units import NS_PER_S, PPM
from controller.witness import Below, Verdict, Witness, off_ma

LOOK_EVERY_NS = NS_PER_S // 4
CALM_NS = 10 * NS_PER_S
FRAMES = 3  # in a row


class Suspicion(NamedTuple):
    """What is held against a source, with the evidence in words."""

    kind: str
    evidence: str
    since_ns: int

    def __str__(self) -> str:
        return f"{self.kind}: {self.evidence}"


@dataclass(slots=True)
class _Case:
    """One kind of doubt about one source."""

    found: Suspicion | None = None
    well_ns: int | None = None  # in order since then

    def hear(self, kind: str, verdict: Verdict, now_ns: int) -> None:
        if isinstance(verdict, str):
            self.well_ns = None
            if self.found is None:
                self.found = Suspicion(kind, verdict, now_ns)
        elif verdict and self.well_ns is None:
            self.well_ns = now_ns
        elif self.found and self.well_ns is not None and now_ns - self.well_ns >= CALM_NS:
            self.found = None

    def drop(self) -> None:
        self.found = self.well_ns = None


class _Pair:
    """A meter and a clamp around the same conductors."""

    def __init__(self, meter: int, clamp: int, spread_ppm: int) -> None:
        self.meter = meter
        self.clamp = clamp
        self._spread_ppm = spread_ppm
        self._frames: deque[tuple[int, Phases]] = deque(maxlen=2 * FRAMES)
        self._agree = 0
        self._off = 0
        self._off_ns = 0
        self._judged_ns = 0
        self.short = 0  # looks at which the meter alone showed less than what is below it

    @property
    def apart(self) -> bool:
        """Whether the last frame that was compared was a dispute's."""
        return self._off > 0

    def reset(self) -> None:
        self._frames.clear()
        self._agree = self._off = 0

    def judge(self, meter: Witness, clamp: Witness, now_ns: int) -> Verdict:
        """Compares a frame of the clamp when all of the meter's readings of its time are there."""
        newest = self._frames[-1][0] if self._frames else self._judged_ns
        if clamp.shown.last is not None and clamp.at_ns > newest:
            self._frames.append((clamp.at_ns, clamp.shown.last))
        slow_ns = meter.row.lag_ns + meter.row.poll_ns
        if not self._frames or now_ns < self._frames[0][0] + slow_ns:
            return None
        at_ns, value = self._frames.popleft()
        self._judged_ns = at_ns
        seen = meter.shown.held(at_ns - clamp.row.lag_ns, at_ns + slow_ns)
        if seen is None or meter.at_ns < at_ns:
            return None
        error_ma = meter.row.error_ma + clamp.row.error_ma
        off = off_ma(value, seen, error_ma, self._spread_ppm, unsigned=True)
        if off is None:
            self._off = 0
            self._agree += 1
            return self._agree >= FRAMES or None
        self._agree = 0
        if self._off == 0:
            self._off_ns = at_ns
        self._off += 1
        if self._off < FRAMES or at_ns - self._off_ns < 2 * slow_ns:
            return None
        return f"in {FRAMES} frames in a row the clamp's {off} off the meter's"


class Plausibility:
    """All sources of a site, by their index in the kernel's tables.

    `changed` is told of each suspicion when it begins, and with None when the source is trusted
    again; `spread_ppm` is by how much of itself a source may show too much; `told_by` is the source
    that alone tells what a charger draws: it bears no witness for or against itself; `unmeasured`
    are phases by source that another of its circuit does not measure: what it shows there has
    nothing to be held against.
    """

    def __init__(
        self,
        circuits: tuple[CircuitRow, ...],
        sources: tuple[SourceRow, ...],
        chargers: tuple[ChargerRow, ...],
        changed: Callable[[int, Suspicion | None], None],
        spread_ppm: tuple[int, ...] = (),
        told_by: tuple[int | None, ...] = (),
        unmeasured: tuple[tuple[int, ...], ...] = (),
    ) -> None:
        self._changed = changed
        self._unmeasured = unmeasured or ((),) * len(sources)
        self._chargers = chargers
        self._told_by = dict(enumerate(told_by))
        self._charger_at_ns = [0] * len(chargers)
        self._parts: list[list[Below]] = [[] for _ in chargers]
        self._children: list[list[Below]] = [[] for _ in sources]
        self._witnesses = [self._witness(circuits, sources, index) for index in range(len(sources))]
        spreads = spread_ppm or (0,) * len(sources)
        self._pairs = [
            _Pair(m, c, spreads[c])
            for m, meter in enumerate(sources)
            for c, clamp in enumerate(sources)
            if clamp.unsigned and not meter.unsigned and clamp.circuit == meter.circuit
        ]
        for pair in self._pairs:
            meter, clamp = self._witnesses[pair.meter], self._witnesses[pair.clamp]
            meter.peers.append(clamp)
            clamp.peers.append(meter)
        kinds = ("frozen", "jumps", "reversed", "swapped", "strays", "disputed")
        self._cases = [{kind: _Case() for kind in kinds} for _ in sources]
        self._told: list[Suspicion | None] = [None] * len(sources)
        self._looked_ns = 0

    def adopt(self, before: Plausibility, sources: Mapping[int, int]) -> None:
        """Another site: what was held against a source goes on with it (new index to old).

        A dispute with a clamp or meter that is gone is over, and is told so at the next look.
        """
        paired = {each for pair in self._pairs for each in (pair.meter, pair.clamp)}
        for now, was in sources.items():
            self._cases[now], self._told[now] = before._cases[was], before._told[was]
            if now not in paired:
                self._cases[now]["disputed"].drop()

    def suspicion(self, source: int) -> Suspicion | None:
        return self._told[source]

    def reading(self, source: int, at_ns: int, current_ma: Phases) -> str | None:
        """Takes a reading; why it cannot be one at all, if so."""
        witness = self._witnesses[source]
        if at_ns - witness.at_ns > witness.row.max_age_ns:
            witness.forget()
        impossible = witness.take(at_ns, current_ma)
        if impossible is None:
            for below in self._children[source]:
                below.put(source, at_ns, None if self._told[source] else current_ma)
        self._look(at_ns)
        return impossible

    def report(self, charger: int, at_ns: int, current_ma: Phases | None) -> None:
        """Takes a charger's currents of the grid phases."""
        row = self._chargers[charger]
        if at_ns - self._charger_at_ns[charger] > row.max_age_ns:
            for below in self._parts[charger]:
                below.put(charger, at_ns, None)
        self._charger_at_ns[charger] = at_ns
        for below in self._parts[charger]:
            if below.parts[charger] != current_ma:
                below.put(charger, at_ns, current_ma)

    def _look(self, now_ns: int) -> None:
        if now_ns - self._looked_ns < LOOK_EVERY_NS:
            return
        self._looked_ns = now_ns
        for witness, cases in zip(self._witnesses, self._cases, strict=True):
            if now_ns - witness.at_ns > witness.row.max_age_ns:
                continue  # silent: nothing that it shows is used
            witness.look()
            cases["frozen"].hear("frozen", witness.frozen(), now_ns)
            cases["jumps"].hear("jumps", witness.jumps(now_ns), now_ns)
            cases["reversed"].hear("reversed", witness.reversed(), now_ns)
            cases["swapped"].hear("swapped", witness.swapped(), now_ns)
            cases["strays"].hear("strays", witness.strays(now_ns), now_ns)
        for pair in self._pairs:
            self._settle(pair, now_ns)
        for source in range(len(self._witnesses)):
            self._tell(source)

    def _settle(self, pair: _Pair, now_ns: int) -> None:
        """A dispute is the clamp's, unless the meter is known to be wrong, or found so."""
        meter, clamp = self._witnesses[pair.meter], self._witnesses[pair.clamp]
        cases = [self._cases[each]["disputed"] for each in (pair.meter, pair.clamp)]
        if any(self._guilty_else(each) for each in (pair.meter, pair.clamp)):
            pair.reset()
            for case in cases:
                case.drop()
            return
        verdict = pair.judge(meter, clamp, now_ns)
        if pair.apart and meter.short() and not clamp.short():
            pair.short += 1
        if verdict is True:
            pair.short = 0
        followed = _supported(clamp, meter)
        supported = followed or pair.short >= FRAMES
        guilty, innocent = cases if supported else cases[::-1]
        if isinstance(verdict, str):
            innocent.drop()
            if followed:
                verdict += "; the clamp followed its chargers' steps, the meter did not"
            elif supported:
                verdict += "; the meter shows less than what is below it draws, the clamp does not"
        guilty.hear("disputed", verdict, now_ns)
        if not isinstance(verdict, str):
            innocent.hear("disputed", verdict, now_ns)

    def _guilty_else(self, source: int) -> bool:
        return any(case.found for kind, case in self._cases[source].items() if kind != "disputed")

    def _tell(self, source: int) -> None:
        found = [case.found for case in self._cases[source].values() if case.found]
        now = min(found, key=lambda each: each.since_ns) if found else None
        before = self._told[source]
        if before not in found and now is not before:
            self._told[source] = now
            self._changed(source, now)

    def _witness(
        self, circuits: tuple[CircuitRow, ...], sources: tuple[SourceRow, ...], index: int
    ) -> Witness:
        row = sources[index]
        under = set(_under(circuits, row.circuit))
        metered = [
            i
            for i, c in enumerate(self._chargers)
            if c.circuit in under and c.metered and self._told_by.get(i) != index
        ]
        below = []
        if metered:
            rows = [self._chargers[i] for i in metered]
            stale_ns = max(each.lag_ns + each.poll_ns for each in rows)
            error_ma = sum(c.error_ma + c.max_ma * c.error_ppm // PPM for c in rows)
            below.append(Below("its chargers' draw", stale_ns, dict.fromkeys(metered), error_ma))
            for i in metered:
                self._parts[i].append(below[0])
        children = list(_nearest(circuits, sources, row.circuit))
        if children:
            stale_ns = max(sources[i].lag_ns + sources[i].poll_ns for i in children)
            error_ma = sum(sources[i].error_ma for i in children)
            below.append(Below("the sub-meters' sum", stale_ns, dict.fromkeys(children), error_ma))
            for i in children:
                self._children[i].append(below[-1])
        managed = [each for each in self._chargers if each.circuit in under]
        fed = any(circuits[i].credit_export for i in under)  # what is fed in is no lie of a meter
        alone = not any(circuits[row.circuit].worst_base_ma) and not fed
        bare = alone and all(c.metered for c in managed)
        off_ma = sum(_off_ma(each) for each in managed) if bare and managed else None
        rating_ma = circuits[row.circuit].rating_ma
        return Witness(row, rating_ma, below, off_ma, self._unmeasured[index])


def _supported(clamp: Witness, meter: Witness) -> bool:
    """Twice the clamp moved just as what is below, and the meter did not."""
    return any(
        ours.fits[-2:] == [True, True] and theirs.fits[-2:] == [False, False]
        for ours, theirs in zip(clamp.steps, meter.steps, strict=True)
    )


def _off_ma(charger: ChargerRow) -> int:
    """What its report may lack: its error, and what it draws besides charging."""
    of_itself_ppm = charger.tolerance_ppm + charger.error_ppm
    return charger.error_ma + charger.standby_ma + charger.max_ma * of_itself_ppm // PPM


def _under(circuits: tuple[CircuitRow, ...], top: int) -> Iterator[int]:
    """A circuit and all below it; parents stand before their children."""
    found = {top}
    yield top
    for i, circuit in enumerate(circuits):
        if circuit.parent != ROOT and circuit.parent in found:
            found.add(i)
            yield i


def _nearest(
    circuits: tuple[CircuitRow, ...], sources: tuple[SourceRow, ...], top: int
) -> Iterator[int]:
    """The first signed source of each measured circuit next below."""
    first: dict[int, int] = {}
    for i, source in enumerate(sources):
        if not source.unsigned:
            first.setdefault(source.circuit, i)
    for circuit in _under(circuits, top):
        here = circuits[circuit].parent
        while here not in (ROOT, top) and here not in first:
            here = circuits[here].parent
        if circuit != top and circuit in first and here == top:
            yield first[circuit]
