"""Which sources count on each circuit, and where they show too much: kept from tick to tick.

Looked at again is only what something was heard of since, whose cap moved, and what has meanwhile
grown too old, or old enough: a depot with hundreds of meters hears of a few in each tick.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import gt

from cext.rows import NEVER_NS, CircuitRow, Phases
from controller.guard.beliefs import AHEAD_NS, SourceBelief


class Readings:
    """Of one document. Indexes are those of its circuits."""

    def __init__(self, circuits: Sequence[CircuitRow], sources: Iterable[SourceBelief]) -> None:
        self._circuits = circuits
        self._measured: list[list[SourceBelief]] = [[] for _ in circuits]
        for source in sources:
            self._measured[source.row.circuit].append(source)
        self.counted: list[list[SourceBelief]] = [[] for _ in circuits]
        """In the last tick: unsigned ones only where no other counts."""
        self.heard = {i for i, here in enumerate(self._measured) if not here}
        """Circuits that were read at least once, or need not be."""
        self._touched: set[int] = set()  # what counts there is to be looked at again
        self._holds_ns = [NEVER_NS] * len(circuits)  # so long it stays as it is, if nothing comes
        self._soonest_ns = NEVER_NS  # none of these ends before
        self._blind: set[int] = set()
        self._over: set[int] = set()  # a reading there is above its cap
        self._now_ns = 0
        self.touch_all()

    def touch(self, circuit: int) -> None:
        """Something was heard of a source there, or its cap moved."""
        self._touched.add(circuit)

    def touch_all(self) -> None:
        self._touched.update(i for i, here in enumerate(self._measured) if here)

    def look(self, now_ns: int, caps: Sequence[Phases]) -> bool:
        """Another tick. Whether a reading is above its cap, or a circuit has none any more: then
        the decision cannot wait to be judged."""
        if now_ns < self._now_ns:
            self.touch_all()
        self._now_ns = now_ns
        ended = now_ns > self._soonest_ns
        if ended:
            self._touched.update(i for i, until in enumerate(self._holds_ns) if now_ns > until)
        lost = False
        for circuit in self._touched:
            if self._measured[circuit]:
                lost = self._look_at(circuit, now_ns, caps[circuit]) or lost
        self._touched.clear()
        if ended:
            self._soonest_ns = min(self._holds_ns)
        return lost or bool(self._over)

    def _look_at(self, circuit: int, now_ns: int, cap_ma: Phases) -> bool:
        """Whether it has just lost its last reading."""
        fresh = [each for each in self._measured[circuit] if each.fresh(now_ns)]
        found = [each for each in fresh if not each.row.unsigned] or fresh
        self.counted[circuit] = found
        self._holds_ns[circuit] = until_ns = self._until_ns(circuit, now_ns)
        self._soonest_ns = min(self._soonest_ns, until_ns)
        if any(self._is_over(circuit, each.kept[-1].current_ma, cap_ma) for each in found):
            self._over.add(circuit)
        else:
            self._over.discard(circuit)
        if found:
            self.heard.add(circuit)
            self._blind.discard(circuit)
            return False
        lost = circuit not in self._blind
        self._blind.add(circuit)
        return lost

    def _until_ns(self, circuit: int, now_ns: int) -> int:
        """Until when the same sources are fresh: one may be from ahead, and be believed later."""
        until_ns = NEVER_NS
        for source in self._measured[circuit]:
            if source.kept:
                at_ns = source.kept[-1].at_ns
                for end_ns in (at_ns - AHEAD_NS - 1, at_ns + source.row.max_age_ns):
                    if now_ns <= end_ns < until_ns:
                        until_ns = end_ns
        return until_ns

    def _is_over(self, circuit: int, read_ma: Phases, cap_ma: Phases) -> bool:
        sum_ma = self._circuits[circuit].sum_ma
        if sum_ma is not None and sum(max(0, ma) for ma in read_ma) > sum_ma:
            return True
        return any(map(gt, read_ma, cap_ma))
