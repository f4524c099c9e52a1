"""Advice of the document in force, handed to the kernel while the time of day is known.

It ends at an instant of the day, and the kernel counts monotonic time. So while the clock is not
trusted such advice counts nothing, and whenever the clock is set its end moves with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cext.rows import NEVER_NS, Advice
from controller.clock import WallClock

if TYPE_CHECKING:
    from controller.document.devices import Charger

JUMP_NS = 1_000_000_000  # a clock that is off by less was not set


class DocumentAdvice:
    """What the document advises, kept up to date in the kernel; a look each second is enough."""

    def __init__(
        self,
        chargers: Sequence[Charger],
        advise: Callable[[str, Advice], None],
        wall: WallClock,
        before: DocumentAdvice | None = None,
    ) -> None:
        """`before`: that of the document before, whose advice ends where there is none now."""
        self._advised = {each.id: each.advice for each in chargers if each.advice is not None}
        self._advise = advise
        self._wall = wall
        told: dict[str, Advice] = {} if before is None else before.told
        here = {each.id for each in chargers}
        self.told: dict[str, Advice] = {id_: advice for id_, advice in told.items() if id_ in here}

    def look(self, now_ns: int) -> None:
        """Tells the kernel what is not as it was told before."""
        trusted = self._wall.trusted()
        utc_ns = self._wall.utc_ns()
        for id_ in self._advised.keys() | self.told.keys():
            stated = self._advised.get(id_)
            if stated is None or not trusted or stated.until_ns <= utc_ns:
                if self.told.pop(id_, None) is not None:
                    self._advise(id_, Advice())
                continue
            until_ns = min(now_ns + stated.until_ns - utc_ns, NEVER_NS)
            advice, told = stated._replace(until_ns=until_ns), self.told.get(id_)
            same = told is not None and told._replace(until_ns=until_ns) == advice
            if not same or told is None or abs(told.until_ns - until_ns) > JUMP_NS:
                self.told[id_] = advice
                self._advise(id_, advice)
