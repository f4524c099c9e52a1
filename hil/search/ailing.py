"""Who is ill, and which faults nothing may rise for."""

from __future__ import annotations

from collections import Counter

DOUBTS = {"lost", "drops", "silent", "deaf", "clock", "flood", "stall", "cloud"}
LAPSES = {"stall", "cloud"}  # a limit source may be lost with them
CALM_NS = 45_000_000_000  # so long nothing has happened and nothing rose
DOUBT_NS = 20_000_000_000  # so long after a fault nothing may rise


class Ailing:
    """Ids that something ails, however often at a time."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self.ids: set[str] = set()
        self.since_ns: dict[str, int] = {}

    def begin(self, who: str, now_ns: int = 0) -> None:
        self._count[who] += 1
        self.ids.add(who)
        self.since_ns.setdefault(who, now_ns)

    def end(self, who: str) -> None:
        self._count[who] -= 1
        if not self._count[who]:
            self.ids.discard(who)
            self.since_ns.pop(who, None)
