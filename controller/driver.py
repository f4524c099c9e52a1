"""What the enforcer needs of a driver; drivers fit this by their shape."""

from __future__ import annotations

from typing import Protocol


class Health(Protocol):
    """How a device answers; `since_ns` is monotonic, 0 from the start."""

    @property
    def id(self) -> str: ...
    @property
    def online(self) -> bool: ...
    @property
    def error(self) -> str | None: ...
    @property
    def since_ns(self) -> int: ...


class Driver(Protocol):
    """Drives one device by itself, until cancelled. It never ends and never raises."""

    @property
    def id(self) -> str: ...
    async def run(self) -> None: ...
    def health(self) -> Health: ...
