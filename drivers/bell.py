"""When a driver's loop goes round: on absolute instants, and when something calls it."""

import asyncio
from zlib import crc32

from controller.units import NS_PER_S

LATE_S = 1.0  # what a busy machine may add
EARLY_S = 1e-6  # a timer may fire early by the clock's resolution


class Bell:
    """Rings at once, then a period apart without drift, and whenever it is rung by hand.

    Instants that were missed are skipped, never made up. Bells of other names ring at other
    moments of the period, so that many devices do not ask all at once. Without a period it rings
    at once, and when it is rung.
    """

    def __init__(self, name: str, period_s: float | None) -> None:
        self._period_s = period_s
        self.longest_ns = None if period_s is None else round((period_s + LATE_S) * NS_PER_S)
        """How long somebody may wait for it; None where it has no period."""
        self._phase_s = crc32(name.encode()) / 2**32 * (period_s or 0.0)
        self._rung = True
        self._waiter: asyncio.Future[None] | None = None  # an Event would keep room for many
        self._next_s: float | None = None

    def ring(self) -> None:
        self._rung = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Returns when it rings, or has rung since the last time. For one at a time."""
        loop, period_s = asyncio.get_running_loop(), self._period_s
        if period_s is not None and self._next_s is None:
            self._next_s = loop.time() // period_s * period_s + self._phase_s
        if not self._rung:
            timer = None if self._next_s is None else loop.call_at(self._next_s, self.ring)
            self._waiter = loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
        if period_s is not None and self._next_s is not None:
            late = (loop.time() - self._next_s + EARLY_S) // period_s
            self._next_s += max(late + 1, 0) * period_s
        self._rung = False
