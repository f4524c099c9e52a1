"""When what was written once is written again: after a refusal, and where it does not help.

Neither ever delays an order that is lower than the one that was taken, the first time. Time is
handed in.
"""

from __future__ import annotations

from controller.units import NS_PER_S

REFUSED_FIRST_NS = NS_PER_S // 10
REFUSED_MOST_NS = 3 * NS_PER_S
REFUSED_WORN_NS = 60 * NS_PER_S  # where each may have worn a memory out
REFUSED_MOST = 32  # currents that are told from each other
REPEAT_FIRST_NS = NS_PER_S
RIGHT_NS = 60 * NS_PER_S  # so long, at least, it has to be as told before it is believed mended


class Refusals:
    """Of one sort of write to one device: pauses that double to a bound."""

    __slots__ = ("_most_ns", "_pause_ns", "_refused_ma", "_until_ns")

    def __init__(self, most_ns: int = REFUSED_MOST_NS) -> None:
        self._most_ns = most_ns
        self._refused_ma: tuple[int, ...] = ()  # since anything was taken
        self._pause_ns = 0
        self._until_ns = 0

    def may(self, ma: int, now_ns: int, *, rises: bool) -> bool:
        """Whether so much may be tried now; a reduction that was not refused yet, always."""
        new = ma not in self._refused_ma and len(self._refused_ma) < REFUSED_MOST
        return now_ns >= self._until_ns or (new and not rises)

    def refused(self, ma: int, now_ns: int) -> None:
        if len(self._refused_ma) < REFUSED_MOST:
            self._refused_ma = (*self._refused_ma, ma)
        self._pause_ns = min(2 * self._pause_ns or REFUSED_FIRST_NS, self._most_ns)
        self._until_ns = now_ns + self._pause_ns

    def taken(self) -> None:
        self._refused_ma, self._pause_ns, self._until_ns = (), 0, 0


class Repeats:
    """Of one order to a device that acknowledges it and shows something else, or may have fallen
    back since, where writing it wears a memory out: pauses that double until the memory bears
    them for ever."""

    def __init__(self, longest_ns: int) -> None:
        self._longest_ns = longest_ns
        self._pause_ns = 0
        self._most_ma = 0  # that it showed meanwhile
        self._right_ns: int | None = None  # since when it is as told

    def may(self, since_ns: int) -> bool:
        """Whether it may be written again so long after it was taken."""
        return since_ns >= self._pause_ns

    def seen(self, at_ns: int, in_force_ma: int, *, astray: bool) -> None:
        """More than it ever showed is something new: it may have been without power."""
        if astray:
            self._right_ns = None
            if in_force_ma > self._most_ma:
                self._most_ma, self._pause_ns = in_force_ma, 0
            return
        if self._right_ns is None:
            self._right_ns = at_ns
        if at_ns - self._right_ns >= max(self._pause_ns, RIGHT_NS):
            self.forget()

    def repeated(self) -> None:
        self._pause_ns = min(2 * self._pause_ns or REPEAT_FIRST_NS, self._longest_ns)

    def forget(self) -> None:
        self._pause_ns = self._most_ma = 0
