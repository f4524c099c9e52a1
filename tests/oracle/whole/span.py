"""A value that the rules fix, or between which values they leave it."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

MILLION = 1_000_000


class Span(NamedTuple):
    """All from `least` to `most`; `why` says in words which rule that is."""

    least: int
    most: int
    why: str = ""

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and self.least <= value <= self.most

    @property
    def pinned(self) -> bool:
        """Nothing is left open but how a fraction of a milliamp is rounded."""
        return self.most - self.least <= 1

    def plus(self, other: Span) -> Span:
        return Span(self.least + other.least, self.most + other.most, self.why or other.why)

    def lowered_to(self, ma: int, why: str) -> Span:
        """Never above `ma`."""
        if self.most <= ma:
            return self
        return Span(min(self.least, ma), ma, why)

    def raised_to(self, ma: int, why: str) -> Span:
        """Never below `ma`."""
        if self.least >= ma:
            return self
        return Span(ma, max(self.most, ma), why)


def exactly(value: Fraction | int, why: str = "") -> Span:
    """That value, rounded down or up."""
    down = value.__floor__()
    return Span(down, -(-value).__floor__(), why)


def between(least: Fraction | int, most: Fraction | int, why: str = "") -> Span:
    """The room from one value to another, both rounded outwards."""
    return Span(Fraction(least).__floor__(), Fraction(most).__ceil__(), why)


def total(spans: list[Span]) -> Span:
    """Of a sum of values."""
    return Span(sum(s.least for s in spans), sum(s.most for s in spans))
