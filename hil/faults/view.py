"""What a meter or clamp makes of the currents that are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from cext.rows import Phases

View = Callable[[Phases], Phases]
How = Literal["true", "frozen", "reversed", "swapped", "scaled"]


def truly(there: Phases) -> Phases:
    return there


class Frozen:
    """What it showed first, for ever."""

    def __init__(self) -> None:
        self._kept: Phases | None = None

    def __call__(self, there: Phases) -> Phases:
        self._kept = self._kept or there
        return self._kept


def view(how: How, scale: float) -> View:
    """A new one: `reversed` turns the first phase round, `swapped` exchanges the first two."""
    views: dict[How, View] = {
        "true": truly,
        "frozen": Frozen(),
        "reversed": lambda there: (-there[0], there[1], there[2]),
        "swapped": lambda there: (there[1], there[0], there[2]),
        "scaled": lambda there: (
            round(there[0] * scale),
            round(there[1] * scale),
            round(there[2] * scale),
        ),
    }
    return views[how]
