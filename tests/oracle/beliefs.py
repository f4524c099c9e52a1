"""Both intervals once more, from what a controller can know: the least that is honest.

Where the rules leave room, this model takes the reading that permits more, so that
whoever raises beyond it has no reading of the rules on its side.
"""

from collections import deque
from typing import NamedTuple

from tests.oracle.site import NEVER_PAUSED, Charger, S, Site, Slot, Triple

FREED_AFTER = 30 * S
KEPT = 10 * S
LATE = 4 * S  # no report of a random charger's comes later than that
UNPROVEN_AFTER = 10 * S

# Read strictly, what a charger may have done before its first report, or while it was
# silent, is an "older and higher" setpoint too, that its vehicle follows until it settled.
DOUBT_SETTLES = True


class Report(NamedTuple):
    at_ns: int
    in_force_ma: int | None
    current_ma: Triple | None
    vehicle: str


class ChargerBelief:
    """What one charger may be drawing."""

    def __init__(self, row: Charger) -> None:
        self.row = row
        self.ordered: int | None = None
        self.reports: deque[Report] = deque()
        self.parted = False  # a contactor before it is ordered open
        self.cut = False  # and is known to be
        self.powered_ns = 0  # when it last got its power back by an order
        self._confirmed: int | None = None
        self.missing_ns: int | None = None  # since then its fallback should be proven and is not
        self._sent: list[tuple[int, int]] = []  # tick, setpoint
        self._settling: list[tuple[int, int]] = []  # until, setpoint
        self._idle_since: list[int | None] = [None] * 3  # per phase, while another one charges
        self._same_ns = 0  # since when its reports show the same
        self._least_order: deque[tuple[int, int]] = deque()  # what was ordered, from when on

    @property
    def least(self) -> int:
        """It is not lowered below that."""
        never = self.row.may_pause == NEVER_PAUSED and (self.ordered or 0) >= self.row.min_ma
        return self.row.min_ma if never else 0

    def order(self, tick: int, ma: int) -> None:
        self.ordered = ma
        self._sent.append((tick, ma))

    def remember(self, now_ns: int) -> None:
        """What is ordered from now on."""
        kept = self._least_order
        kept.append((now_ns, self.ordered or 0))
        while len(kept) > 1 and kept[1][0] <= now_ns - self._shows_ns:
            kept.popleft()

    @property
    def _shows_ns(self) -> int:
        row = self.row
        return row.write_gap_ns + row.settle_ns + row.lag_ns + row.poll_ns + 2 * S

    def frozen(self) -> bool:
        """It shows the same all along, and for long enough more than it was told by three times
        its resolution."""
        if not self.reports or self.ordered is None or not self._least_order:
            return False
        at_ns, amps = self.reports[-1].at_ns, self.reports[-1].current_ma
        since = at_ns - self._shows_ns
        if amps is None or self._same_ns > since or self._least_order[0][0] > since:
            return False
        told = max(self.told(ma) for _, ma in self._least_order)
        return max(amps) - 3 * self.row.resolution_ma > told + 1

    def wake(self, now_ns: int) -> None:
        """Power comes back by an order. Was it known to be cut off, it has forgotten all else."""
        self.powered_ns = now_ns
        if self.cut:
            self._confirmed = self.row.power_on_ma
            self._sent = self._sent[-1:]
            self._settling = []

    def report(self, report: Report, written_tick: int) -> None:
        """Takes a report in; what it proves superseded still settles."""
        before = self._standing(report.at_ns)
        if not DOUBT_SETTLES and self.silent(report.at_ns):
            before = {ma for _, ma in self._sent}
        last = self.reports[-1].current_ma if self.reports else None
        if last is None or last != report.current_ma:
            self._same_ns = report.at_ns
        self._note_idle(report)
        self.reports.append(report)
        while len(self.reports) > 2 and self.reports[1].at_ns < report.at_ns - KEPT:
            self.reports.popleft()
        if report.in_force_ma is not None:
            self._confirmed = report.in_force_ma
            self._sent = [
                (tick, ma)
                for tick, ma in self._sent
                if tick > written_tick or (tick == written_tick and ma != report.in_force_ma)
            ]
        until = report.at_ns + self.row.settle_ns
        gone = before - self._standing(report.at_ns)
        self._settling = [entry for entry in self._settling if entry[0] > report.at_ns]
        self._settling += [(until, ma) for ma in gone]

    def silent(self, now_ns: int) -> bool:
        return not self.reports or now_ns - self.reports[-1].at_ns > self.row.max_age_ns

    def _standing(self, now_ns: int) -> set[int]:
        """Every setpoint that may be in force, settled or not."""
        standing = {ma for _, ma in self._sent}
        if self._confirmed is None:
            standing.add(self.row.max_ma)
        else:
            standing.add(self._confirmed)
        woken = self.powered_ns > 0 and (
            not self.reports or self.reports[-1].at_ns <= self.powered_ns
        )
        if woken or self.silent(now_ns):
            standing |= {self.row.fallback_ma, self.row.power_on_ma}
        return standing

    def highest(self, now_ns: int) -> int:
        """The highest setpoint that may still be followed."""
        settling = {ma for until, ma in self._settling if until > now_ns}
        if self.unproven(now_ns):
            settling.add(self.row.max_ma)
        return max(self._standing(now_ns) | settling)

    def prove(self, now_ns: int, proven: bool | None) -> None:
        if proven is not False:
            self.missing_ns = None
        elif self.missing_ns is None:
            self.missing_ns = now_ns

    def unproven(self, now_ns: int) -> bool:
        """It had its ten seconds to answer, or to prove its fallback."""
        if self.ordered is None and self.powered_ns and now_ns - self.powered_ns > UNPROVEN_AFTER:
            return True
        if self.missing_ns is None:
            return False
        return now_ns - max(self.missing_ns, self.powered_ns) > UNPROVEN_AFTER

    def draw_hi(self, phase: int, now_ns: int) -> int:
        if phase not in self.row.phases or self.cut:
            return 0
        if self._freed(phase, now_ns):
            return self.row.standby_ma
        told = self.told(self.highest(now_ns))
        latest = self.reports[-1].current_ma if self.reports else None
        if latest is None or self.silent(now_ns):
            return told
        return max(told, self.surely(latest[phase]))

    def surely(self, told_ma: int) -> int:
        """The least that flows where a report says so much."""
        off = self.row.error_ma + -(-told_ma * self.row.error_ppm // 1_000_000)
        return max(0, told_ma - off)

    def told(self, setpoint_ma: int) -> int:
        """The most it draws at a setpoint."""
        return setpoint_ma * (1_000_000 + self.row.tolerance_ppm) // 1_000_000 + self.row.standby_ma

    def draw_lo(self, phase: int, now_ns: int, from_ns: int) -> int:
        """The least it was reported to draw since `from_ns`, and just before."""
        if not self.row.metered or phase not in self.row.phases or self.silent(now_ns):
            return 0
        if self.frozen():
            return 0
        drawn = [r.current_ma[phase] for r in self._since(from_ns) if r.current_ma is not None]
        return self.surely(min(drawn, default=0))

    def peak(self, phase: int, from_ns: int) -> int:
        """The highest it was reported to draw since `from_ns`, and just before."""
        drawn = [r.current_ma[phase] for r in self._since(from_ns) if r.current_ma is not None]
        return max(drawn, default=0)

    def most_lately(self, phase: int, now_ns: int) -> int:
        """The most it can have drawn in the last seconds: by reports without a gap, or at all."""
        if phase not in self.row.phases:
            return 0
        tells = self.row.metered and not self.silent(now_ns) and not self.frozen()
        if not tells or self.reports[0].at_ns > now_ns - KEPT + 2 * S:
            return self.told(self.row.max_ma)
        peak = self.peak(phase, now_ns - KEPT)
        return peak + (peak - self.surely(peak))

    def elsewhere(self, phase: int) -> bool:
        """Its last report shows a car that charges, but not on this phase."""
        amps = self.reports[-1].current_ma if self.reports else None
        return amps is not None and amps[phase] < 500 and max(amps) >= 4900

    def uses(self, now_ns: int) -> set[int]:
        """The phases that its car may draw on."""
        wired = {phase for phase in self.row.phases if phase >= 0}
        return {phase for phase in wired if not self._freed(phase, now_ns)}

    def _since(self, from_ns: int) -> list[Report]:
        found = []
        for report in reversed(self.reports):
            found.append(report)
            if report.at_ns < from_ns:
                break
        return found

    def _note_idle(self, report: Report) -> None:
        """A phase is earned in 30 s beside a charge; another state, current there, no charge
        or a silence loses it."""
        amps, last = report.current_ma, self.reports[-1] if self.reports else None
        same = last is not None and last.vehicle == report.vehicle and report.vehicle != "UNKNOWN"
        lost = self.silent(report.at_ns) or self.parted or self.frozen() or not same
        if lost or amps is None or max(amps) < 5000:
            self._idle_since = [None] * 3
            return
        for phase in range(3):
            if amps[phase] >= 500:
                self._idle_since[phase] = None
            elif self._idle_since[phase] is None:
                self._idle_since[phase] = report.at_ns

    def _freed(self, phase: int, now_ns: int) -> bool:
        """A car that has used one phase only for long enough frees the others."""
        since = self._idle_since[phase]
        earned = since is not None and now_ns - since >= FREED_AFTER
        lost = self.silent(now_ns) or self.parted or self.frozen()
        return earned and not lost


class SlotBelief:
    """A limit source's slot, from what it was told."""

    def __init__(self, row: Slot) -> None:
        self.row = row
        self._told: tuple[Triple | None, int, int] | None = None

    def tell(self, ma: Triple | None, until_ns: int, alive_until_ns: int) -> None:
        self._told = (ma, until_ns, alive_until_ns)

    def cap(self, phase: int, now_ns: int) -> int | None:
        """What it asks for now; None: nothing."""
        if self._told is None:
            return self.row.failsafe_ma[phase]
        ma, until_ns, alive_until_ns = self._told
        running = ma[phase] if ma is not None and now_ns < until_ns else None
        if now_ns < alive_until_ns:
            return running
        if (
            ma is not None
            and until_ns > alive_until_ns
            and now_ns < alive_until_ns + self.row.hold_ns
        ):
            return min(ma[phase], self.row.failsafe_ma[phase])
        return self.row.failsafe_ma[phase]


class Beliefs:
    """The site as a controller can know it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.chargers = [ChargerBelief(row) for row in site.chargers]
        self.slots = [SlotBelief(row) for row in site.slots]
        self.readings: dict[int, deque[tuple[int, Triple]]] = {}  # by meter, newest last
        self.below = [site.below(c) for c in range(len(site.circuits))]
        self.distrusted: set[int] = set()
        self._beyond: dict[tuple[int, int], int] = {}  # circuit, phase: see `learn`
        self.meters_of: dict[int, list[int]] = {}
        for index, meter in enumerate(site.meters):
            self.meters_of.setdefault(meter.circuit, []).append(index)

    def rebuild(self, site: Site) -> None:
        """Another document about the same depot, with more chargers at its end perhaps."""
        self.site = site
        for belief, row in zip(self.chargers, site.chargers, strict=False):
            belief.row = row
        self.chargers += [ChargerBelief(row) for row in site.chargers[len(self.chargers) :]]
        for slot, limits in zip(self.slots, site.slots, strict=True):
            slot.row = limits
        self.below = [site.below(c) for c in range(len(site.circuits))]
        self._beyond.clear()

    def learn(self, now_ns: int) -> None:
        """What readings prove of base load beyond the declared. Where there are none now, what the
        last ones proved stands: nobody has said that it is over."""
        for circuit, row in enumerate(self.site.circuits):
            fresh = self.fresh(circuit, now_ns)
            if not fresh:
                continue
            error = max(self.site.meters[meter].error_ma for meter, _, _ in fresh)
            for phase in range(3):
                drawn = sum(
                    self.chargers[i].most_lately(phase, now_ns) for i in self.below[circuit]
                )
                proved = max(self._lasting(meter, phase, now_ns) for meter, _, _ in fresh)
                proved -= error + drawn
                more = proved > row.worst_base_ma[phase]
                self._beyond[circuit, phase] = proved if more else 0

    def _lasting(self, meter: int, phase: int, now_ns: int) -> int:
        """The least that it has shown for as long as any report may be late."""
        kept, since = self.readings[meter], now_ns - LATE
        if kept[0][0] > since:
            return 0
        before = max(at for at, _ in kept if at <= since)
        return min(amps[phase] for at, amps in kept if at >= before)

    def read(self, meter: int, at_ns: int, current_ma: Triple) -> None:
        if meter in self.distrusted:
            return
        if self.site.meters[meter].unsigned:
            current_ma = (abs(current_ma[0]), abs(current_ma[1]), abs(current_ma[2]))
        kept = self.readings.setdefault(meter, deque())
        kept.append((at_ns, current_ma))
        while kept[0][0] < at_ns - KEPT:
            kept.popleft()

    def distrust(self, meter: int, distrusted: bool) -> None:
        """What a distrusted meter said, or says, is no reading."""
        self.readings.pop(meter, None)
        (self.distrusted.add if distrusted else self.distrusted.discard)(meter)

    def fresh(self, circuit: int, now_ns: int) -> list[tuple[int, int, Triple]]:
        """Meters of the circuit that may be used: their last reading and its arrival.

        A clamp only where no signed meter may be.
        """
        found = [
            (i, *self.readings[i][-1])
            for i in self.meters_of.get(circuit, [])
            if i in self.readings
        ]
        found = [it for it in found if now_ns - it[1] <= self.site.meters[it[0]].max_age_ns]
        signed = [it for it in found if not self.site.meters[it[0]].unsigned]
        return signed or found

    def cap(self, circuit: int, phase: int, now_ns: int, economic: bool = True) -> int:
        slots = [slot for slot in self.slots if slot.row.circuit == circuit]
        caps = [slot.cap(phase, now_ns) for slot in slots if economic or not slot.row.economic]
        rating = self.site.circuits[circuit].rating_ma[phase]
        return min([rating, *(cap for cap in caps if cap is not None)])

    def base_hi(self, circuit: int, phase: int, now_ns: int) -> int:
        """The lowest upper end of the base load that can be justified."""
        row = self.site.circuits[circuit]
        fresh = [meter for meter, _, _ in self.fresh(circuit, now_ns)]
        ends = [self._read_base(meter, phase, now_ns) for meter in fresh]
        if not ends and row.parent >= 0:
            ends = [self.base_hi(row.parent, phase, now_ns)]
        floor = min(ends) if row.credit_export and ends else max(0, min(ends, default=1 << 40))
        base, beyond = min(row.worst_base_ma[phase], floor), self._beyond.get((circuit, phase), 0)
        return max(base, beyond) if beyond else base  # credited export may leave less than nothing

    def _read_base(self, index: int, phase: int, now_ns: int) -> int:
        """The largest over the window of reading + error - what the chargers drew at least."""
        meter, kept = self.site.meters[index], self.readings[index]
        below = [self.chargers[i] for i in self.below[meter.circuit]]
        behind = max((c.row.lag_ns + c.row.poll_ns for c in below if c.row.metered), default=0)
        since = kept[-1][0] - meter.lag_ns - behind
        drawn = sum(c.draw_lo(phase, now_ns, since) for c in below)
        return max(amps[phase] for at, amps in kept if at >= since) + meter.error_ma - drawn

    def draw_hi(self, circuit: int, phase: int, now_ns: int) -> int:
        return sum(self.chargers[i].draw_hi(phase, now_ns) for i in self.below[circuit])
