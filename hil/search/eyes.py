"""What a meter or clamp makes of the currents that are there: its error, and what ails it."""

from __future__ import annotations

import random
from collections import deque

from cext.rows import Phases

KEPT = 8  # readings that may come late
BACK = {"late": 3, "repeated": 2, "shuffled": KEPT}  # how many readings back one may come from
LIES = {"frozen", "swapped", "reversed", "corrupted", "repeated", "shuffled", "late"}


class Eye:
    """The currents at a source's terminals as it tells them; None where a reading is lost."""

    def __init__(self, seed: int, error_ma: int, signed: bool) -> None:
        self._rng = random.Random(seed)
        self._error_ma = error_ma
        self._signed = signed
        self._past: deque[Phases] = deque(maxlen=KEPT)
        self._frozen: Phases | None = None
        self._ails: dict[str, int] = {}  # what, and how often it was begun
        self.shown = 0  # readings that were not lost

    def begin(self, what: str) -> None:
        self._ails[what] = self._ails.get(what, 0) + 1

    def end(self, what: str) -> None:
        self._ails[what] -= 1
        if not self._ails[what]:
            del self._ails[what]
        if what == "frozen" and what not in self._ails:
            self._frozen = None

    def __call__(self, there: Phases) -> Phases | None:
        told = self._with_error(there) if self._error_ma else there
        if not self._ails:
            self.shown += 1
            return told
        self._past.append(told)
        for what in self._ails:
            seen = self._ailing(what, told)
            if seen is None:
                return None
            told = seen
        self.shown += 1
        return told

    def _with_error(self, there: Phases) -> Phases:
        bits = self._rng.getrandbits(48)
        span = 2 * self._error_ma + 1
        first, second, third = (
            there[phase] + ((bits >> 16 * phase & 0xFFFF) * span >> 16) - self._error_ma
            for phase in range(3)
        )
        if self._signed:
            return first, second, third
        return max(first, 0), max(second, 0), max(third, 0)

    def _ailing(self, what: str, told: Phases) -> Phases | None:
        if what == "drops":
            return None if self._rng.random() < 0.5 else told
        if what == "frozen":
            self._frozen = self._frozen or told
            return self._frozen
        if what in BACK:
            back = min(BACK[what], len(self._past))
            return self._past[-back if what == "late" else -1 - self._rng.randrange(back)]
        ways = {
            "swapped": (told[1], told[2], told[0]),
            "reversed": (-told[0], -told[1], -told[2]),
            "corrupted": self._corrupted(told),
        }
        return ways[what]

    def _corrupted(self, told: Phases) -> Phases:
        """Now and then a bit of one value is another one."""
        if self._rng.random() < 0.7:
            return told
        values = list(told)
        values[self._rng.randrange(3)] ^= 1 << self._rng.randrange(20)
        return values[0], values[1], values[2]
