"""What the guard knows of sources, limit slots and contactors: its own sums of the journal.

What it knows of chargers is controller.guard.chargers. Every sum there and here is the least that
the rules allow to be counted: who counts less than this has no reading of the rules on his side,
and who counts more is never disputed. Where a rule asks for more than is counted (a vehicle of
which nobody knows that it settled, a suspicion), the guard is blind to it, and docs/safety.md says
so.

Written from the rules, not from the kernel; shares nothing with it. Whole milliamps, whole
nanoseconds, one value per grid phase.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cext.rows import ContactorRow, Phases, SlotRow, SourceRow
from controller.records import Limit
from controller.units import NS_PER_S

CONTACT_NS = 5 * NS_PER_S  # for so long an auxiliary contact counts
AHEAD_NS = NS_PER_S  # what arrived later than now by more than this is not believed
READINGS = 1024  # kept of one source, and of one charger: an upper bound


class Seen(NamedTuple):
    """What was measured, when it arrived."""

    at_ns: int
    current_ma: Phases


def fresh(at_ns: int, max_age_ns: int, now_ns: int) -> bool:
    return now_ns - at_ns <= max_age_ns and at_ns - now_ns <= AHEAD_NS


def worth(kept: Sequence[Seen], since_ns: int) -> Iterable[Seen]:
    """What arrived since then, and the last one before: that held until then. Newest first."""
    for seen in reversed(kept):
        yield seen
        if seen.at_ns < since_ns:
            return


class SourceBelief:
    """A meter or clamp: its readings."""

    def __init__(self, row: SourceRow, behind_ns: int) -> None:
        """`behind_ns`: by how much a charger's report below it may be older than its reading."""
        self.row = row
        self.distrusted = False
        self.kept: deque[Seen] = deque(maxlen=READINGS)
        self._window_ns = row.lag_ns + behind_ns

    def read(self, at_ns: int, current_ma: Phases) -> None:
        if self.distrusted or (self.kept and at_ns < self.kept[-1].at_ns):
            return
        if self.row.unsigned:
            current_ma = (abs(current_ma[0]), abs(current_ma[1]), abs(current_ma[2]))
        self.kept.append(Seen(at_ns, current_ma))
        while self.kept[0].at_ns < at_ns - self._window_ns:
            self.kept.popleft()

    def distrust(self, distrusted: bool) -> None:
        self.distrusted = distrusted
        self.kept.clear()

    def adopt(self, old: SourceBelief) -> None:
        """Only the newest reading: the least that is known, whatever the new row's window is."""
        self.distrusted = old.distrusted
        self.kept.extend(list(old.kept)[-1:])

    def fresh(self, now_ns: int) -> bool:
        return bool(self.kept) and fresh(self.kept[-1].at_ns, self.row.max_age_ns, now_ns)

    @property
    def since_ns(self) -> int:
        """How far back the newest reading's current may have flowed, and what explains it."""
        return self.kept[-1].at_ns - self._window_ns

    def most_ma(self) -> list[int]:
        """The most it may have meant in that window, with its error."""
        error_ma = self.row.error_ma
        one, two, three = self.kept[-1].current_ma
        for _, (first, second, third) in self.kept:
            one, two, three = max(one, first), max(two, second), max(three, third)
        return [one + error_ma, two + error_ma, three + error_ma]


class SlotBelief:
    """A limit source's slot."""

    def __init__(self, row: SlotRow) -> None:
        self.row = row
        self.last: Limit | None = None
        self.forgotten = False  # what it was told last is not known any more

    def tell(self, limit: Limit) -> None:
        self.last, self.forgotten = limit, False

    def cap_ma(self, now_ns: int) -> Phases | None:
        """What it asks for; None: nothing."""
        last = self.last
        if self.forgotten:
            return None
        if last is None:
            return self.row.failsafe_ma
        if now_ns < last.alive_until_ns:
            return last.limit_ma if now_ns < last.limit_until_ns else None
        held = (
            last.limit_ma is not None
            and now_ns < last.limit_until_ns
            and now_ns < last.alive_until_ns + self.row.hold_ns
        )
        if not held or last.limit_ma is None or last.limit_until_ns <= last.alive_until_ns:
            return self.row.failsafe_ma
        (a, b, c), (x, y, z) = self.row.failsafe_ma, last.limit_ma
        return min(a, x), min(b, y), min(c, z)


class ContactorBelief:
    """A contactor: what was ordered, and what its auxiliary contact said."""

    def __init__(self, row: ContactorRow) -> None:
        self.row = row
        self.closed = not row.opens_alone
        self.ordered_ns = 0  # when it was last ordered otherwise
        self.looked_ns = -1
        self.looks_closed = True

    def adopt(self, old: ContactorBelief) -> None:
        self.closed, self.ordered_ns = old.closed, old.ordered_ns
        self.looked_ns, self.looks_closed = old.looked_ns, old.looks_closed

    def look(self, at_ns: int, closed: bool) -> None:
        self.looked_ns, self.looks_closed = at_ns, closed

    def verified_open(self, now_ns: int) -> bool:
        """Without a contact of its own this takes the order's word: it is the least."""
        if self.closed:
            return False
        if not self.row.feedback:
            return True
        young = self.looked_ns >= self.ordered_ns and now_ns - self.looked_ns <= CONTACT_NS
        return young and not self.looks_closed
