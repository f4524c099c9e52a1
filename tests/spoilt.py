"""Spoils each word of a kernel's state, one at a time, and has it read back and worked on.

`python -m tests.spoilt OFFSET STEP`: every STEP-th word from OFFSET on. A process of its own, for
what must not happen here is a crash, or a tick that never ends. The word that is tried stands in
the last line of what it says; tests/test_spoilt.py reads that.
"""

import struct
import sys
from contextlib import suppress
from typing import NamedTuple

from cext.rows import (
    Advice,
    CircuitRow,
    ContactorRow,
    CurveRow,
    Kind,
    Pause,
    SlotRow,
    SourceRow,
    Tuning,
    Vehicle,
)
from cext.snapshot import restore, snapshot
from cext.tick import Kernel
from controller.commands.output import say
from tests.plainrow import PLAIN, S

CURVE = CurveRow(80_000, 600 * S, ((120_000, 100 * S), (240_000, 10 * S)))
CIRCUITS = [
    CircuitRow(
        -1,
        (80_000,) * 3,
        (20_000,) * 3,
        busbar_ma=(60_000,) * 3,
        sum_ma=180_000,
        imbalance_ma=10_000,
        curve=CURVE,
    ),
    CircuitRow(0, (30_000,) * 3, (0,) * 3),
]
SOURCES = [SourceRow(0, 100, S // 2, 2 * S, S), SourceRow(1, 100, 0, 2 * S, S, unsigned=True)]
CHARGERS = [
    PLAIN._replace(may_pause=Pause.NEVER),
    PLAIN._replace(
        circuit=1, phases=(1, -1, -1), class_rank=1, class_wait_ns=60 * S, power_on_ma=6000
    ),
    PLAIN._replace(circuit=1, write_gap_ns=5 * S, metered=False, power_on_ma=6000),
    PLAIN._replace(min_on_ns=60 * S, min_off_ns=60 * S, weight=3),
]
SLOTS = [SlotRow(0, Kind.GRID, (30_000,) * 3, 60 * S)]
CONTACTORS = [ContactorRow((1,), False, True, S), ContactorRow((1, 2), True, False, S)]
TUNING = Tuning(2 * S, 15 * S, 4000, 10 * S, 60 * S)
VALUES = (0, 1, -1, 7, 1000, 2**31 - 1, -(2**31))


class Tried(NamedTuple):
    words: int
    refused: int


def depot() -> Kernel:
    return Kernel(CIRCUITS, SOURCES, CHARGERS, SLOTS, TUNING, CONTACTORS)


def live(kernel: Kernel, since: int, seconds: int) -> None:
    """Now there is room for all, now there is not: each room has something to do."""
    for second in range(since, since + seconds):
        now_ns = second * S
        orders = [order or 0 for order in kernel.setpoints()]
        base_ma = 60_000 if second % 100 > 80 else 5_000 + 100 * (second % 7)
        below_ma = orders[1] + orders[2] + 500
        kernel.post_reading(1, now_ns, (below_ma, below_ma, below_ma))
        total_ma = base_ma + sum(orders)
        kernel.post_reading(0, now_ns, (total_ma, total_ma, base_ma))
        for charger, order_ma in enumerate(orders):
            drawn_ma = (order_ma, order_ma, 0 if charger else order_ma)
            kernel.post_report(charger, now_ns, order_ma, drawn_ma, Vehicle.C, kernel.ticks)
        kernel.post_contactor(0, now_ns, kernel.contactor(0).closed)
        if second % 20 == 0:
            kernel.set_limit(0, (60_000,) * 3, now_ns + 15 * S, now_ns + 15 * S)
            kernel.advise(3, Advice(5, 8000, 20_000, now_ns + 30 * S))
        kernel.tick(now_ns)


def look(kernel: Kernel) -> None:
    """All that is made of a state for others."""
    for charger in range(len(CHARGERS)):
        kernel.charger(charger)
        kernel.output(charger)
    for circuit in range(len(CIRCUITS)):
        kernel.circuit(circuit)
        kernel.heat(circuit)
    for contactor in range(len(CONTACTORS)):
        kernel.contactor(contactor)
    for source in range(len(SOURCES)):
        kernel.source(source)
    for slot in range(len(SLOTS)):
        kernel.slot(slot)
    kernel.setpoints()
    kernel.drain()


def spoil(state: bytes, at: int, value: int, since: int) -> bool:
    """Whether the state is refused with that word in it; else it is worked on."""
    spoilt = bytearray(state)
    struct.pack_into("<i", spoilt, at, value)
    kernel = depot()
    try:
        restore(kernel, bytes(spoilt))
    except ValueError:
        return True
    look(kernel)
    with suppress(ValueError):  # time may run backwards now
        live(kernel, since, 3)
    look(kernel)
    return False


def main(first: int, step: int) -> Tried:
    kernel = depot()
    live(kernel, 1, 150)
    state = snapshot(kernel).state
    words = refused = 0
    for word in range(first, len(state) // 4, step):
        say(str(word))
        sys.stdout.flush()
        words += 1
        outcomes = [spoil(state, word * 4, value, 151) for value in VALUES]
        refused += any(outcomes)
    return Tried(words, refused)


if __name__ == "__main__":
    found = main(int(sys.argv[1]), int(sys.argv[2]))
    say(f"{found.words} words, {found.refused} refused with some value")
