"""What commands talk to, in a thread beside them: they run a loop of their own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from tests.patience import WITHIN_S

There = TypeVar("There")


@contextmanager
def aside(opened: AbstractAsyncContextManager[There]) -> Iterator[There]:
    """Opens it there, yields what it gives, and closes it when left."""
    ready, over = threading.Event(), threading.Event()
    there: list[There] = []

    async def whole() -> None:
        async with opened as given:
            there.append(given)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(whole(),))
    thread.start()
    try:
        assert ready.wait(WITHIN_S)
        yield there[0]
    finally:
        over.set()
        thread.join()
