"""Figures: what Loadkeeper must reach, and how each is measured. `python -m hil bench` asks them.

Each subject is a module in here with `FIGURES: tuple[Figure, ...]`, and stands in `SUBJECTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

Value = float | int | Mapping[str, float | int]
"""One number, or several by size, poll period and the like."""

SUBJECTS = (
    "kernel",
    "peers",
    "guard",
    "plant",
    "energy",
    "alloc",
    "wakeup",
    "polling",
    "serial",
    "overload",
    "memory",
    "disk",
    "start",
    "gateway",
)
"""In the order of the table."""


class CannotMeasureError(Exception):
    """There is no figure: what it needs is not here, or the measurement was not what it claims to
    be. Says why, in one line."""


@dataclass(frozen=True, slots=True)
class Must:
    """A limit for the value, or for those of its parts that are named."""

    sign: Literal["<", "≤", "=", "≥"]
    limit: float | Mapping[str, float]

    def met_by(self, value: Value) -> bool:
        if isinstance(self.limit, Mapping):
            assert isinstance(value, Mapping)
            return all(self._holds(value[part], limit) for part, limit in self.limit.items())
        numbers = value.values() if isinstance(value, Mapping) else (value,)
        return all(self._holds(number, self.limit) for number in numbers)

    def _holds(self, number: float, limit: float) -> bool:
        match self.sign:
            case "<":
                return number < limit
            case "≤":
                return number <= limit
            case "=":
                return number == limit
            case "≥":
                return number >= limit

    def __str__(self) -> str:
        if isinstance(self.limit, Mapping):
            return ", ".join(f"{part}: {self.sign} {limit:g}" for part, limit in self.limit.items())
        return f"{self.sign} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """Several figures may share one `measure`: then it is called once for those that are asked
    for, and returns a mapping in which each finds its value under `part`."""

    field: str  # in JSON; the unit is its end
    unit: str  # for people
    must: Must
    how: str  # one line: what is measured
    measure: Callable[[], Value | Mapping[str, Value]]  # may raise CannotMeasureError
    part: str | None = None
    timed: bool = True  # False: it does not depend on how fast the machine is


def all_figures() -> tuple[Figure, ...]:
    modules = (import_module(f"hil.figures.{subject}") for subject in SUBJECTS)
    return tuple(figure for module in modules for figure in module.FIGURES)
