"""The kernel's journal, taken once and handed to all who follow it: the guard, the black box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from controller.journal import decode
from controller.records import Record

if TYPE_CHECKING:
    from cext.tick import Kernel

TakeRecords = Callable[[Sequence[Record]], None]
TakeBytes = Callable[[bytes], None]


class Tap:
    """Of one kernel. Used from the I/O thread only; nobody else may drain that kernel.

    Whoever needs what was decided just now calls `drain()`; every follower hears of it then, in
    the order in which they began to follow, and misses nothing.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._records: list[TakeRecords] = []
        self._bytes: list[TakeBytes] = []

    def follow(self, take: TakeRecords) -> None:
        """Each batch of records, as soon as it is taken."""
        self._records.append(take)

    def follow_bytes(self, take: TakeBytes) -> None:
        """The same batches as they are, for `controller.journal.decode`."""
        self._bytes.append(take)

    def drain(self) -> None:
        """Takes what there is. A JournalError here is a broken invariant."""
        self.hand_on(self._kernel.drain())

    def hand_on(self, journal: bytes) -> None:
        """What came another way: with a snapshot."""
        if not journal:
            return
        for take_bytes in self._bytes:
            take_bytes(journal)
        if self._records:
            records = list(decode(journal))
            for take in self._records:
                take(records)
