"""A contact on one of the gateway's pins, believed only while it is still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from controller.units import NS_PER_S
from drivers.device import PinError

AFTER_S = 0.002  # a look that comes a little early is one in vain


class InputPin(Protocol):
    """See drivers.pins.InputPin."""

    def high(self) -> bool: ...
    def on_edge(self, wake: Callable[[], None]) -> None: ...
    def close(self) -> None: ...


class Contact:
    """Its level, once two looks `debounce_ns` apart saw the same, and no edge was between them."""

    def __init__(self, pin: InputPin, debounce_ns: int) -> None:
        self._pin = pin
        self._debounce_ns = debounce_ns
        self._seen: bool | None = None
        self._since_ns = 0
        self._moved = False
        self._again: asyncio.TimerHandle | None = None

    def watch(self, ring: Callable[[], None]) -> str | None:
        """`ring` asks for a look: at an edge, and when the contact can be believed again.

        Returns what is wrong where a pin factory tells no edges: then it is only looked at.
        """
        loop = asyncio.get_running_loop()
        wait_s = self._debounce_ns / NS_PER_S + AFTER_S

        def edge() -> None:
            self._moved = True
            if self._again is not None:
                self._again.cancel()
            self._again = loop.call_later(wait_s, ring)
            ring()

        try:
            self._pin.on_edge(edge)
        except PinError as error:
            return str(error)
        return None

    def look(self, now_ns: int) -> bool | None:
        """Whether the pin is high; None while that is in doubt. Raises PinError."""
        try:
            high = self._pin.high()
        except PinError:
            self._seen = None
            raise
        if self._moved or high != self._seen:
            self._moved, self._seen, self._since_ns = False, high, now_ns
        return high if now_ns - self._since_ns >= self._debounce_ns else None

    def close(self) -> None:
        if self._again is not None:
            self._again.cancel()
        self._pin.close()
