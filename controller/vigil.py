"""Watches over the turns: begins them, tells the service manager, and says when none completes.

Nothing here makes the depot safe. Where turns do not complete, nothing is fed and orders expire,
whoever notices; a systemd that watches starts the process anew after its `WatchdogSec`. To give
up is only for those who have none: a process that ends can be started again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog

from controller.notify import Notifier
from controller.threads import Signal
from controller.units import NS_PER_S, seconds_text

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from cext.tick import Kernel
    from controller.image import Clock
    from controller.realtime import Ticker
    from controller.turn import Turn

Inspect = Callable[[], Awaitable[tuple[int, int]]]
GIVE_UP_NS = 30 * NS_PER_S  # nothing is fed meanwhile: there is no hurry
NAMED = 5  # of those who keep a turn from being complete

log: FilteringBoundLogger = structlog.get_logger()


class Vigil:
    """From the start of the enforcer to its end."""

    def __init__(self, turn: Turn, clock: Clock, notifier: Notifier, dead_man_ns: int) -> None:
        self._turn = turn
        self._clock = clock
        self._notifier = notifier
        self._dead_man_ns = dead_man_ns
        self._began_ns = clock.now_ns()
        self._well = False  # as told last
        self._missed = 0
        turn.fed(self._completed)

    async def run(self, kernel: Kernel, ticker: Ticker, inspect: Inspect) -> None:
        """Until cancelled. Each decision of the kernel's thread may begin a turn, when the guard
        has seen it: `inspect` shows it what was decided, and returns tick and instant of that."""
        with Signal(ticker.ticked_fd) as ticked:
            while True:
                await ticked.wait()
                if self._turn.may_begin(kernel.now_ns):
                    self._turn.decided(*await inspect())

    def look(self, kernel: Kernel) -> str | None:
        """Each second. Says what is wrong when it is time to give up."""
        now_ns = self._clock.now_ns()
        last_ns = self._turn.last_ns()
        late_ns = now_ns - (self._began_ns if last_ns is None else last_ns)
        # Twice: after the whole process was held, the first turn may come after the first look.
        self._missed = self._missed + 1 if late_ns > self._dead_man_ns else 0
        if self._missed < 2:
            return None
        why = self._why(now_ns - kernel.now_ns)
        if self._well:
            self._well = False
            log.error("turns do not complete: nothing is fed", why=why)
            self._notifier.status(f"turns do not complete: {why}")
        if late_ns > GIVE_UP_NS:
            return f"no completed turn for {seconds_text(late_ns)} s: {why}"
        return None

    def _completed(self) -> None:
        if not self._well:
            self._well = True
            log.info("turns complete", tick=self._turn.tick)
            self._notifier.ready()
            self._notifier.status("in control")
        self._notifier.feed()

    def _why(self, tick_age_ns: int) -> str:
        if tick_age_ns > self._dead_man_ns:
            return f"the kernel's thread has not ticked for {seconds_text(tick_age_ns)} s"
        missing = self._turn.missing()
        if not missing:
            return "decisions do not reach the workers"
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        return f"{', '.join(missing[:NAMED])}{more} took no decision"
