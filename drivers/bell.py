"""When a driver's loop goes round: on absolute instants, and when something calls it."""

import asyncio
from zlib import crc32

EARLY_S = 1e-6  # a timer may fire early by the clock's resolution


class Bell:
    """Rings at once, then a period apart without drift, and whenever it is rung by hand.

    Instants that were missed are skipped, never made up. Bells of other names ring at other
    moments of the period, so that many devices do not ask all at once.
    """

    def __init__(self, name: str, period_s: float) -> None:
        self._period_s = period_s
        self._phase_s = crc32(name.encode()) / 2**32 * period_s
        self._rung = asyncio.Event()
        self._rung.set()
        self._next_s: float | None = None

    def ring(self) -> None:
        self._rung.set()

    async def wait(self) -> None:
        """Returns when it rings, or has rung since the last time."""
        loop = asyncio.get_running_loop()
        if self._next_s is None:
            self._next_s = loop.time() // self._period_s * self._period_s + self._phase_s
        timer = loop.call_at(self._next_s, self._rung.set)
        try:
            await self._rung.wait()
        finally:
            timer.cancel()
        self._rung.clear()
        late = (loop.time() - self._next_s + EARLY_S) // self._period_s
        self._next_s += max(late + 1, 0) * self._period_s
