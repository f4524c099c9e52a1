"""Where the energy went that nobody charged, second by second, at the grid connection.

What a cap leaves of the true base load is used, or is one of these; they add up exactly, because
each is the difference between two neighbours of: cap ≥ upper end of the base load + upper ends of
the draw ≥ … ≥ what flows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from cext.rows import Phases
from controller.plant import VirtualEnforcer
from hil.energy.day import GRID, Day

WORDS = {
    "margin": "margin: tolerances, standby",
    "meter": "meters: error, noise, window",
    "waits": "waits until vehicles followed",
    "undrawn": "permitted, and not drawn",
    "free": "free: dwell, ramp, calm, steps",
}
PARTS = tuple(WORDS)


@dataclass(slots=True)
class Account:
    """Milliampere seconds, all phases together."""

    free: int = 0  # fits beside every upper end, and was not given: dwell, ramp, calm, steps
    meter: int = (
        0  # the base load's upper end above the base load: error, noise, window, own meters
    )
    waits: int = 0  # permitted before, lower now, and not yet known to have followed
    margin: int = 0  # tolerances and standby currents
    undrawn: int = 0  # permitted, and not drawn: on its way up, tapering, room to grow
    drawn: int = 0
    seconds: int = 0

    def note(self, day: Day, enforcer: VirtualEnforcer, second: int) -> None:
        """One second, as the kernel believed it and as the plant knows it."""
        state = enforcer.kernel.circuit(GRID)
        base_ma = day.below_ma(GRID, second)
        ordered_ma, told_ma = _orders(day, enforcer)
        load_ma = enforcer.plant.load(GRID)
        for phase in range(3):
            drawn = load_ma[phase] - base_ma[phase]
            self.free += state.cap_ma[phase] - state.base_hi_ma[phase] - state.draw_hi_ma[phase]
            self.meter += state.base_hi_ma[phase] - base_ma[phase]
            self.waits += state.draw_hi_ma[phase] - told_ma[phase]
            self.margin += told_ma[phase] - ordered_ma[phase]
            self.undrawn += ordered_ma[phase] - drawn
            self.drawn += drawn
        self.seconds += 1

    @property
    def headroom(self) -> int:
        return sum(getattr(self, each.name) for each in fields(self) if each.name != "seconds")


def _orders(day: Day, enforcer: VirtualEnforcer) -> tuple[Phases, Phases]:
    """Σ of setpoints, and of the most that is drawn at them, by phase."""
    ordered, told = [0, 0, 0], [0, 0, 0]
    for charger, setpoint_ma in zip(day.site.chargers, enforcer.kernel.setpoints(), strict=True):
        for phase in charger.phases:
            if phase >= 0:
                ordered[phase] += setpoint_ma or 0
                told[phase] += charger.draw_ma(setpoint_ma or 0)
    return (ordered[0], ordered[1], ordered[2]), (told[0], told[1], told[2])
