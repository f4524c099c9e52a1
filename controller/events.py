"""What happened, why, and since when: a ring in memory, which the link carries to the broker.

Events are made by the same places that log. Their sequence has no gap as long as one enforcer
lives, and begins anew with `run` at the next: so nobody has to keep a number on a disk. What the
link has not taken when the ring is full is lost, and an event in its place says how many.

Used from the I/O thread only.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from controller.image import Clock
from controller.units import NS_PER_S

ROOM = 1000  # events
AHEAD = 64  # events on their way that no broker has acknowledged yet
BATCH = 16  # in one message
QUIET_NS = 10 * NS_PER_S
SUBJECTS = 4096  # remembered for the sake of quiet
WHY_CHARS = 500
LOST = "lost"  # what the event is called that stands for others


@dataclass(frozen=True, slots=True)
class Event:
    """`at_ns` is when it was noticed, `since_ns` since when it is so; both monotonic."""

    sequence: int
    at_ns: int
    since_ns: int
    what: str
    subject: str  # a device, a circuit, a limit source; empty: the whole
    why: str
    lost: int = 0  # how many events this one stands for


@dataclass(slots=True)
class _Quiet:
    """An event of which more may come than anybody wants to read."""

    told_ns: int
    unsaid: int = 0


class Events:
    """The last 1000 events, and how far they were taken."""

    def __init__(self, clock: Clock, room: int = ROOM) -> None:
        self.run = secrets.token_hex(8)
        self.news = asyncio.Event()
        self.followers: list[Callable[[Event], None]] = []
        self._clock = clock
        self._ring: deque[Event] = deque(maxlen=room)
        self._last = 0  # sequence
        self._taken = 0
        self._quiet: dict[tuple[str, str], _Quiet] = {}

    @property
    def taken(self) -> int:
        """Up to this sequence a broker has acknowledged them."""
        return self._taken

    @property
    def kept(self) -> Sequence[Event]:
        return list(self._ring)

    def happened(
        self, what: str, subject: str = "", why: str = "", since_ns: int | None = None
    ) -> None:
        now_ns = self._clock.now_ns()
        self._last += 1
        begun_ns = now_ns if since_ns is None else min(since_ns, now_ns)
        event = Event(self._last, now_ns, begun_ns, what, subject, why[:WHY_CHARS])
        self._ring.append(event)
        self.news.set()
        for follow in self.followers:
            follow(event)

    def happened_again(self, what: str, subject: str, why: str, kind: str | None = None) -> None:
        """What others can cause as often as they like: one event in 10 s, which counts the rest.

        `kind`, instead of a subject that others choose, says which events are alike.
        """
        now_ns = self._clock.now_ns()
        alike = what, subject if kind is None else kind
        quiet = self._quiet.get(alike)
        if quiet is not None and now_ns - quiet.told_ns < QUIET_NS:
            quiet.unsaid += 1
            return
        if quiet is not None and quiet.unsaid:
            why = f"{why} (and {quiet.unsaid} times before)"
        self._quiet.pop(alike, None)
        if len(self._quiet) >= SUBJECTS:
            self._quiet.pop(next(iter(self._quiet)))
        self._quiet[alike] = _Quiet(now_ns)
        self.happened(what, subject, why)

    def take(self, upto: int) -> None:
        """The broker has acknowledged all up to here."""
        if self._taken < upto <= self._last:
            self._taken = upto
            self.news.set()

    def after(self, sequence: int) -> list[Event]:
        """The next ones to be carried; none while too many are on their way.

        What was pushed out of the ring before it was carried is one event with the number of
        the last that is missing.
        """
        most = min(BATCH, self._taken + AHEAD - sequence)
        if most <= 0 or sequence >= self._last:
            return []
        first = self._ring[0].sequence
        if sequence + 1 < first:
            return [self._missing(first - 1, first - 1 - sequence)]
        start = sequence + 1 - first
        return [self._ring[i] for i in range(start, min(start + most, len(self._ring)))]

    def _missing(self, last: int, count: int) -> Event:
        next_ns = self._ring[0].at_ns
        why = f"{count} events up to this one were not taken in time and are lost"
        return Event(last, next_ns, next_ns, LOST, "", why, count)
