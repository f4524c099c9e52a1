"""Limit slots: what each source asks for now, and what holds on a circuit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tests.oracle.site import Slot, Triple

BY_RATING = -1


class Asked(NamedTuple):
    """One way to read a slot."""

    state: str  # "live", "unlimited", "ended", "lost"
    cap_ma: Triple | None  # None: no limit from this slot
    why: str


@dataclass
class LimitSlot:
    """A source's slot: its last word, until when it is meant, and its lease."""

    row: Slot
    heard: bool = False
    limit_ma: Triple | None = None
    limit_until_ns: int = 0
    alive_until_ns: int = 0

    def tell(self, ma: Triple | None, limit_until_ns: int, alive_until_ns: int) -> None:
        self.heard = True
        self.limit_ma, self.limit_until_ns = ma, limit_until_ns
        self.alive_until_ns = alive_until_ns

    def asks(self, now_ns: int) -> list[Asked]:
        """What it asks for at that instant; more than one where the rules do not say which."""
        if not self.heard:
            return [Asked("lost", self.row.failsafe_ma, "never heard since boot")]
        ended = now_ns >= self.limit_until_ns
        if now_ns < self.alive_until_ns:
            if self.limit_ma is None:
                return [
                    Asked("unlimited", None, "its source says so, until it says something else")
                ]
            if ended:
                return [Asked("ended", None, "ended as planned, source alive")]
            return [Asked("live", self.limit_ma, "a live limit")]
        return self._lost(now_ns)

    def _lost(self, now_ns: int) -> list[Asked]:
        """Its fail-safe cap, and for the hold never more than its last limit."""
        failsafe = self.row.failsafe_ma
        plain = Asked("lost", failsafe, "lost: the fail-safe cap")
        held = now_ns < self.alive_until_ns + self.row.hold_ns
        if not held or self.limit_ma is None:
            return [plain]
        last = Asked("lost", lower(failsafe, self.limit_ma), "lost: its last limit still binds")
        if self.limit_until_ns <= self.alive_until_ns:
            return [plain, last]  # it had ended before: was it the last limit?
        return [last]


def lower(one: Triple, two: Triple) -> Triple:
    """The lower of two caps, phase by phase."""
    return min(one[0], two[0]), min(one[1], two[1]), min(one[2], two[2])


def binding(rating: Triple, asked: list[Triple | None], phase: int) -> tuple[int, set[int]]:
    """The cap on that phase, and who may be said to bind it: slots by number, or the rating."""
    caps = {BY_RATING: rating[phase]}
    caps |= {i: cap[phase] for i, cap in enumerate(asked) if cap is not None}
    least = min(caps.values())
    return least, {i for i, cap in caps.items() if cap == least}
