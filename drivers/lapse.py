"""Whether a charger's own watchdog may have run out since it was written last."""

from __future__ import annotations


class Lapse:
    """Fed by what the charger heard from us; `possible` until it is proved that it was not."""

    def __init__(self, *, any_traffic: bool, timeout_ns: int) -> None:
        """`any_traffic`: each request feeds it; else only what is written for it does."""
        self.possible = True
        self.reported = False
        self.heard_ns: int | None = None  # when we heard last that it had been fed
        self._any_traffic = any_traffic
        self._timeout_ns = timeout_ns
        self._unfed_ns = 0  # at most this long between two feeds, since its last report or write

    def answered(self, at_ns: int) -> None:
        """A request, of a poll that failed later, too. It may have arrived a time-out earlier."""
        if self._any_traffic:
            if self.heard_ns is not None:
                self._unfed_ns = max(self._unfed_ns, at_ns - self.heard_ns + self._timeout_ns)
            self.heard_ns = at_ns

    def fed(self, asked_ns: int) -> None:
        """What feeds it was written and acknowledged, and sent no earlier than that."""
        if not self._any_traffic:
            self._unfed_ns = max(self._unfed_ns, self._since(asked_ns))
            self.heard_ns = asked_ns

    def written(self) -> None:
        """An order, and it was acknowledged; and it was fed after it, where that is apart."""
        self.possible = False
        self._unfed_ns = 0

    def report(self, at_ns: int, shortest_ns: int | None) -> None:
        """It told what it does: `shortest_ns` is the least its watchdog may be set to."""
        if not self._any_traffic:
            self._unfed_ns = max(self._unfed_ns, self._since(at_ns))
        if shortest_ns is not None and (not self.reported or self._unfed_ns >= shortest_ns):
            self.possible = True
        self.reported = True
        if self._any_traffic:
            self._unfed_ns = 0

    def may_have_passed(self, now_ns: int, time_ns: int) -> bool:
        """Whether a watchdog of that time that is fed by writes may have run out until now."""
        return self.heard_ns is not None and self._since(now_ns) >= time_ns

    def _since(self, at_ns: int) -> int:
        return 0 if self.heard_ns is None else at_ns - self.heard_ns
