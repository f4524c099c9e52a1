"""Many kernels tick as fast as their threads may, on inputs that never rest; what they allocate is
counted by a library that was loaded before (hil/figures/count_allocations.c).

`python -m hil.figures.ticking TICKS`: one JSON object.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from itertools import count

from cext.rows import Vehicle
from cext.thread import KernelThread
from cext.tick import Kernel
from controller.commands.bench import make_kernel

PERIOD_NS = 5_000_000
SIZES = (10,) * 38 + (100,) * 2  # chargers of each kernel
FEED_S = 0.05
FOUND_MA = 16_000  # in force in each charger at first
WITHIN_S = 300.0


def main() -> None:
    ticks = int(sys.argv[1])
    counter = _counter()
    kernels = [make_kernel(size) for size in SIZES]
    threads = [KernelThread(kernel, PERIOD_NS) for kernel in kernels]
    for thread in threads:
        thread.start()
    before, marks = _seen(counter, kernels), [kernel.ticks for kernel in kernels]
    began_s = time.monotonic()
    for turn in count():
        for kernel, size in zip(kernels, SIZES, strict=True):
            _feed(kernel, size, turn)
        time.sleep(FEED_S)
        if _ticks(kernels) - before["ticks"] >= ticks:
            break
        if time.monotonic() - began_s > WITHIN_S:
            raise TimeoutError(f"{ticks} ticks take longer than {WITHIN_S:g} s")
    after = _seen(counter, kernels)
    for thread in threads:
        thread.stop()
    answer = {name: after[name] - before[name] for name in after}
    answer["threads"] = counter.counted_threads()
    answer["reordered"] = sum(
        kernel.output(charger).changed_tick > mark
        for kernel, size, mark in zip(kernels, SIZES, marks, strict=True)
        for charger in range(size)
    )
    sys.stdout.write(json.dumps(answer) + "\n")


def _counter() -> ctypes.CDLL:
    """The library that was loaded before all others. AttributeError: it was not."""
    library = ctypes.CDLL(None)
    for name in ("counted_threads", "counted_calls", "counted_bytes"):
        getattr(library, name).restype = ctypes.c_longlong
    return library


def _seen(counter: ctypes.CDLL, kernels: list[Kernel]) -> dict[str, int]:
    return {
        "ticks": _ticks(kernels),
        "calls": counter.counted_calls(),
        "bytes": counter.counted_bytes(),
    }


def _ticks(kernels: list[Kernel]) -> int:
    return sum(kernel.ticks for kernel in kernels)


def _feed(kernel: Kernel, size: int, turn: int) -> None:
    """A load that wanders from below the cap to above it, a limit that comes and goes, a meter that
    is doubted at times, chargers that do as told or answer nothing for a while."""
    now_ns = time.monotonic_ns()
    load_ma = size * (8_000 + turn % 11 * 500)
    kernel.post_reading(0, now_ns, (load_ma, load_ma - 500, load_ma - 900))
    kernel.distrust(0, turn % 67 > 60)
    if turn % 20 == 0:
        limit_ma = None if turn % 40 else (size * 7_000,) * 3
        kernel.set_limit(0, limit_ma, now_ns + 700_000_000, now_ns + 900_000_000)
    for charger in range(size):
        if (turn // 30 + charger) % 7 == 0:
            continue
        output = kernel.output(charger)
        set_ma = FOUND_MA if output.setpoint_ma is None else output.setpoint_ma
        draws_ma = set_ma if set_ma >= 6_000 else 0
        vehicle = Vehicle.B if (turn // 50 + charger) % 13 == 0 else Vehicle.C
        current_ma = (draws_ma, draws_ma, draws_ma) if vehicle is Vehicle.C else (0, 0, 0)
        kernel.post_report(charger, now_ns, set_ma, current_ma, vehicle, output.changed_tick)


if __name__ == "__main__":
    main()
