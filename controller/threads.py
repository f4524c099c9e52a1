"""Exceptions that nobody waits for: of threads, and of the loop's own callbacks.

A thread that dies of one ends the process like any other broken invariant.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

log: FilteringBoundLogger = structlog.get_logger()


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
