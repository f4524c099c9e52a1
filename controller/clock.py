"""Clocks: the monotonic one that control runs on, and the wall's, with whether to trust it."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Protocol

TIMESYNC_FLAG = Path("/run/systemd/timesync/synchronized")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
EARLIEST_UTC_NS = 1_767_225_600 * 10**9  # 2026-01-01: no correct clock shows less
_TIMEX_BYTES = 512  # struct timex is 208 bytes on 64-bit Linux
_TIME_ERROR = 5  # adjtimex(2): "the system clock is not synchronized"


class WallClock(Protocol):
    """The time of day; a gateway without a battery clock may be years off."""

    def utc_ns(self) -> int: ...
    def trusted(self) -> bool: ...


class MonotonicClock:
    """CLOCK_MONOTONIC: never jumps, starts anew with every boot."""

    def now_ns(self) -> int:
        return time.monotonic_ns()


class SystemWallClock:
    """The system's clock, trusted while the kernel or systemd says that it is synchronised."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def utc_ns(self) -> int:
        return time.time_ns()

    def trusted(self) -> bool:
        return self.utc_ns() >= EARLIEST_UTC_NS and (self._disciplined() or TIMESYNC_FLAG.exists())

    def _disciplined(self) -> bool:
        nothing_to_set = ctypes.create_string_buffer(_TIMEX_BYTES)
        state = int(self._libc.adjtimex(nothing_to_set))
        return 0 <= state < _TIME_ERROR  # -1: a sandbox forbids the question


def boot_id() -> str:
    """Names this run of the machine; another one means that monotonic times are void."""
    return BOOT_ID.read_text().strip()
