"""From the broker's thread to the link's loop: bounded, and never waiting."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Generic, TypeVar

PENDING = 256

State = TypeVar("State")
Item = TypeVar("Item")


class Inbox(Generic[State, Item]):
    """The newest state, and up to 256 items in order. A state goes before items."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._lock = threading.Lock()
        self._state: State | None = None
        self._items: deque[tuple[str | None, Item]] = deque()
        self._dropped = 0

    def tell(self, state: State) -> None:
        """From any thread: replaces a state that was not taken yet."""
        with self._lock:
            self._state = state
        self._loop.call_soon_threadsafe(self._ready.set)

    def put(self, item: Item, kind: str | None = None) -> None:
        """From any thread: dropped and counted when 256 wait already.

        Of a `kind` only the newest one waits.
        """
        with self._lock:
            if kind is not None:
                self._items = deque(each for each in self._items if each[0] != kind)
            if len(self._items) >= PENDING:
                self._dropped += 1
                return
            self._items.append((kind, item))
            wakes = len(self._items) == 1
        if wakes:
            self._loop.call_soon_threadsafe(self._ready.set)

    def dropped(self) -> int:
        """How many items were dropped since the last call."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        return dropped

    async def get(self) -> State | Item:
        while True:
            with self._lock:
                if self._state is not None:
                    state, self._state = self._state, None
                    return state
                if self._items:
                    return self._items.popleft()[1]
                self._ready.clear()
            await self._ready.wait()
