"""Real time, as far as it is granted: what the enforcer asks for, and what it got, in words.

Only the kernel's thread is real time (SCHED_FIFO), never the process: a driver or a library that
computes for long must not hold up the machine. What bounds the kernel's thread itself, should it
ever fail to pause:

- it may compute for half a second without a pause, then the system ends the process (SIGXCPU:
  RLIMIT_RTTIME, `LimitRTTIME=` of the unit; set here where nobody has);
- meanwhile the system leaves 5 % of each second to everybody else (kernel.sched_rt_runtime_us);
- a tick that does not end completes no turn: within the dead-man time nothing feeds the service
  manager's watchdog, the health relay or the chargers any more.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cext.realtime import lock_process
from cext.rows import Granted

STACK_BYTES = 256 * 1024
"""Of each thread. The system's own 8 MB would count in full where memory is locked."""

RTTIME_US = 500_000

_CAP_SYS_NICE = 23
_M_ARENA_MAX = -8  # mallopt(3)


class Ticker(Protocol):
    """Ticks the kernel in real time: cext.thread.KernelThread."""

    @property
    def changed_fd(self) -> int: ...
    @property
    def ticked_fd(self) -> int: ...
    @property
    def granted(self) -> Granted | None: ...
    @property
    def worst_late_ns(self) -> int: ...
    def start(self) -> None: ...
    def stop(self) -> None:
        """May be called twice, and before start."""


@dataclass(frozen=True, slots=True)
class RealTime:
    """What the kernel's thread has, and where that is not all, why and what would grant it."""

    full: bool
    scheduling: str
    memory: str


def prepare() -> None:
    """What the whole process needs. Before any thread is made."""
    threading.stack_size(STACK_BYTES)
    soft, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
    if soft == resource.RLIM_INFINITY:
        most_us = RTTIME_US if hard == resource.RLIM_INFINITY else min(RTTIME_US, hard)
        with suppress(OSError):  # a unit that forbids this has its own LimitRTTIME=
            resource.setrlimit(resource.RLIMIT_RTTIME, (most_us, hard))
    _share_one_heap()
    lock_process()


def _share_one_heap() -> None:
    """glibc would begin another heap for each thread that asks for memory while others do, and keep
    what is free in each from all others: half a megabyte, for threads that mostly wait."""
    with suppress(AttributeError):  # another C library has nothing of the kind
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def in_words(granted: Granted | None) -> RealTime:
    if granted is None:
        return RealTime(False, "not known: the kernel's thread has not begun", "not known")
    return RealTime(
        full=granted.priority > 0 and granted.all_locked,
        scheduling=_scheduling(granted),
        memory=_memory(granted),
    )


def _scheduling(granted: Granted) -> str:
    if granted.priority:
        return f"SCHED_FIFO {granted.priority}"
    why = os.strerror(granted.fifo_errno)
    if granted.fifo_errno != errno.EPERM:
        return f"not real time: {why}"
    if not _holds(_CAP_SYS_NICE):
        return "not real time: not permitted; AmbientCapabilities=CAP_SYS_NICE would grant it"
    return (
        "not real time: refused although CAP_SYS_NICE is held; look for RestrictRealtime=yes or a "
        "SystemCallFilter= in the unit, and for a control group without cpu.rt_runtime_us"
    )


def _memory(granted: Granted) -> str:
    if granted.all_locked:
        return "all locked, as it is touched"
    own_kb = -(-granted.own_bytes // 1024)
    remedy = "AmbientCapabilities=CAP_IPC_LOCK or LimitMEMLOCK=infinity would lock all"
    if granted.lock_errno == 0:
        return f"the kernel's own {own_kb} kB locked and nothing else; {remedy}"
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if granted.lock_errno == errno.ENOMEM or soft == 0:
        limit = f"the limit of {soft // 1024} kB leaves no room for the kernel's own {own_kb} kB"
        return f"not locked: {limit}; {remedy}"
    return (
        f"not locked: {os.strerror(granted.lock_errno)}, although no limit forbids it; look for a "
        "SystemCallFilter= in the unit that leaves out @memlock"
    )


def _holds(capability: int) -> bool:
    """Whether this process holds it in effect; doubt says no."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> capability & 1)
    return False
