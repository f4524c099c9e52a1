"""A thread that dies of an exception ends the process like any other broken invariant."""

from __future__ import annotations

import asyncio
import threading


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
