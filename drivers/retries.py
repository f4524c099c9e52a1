"""When what was written once is written again: after a refusal, and where it does not help.

Neither ever delays an order that is lower than the one that was taken, the first time, nor the
answer to a charger that did as told and then permits more. Time is handed in.
"""

from __future__ import annotations

from controller.units import NS_PER_S

REFUSED_FIRST_NS = NS_PER_S // 10
REFUSED_MOST_NS = 3 * NS_PER_S
REFUSED_WORN_NS = 60 * NS_PER_S  # of a rise, where each may have worn a memory out
REFUSED_MOST = 32  # currents that are told from each other
REPEAT_FIRST_NS = NS_PER_S
RIGHT_NS = 60 * NS_PER_S  # so long it has to be as told before it is believed mended


class Refusals:
    """Of one sort of write to one device: pauses that double to a bound."""

    __slots__ = ("_at_ns", "_in_vain", "_most_ns", "_pause_ns", "_refused_ma")

    def __init__(self, most_ns: int = REFUSED_MOST_NS) -> None:
        self._most_ns = most_ns
        self._refused_ma: tuple[int, ...] = ()  # since anything was taken
        self._pause_ns = 0
        self._at_ns = 0  # the last of them
        self._in_vain = False  # that wore a memory out, and will be met again

    def may(self, ma: int, now_ns: int, *, rises: bool) -> bool:
        """Whether so much may be tried now; a reduction that was not refused yet, always, and none
        is spared for what it may wear out, but where that is in vain."""
        pause_ns = self._pause_ns
        if not rises:
            if ma not in self._refused_ma and len(self._refused_ma) < REFUSED_MOST:
                return True
            if not self._in_vain:
                pause_ns = min(pause_ns, REFUSED_MOST_NS)
        return now_ns >= self._at_ns + pause_ns

    def refused(self, ma: int, now_ns: int, *, in_vain: bool = False) -> None:
        """`in_vain`: some of it was taken, and the rest never will be, as the device says."""
        if len(self._refused_ma) < REFUSED_MOST:
            self._refused_ma = (*self._refused_ma, ma)
        self._pause_ns = min(2 * self._pause_ns or REFUSED_FIRST_NS, self._most_ns)
        self._at_ns, self._in_vain = now_ns, in_vain

    def taken(self) -> None:
        """All of it."""
        self._refused_ma, self._pause_ns, self._in_vain = (), 0, False


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

    def seen(self, at_ns: int, in_force_ma: int, told_ma: int) -> None:
        """More than it was told after it did as told, or than it ever showed, is something new: it
        may have been without power."""
        if in_force_ma == told_ma:
            if self._right_ns is None:
                self._right_ns = at_ns
            if at_ns - self._right_ns >= RIGHT_NS:
                self.forget()
            return
        stepped = self._right_ns is not None and in_force_ma > told_ma
        self._right_ns = None
        if stepped or in_force_ma > self._most_ma:
            self._most_ma, self._pause_ns = in_force_ma, 0

    def repeated(self) -> None:
        self._pause_ns = min(2 * self._pause_ns or REPEAT_FIRST_NS, self._longest_ns)

    def forget(self) -> None:
        self._pause_ns = self._most_ma = 0
