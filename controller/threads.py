"""Other threads, as the loop sees them: their signals, and exceptions that nobody waits for.

A thread that dies of one ends the process like any other broken invariant.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import structlog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

log: FilteringBoundLogger = structlog.get_logger()


def name_this_thread(name: str) -> None:
    """As ps and top show it; at most 15 letters. Nothing depends on it."""
    with suppress(OSError):
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name)


async def first_death() -> None:
    """Waits until any thread of the process ends with an exception, and raises it here."""
    loop = asyncio.get_running_loop()
    death: asyncio.Future[None] = loop.create_future()

    def mourn(error: BaseException) -> None:
        if not death.done():
            death.set_exception(error)

    def hook(args: threading.ExceptHookArgs) -> None:
        error = args.exc_value or args.exc_type()
        loop.call_soon_threadsafe(mourn, error)

    before = threading.excepthook
    threading.excepthook = hook
    try:
        await death
    finally:
        threading.excepthook = before


def log_what_nobody_awaits(loop: asyncio.AbstractEventLoop) -> None:
    """What asyncio would write to standard error becomes a log line like all others."""

    def handle(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        log.error(
            "exception in the loop", why=context["message"], exc_info=context.get("exception")
        )

    loop.set_exception_handler(handle)


class Signal:
    """`with Signal(eventfd)`: what a thread without the GIL tells, to be awaited."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._told = asyncio.Event()

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._fd, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)

    async def wait(self) -> None:
        """Returns when it was told anything since the last time."""
        await self._told.wait()
        self._told.clear()

    def _take(self) -> None:
        os.eventfd_read(self._fd)  # here and not later: the loop would call again meanwhile
        self._told.set()
