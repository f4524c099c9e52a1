"""The dead man: turns, which prove decision by decision that the depot is under control.

A turn carries a decision's tick number through. It begins with a decision of the kernel's thread
that is newer than the last one, made from an input image in which a stale source counts as
evaluated. It rings every worker, also those whose order did not change, and is complete when each
has passed through its loop since, or is at something that ends within its declared bound: a dead
meter or charger costs its bound and never the turn. Whatever must stop when nobody decides, or
when nobody takes decisions any more, is fed by completed turns and by nothing else.

There is no timer in here. No tick, no turn; a loop that does not run completes none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cext.rows import NEVER_NS

if TYPE_CHECKING:
    from controller.image import Clock

APART_NS = 250_000_000  # turns begin at least so far apart
TURNS = 8  # in a dead-man time, or more


class Turn:
    """Used from the I/O thread only, like the image that it belongs to."""

    def __init__(self, clock: Clock, dead_man_ns: int) -> None:
        self.tick = 0  # of the decision that is, or was last, carried through
        self._clock = clock
        self._dead_man_ns = dead_man_ns
        self._apart_ns = min(APART_NS, dead_man_ns // TURNS)
        self._rings: dict[str, Callable[[], None]] = {}
        self._until_ns: dict[str, int] = {}  # who is at something bounded, and until when at most
        self._pending: set[str] = set()  # who has not taken it yet
        self._open = False
        self._decided_ns = 0
        self._last_ns: int | None = None
        self._feeds: list[Callable[[], None]] = []

    # The decisions.

    def may_begin(self, at_ns: int) -> bool:
        """Whether a decision made then would begin a turn. May complete the one under way."""
        self._complete()
        return not self._open and at_ns - self._decided_ns >= self._apart_ns

    def decided(self, tick: int, at_ns: int) -> None:
        """A decision was made at `at_ns`, and may be acted upon: what vetoes one comes before.

        A turn under way goes on with its own decision; those made meanwhile need no turn of
        their own, for workers always act upon the newest.
        """
        if not self.may_begin(at_ns) or tick <= self.tick:
            return
        self.tick, self._decided_ns, self._open = tick, at_ns, True
        self._pending = set(self._rings)
        for ring in tuple(self._rings.values()):
            ring()
        self._complete()

    # The workers.

    def join(self, worker: str, ring: Callable[[], None]) -> None:
        """From the next turn on this worker takes part. `ring` makes its loop go round."""
        self._rings[worker] = ring

    def leave(self, worker: str) -> None:
        """It is gone, and nobody waits for it any more."""
        self._rings.pop(worker, None)
        self._until_ns.pop(worker, None)
        self._pending.discard(worker)

    def busy(self, worker: str, within_ns: int | None = None) -> None:
        """It is at something that ends within that time; None: that others answer for."""
        until_ns = NEVER_NS if within_ns is None else self._clock.now_ns() + within_ns
        self._until_ns[worker] = until_ns

    def taken(self, worker: str, tick: int) -> None:
        """It has passed through its loop: what that decision, or a newer one, asked of it was
        written, was refused or failed and is on record, or there was nothing to do."""
        self._until_ns.pop(worker, None)
        if tick >= self.tick:
            self._pending.discard(worker)
        self._complete()

    # What depends on it.

    def fed(self, callback: Callable[[], None]) -> None:
        """`callback` is called once for each completed turn, unless that took too long to count."""
        self._feeds.append(callback)

    def last_ns(self) -> int | None:
        """The instant of the newest decision that all workers have taken; None: none yet."""
        return self._last_ns

    @property
    def fresh(self) -> bool:
        """Whether that decision is younger than the dead-man time."""
        return (
            self._last_ns is not None and self._clock.now_ns() - self._last_ns < self._dead_man_ns
        )

    def missing(self) -> list[str]:
        """Who keeps the turn under way from being complete."""
        return sorted(self._overdue()) if self._open else []

    def _overdue(self) -> set[str]:
        now_ns = self._clock.now_ns()
        idle = {worker for worker in self._pending if worker not in self._until_ns}
        return idle | {each for each, until_ns in self._until_ns.items() if now_ns >= until_ns}

    def _complete(self) -> None:
        if not self._open or any(worker not in self._until_ns for worker in self._pending):
            return
        if self._overdue():
            return
        self._open = False
        self._last_ns = self._decided_ns
        if self.fresh:
            for feed in self._feeds:
                feed()
