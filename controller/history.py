"""What was seen lately: least and most per phase over a stretch of time, in bounded space."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from cext.rows import Phases

SPAN_NS = 250_000_000  # values closer together share a bucket
BUCKETS = 160  # 40 s of a fast source


class Hull(NamedTuple):
    """All that was seen lies between."""

    lo: Phases
    hi: Phases

    def width_ma(self) -> int:
        lo, hi = self.lo, self.hi
        return max(hi[0] - lo[0], hi[1] - lo[1], hi[2] - lo[2])


class _Bucket:
    __slots__ = ("first_ns", "hi", "last_ns", "lo")

    def __init__(self, at_ns: int, value: Phases) -> None:
        self.first_ns = self.last_ns = at_ns
        self.lo = self.hi = value


class History:
    """Values in the order of their arrival; each holds until the next."""

    def __init__(self) -> None:
        self._buckets: deque[_Bucket] = deque(maxlen=BUCKETS)
        self.last: Phases | None = None
        self.begun_ns = 0  # of the first value after the last clear

    def clear(self) -> None:
        """What was seen before has nothing to do with what comes."""
        self._buckets.clear()
        self.last = None

    def add(self, at_ns: int, value: Phases) -> None:
        if self.last is None:
            self.begun_ns = at_ns
        self.last = value
        newest = self._buckets[-1] if self._buckets else None
        if newest is None or at_ns - newest.first_ns >= SPAN_NS:
            self._buckets.append(_Bucket(at_ns, value))
            return
        newest.last_ns = at_ns
        (lo1, lo2, lo3), (hi1, hi2, hi3), (one, two, three) = newest.lo, newest.hi, value
        if one < lo1 or two < lo2 or three < lo3:
            newest.lo = min(one, lo1), min(two, lo2), min(three, lo3)
        if one > hi1 or two > hi2 or three > hi3:
            newest.hi = max(one, hi1), max(two, hi2), max(three, hi3)

    def held(self, since_ns: int, until_ns: int) -> Hull | None:
        """All that held at any time between; None where that is not known from its beginning."""
        if not self._buckets or self._buckets[0].first_ns > since_ns:
            return None
        return _hull(self._back(since_ns, until_ns))

    def within(self, since_ns: int, until_ns: int) -> Hull | None:
        """What arrived between and at no other time; None where nothing did."""
        return _hull(
            each
            for each in self._back(since_ns, until_ns)
            if each.first_ns >= since_ns and each.last_ns <= until_ns
        )

    def lately(self, since_ns: int) -> Hull | None:
        """Of all buckets with anything that arrived after an instant; None where nothing did."""
        found = []
        for each in reversed(self._buckets):
            if each.last_ns <= since_ns:
                break
            found.append(each)
        return _hull(iter(found))

    def _back(self, since_ns: int, until_ns: int) -> Iterator[_Bucket]:
        """From the newest to the one that held at the beginning."""
        for each in reversed(self._buckets):
            if each.first_ns <= until_ns:
                yield each
            if each.first_ns <= since_ns:
                return


def magnitudes(of: Hull) -> Hull:
    """Of signed values, as what has no direction sees them."""
    lo, hi = [], []
    for least, most in zip(of.lo, of.hi, strict=True):
        ends = sorted((abs(least), abs(most)))
        lo.append(0 if least <= 0 <= most else ends[0])
        hi.append(ends[1])
    return Hull((lo[0], lo[1], lo[2]), (hi[0], hi[1], hi[2]))


def apart_ma(one: Hull, other: Hull) -> Phases:
    """How far they are apart per phase: + where all of `other` is higher, 0 where they meet."""
    first, second, third = (
        max(0, other.lo[p] - one.hi[p]) - max(0, one.lo[p] - other.hi[p]) for p in range(3)
    )
    return first, second, third


def _hull(buckets: Iterator[_Bucket]) -> Hull | None:
    first = next(buckets, None)
    if first is None:
        return None
    (lo1, lo2, lo3), (hi1, hi2, hi3) = first.lo, first.hi
    for each in buckets:  # spelt out: plausibility spends most of its time here
        (a, b, c), (x, y, z) = each.lo, each.hi
        lo1, lo2, lo3 = a if a < lo1 else lo1, b if b < lo2 else lo2, c if c < lo3 else lo3
        hi1, hi2, hi3 = x if x > hi1 else hi1, y if y > hi2 else hi2, z if z > hi3 else hi3
    return Hull((lo1, lo2, lo3), (hi1, hi2, hi3))
