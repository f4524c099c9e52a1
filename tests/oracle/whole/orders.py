"""What may be ordered: where each setpoint must lie, and what must come down at once.

`least` is what a charger keeps where nothing asks it to come down; `most` what it may have.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.oracle.site import S, Site
from tests.oracle.whole.base import Circuits
from tests.oracle.whole.draw import ChargerDraw
from tests.oracle.whole.span import Span
from tests.oracle.whole.targets import on_step

PHASES = (0, 1, 2)
CapNow = dict[tuple[int, int], int]  # the highest that may hold, by circuit and phase


@dataclass
class Orders:
    """What was known when a tick began, and the orders that came of it."""

    site: Site
    circuits: Circuits
    now_ns: int
    caps_ma: CapNow
    fell: set[tuple[int, int]]  # a cap fell there, a reading was lost, or phases were taken back
    heard: set[int]  # circuits that were ever read
    excess: dict[tuple[int, int], Span]
    failsafe_ma: list[int]
    lowered_ns: dict[int, int] = field(default_factory=dict)  # when last lowered for a cap

    def permitted(self, index: int) -> Span | None:
        """None: nothing may be ordered yet."""
        charger = self.circuits.chargers[index]
        told = [r.in_force_ma for r in charger.reports if r.in_force_ma is not None]
        if not told:
            return None
        if charger.ordered_ma is None:
            return self._first(index, charger, told[-1])
        most = self._most(index, charger)
        least = charger.ordered_ma if self._stays(index, charger) else 0
        if least == charger.row.max_ma:
            most = most._replace(most=least, why="it has its maximum already")
        return Span(min(least, most.most), most.most, most.why)

    def _first(self, index: int, charger: ChargerDraw, in_force_ma: int) -> Span:
        """The lesser of the setpoint in force and the fail-safe setpoint."""
        most = on_step(charger.row, min(in_force_ma, self.failsafe_ma[index]))
        gone = charger.reports[-1].vehicle == "A"
        least = 0 if gone or self._pressed(charger) else most
        return Span(least, most, "starting: the lesser of setpoint in force and fail-safe setpoint")

    def _most(self, index: int, charger: ChargerDraw) -> Span:
        """What it may be raised to at the most."""
        was, row = charger.ordered_ma or 0, charger.row
        if why := self.blocked(index, charger):
            return Span(was, was, why)
        changed_ns = charger.orders[-1].at_ns
        ramp = self.site.pace.ramp_ma_per_s * (self.now_ns - changed_ns) // S
        most = min(row.max_ma, max(was, row.min_ma) + ramp + row.step_ma)
        return Span(was, most, "up by the ramp")

    def blocked(self, index: int, charger: ChargerDraw) -> str:
        """Why it may not be raised; nothing where the rules would let it."""
        if charger.silent(self.now_ns):
            return "silent: never raised"
        if charger.doubted_ns is not None:
            return "its fallback is not proven"
        lowered_ns = self.lowered_ns.get(index)
        if lowered_ns is not None and self.now_ns - lowered_ns < self.site.pace.dwell_ns:
            return "within the dwell time after it was reduced for a cap"
        for circuit in self.site.path(charger.row.circuit):
            if self.circuits.measured_by[circuit] and circuit not in self.heard:
                return f"circuit {circuit} was never read"
            for phase in PHASES:
                if charger.hi_on(phase, self.now_ns).least == 0:
                    continue
                if why := self._full(circuit, phase):
                    return why
        return ""

    def _full(self, circuit: int, phase: int) -> str:
        """Why nothing below that may rise on that phase."""
        cap = self.caps_ma[circuit, phase]
        reading = self.circuits.reading(circuit, phase, self.now_ns)
        if reading is not None and reading.least > cap:
            return f"{circuit}.{phase} reads {reading.least} of {cap}"
        return ""

    def _stays(self, index: int, charger: ChargerDraw) -> bool:
        """Nothing asks it to come down: neither a cap, nor its vehicle, nor its share."""
        if self._pressed(charger) or charger.silent(self.now_ns) or charger.doubted_ns is not None:
            return False
        if not self._uses(charger) or (charger.ordered_ma or 0) > charger.row.max_ma:
            return False
        return all(
            self._abundant(circuit, phase)
            for circuit in self.site.path(charger.row.circuit)
            for phase in charger.row.phases
            if phase >= 0
        )

    def _uses(self, charger: ChargerDraw) -> bool:
        """It draws what it may, as far as its reports tell, and has for a while."""
        late = charger.since(self.now_ns - 20 * S)
        if any(report.vehicle != "C" for report in late):
            return False
        if not charger.row.metered:
            return len(late) > 1
        return all(
            r.current_ma is not None and max(r.current_ma) >= (r.in_force_ma or 0) * 97 // 100
            for r in late
        )

    def _pressed(self, charger: ChargerDraw) -> bool:
        """A circuit above may ask it to come down at once."""
        for circuit in self.site.path(charger.row.circuit):
            for phase in PHASES:
                if phase not in charger.row.phases:
                    continue
                if self.excess[circuit, phase].most > 0 or (circuit, phase) in self.fell:
                    return True
                if not self.circuits.counting(circuit, self.now_ns):
                    return True
        return False

    def _abundant(self, circuit: int, phase: int) -> bool:
        """All below would fit with their maxima: nobody's share is less."""
        below = [self.circuits.chargers[i] for i in self.circuits.below[circuit]]
        drawn = sum(c.drawn_at(c.row.max_ma) for c in below if phase in c.row.phases)
        base = self.circuits.told_ma[circuit, phase].most
        return base + drawn <= self.caps_ma[circuit, phase]

    # -- after the orders ----------------------------------------------------------------------

    def unjust_rises(self, raised: set[int], base: dict[tuple[int, int], Span]) -> list[str]:
        """Where something rose although upper end + Σ draw_hi do not fit."""
        found = []
        for circuit in range(len(self.site.circuits)):
            for phase in PHASES:
                using = [
                    i
                    for i in self.circuits.below[circuit]
                    if i in raised and self.circuits.chargers[i].hi_on(phase, self.now_ns).least > 0
                ]
                if not using:
                    continue
                drawn = self.circuits.draw_hi(circuit, phase, self.now_ns).least
                cap, upper = self.caps_ma[circuit, phase], base[circuit, phase].least
                if upper + drawn > max(cap, 0):
                    found.append(
                        f"chargers {using} rose, and {circuit}.{phase} has no slack:"
                        f" base {upper} + draw {drawn} > cap {cap}"
                    )
        return found

    def not_shed(self, excess_after: dict[tuple[int, int], Span]) -> list[str]:
        """Where what is ordered leaves a circuit above its cap, though somebody could come down.

        By what is read, and by the upper end with all that is ordered: unmetered ones have gone
        to their shares when that fits.
        """
        return [
            f"{circuit}.{phase}: {over.least} mA above the cap and not ordered down"
            for (circuit, phase), over in excess_after.items()
            if over.least > 0
            and self.settling(circuit, phase) > self.caps_ma[circuit, phase]
            and not self.at_floor(circuit, phase)
        ]

    def settling(self, circuit: int, phase: int) -> int:
        """What would flow there at least, by the upper end, once what is ordered took effect."""
        flows = self.circuits.told_ma[circuit, phase].least
        for index in self.circuits.below[circuit]:
            charger = self.circuits.chargers[index]
            most = charger.hi_on(phase, self.now_ns).least
            if charger.ordered_ma is not None and not charger.silent(self.now_ns):
                most = min(most, charger.drawn_at(charger.ordered_ma).__floor__())
            flows += most
        return flows

    def at_floor(self, circuit: int, phase: int) -> bool:
        """Nobody who listens and may draw there has more than he must."""
        for index in self.circuits.below[circuit]:
            charger = self.circuits.chargers[index]
            if not charger.ordered_ma or charger.silent(self.now_ns):
                continue
            if charger.hi_on(phase, self.now_ns).least > charger.row.standby_ma:
                return False
        return True
