"""How far and how long circuits stand above what they carry for ever."""

from __future__ import annotations

from collections.abc import Sequence

from cext.plant import Plant
from cext.rows import Phases

TOLERANCE_MA = 500  # a meter's error, not an excess


class Ratings:
    """Watches the truth of a plant against the ratings of its circuits."""

    def __init__(self, plant: Plant, ratings_ma: Sequence[Phases]) -> None:
        self.worst_ma = 0
        self.longest_ns = 0
        self._plant = plant
        self._ratings_ma = ratings_ma
        self._over_since_ns: list[int | None] = [None] * len(ratings_ma)

    def look(self, now_ns: int) -> None:
        """Called many times a second; an excess lasts until it is seen to be over."""
        for circuit, rating_ma in enumerate(self._ratings_ma):
            load_ma = self._plant.load(circuit)
            excess_ma = max(load - most for load, most in zip(load_ma, rating_ma, strict=True))
            since_ns = self._over_since_ns[circuit]
            if since_ns is not None:
                self.longest_ns = max(self.longest_ns, now_ns - since_ns)
            if excess_ma <= TOLERANCE_MA:
                self._over_since_ns[circuit] = None
                continue
            self.worst_ma = max(self.worst_ma, excess_ma)
            if since_ns is None:
                self._over_since_ns[circuit] = now_ns
