"""The link's own dead man: rounds, which prove that all its loops still turn.

A round is complete when each loop has passed through itself since the last one. Only that feeds
the service manager's watchdog; there is no timer in here. A broker or an enforcer that is gone
stops no loop, and so no round: there are only attempts to count then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from controller.notify import Notifier


class Rounds:
    """Used from the link's loop only."""

    def __init__(self, notifier: Notifier, loops: Iterable[str]) -> None:
        self.notifier = notifier
        self._loops = set(loops)
        self._turned: set[str] = set()
        self._rings: list[Callable[[], None]] = []
        self._states: dict[str, str] = {}

    def ring(self, ring: Callable[[], None]) -> None:
        """Called now and after each round: makes a loop that only waits go round."""
        self._rings.append(ring)
        ring()

    def turned(self, loop: str) -> None:
        """That loop has passed through itself."""
        self._turned.add(loop)
        if not self._loops <= self._turned:
            return
        self._turned.clear()
        self.notifier.feed()
        for each in self._rings:
            each()

    def leave(self, loop: str) -> None:
        """There is no such loop for now, and nobody waits for it."""
        self._loops.discard(loop)

    def join(self, loop: str) -> None:
        self._loops.add(loop)

    def state(self, loop: str, state: str) -> None:
        """How things stand there, for whoever asks the service manager."""
        if self._states.get(loop) != state:
            self._states[loop] = state
            told = (f"{each}: {words}" for each, words in sorted(self._states.items()))
            self.notifier.status("; ".join(told))
