"""The thread around the kernel: it counts ticks; how exactly it keeps time is a bench's matter."""

import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cext.rows import ChargerRow, CircuitRow, SourceRow, Tuning, Vehicle
from cext.thread import KernelThread
from cext.tick import Kernel

MS, S = 1_000_000, 1_000_000_000
PATIENCE_S = 20.0
LONG = S  # the longest period there is


def make_kernel() -> Kernel:
    charger = ChargerRow(
        0, (0, 1, 2), 6000, 32_000, 100, 32_000, 32_000, 0, 0, S, True, 0, 0, S, 3 * S
    )
    return Kernel(
        [CircuitRow(-1, (100_000,) * 3, (0,) * 3)],
        [SourceRow(0, 0, 0, S, S // 10)],
        [charger],
        [],
        Tuning(2 * S, 15 * S, 4000, 10 * S, 900 * S),
    )


@contextmanager
def running(kernel: Kernel, period_ns: int) -> Iterator[KernelThread]:
    thread = KernelThread(kernel, period_ns)
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()


def wait_for(kernel: Kernel, ticks: int) -> float:
    """Seconds until the kernel has made that many ticks more."""
    start, goal = time.monotonic(), kernel.ticks + ticks
    while kernel.ticks < goal:
        assert time.monotonic() - start < PATIENCE_S, f"{kernel.ticks} of {goal} ticks"
        time.sleep(0.001)
    return time.monotonic() - start


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def just_ticked(kernel: Kernel) -> int:
    """Waits for a periodic tick, so that the next one is a whole period away."""
    wait_for(kernel, 1)
    return kernel.ticks


def test_ticks_on_its_period_and_no_faster() -> None:
    kernel = make_kernel()
    with running(kernel, 10 * MS):
        wait_for(kernel, 2)
        assert wait_for(kernel, 20) > 0.1
    assert abs(time.monotonic_ns() - kernel.now_ns) < PATIENCE_S * S


def test_tick_time_is_the_monotonic_clock() -> None:
    kernel = make_kernel()
    before = time.monotonic_ns()
    with running(kernel, 10 * MS):
        wait_for(kernel, 1)
    assert before <= kernel.now_ns <= time.monotonic_ns()


def test_a_reading_wakes_it_early() -> None:
    kernel = make_kernel()
    with running(kernel, LONG):
        for ma in range(3, 20):
            kernel.post_reading(0, time.monotonic_ns(), (ma, ma, ma))
            took = wait_for(kernel, 1) if kernel.circuit(0).reading_ma != (ma, ma, ma) else 0.0
            assert kernel.circuit(0).reading_ma == (ma, ma, ma)
            if took < 0.5:
                return
    pytest.fail("it always waited for its period")


@pytest.mark.parametrize(("vehicle", "wakes"), [(Vehicle.C, False), (Vehicle.E, True)])
def test_of_charger_reports_only_a_fault_wakes_it(vehicle: Vehicle, wakes: bool) -> None:
    kernel = make_kernel()
    with running(kernel, LONG):
        for _ in range(10):
            before, start = just_ticked(kernel), time.monotonic_ns()
            kernel.post_report(0, start, 6000, (0, 0, 0), Vehicle.C, 0)
            kernel.post_report(0, start + 1, 6000, (0, 0, 0), vehicle, 0)
            time.sleep(0.1)
            woke = kernel.ticks > before
            if time.monotonic_ns() - start < LONG // 2:  # else the machine stalled: again
                assert woke == wakes
                return
    pytest.skip("the machine stalls too much to tell")


def test_a_flood_of_readings_is_no_flood_of_ticks() -> None:
    """Early ticks are at least 5 ms apart."""
    kernel = make_kernel()
    with running(kernel, LONG):
        start, before = time.monotonic_ns(), kernel.ticks
        while time.monotonic_ns() - start < 200 * MS:
            kernel.post_reading(0, time.monotonic_ns(), (1, 1, 1))
        taken = kernel.ticks - before
        passed = time.monotonic_ns() - start
    assert 1 <= taken <= passed // (5 * MS) + passed // LONG + 2


def test_changed_fd_is_readable_after_a_change_only() -> None:
    kernel = make_kernel()
    with running(kernel, 5 * MS) as thread:
        wait_for(kernel, 5)
        assert select.select([thread.changed_fd], [], [], 0)[0] == []
        kernel.post_report(0, time.monotonic_ns(), 6000, (0, 0, 0), Vehicle.C, 0)
        assert select.select([thread.changed_fd], [], [], PATIENCE_S)[0] == [thread.changed_fd]
        assert kernel.output(0).setpoint_ma == 6000
        os.read(thread.changed_fd, 8)
        assert not os.get_blocking(thread.changed_fd)


def test_stop_ends_it() -> None:
    kernel = make_kernel()
    thread = KernelThread(kernel, LONG)
    thread.start()
    start = time.monotonic()
    thread.stop()
    assert time.monotonic() - start < PATIENCE_S
    ticks = kernel.ticks
    kernel.post_reading(0, time.monotonic_ns(), (1, 1, 1))
    time.sleep(0.03)
    assert kernel.ticks == ticks
    thread.stop()


def test_never_started_thread_can_be_stopped_and_dropped() -> None:
    thread = KernelThread(make_kernel(), 10 * MS)
    thread.stop()
    del thread


def test_many_lives_leave_no_descriptors_behind() -> None:
    kernel = make_kernel()
    with running(kernel, 5 * MS):
        pass
    before = open_descriptors()
    for _ in range(20):
        with running(kernel, 5 * MS):
            pass
    assert open_descriptors() <= before + 1


@pytest.mark.parametrize("period_ns", [0, -1])
def test_period_that_is_none_is_refused(period_ns: int) -> None:
    with pytest.raises(ValueError):
        KernelThread(make_kernel(), period_ns)


def test_threads_that_burn_the_interpreter_do_not_stop_it() -> None:
    kernel = make_kernel()
    enough = threading.Event()

    def burn() -> None:
        while not enough.is_set():
            sum(range(20_000))

    burners = [threading.Thread(target=burn) for _ in range(2)]
    with running(kernel, 10 * MS):
        for burner in burners:
            burner.start()
        try:
            start, before = time.monotonic(), kernel.ticks
            while time.monotonic() - start < 1.0:
                sum(range(20_000))
            ticks = kernel.ticks - before
        finally:
            enough.set()
            for burner in burners:
                burner.join()
    assert ticks >= 30
