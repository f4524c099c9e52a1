"""What a meter or clamp makes of the currents that are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from cext.rows import Phases

View = Callable[[Phases], Phases]
How = Literal["true", "frozen", "reversed", "swapped", "scaled", "phase_dead", "spikes"]


def truly(there: Phases) -> Phases:
    return there


class Frozen:
    """What it showed first, for ever."""

    def __init__(self) -> None:
        self._kept: Phases | None = None

    def __call__(self, there: Phases) -> Phases:
        self._kept = self._kept or there
        return self._kept


class PhaseDead:
    """Its first phase as it was at first, the others as they are."""

    def __init__(self) -> None:
        self._kept_ma: int | None = None

    def __call__(self, there: Phases) -> Phases:
        if self._kept_ma is None:
            self._kept_ma = there[0]
        return self._kept_ma, there[1], there[2]


class Spikes:
    """Now and then, one time in so many, what no cable carries."""

    EVERY = 20
    SPIKE_MA = 30_000_000

    def __init__(self) -> None:
        self._asked = 0

    def __call__(self, there: Phases) -> Phases:
        self._asked += 1
        return (self.SPIKE_MA, there[1], there[2]) if self._asked % self.EVERY == 0 else there


def view(how: How, scale: float) -> View:
    """A new one: `reversed` turns the first phase round, `swapped` exchanges the first two."""
    views: dict[How, View] = {
        "true": truly,
        "frozen": Frozen(),
        "phase_dead": PhaseDead(),
        "spikes": Spikes(),
        "reversed": lambda there: (-there[0], there[1], there[2]),
        "swapped": lambda there: (there[1], there[0], there[2]),
        "scaled": lambda there: (
            round(there[0] * scale),
            round(there[1] * scale),
            round(there[2] * scale),
        ),
    }
    return views[how]
