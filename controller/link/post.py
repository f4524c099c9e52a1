"""Events on their way to the broker: in order, a few at a time, kept until it has acknowledged.

The enforcer keeps its events until we say that they were taken, and gives no more than 64 ahead
of that; so what waits here is little, and a link that dies loses nothing that was not published.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from controller.clock import WallClock
from controller.units import NS_PER_S
from controller.wire import Event, Events

IN_FLIGHT = 8
ROOM = 256  # of an enforcer that is gone, too
LOST = "lost"


@dataclass(frozen=True, slots=True)
class Letter:
    run: str
    boot_id: str
    event: Event


class Post:
    """Nothing here knows the broker; whoever publishes tells how it went."""

    def __init__(self, now_ns: Callable[[], int], wall: WallClock) -> None:
        """`now_ns` is monotonic, as the enforcer's."""
        self._now_ns = now_ns
        self._wall = wall
        self._waiting: deque[Letter] = deque()
        self._flying: dict[int, Letter] = {}  # by message id, in order
        self._received = ("", 0)  # run and last sequence
        self._flown = ("", 0)  # likewise

    def receive(self, events: Events) -> None:
        """What was received already, over another connection to the enforcer, is not doubled."""
        run, last = self._received
        if run != events.run:
            last = 0
        for event in events.events:
            if event.sequence > last:
                last = event.sequence
                self._waiting.append(Letter(events.run, events.boot_id, event))
        self._received = (events.run, last)
        while len(self._waiting) > ROOM:
            self._drop()

    def _drop(self) -> None:
        """The two oldest give way to one event that counts them."""
        first, second = self._waiting.popleft(), self._waiting.popleft()
        count = sum(each.event.lost or 1 for each in (first, second))
        why = f"{count} events up to this one were not taken in time and are lost"
        news = {"what": LOST, "subject": "", "why": why, "lost": count}
        lost = second.event.model_copy(update=news)
        self._waiting.appendleft(Letter(second.run, second.boot_id, lost))

    def next(self) -> Letter | None:
        """What may be published now, if anything."""
        if not self._waiting or len(self._flying) >= IN_FLIGHT:
            return None
        return self._waiting[0]

    def published(self, mid: int) -> None:
        """What `next` gave has been handed over."""
        letter = self._waiting.popleft()
        self._flying[mid] = letter
        self._flown = (letter.run, letter.event.sequence)

    def acknowledged(self, mid: int) -> tuple[str, int] | None:
        """The run, and how far all of its events were taken; None when this was none of ours."""
        letter = self._flying.pop(mid, None)
        run, newest = self._flown
        if letter is None or letter.run != run:
            return None
        still = [each.event.sequence for each in self._flying.values() if each.run == run]
        return run, min(still) - 1 if still else newest

    def again(self) -> None:
        """Nobody repeats what was handed over last: it goes out once more."""
        self._waiting.extendleft(reversed(self._flying.values()))
        self._flying.clear()

    def content(self, letter: Letter) -> dict[str, object]:
        """As it is published."""
        event = letter.event
        return {
            "run": letter.run,
            "boot_id": letter.boot_id,
            "sequence": event.sequence,
            "what": event.what,
            "subject": event.subject,
            "why": event.why,
            "lost": event.lost,
            "at": self._utc(event.at_s),
            "since": self._utc(event.since_s),
            "at_s": round(event.at_s, 3),
            "since_s": round(event.since_s, 3),
        }

    def _utc(self, at_s: float) -> str | None:
        """None while the clock is not trusted: a wrong time is worse than none."""
        if not self._wall.trusted():
            return None
        ago_ns = self._now_ns() - round(at_s * NS_PER_S)
        moment = datetime.fromtimestamp((self._wall.utc_ns() - ago_ns) / NS_PER_S, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
