"""How late a thread wakes while others keep the interpreter busy: the kernel's own, and one that
sleeps in Python. Both want to wake 100 times a second, at absolute instants.

A wake-up is late by the time from its instant to when the work begins. Instants that pass meanwhile
are left out, by both.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from cext.rows import Granted
from cext.thread import KernelThread
from cext.tick import Kernel
from controller.units import NS_PER_S

PERIOD_NS = 10_000_000
WAKES = 100  # of each, in a block
BLOCKS = 15  # of each, in turn
BURNERS = 2
_BLOCK_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Wakes:
    """How late, block by block, and what the kernel's thread was granted."""

    kernel_ns: Sequence[Sequence[int]]
    sleep_ns: Sequence[Sequence[int]]
    granted: Granted | None

    @property
    def p99_ns(self) -> int:
        """Of all wake-ups of the kernel's thread."""
        return p99([late for block in self.kernel_ns for late in block])

    @property
    def times_better(self) -> float:
        """Than sleep, by p99: the median over pairs of blocks, so that a busy machine cannot bend
        it."""
        pairs = zip(self.sleep_ns, self.kernel_ns, strict=True)
        return median(p99(slept) / p99(ticked) for slept, ticked in pairs)


def measure(kernel: Kernel) -> Wakes:
    """Takes about a minute."""
    ticked, slept, granted = [], [], None
    with _burning():
        for _ in range(BLOCKS):
            late_ns, granted = _ticked(kernel)
            ticked.append(late_ns)
            slept.append(_slept())
    return Wakes(ticked, slept, granted)


def p99(values: Sequence[int]) -> int:
    """The least that 99 of 100 do not exceed."""
    return sorted(values)[-(len(values) // 100) - 1]


def _ticked(kernel: Kernel) -> tuple[list[int], Granted | None]:
    thread = KernelThread(kernel, PERIOD_NS)
    thread.start()
    try:
        ends_s = time.monotonic() + _BLOCK_WITHIN_S
        while len(thread.late_ns()) < WAKES and time.monotonic() < ends_s:
            time.sleep(PERIOD_NS / NS_PER_S)
        granted = thread.granted
    finally:
        thread.stop()
    late_ns = thread.late_ns()[:WAKES]
    if len(late_ns) < WAKES:
        raise RuntimeError(f"the kernel's thread ticked {len(late_ns)} times in a minute")
    return late_ns, granted


def _slept() -> list[int]:
    late_ns: list[int] = []
    due_ns = time.monotonic_ns() + PERIOD_NS
    while len(late_ns) < WAKES:
        time.sleep(max(0, due_ns - time.monotonic_ns()) / NS_PER_S)
        late_ns.append(time.monotonic_ns() - due_ns)
        due_ns += PERIOD_NS * (1 + late_ns[-1] // PERIOD_NS)
    return late_ns


@contextmanager
def _burning() -> Iterator[None]:
    """Threads that want the interpreter all the time."""
    enough = threading.Event()

    def burn() -> None:
        while not enough.is_set():
            sum(range(20_000))

    burners = [threading.Thread(target=burn, name=f"burner {i}") for i in range(BURNERS)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        enough.set()
        for burner in burners:
            burner.join()
