"""Ratios that a busy machine cannot bend: blocks of each kind in turn, and their medians."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median

BLOCKS = 15


def alternated(kinds: Mapping[str, Callable[[], float]], blocks: int = BLOCKS) -> dict[str, float]:
    """Median by kind of what each block says of itself, say its time in µs."""
    said: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(blocks):
        for kind, block in kinds.items():
            said[kind].append(block())
    return {kind: median(values) for kind, values in said.items()}
