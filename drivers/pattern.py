"""Does a current follow a pattern of steps, although everything else moves, too? Pure.

The pattern is irregular: what drifts, or comes and goes by itself, does not look like it. Where
the rest moves so much that chance could look alike, the answer is that nobody can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import sqrt

CODE = (True, False, False, True, False, True, True, False)  # stepped, or as it was
ROUNDS = 3  # of the code, until it can be told
LEAST = 6  # levels; with fewer nothing is concluded
MOVES = 0.3  # of the step, from which on a current follows it
STILL = 0.25  # below, it does not
SURE = 6.0  # times its own uncertainty
STILL_ERROR = 0.1
FLAT = 1e-9


class Motion(Enum):
    MOVED = "moved"
    STILL = "still"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Slope:
    """How much of each step is seen, as a part of it: 1 is all of it, -1 the other way round."""

    ratio: float
    error: float  # its uncertainty
    rest: float  # what else moved, in the unit of y

    @property
    def motion(self) -> Motion:
        if abs(self.ratio) >= MOVES and abs(self.ratio) >= SURE * self.error:
            return Motion.MOVED
        if abs(self.ratio) < STILL and self.error < STILL_ERROR:
            return Motion.STILL
        return Motion.UNKNOWN


def slope(steps: Sequence[float], seen: Sequence[float | None]) -> Slope | None:
    """Of what was seen over the steps, a steady drift left out; None where too little is known."""
    known = [(k, x, y) for k, (x, y) in enumerate(zip(steps, seen, strict=True)) if y is not None]
    if len(known) < LEAST:
        return None
    ks, xs, ys = zip(*known, strict=True)
    x_free, y_free = _without_drift(ks, xs), _without_drift(ks, ys)
    spread = sum(x * x for x in x_free)
    if spread < FLAT:
        return None
    ratio = sum(x * y for x, y in zip(x_free, y_free, strict=True)) / spread
    rest = sum((y - ratio * x) ** 2 for x, y in zip(x_free, y_free, strict=True))
    variance = rest / (len(known) - 3)
    return Slope(ratio, sqrt(variance / spread), sqrt(variance))


def _without_drift(ks: Sequence[float], values: Sequence[float]) -> list[float]:
    """What is left beside a straight line over time."""
    n = len(ks)
    k_mean, v_mean = sum(ks) / n, sum(values) / n
    span = sum((k - k_mean) ** 2 for k in ks)
    rise = sum((k - k_mean) * (v - v_mean) for k, v in zip(ks, values, strict=True)) / span
    return [v - v_mean - rise * (k - k_mean) for k, v in zip(ks, values, strict=True)]
