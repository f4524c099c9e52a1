"""What `loadkeeper bench` and the figures say of the kernel: by size, how punctual, how frugal.

Not how fast: that is the bench's own matter, on a machine that does nothing else.
"""

from __future__ import annotations

import json
import os
import time

import pytest

from cext.thread import KernelThread
from cext.tick import Kernel
from controller import wakeup
from controller.__main__ import main
from controller.commands import bench
from controller.commands.bench import SHARED, TICKED, make_kernel
from hil.figures import CannotMeasureError, Value, alloc
from hil.figures import wakeup as figure
from hil.figures.alloc import count
from hil.figures.ticking import SIZES
from tests.patience import wait_for
from tests.test_thread import MS, S


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures little, and so next to nothing."""
    monkeypatch.setattr(bench, "BLOCK_NS", 1)
    monkeypatch.setattr(wakeup, "BLOCKS", 2)
    monkeypatch.setattr(wakeup, "WAKES", 3)


@pytest.mark.usefixtures("hasty")
def test_bench_answers_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    for field, sizes in (("fair_shares_us", SHARED), ("tick_us", TICKED)):
        assert list(answer[field]) == [str(size) for size in sizes]
        assert all(value > 0 for value in answer[field].values())
    assert 0 < answer["wakeup_p99_us"] <= answer["wakeup_worst_us"]
    assert answer["wakeup_vs_sleep"] > 0
    assert answer["wakeup_scheduling"].startswith(("SCHED_FIFO", "not real time: "))


@pytest.mark.usefixtures("hasty")
def test_bench_answers_only_what_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--only", "tick_us", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out.splitlines()[-1])) == ["tick_us"]
    assert main(["bench", "--only", "wakeup_vs_sleep", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "wakeup_vs_sleep" in answer
    assert "wakeup_p99_us" not in answer


@pytest.mark.parametrize(
    ("values", "most"),
    [
        ([7], 7),
        (range(1, 100), 99),  # of 99, even the worst must count
        (range(1, 101), 99),
        (range(1, 1501), 1485),
        ([5, 1, 4], 5),  # in any order
    ],
)
def test_ninety_nine_of_a_hundred_do_not_exceed_p99(values: list[int], most: int) -> None:
    assert wakeup.p99(values) == most


def test_times_better_is_the_median_over_pairs_of_blocks() -> None:
    wakes = wakeup.Wakes([[10], [10], [1]], [[500], [600], [900_000]], None)
    assert wakes.times_better == 60
    assert wakes.p99_ns == 10


def test_the_thread_counts_how_late_each_period_began() -> None:
    kernel = make_kernel(10)
    thread = KernelThread(kernel, 5 * MS)
    assert thread.late_ns() == []
    assert thread.granted is None
    thread.start()
    wait_for(lambda: len(thread.late_ns()) >= 20)
    thread.stop()
    late_ns = thread.late_ns()
    assert min(late_ns) >= 0
    assert max(late_ns) == thread.worst_late_ns
    assert len(late_ns) <= kernel.ticks


def test_an_early_tick_is_not_late() -> None:
    """Only what was due by the clock can be late, however often readings wake the thread."""
    kernel = make_kernel(10)
    thread = KernelThread(kernel, S)
    thread.start()
    began_s = time.monotonic()
    wait_for(lambda: _post(kernel) and kernel.ticks >= 5)
    thread.stop()
    assert len(thread.late_ns()) <= time.monotonic() - began_s + 1


def _post(kernel: Kernel) -> bool:
    kernel.post_reading(0, time.monotonic_ns(), (1, 1, 1))
    return True


def test_without_real_time_there_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def bare(*_fields: str) -> dict[str, Value | str]:
        return {"wakeup_p99_us": 1.0, "wakeup_vs_sleep": 99.0, "wakeup_scheduling": scheduling}

    monkeypatch.setattr(figure, "bare", bare)
    scheduling = "SCHED_FIFO 20"
    assert figure.punctual() == {"wakeup_p99_us": 1.0, "wakeup_vs_sleep": 99.0}
    scheduling = "not real time: not permitted"
    with pytest.raises(CannotMeasureError, match="not permitted"):
        figure.punctual()


# --- memory ------------------------------------------------------------------------------------


uncountable = pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""),
    reason="the sanitizer stands in front of the allocator itself",
)


@uncountable
def test_a_kernels_thread_that_allocates_is_seen() -> None:
    """The control: without it, a counter that counts nothing would prove the figure below."""
    found = count(2000, spill_bytes=48)
    assert found["threads"] == 40
    assert found["calls"] >= found["ticks"] * 0.9  # those under way at either end
    under_way = found["calls"] - found["bytes"] / 48  # one is counted, its bytes are not yet
    assert abs(under_way) <= found["threads"]


@pytest.mark.parametrize(
    "short",
    [{"threads": 0}, {"threads": len(SIZES) - 1}, {"ticks": alloc.TICKS - 1}, {"reordered": 0}],
)
def test_what_was_not_all_counted_is_no_figure(
    monkeypatch: pytest.MonkeyPatch, short: dict[str, int]
) -> None:
    whole = {"threads": len(SIZES), "ticks": alloc.TICKS, "reordered": 9, "calls": 0, "bytes": 0}
    monkeypatch.setattr(alloc, "count", lambda _ticks: whole)
    assert alloc.allocated_bytes() == 0
    monkeypatch.setattr(alloc, "count", lambda _ticks: whole | short)
    with pytest.raises(CannotMeasureError, match="not what is claimed"):
        alloc.allocated_bytes()


@uncountable
def test_no_tick_allocates() -> None:
    found = count(8000)
    assert found["threads"] == 40
    assert found["reordered"] > 0
    assert (found["calls"], found["bytes"]) == (0, 0)
