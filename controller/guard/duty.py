"""The guard on duty: in the loop in which orders go out, and never in their way.

What falls goes out first. Then the kernel's journal is drained and heard in pieces of a millisecond
or two, between which everybody else has his turn; then what rose and passed goes out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from controller.guard.gate import Gate
from controller.tap import Tap

LEAD_S = 0.003  # of what fell, before the guard begins
PIECE_S = 0.001  # then it lets the others go first


class Duty:
    """Of one document."""

    def __init__(self, tap: Tap, gate: Gate, announce: Callable[[], bool]) -> None:
        """`announce` wakes the drivers whose orders changed; whether any did."""
        self._tap = tap
        self._gate = gate
        self._announce = announce
        self._busy = asyncio.Lock()
        self._leads_until_s = 0.0
        self._changed = asyncio.Event()

    def orders_changed(self) -> None:
        """What fell goes out now; what rose when the guard has seen it."""
        if self._announce():
            self._leads_until_s = asyncio.get_running_loop().time() + LEAD_S
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled: looks at what changed."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.look()

    async def look(self) -> tuple[int, int]:
        """Returns the newest decision that the guard has seen, and its instant."""
        loop = asyncio.get_running_loop()
        if (left_s := self._leads_until_s - loop.time()) > 0:
            await asyncio.sleep(left_s)
        async with self._busy:
            self._tap.drain()
            began_s = loop.time()
            while self._gate.step():
                if loop.time() - began_s >= PIECE_S:
                    await asyncio.sleep(0)
                    began_s = loop.time()
            self._announce()
            return self._gate.tick, self._gate.at_ns
