"""What follows when kernel and guard disagree: an event, a frozen black box, at last the latch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from controller.document.quantities import GRID_PHASES
from controller.events import Events
from controller.guard.guard import Dispute, Verdict
from controller.latch import Latch
from controller.units import NS_PER_S

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from controller.tables import Tables

IN_A_ROW = 3  # disputed decisions
APART_NS = NS_PER_S  # of two that count: the veto holds meanwhile
STANDS_NS = 5 * NS_PER_S  # one that is disputed for so long counts once more
EPISODES = 3
WITHIN_NS = 600 * NS_PER_S
NAMED = 5  # disputes of one decision in one line
CAUSE = "guard_disputes"

log: FilteringBoundLogger = structlog.get_logger()


class Disputes:
    """Counts them from the start of the process: another document does not begin anew.

    The kernel does not know of a veto, and keeps its order: that stays one decision, as long as
    nothing else in it is disputed.
    """

    def __init__(self, latch: Latch, events: Events, freeze: Callable[[str], None]) -> None:
        """`freeze`: keeps what led to this, with the reason."""
        self._latch = latch
        self._events = events
        self._freeze = freeze
        self._circuits: Sequence[str] = ()
        self._chargers: Sequence[str] = ()
        self._row = 0
        self._counted_ns = 0  # the last one of the row
        self._known: set[tuple[str, int, int, int]] = set()  # what was disputed in the row so far
        self._began: deque[int] = deque(maxlen=EPISODES)  # the latest episodes
        self._learns = False

    def name(self, tables: Tables) -> None:
        """Of which document the indexes are."""
        self._circuits, self._chargers = list(tables.circuit_index), list(tables.charger_index)

    @property
    def disputed(self) -> bool:
        """Whether the last decision was."""
        return self._row > 0

    def judged(self, verdict: Verdict) -> None:
        if verdict.learns != self._learns:
            self._learns = verdict.learns
            if verdict.learns:
                log.error("the guard missed records: nothing rises until it knows the depot again")
                self._events.happened("guard_blind", "", "records of the kernel were lost")
            else:
                log.info("the guard sees again")
        if not verdict.disputes:
            self._row = 0
            self._known.clear()
            return
        if not self._counts(verdict):
            return
        words = "; ".join(map(self._words, verdict.disputes[:NAMED]))
        first = verdict.disputes[0]
        if self._row == 1:
            self._began.append(verdict.now_ns)
            why = f"tick {verdict.tick}: {words}"
            log.error("the guard disputes a decision: nothing rises", tick=verdict.tick, why=words)
            self._events.happened_again(CAUSE, self._subject(first), why)
            self._freeze(why)
        if self._row >= IN_A_ROW:
            self._latch.close(CAUSE, f"{IN_A_ROW} disputed decisions in a row, the last: {words}")
        elif len(self._began) == EPISODES and verdict.now_ns - self._began[0] < WITHIN_NS:
            self._latch.close(CAUSE, f"disputed {EPISODES} times in 10 minutes, the last: {words}")

    def _counts(self, verdict: Verdict) -> bool:
        """Whether this is another decision of the row, or its first."""
        wrong = {
            (each.rule, each.charger, each.circuit, each.ordered_ma) for each in verdict.disputes
        }
        since_ns = verdict.now_ns - self._counted_ns
        if self._row and since_ns < (STANDS_NS if wrong <= self._known else APART_NS):
            return False
        self._row += 1
        self._counted_ns = verdict.now_ns
        self._known |= wrong
        return True

    def _words(self, dispute: Dispute) -> str:
        place = self._circuits[dispute.circuit] if dispute.circuit >= 0 else ""
        phase = GRID_PHASES[dispute.phase] if dispute.phase >= 0 else ""
        who = self._chargers[dispute.charger] if dispute.charger >= 0 else ""
        where = " ".join(each for each in (who, place, phase) if each)
        return f"{dispute.rule} ({where}): {dispute.why}" if where else dispute.why

    def _subject(self, dispute: Dispute) -> str:
        if dispute.charger >= 0:
            return self._chargers[dispute.charger]
        return self._circuits[dispute.circuit] if dispute.circuit >= 0 else ""
