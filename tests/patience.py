"""Waiting for what other threads and processes do, no longer than needed."""

import asyncio
import time
from collections.abc import Callable

WITHIN_S = 10.0
LOOK_EVERY_S = 0.005


class SlowClock:
    """Monotonic, at a twentieth of real time: a machine that stalls lets no watchdog run out."""

    def now_ns(self) -> int:
        return time.monotonic_ns() // 20


def wait_for(condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Returns when it is true. Raises TimeoutError."""
    ends_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > ends_s:
            raise TimeoutError("did not come about")
        time.sleep(LOOK_EVERY_S)


async def until(condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """As wait_for, beside the loop's other tasks."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # what others do has no event
            await asyncio.sleep(LOOK_EVERY_S)
