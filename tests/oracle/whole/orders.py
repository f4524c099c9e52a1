"""What may be ordered: where each setpoint must lie, and what must come down at once.

`least` is what a charger keeps where nothing asks it to come down; `most` what it may have.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

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
    drawn_before: dict[tuple[int, int], Span]  # by what was ordered before
    lowered_ns: dict[int, int] = field(default_factory=dict)  # when last lowered for a cap
    lapsed: bool = False  # all orders had expired before this tick
    latched: bool = False
    closing: bool = False  # the latch has closed since the last tick

    @property
    def chargers(self) -> list[ChargerDraw]:
        return self.circuits.chargers

    def permitted(self, index: int) -> Span | None:
        """None: nothing may be ordered yet."""
        charger = self.circuits.chargers[index]
        told = [r.in_force_ma for r in charger.reports if r.in_force_ma is not None]
        if not told:
            return None
        if charger.ordered_ma is None:
            return self._first(index, charger, told[-1])
        most = self._most(index, charger)
        if self.lapsed or self.closing:
            safe_ma = on_step(charger.row, min(told[-1], self.failsafe_ma[index]))
            if self.lapsed:
                return Span(0, safe_ma, "its order had expired: as at a start")
            return Span(0, min(safe_ma, most.most), "the latch has closed: as at a start")
        least = self._least(charger)
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
        steep = min(row.max_ma, max(was, row.min_ma) + ramp + row.step_ma)
        free, why = self._free(charger)
        most = on_step(row, min(steep, charger.setpoint_of(charger.hi(self.now_ns).most + free)))
        return Span(was, max(was, most), "up by the ramp" if most == steep else why)

    def _free(self, charger: ChargerDraw) -> tuple[int, str]:
        """What every circuit above leaves beside all upper ends; the least, and where."""
        rooms = [(charger.drawn_at(charger.row.max_ma).__ceil__(), "its maximum")]
        for circuit in self.site.path(charger.row.circuit):
            for phase in charger.phases(self.now_ns):
                base = self.circuits.told_ma[circuit, phase].least
                drawn = self.drawn_before[circuit, phase].least
                room = max(self.caps_ma[circuit, phase], 0) - base - drawn
                rooms.append((max(room, 0), f"slack at {circuit}.{phase}"))
        return min(rooms)

    def blocked(self, index: int, charger: ChargerDraw) -> str:
        """Why it may not be raised; nothing where the rules would let it."""
        if why := self._doubtful(charger):
            return why
        lowered_ns = self.lowered_ns.get(index)
        if lowered_ns is not None and self.now_ns - lowered_ns < self.site.pace.dwell_ns:
            return "within the dwell time after it was reduced for a cap"
        for circuit in self.site.path(charger.row.circuit):
            if self.circuits.measured_by[circuit] and circuit not in self.heard:
                return f"circuit {circuit} was never read"
            for phase in charger.phases(self.now_ns):
                if why := self._full(circuit, phase):
                    return why
        return ""

    def _doubtful(self, charger: ChargerDraw) -> str:
        """What of itself forbids that it is raised."""
        if charger.silent(self.now_ns):
            return "silent: never raised"
        if charger.doubted_ns is not None:
            return "its fallback is not proven"
        if charger.reports[-1].vehicle == "A":
            return "no vehicle: it gives its share back"
        return "latched: nothing rises" if self.latched else ""

    def _full(self, circuit: int, phase: int) -> str:
        """Why nothing below that may rise on that phase."""
        cap = self.caps_ma[circuit, phase]
        reading = self.circuits.reading(circuit, phase, self.now_ns)
        if reading is not None and reading.least > cap:
            return f"{circuit}.{phase} reads {reading.least} of {cap}"
        return ""

    def _least(self, charger: ChargerDraw) -> int:
        """What it keeps: all where nothing asks it to come down, else all but the net excess."""
        was, row = charger.ordered_ma or 0, charger.row
        if not self._keeps(charger):
            return 0
        excess = self._asked(charger)
        if excess is None:
            return 0
        left = on_step(row, was - excess) if excess else was
        return left - row.step_ma if excess and left - row.step_ma >= row.min_ma else left

    def _keeps(self, charger: ChargerDraw) -> bool:
        """Neither its vehicle nor its share asks it to come down, nor doubt."""
        if charger.silent(self.now_ns) or charger.doubted_ns is not None or self.latched:
            return False
        if not self._uses(charger) or (charger.ordered_ma or 0) > charger.row.max_ma:
            return False
        return charger.drawn_at(charger.ordered_ma or 0) <= self._least_share(charger)

    def _least_share(self, charger: ChargerDraw) -> Fraction:
        """It has at least that share, whatever the others want: fair under each wall above.

        0 where not even all minima fit, for then turns decide.
        """
        levels = [Fraction(charger.drawn_at(charger.row.max_ma))]
        for circuit in self.site.path(charger.row.circuit):
            for phase in charger.row.phases:
                if phase >= 0:
                    levels.append(self._wall(charger, circuit, phase))
        return min(levels)

    def _wall(self, charger: ChargerDraw, circuit: int, phase: int) -> Fraction:
        """Its share if everybody there wanted all that he may have."""
        room = Fraction(self.caps_ma[circuit, phase] - self.circuits.told_ma[circuit, phase].most)
        others = []
        for index in self.circuits.below[circuit]:
            other = self.circuits.chargers[index]
            if other is charger or phase not in other.row.phases:
                continue
            most = max(other.drawn_at(other.row.max_ma), Fraction(other.hi(self.now_ns).most))
            room -= most if other.silent(self.now_ns) or other.doubted_ns is not None else 0
            if not other.silent(self.now_ns) and other.doubted_ns is None:
                others.append((other.drawn_at(other.row.min_ma), most, other.row.weight))
        own = charger.row.weight
        marks = sorted({Fraction(ma) / w for least, most, w in others for ma in (least, most)})
        if self._taken(others, Fraction(0)) + charger.drawn_at(charger.row.min_ma) > room:
            return Fraction(0)
        level = Fraction(0)
        for mark in [*marks, Fraction(10**9)]:
            if self._taken(others, mark) + own * mark <= room:
                level = mark
                continue
            rate = own + sum(w for least, most, w in others if least <= w * level < most)
            level += (room - self._taken(others, level) - own * level) / rate
            break
        return max(level * own, Fraction(0))

    def _taken(self, others: list[tuple[Fraction, Fraction, int]], level: Fraction) -> Fraction:
        return sum((min(most, max(least, w * level)) for least, most, w in others), Fraction(0))

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
        return self._asked(charger) != 0

    def _asked(self, charger: ChargerDraw) -> int | None:
        """The largest net excess above it; None: it may have to come down wholly."""
        asked = 0
        for circuit in self.site.path(charger.row.circuit):
            if not self.circuits.counting(circuit, self.now_ns):
                return None
            below = [self.circuits.chargers[i] for i in self.circuits.below[circuit]]
            over = any(self.excess[circuit, phase].most > 0 for phase in PHASES)
            if over and not all(other.row.metered for other in below):
                return None
            for phase in charger.row.phases:
                if phase >= 0 and (circuit, phase) in self.fell:
                    return None
                if phase >= 0:
                    asked = max(asked, self.excess[circuit, phase].most)
        return asked

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
            if charger.one_phased_ns(phase) is not None:
                continue  # it draws elsewhere: to lower it takes nothing off this phase
            if charger.hi_on(phase, self.now_ns).least > charger.row.standby_ma:
                return False
        return True
