"""What must hold after every tick, checked from the outside of a controller.

Every check is a sentence of the rules; a broken one raises with instant, place and sums.
"""

from collections.abc import Iterator
from typing import NoReturn

from tests.oracle import bounds
from tests.oracle.beliefs import UNPROVEN_AFTER, Beliefs, Report
from tests.oracle.calm import Parking
from tests.oracle.site import Port, S, Site, Triple
from tests.oracle.switches import Switches

NEVER_LOWERED = (-(10**12) * S, "")


class BrokenPromiseError(AssertionError):
    """A promise was broken."""


class Watch:
    """Sees all inputs and outputs of one controller since its start."""

    def __init__(self, site: Site, port: Port) -> None:
        self.site = site
        self.port = port
        self.beliefs = Beliefs(site)
        self.switches = Switches(site, self.beliefs)
        self.parking = Parking()
        self.now_ns = 0
        self.ticks = 0
        self._began_ns = 0
        self._caps: dict[tuple[int, int], int] = {}
        self._blind: set[int] = set()
        self._left_with: tuple[list[int], list[Triple]] = ([], [])  # fail-safe setpoints, base
        self._changed = [0] * len(site.chargers)  # when its setpoint last changed
        self._heard: set[int] = set()  # circuits that were ever read
        self._used: dict[int, int] = {}  # arrival of each meter's last reading that counted
        self._uses: dict[int, set[int]] = {}  # by charger, the phases of the last tick
        self._retaken: set[tuple[int, int]] = set()  # circuits and phases, in this tick
        self._lowered = [NEVER_LOWERED] * len(site.chargers)  # when last lowered for a cap

    # -- what goes in --------------------------------------------------------------------------

    def reading(self, meter: int, at_ns: int, current_ma: Triple) -> None:
        self.beliefs.read(meter, at_ns, current_ma)
        self.port.reading(meter, at_ns, current_ma)

    def distrust(self, meter: int, distrusted: bool) -> None:
        self.beliefs.distrust(meter, distrusted)
        self.port.distrust(meter, distrusted)

    def prove(self, charger: int, now_ns: int, proven: bool | None) -> None:
        self.beliefs.chargers[charger].prove(now_ns, proven)
        self.port.prove(charger, proven)

    def report(self, charger: int, report: Report, written_tick: int) -> None:
        self.beliefs.chargers[charger].report(report, written_tick)
        self.parking.report(charger, report)
        self.port.report(
            charger,
            report.at_ns,
            report.in_force_ma,
            report.current_ma,
            report.vehicle,
            written_tick,
        )

    def limit(self, slot: int, ma: Triple | None, until_ns: int, alive_until_ns: int) -> None:
        self.beliefs.slots[slot].tell(ma, until_ns, alive_until_ns)
        self.port.limit(slot, ma, until_ns, alive_until_ns)

    def contact(self, contactor: int, at_ns: int, closed: bool) -> None:
        self.switches.contact(contactor, at_ns, closed)
        self.port.contact(contactor, at_ns, closed)

    def rebuild(self, site: Site) -> None:
        """From now on another document holds; the chargers that were there are still there."""
        self.site = site
        self.beliefs.rebuild(site)
        self.switches.site = site
        new = len(site.chargers) - len(self._changed)
        self._changed += [0] * new
        self._lowered += [NEVER_LOWERED] * new

    # -- what comes out ------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """Ticks the controller, then holds what it decided against every promise."""
        said_changed = self.port.tick(now_ns)
        self.now_ns, self.ticks = now_ns, self.ticks + 1
        self._began_ns = self._began_ns or now_ns
        before = [belief.ordered for belief in self.beliefs.chargers]
        changed = [i for i in range(len(before)) if self._take_order(i)]
        switched, wrong = self.switches.take(self.port, now_ns, self.ticks)
        if wrong:
            self._broken(wrong)
        if said_changed != bool(changed or switched):
            self._broken(f"tick() said {said_changed}, changed: {changed}, {switched}")
        for circuit in range(len(self.site.circuits)):
            for meter, at_ns, _ in self.beliefs.fresh(circuit, now_ns):
                self._heard.add(circuit)
                self._used[meter] = at_ns
        self._check_switching(switched)
        raised = [i for i in changed if self._is_rise(i, before[i])]
        for i in raised:
            self._check_rise(i, before[i])
        for belief in self.beliefs.chargers:
            belief.remember(now_ns)
        self._retaken = set(self._take_back())
        for circuit in range(len(self.site.circuits)):
            for phase in range(3):
                self._check_circuit(circuit, phase, raised)
            self._check_bounds(circuit)
        self._check_failsafe()
        self._remember(changed, before)

    def _take_back(self) -> Iterator[tuple[int, int]]:
        """Where a car may draw on a phase again that it had freed."""
        for i, belief in enumerate(self.beliefs.chargers):
            uses = belief.uses(self.now_ns)
            for phase in uses - self._uses.get(i, uses):
                for circuit in self.site.path(belief.row.circuit):
                    yield circuit, phase
            self._uses[i] = uses

    def _take_order(self, i: int) -> bool:
        """Checks the form of an order and takes it in. True when it changed."""
        belief, row, out = self.beliefs.chargers[i], self.site.chargers[i], self.port.output(i)
        if out.setpoint_ma is None:
            if belief.ordered is not None:
                self._broken(f"charger {i}: the order is gone")
            return False
        if belief.ordered is None and all(r.in_force_ma is None for r in belief.reports):
            self._broken(f"charger {i}: ordered {out.setpoint_ma} before its setpoint was known")
        if out.setpoint_ma != 0 and not row.min_ma <= out.setpoint_ma <= row.max_ma:
            self._broken(f"charger {i}: {out.setpoint_ma} is outside its range")
        if out.setpoint_ma % row.step_ma:
            self._broken(f"charger {i}: {out.setpoint_ma} is no multiple of {row.step_ma}")
        if out.tick != self.ticks or self.port.ticks() != self.ticks:
            self._broken(f"charger {i}: confirmed by tick {out.tick}, this is {self.ticks}")
        if out.expires_ns != self.now_ns + self.site.pace.dead_man_ns:
            self._broken(f"charger {i}: expires at {out.expires_ns}")
        if out.setpoint_ma < belief.least:
            self._broken(f"charger {i}: paused from {belief.ordered}, and it never may be")
        changed = out.setpoint_ma != belief.ordered
        if changed != (out.changed_tick == self.ticks):
            self._broken(f"charger {i}: changed {changed}, said in tick {out.changed_tick}")
        if changed:
            belief.order(self.ticks, out.setpoint_ma)
        return bool(changed)

    def _is_rise(self, i: int, before: int | None) -> bool:
        """Against the order before; a first order against what is in force."""
        belief = self.beliefs.chargers[i]
        ordered = belief.ordered or 0
        if before is not None:
            return ordered > before
        in_force = [r.in_force_ma for r in belief.reports if r.in_force_ma is not None]
        if ordered > in_force[-1]:
            self._broken(f"charger {i}: first order {ordered}, in force {in_force[-1]}")
        if ordered > self.port.failsafe_ma(i):
            self._broken(f"charger {i}: first order {ordered} above its fail-safe setpoint")
        return False

    def _check_rise(self, i: int, before: int | None) -> None:
        belief, row, now = self.beliefs.chargers[i], self.site.chargers[i], self.now_ns
        ordered = belief.ordered or 0
        where = f"charger {i}: {before} to {ordered}"
        if belief.silent(now):
            self._broken(f"{where} while silent")
        if belief.parted:
            self._broken(f"{where} behind an open contactor")
        if belief.missing_ns is not None:
            self._broken(f"{where} while its fallback is not proven")
        lowered_ns, cause = self._lowered[i]
        if now - lowered_ns < self.site.pace.dwell_ns:
            self._broken(f"{where}, lowered {(now - lowered_ns) / S:.2f} s ago for {cause}")
        pace = self.site.pace.ramp_ma_per_s * (now - self._changed[i]) // S
        if ordered > max(before or 0, row.min_ma) + pace + row.step_ma:
            self._broken(f"{where} is steeper than the ramp")
        for circuit in self.site.path(row.circuit):
            if self.beliefs.meters_of.get(circuit) and circuit not in self._heard:
                self._broken(f"{where} while circuit {circuit} was never read")
            self._check_handed_over(circuit, where)
            self._check_crowded(circuit, i, where)
            for phase in belief.uses(now):
                self._check_slack(circuit, phase, where)
                if row.write_gap_ns:
                    self._check_reserve(circuit, phase, where)

    def _check_handed_over(self, circuit: int, where: str) -> None:
        """What one meter knew before it was lost is not forgotten for one that lags behind it."""
        used = self.beliefs.fresh(circuit, self.now_ns)
        oldest = [at_ns - self.site.meters[meter].lag_ns for meter, at_ns, _ in used]
        for meter in self.beliefs.meters_of.get(circuit, []):
            last_ns = self._used.get(meter, 0)
            if used and meter not in [it[0] for it in used] and last_ns > min(oldest):
                self._broken(f"{where}: meter {meter} knew more of circuit {circuit} than is read")

    def _check_switching(self, switched: list[int]) -> None:
        """Contactors open against who disobeys, and close where what wakes up fits."""
        woken, wrong = self.switches.closing(switched, self.now_ns)
        if wrong := wrong or self.switches.opening(switched, self.now_ns):
            self._broken(wrong)
        for i in woken:
            where = f"charger {i} gets its power back"
            for circuit in self.site.path(self.site.chargers[i].circuit):
                if self.beliefs.meters_of.get(circuit) and circuit not in self._heard:
                    self._broken(f"{where} while circuit {circuit} was never read")
                self._check_crowded(circuit, i, where)
                for phase in {p for p in self.site.chargers[i].phases if p >= 0}:
                    self._check_slack(circuit, phase, where)

    def _check_slack(self, circuit: int, phase: int, where: str) -> None:
        """Upper end + Σ draw_hi fit the cap, and so does every reading."""
        base = self.beliefs.base_hi(circuit, phase, self.now_ns)
        drawn = self.beliefs.draw_hi(circuit, phase, self.now_ns)
        cap = self.beliefs.cap(circuit, phase, self.now_ns)
        if base + drawn > max(cap, 0):
            self._broken(
                f"{where}; no slack at {circuit}.{phase}: base {base} + draw {drawn} > cap {cap}"
            )
        for _, _, amps in self.beliefs.fresh(circuit, self.now_ns):
            if amps[phase] > cap:
                self._broken(f"{where}; {circuit}.{phase} reads {amps[phase]} > cap {cap}")

    def _check_crowded(self, circuit: int, charger: int, where: str) -> None:
        """What rises fits the sum of the phases, and the bus bar."""
        worst = self.port.circuit(circuit).worst_base_ma
        uses = self.beliefs.chargers[charger].uses(self.now_ns)
        if wrong := bounds.crowded(self.beliefs, circuit, set(uses), worst, self.now_ns):
            self._broken(f"{where}; {wrong}")

    def _check_bounds(self, circuit: int) -> None:
        """What is ordered fits them, or nothing is left to shed."""
        row = self.site.circuits[circuit]
        if row.sum_ma is None and row.busbar_ma is None:
            return
        ordered = [self._ordered(circuit, phase) for phase in range(3)]
        taken: list[Triple] = []
        for meter, at_ns, _ in self.beliefs.fresh(circuit, self.now_ns):
            oldest = at_ns - self.site.meters[meter].lag_ns
            off = [self._credit(circuit, phase, oldest) for phase in range(3)]
            taken.append((off[0], off[1], off[2]))
        floors = [self.at_floor(circuit, phase) for phase in range(3)]
        most = (ordered[0], ordered[1], ordered[2])
        worst = self.port.circuit(circuit).worst_base_ma
        if wrong := bounds.left_over(
            self.beliefs, circuit, most, taken, floors, worst, self.now_ns
        ):
            self._broken(wrong)

    def _check_failsafe(self) -> None:
        """What everybody is left with when nobody decides any more: held anew when it changes."""
        site, port = self.site, self.port
        setpoints = [port.failsafe_ma(i) for i in range(len(site.chargers))]
        worst = [port.circuit(i).worst_base_ma for i in range(len(site.circuits))]
        if (setpoints, worst) != self._left_with:
            self._left_with = (setpoints, worst)
            if wrong := bounds.unsafe(self.beliefs, setpoints, worst):
                self._broken(wrong)

    def _check_reserve(self, circuit: int, phase: int, where: str) -> None:
        """A step of base load would fit until the next reduction that its pacing permits, with
        nobody lowered meanwhile but those who take a write at any moment."""
        row, now = self.site.circuits[circuit], self.now_ns
        base, worst = self.beliefs.base_hi(circuit, phase, now), row.worst_base_ma[phase]
        step = worst if row.base_step_ma is None else row.base_step_ma[phase]
        base = max(base, min(base + step, worst))
        held = sum(self._held(i, phase) for i in self.beliefs.below[circuit])
        cap = self.beliefs.cap(circuit, phase, now)
        if base + held > max(cap, 0):
            self._broken(f"{where}; a step on {circuit}.{phase} to {base} + {held} > cap {cap}")

    def _held(self, charger: int, phase: int) -> int:
        """What it draws for a whole gap, whatever it is told now."""
        belief = self.beliefs.chargers[charger]
        if phase not in belief.row.phases:
            return 0
        quick = belief.ordered is not None and not belief.silent(self.now_ns)
        if quick and not belief.row.write_gap_ns:
            return belief.row.standby_ma
        return belief.draw_hi(phase, self.now_ns)

    def _check_circuit(self, circuit: int, phase: int, raised: list[int]) -> None:
        now, state = self.now_ns, self.port.circuit(circuit)
        cap = self.beliefs.cap(circuit, phase, now)
        if max(state.cap_ma[phase], 0) != max(cap, 0):
            self._broken(f"{circuit}.{phase}: cap {state.cap_ma[phase]} should be {cap}")
        base = self.beliefs.base_hi(circuit, phase, now)
        if state.base_hi_ma[phase] < base:
            self._broken(f"{circuit}.{phase}: base {state.base_hi_ma[phase]}, at least {base}")
        drawn = self.beliefs.draw_hi(circuit, phase, now)
        if state.draw_hi_ma[phase] < drawn:
            self._broken(f"{circuit}.{phase}: draw {state.draw_hi_ma[phase]}, at least {drawn}")
        readings = self.beliefs.fresh(circuit, now)
        if (state.reading_ma is not None) != bool(readings):
            self._broken(f"{circuit}: reading {state.reading_ma}, fresh: {len(readings)}")
        if self.at_floor(circuit, phase):
            return
        ordered = base + self._ordered(circuit, phase)
        fell = cap < self._caps.get((circuit, phase), cap)
        retaken = (circuit, phase) in self._retaken
        if ordered > cap and (not readings or fell or retaken):
            why = "the cap fell" if fell else "phases were taken back" if retaken else "blind"
            self._broken(f"{circuit}.{phase}: {why}, ordered is {ordered}, cap {cap}")
        for meter, at_ns, amps in readings:
            oldest = at_ns - self.site.meters[meter].lag_ns
            shed = amps[phase] - self._credit(circuit, phase, oldest)
            if shed > cap < ordered:
                self._broken(
                    f"{circuit}.{phase}: reads {amps[phase]}, after orders {shed}, cap {cap}"
                )

    def _ordered(self, circuit: int, phase: int) -> int:
        """Σ of the most that would be drawn once what is ordered took effect.

        A start lowers nobody for a charger that may yet answer.
        """
        total = 0
        for i in self.beliefs.below[circuit]:
            belief = self.beliefs.chargers[i]
            if phase not in belief.row.phases:
                continue
            if belief.ordered is None and self.now_ns - self._began_ns < UNPROVEN_AFTER:
                continue
            uses = phase in belief.uses(self.now_ns)
            if belief.ordered is None or belief.silent(self.now_ns) or not uses:
                total += belief.draw_hi(phase, self.now_ns)
            elif belief.draw_hi(phase, self.now_ns):
                total += belief.told(belief.ordered)
        return total

    def _credit(self, circuit: int, phase: int, oldest_ns: int) -> int:
        """By how much the orders will lower a reading that old, at best."""
        total = 0
        for i in self.beliefs.below[circuit]:
            belief = self.beliefs.chargers[i]
            if belief.ordered is not None and phase in belief.row.phases:
                since = oldest_ns - belief.row.lag_ns
                peak = belief.peak(phase, since)
                if not belief.row.metered:
                    peak = belief.told(belief.highest(self.now_ns))
                total += max(0, peak - belief.ordered)
        return total

    def at_floor(self, circuit: int, phase: int) -> bool:
        """Nothing that listens and may draw here is left to shed."""
        below = [self.beliefs.chargers[i] for i in self.beliefs.below[circuit]]
        return not any(
            (belief.ordered or 0) > belief.least
            and not belief.silent(self.now_ns)
            and belief.draw_hi(phase, self.now_ns) > belief.row.standby_ma
            and not belief.elsewhere(phase)
            for belief in below
        )

    def _remember(self, changed: list[int], before: list[int | None]) -> None:
        forced = [c for c in range(len(self.site.circuits)) if self._forced(c)]
        for i in changed:
            ordered, was = self.beliefs.chargers[i].ordered, before[i]
            self._changed[i] = self.now_ns
            if was is not None and ordered is not None and ordered < was:
                cause = self.port.output(i).cause
                if cause.rule.name == "IDLE" and (wrong := self._parked(i)):
                    self._broken(wrong)
                if cause.rule.name == "SHED" or cause.circuit in forced:
                    self._lowered[i] = (self.now_ns, cause.rule.name)
        for circuit in range(len(self.site.circuits)):
            for phase in range(3):
                cap = self.beliefs.cap(circuit, phase, self.now_ns)
                self._caps[circuit, phase] = cap
            if self.beliefs.fresh(circuit, self.now_ns):
                self._blind.discard(circuit)
            else:
                self._blind.add(circuit)

    def _parked(self, i: int) -> str:
        return self.parking.wrong(i, self.site.chargers[i], self.now_ns)

    def _forced(self, circuit: int) -> bool:
        """In this tick a cap fell here, or the last reading was lost."""
        now = self.now_ns
        lost = circuit not in self._blind and not self.beliefs.fresh(circuit, now)
        caps = [(self.beliefs.cap(circuit, p, now), (circuit, p)) for p in range(3)]
        return lost or any(cap < self._caps.get(place, cap) for cap, place in caps)

    def _broken(self, what: str) -> NoReturn:
        raise BrokenPromiseError(f"at {self.now_ns / S:.3f} s, tick {self.ticks}: {what}")
