"""Faults as parts: each begins, lasts, and ends, whatever it breaks."""

from typing import Protocol


class Fault(Protocol):
    """Something that can be broken and mended; both may be asked for twice."""

    async def begin(self) -> None: ...
    async def end(self) -> None: ...
