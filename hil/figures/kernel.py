"""The kernel's own speed, as `loadkeeper bench` measures it on a bare gateway."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hil.figures import CannotMeasureError, Figure, Must, Value

_ROOT = Path(__file__).parents[2]


def bare(*fields: str) -> dict[str, Value]:
    """What `loadkeeper bench` says of these, in a process of its own."""
    words = [sys.executable, "-m", "controller", "bench", "--json"]
    words += [word for field in fields for word in ("--only", field)]
    ended = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, check=False)
    lines = ended.stdout.splitlines()
    if ended.returncode != 0 or not lines:
        last = (ended.stderr.splitlines() or ["it said nothing"])[-1]
        raise CannotMeasureError(f"loadkeeper bench failed: {last}")
    said: dict[str, Value] = json.loads(lines[-1])
    return said


def speeds() -> dict[str, Value]:
    return bare("fair_shares_us", "tick_us")


FIGURES = (
    Figure(
        field="fair_shares_us",
        unit="µs by chargers",
        must=Must("<", {"1000": 100}),
        how="one run of exact fair shares on a three-level tree, three phases",
        measure=speeds,
        part="fair_shares_us",
    ),
    Figure(
        field="tick_us",
        unit="µs by chargers",
        must=Must("<", {"1000": 1000}),
        how="a whole tick after a fresh reading of the meter and a report of every charger",
        measure=speeds,
        part="tick_us",
    ),
)
