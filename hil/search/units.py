"""From what a case says to what the plant takes."""

from cext.rows import Phases


def milliamps(amps: list[float]) -> Phases:
    first, second, third = (round(a * 1000) for a in amps)
    return first, second, third


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
