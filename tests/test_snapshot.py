"""A kernel's state taken and put back: from there on everything is the same, bit for bit."""

import random
import struct
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.rows import NEVER_NS, CircuitRow, CurveRow, Heat, Phases, Tuning, Vehicle
from cext.snapshot import Snapshot, restore, snapshot
from cext.thread import KernelThread
from cext.tick import Kernel
from controller.blackbox.feeding import feed
from controller.journal import decode
from controller.records import Lost, Record, Tick
from controller.tables import Tables
from tests.depots import Depot, document
from tests.plainrow import PLAIN

S = 1_000_000_000
SEEDS = range(6)


def twin(depot: Depot) -> Kernel:
    return Tables.of(depot.site).build_kernel()


def lived(depot: Depot, seconds: float) -> list[Record]:
    """What the journal says of that time."""
    records: list[Record] = []
    for _ in range(int(seconds)):
        depot.live(1)
        records += decode(depot.enforcer.kernel.drain())
    return records


def replayed(kernel: Kernel, records: list[Record]) -> list[Record]:
    found: list[Record] = []
    for record in records:
        feed(kernel, record)
        found += decode(kernel.drain())
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restored_kernel_goes_on_as_the_other_one(seed: int) -> None:
    """With cars that come and go, noise, doubts, limits that end and are lost."""
    draw = random.Random(seed)
    site = document(seed) | {
        "limit_source": [
            {"id": "cloud", "circuit": "grid", "kind": "grid", "lease_s": 20, "failsafe_a": 40}
        ]
    }
    depot = Depot(seed, site)
    kernel = depot.enforcer.kernel
    for _ in range(draw.randrange(3)):
        lived(depot, draw.randrange(1, 60))
        until_ns = depot.now_ns + 20 * S
        kernel.set_limit(0, (draw.randrange(100_000),) * 3, until_ns, until_ns)
    taken = snapshot(kernel)
    assert kernel.drain() == b""
    records = lived(depot, 5)
    kernel.set_limit(0, None, NEVER_NS, depot.now_ns + 10 * S)
    kernel.distrust(0, True)
    records += lived(depot, 30)
    kernel.latch(True)
    records += lived(depot, 30)
    assert sum(isinstance(record, Tick) for record in records) > 600
    other = twin(depot)
    restore(other, taken.state)
    assert other.ticks == (kernel.ticks - sum(isinstance(record, Tick) for record in records))
    assert replayed(other, records) == records
    assert snapshot(other).state[-1000:] == snapshot(kernel).state[-1000:]
    for index in range(len(depot.site.circuits)):
        assert other.circuit(index) == kernel.circuit(index)
    for index in range(len(depot.site.chargers)):
        assert other.charger(index) == kernel.charger(index)
        assert other.output(index) == kernel.output(index)


def test_what_a_thread_decided_early_is_decided_again() -> None:
    """Real time, several threads: the journal has what each tick saw, in the order of the lock."""
    depot = Depot(4, document(4))
    kernel = twin(depot)
    begin = snapshot(kernel).state
    thread = KernelThread(kernel, 50_000_000)
    thread.start()
    draw = random.Random(4)
    records: list[Record] = []
    try:
        while kernel.ticks < 60:
            now_ns = time.monotonic_ns() // 1_000_000 * 1_000_000
            load: Phases = (draw.randrange(80_000), draw.randrange(80_000), draw.randrange(80_000))
            kernel.post_reading(0, now_ns, load)
            charger = draw.randrange(6)
            kernel.post_report(charger, now_ns, 6000, load, Vehicle.C, kernel.ticks)
            records += decode(kernel.drain())
            time.sleep(draw.choice([0, 0.001, 0.008]))
    finally:
        thread.stop()
    records += decode(kernel.drain())
    assert not any(isinstance(record, Lost) for record in records)
    other = twin(depot)
    restore(other, begin)
    assert replayed(other, records) == records


def test_a_snapshot_taken_beside_a_thread_is_of_one_instant() -> None:
    """It is copied while the thread may tick: from each that is taken, all comes out alike."""
    depot = Depot(5, document(5))
    kernel = twin(depot)
    thread = KernelThread(kernel, 5_000_000)
    thread.start()
    draw = random.Random(5)
    taken: list[tuple[bytes, list[Record]]] = []
    try:
        while kernel.ticks < 60:
            journal, state = snapshot(kernel)
            if taken:
                taken[-1][1].extend(decode(journal))
            taken.append((state, []))
            for _ in range(draw.randrange(1, 30)):
                now_ns = time.monotonic_ns() // 1_000_000 * 1_000_000
                kernel.post_reading(0, now_ns, (draw.randrange(80_000),) * 3)
                kernel.post_report(0, now_ns, 6000, (6000,) * 3, Vehicle.C, kernel.ticks)
            time.sleep(draw.choice([0, 0.001, 0.008]))
    finally:
        thread.stop()
    taken[-1][1].extend(decode(kernel.drain()))
    assert sum(isinstance(record, Tick) for _, records in taken for record in records) > 40
    for state, records in taken:
        other = twin(depot)
        restore(other, state)
        assert replayed(other, records) == records


def test_what_was_restored_before_the_first_tick_is_of_no_later_time() -> None:
    """A start: the warmth that was saved is told, then the black box begins, then time does."""
    curve = CurveRow(100_000, 60 * S, ((200_000, 10 * S),))
    circuit = CircuitRow(-1, (100_000,) * 3, (0,) * 3, curve=curve)
    tuning = Tuning(2 * S, 15 * S, 4000, 10 * S, 900 * S)
    started = Kernel([circuit], [], [PLAIN], [], tuning)
    started.restore_heat(0, Heat(54_000 * S, (1,) * 3, (0,) * 3, (50_000,) * 3))
    other = Kernel([circuit], [], [PLAIN], [], tuning)
    restore(other, snapshot(started).state)
    for kernel in (started, other):
        kernel.tick(54_001 * S)
    assert other.circuit(0) == started.circuit(0)


def test_a_large_state_is_of_the_tick_that_its_journal_ends_with() -> None:
    """To copy it takes so long that ticks come in between: then it is copied once more."""
    circuit = CircuitRow(-1, (100_000_000,) * 3, (0,) * 3)
    tuning = Tuning(2 * S, 15 * S, 4000, 10 * S, 900 * S)
    kernel = Kernel([circuit], [], [PLAIN] * 1000, [], tuning)
    thread = KernelThread(kernel, 5_000_000)
    thread.start()
    kept: list[Snapshot] = []
    try:
        until = kernel.ticks + 60
        while kernel.ticks < until:  # without a pause, so that it nearly always copies
            kept.append(snapshot(kernel))
    finally:
        thread.stop()
    last = 0
    for journal, state in kept:
        ticks = [each.tick for each in decode(journal) if isinstance(each, Tick)]
        if not ticks:
            continue
        last = ticks[-1]
        other = Kernel([circuit], [], [PLAIN] * 1000, [], tuning)
        restore(other, state)
        assert other.ticks == last


def test_a_snapshot_carries_what_was_not_drained() -> None:
    depot = Depot(1, document(1))
    depot.live(3)
    taken = snapshot(depot.enforcer.kernel)
    ticks = [record for record in decode(taken.journal) if isinstance(record, Tick)]
    assert ticks[-1].tick == depot.enforcer.kernel.ticks
    depot.live(1)
    first = next(
        record for record in decode(depot.enforcer.kernel.drain()) if isinstance(record, Tick)
    )
    assert len(first.orders) == len(depot.site.chargers), "the first tick after it tells all"


def test_a_state_is_for_its_own_tables() -> None:
    depot, other = Depot(1, document(1)), document(1)
    other["charger"] = other["charger"][:1]
    with pytest.raises(ValueError, match="another version"):
        restore(twin(Depot(1, other)), snapshot(depot.enforcer.kernel).state)


@pytest.mark.parametrize(
    "other",
    [
        {"dead_man_ns": 3 * S},
        {"dwell_ns": 14 * S},
        {"ramp_ma_per_s": 4001},
        {"calm_ns": 11 * S},
        {"turn_ns": 901 * S},
        {"observe": True},
    ],
)
def test_a_state_is_for_its_own_tuning(other: dict[str, Any]) -> None:
    circuit = CircuitRow(-1, (100_000,) * 3, (0,) * 3)
    tuning = Tuning(2 * S, 15 * S, 4000, 10 * S, 900 * S)
    state = snapshot(Kernel([circuit], [], [PLAIN], [], tuning)).state
    restore(Kernel([circuit], [], [PLAIN], [], tuning), state)
    with pytest.raises(ValueError, match="of other tables"):
        restore(Kernel([circuit], [], [PLAIN], [], tuning._replace(**other)), state)


def test_a_kernel_that_ticked_takes_no_state() -> None:
    depot = Depot(1, document(1))
    depot.live(1)
    with pytest.raises(ValueError, match="has not ticked"):
        restore(depot.enforcer.kernel, snapshot(depot.enforcer.kernel).state)


@pytest.mark.parametrize("cut", [0, 1, 8, -1])
def test_half_a_state_is_none(cut: int) -> None:
    depot = Depot(1, document(1))
    with pytest.raises(ValueError, match="another version"):
        restore(twin(depot), snapshot(depot.enforcer.kernel).state[:cut])


@given(st.data())
@settings(derandomize=True, deadline=None, max_examples=60)
def test_a_damaged_state_is_refused_or_taken(data: st.DataObject) -> None:
    """Numbers at random places. (A file's damage is found by its checksums before that.)"""
    depot = Depot(1, document(1))
    depot.live(2)
    state = bytearray(snapshot(depot.enforcer.kernel).state)
    for _ in range(20):
        at = data.draw(st.integers(0, len(state) // 4 - 1)) * 4
        state[at : at + 4] = struct.pack("<i", data.draw(st.integers(-(2**31), 2**31 - 1)))
    kernel = twin(depot)
    with suppress(ValueError):
        restore(kernel, bytes(state))


def test_a_turn_too_large_for_its_sums_is_refused() -> None:
    depot = Depot(1, document(1))
    depot.live(2)
    state = snapshot(depot.enforcer.kernel).state
    long_ago = struct.pack("<q", -(2**40))  # who has never been a swing charger
    words = [state[at : at + 8] for at in range(0, len(state), 8)]
    assert long_ago in words
    damaged = b"".join(struct.pack("<q", 2**63 - 1) if w == long_ago else w for w in words)
    with pytest.raises(ValueError, match="cannot be"):
        restore(twin(depot), damaged)


@given(st.integers(0, 2**31 - 1))
@settings(derandomize=True, deadline=None, max_examples=40)
def test_what_is_taken_is_small_enough_to_go_on_with(seed: int) -> None:
    """One huge number at a random place: refused, or a kernel that ticks on."""
    depot = Depot(1, document(1))
    depot.live(2)
    state = bytearray(snapshot(depot.enforcer.kernel).state)
    at = random.Random(seed).randrange(len(state) // 8) * 8
    state[at : at + 8] = struct.pack("<q", 2**63 - 1 - seed)
    kernel = twin(depot)
    with suppress(ValueError):
        restore(kernel, bytes(state))
        kernel.tick(kernel.now_ns + S)


# Whoever gives the kernel another input has to note it (cext/journal.pyx) and feed it again.
INPUTS = {
    "post_reading", "post_report", "post_contactor", "distrust", "set_fallback", "prove",
    "set_limit", "leave", "latch", "tick", "adopt", "drain", "restore_heat", "restore_worst",
    "advise",
}  # fmt: skip
OUTPUTS = {
    "ticks", "now_ns", "output", "setpoints", "circuit", "charger", "contactor", "source", "slot",
    "failsafe_ma", "latched", "heat",
}  # fmt: skip


def test_every_way_into_the_kernel_is_recorded() -> None:
    ways = {name for name in vars(Kernel) if not name.startswith("_")}
    assert ways == INPUTS | OUTPUTS, "is it in the journal, in blackbox/feeding.py, and here?"
