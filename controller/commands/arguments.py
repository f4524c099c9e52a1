"""Types of arguments that several commands take."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from math import nan


def seconds(least: float, most: float) -> Callable[[str], float]:
    """An argument's type: seconds between two bounds."""

    def bounded(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = nan
        if not least <= value <= most:  # NaN is not
            raise ArgumentTypeError(f"it takes a number of seconds from {least:g} to {most:g}")
        return value

    return bounded
