"""`loadkeeper bench`: what a bare gateway can measure of its kernel."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter_ns
from typing import NamedTuple

from cext.rows import (
    ROOT,
    ChargerRow,
    CircuitRow,
    ContactorRow,
    Demand,
    Kind,
    Phases,
    SlotRow,
    SourceRow,
    Tuning,
    Vehicle,
)
from cext.shares import ShareRun
from cext.tick import Kernel
from controller import wakeup
from controller.commands.output import FINE, add_json_option, answer_json, say
from controller.realtime import in_words

SHARED = (10, 100, 1000)  # chargers
TICKED = (10, 100, 1000, 5000)
WAKING = 100  # chargers, while wake-ups are measured
BLOCKS = 15
BLOCK_NS = 20_000_000
TICK_NS = 100_000_000
SECOND_NS = 1_000_000_000
NS_PER_US = 1000
ROTATIONS: tuple[Phases, ...] = ((0, 1, 2), (1, 2, 0), (2, 0, 1))


FIELDS = ("fair_shares_us", "tick_us", "wakeup_p99_us", "wakeup_vs_sleep")


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("bench", help="measure the kernel on this machine")
    parser.add_argument(
        "--only", action="append", choices=FIELDS, help="this one; may be given several times"
    )
    add_json_option(parser)


def run(args: Namespace) -> int:
    asked = set(args.only or FIELDS)
    answer: dict[str, object] = {}
    if "fair_shares_us" in asked:
        answer["fair_shares_us"] = _by_size("one run of fair shares", SHARED, _shares_us)
    if "tick_us" in asked:
        answer["tick_us"] = _by_size("one whole tick", TICKED, _tick_us)
    if asked & {"wakeup_p99_us", "wakeup_vs_sleep"}:
        answer |= _wakeup()
        asked |= {"wakeup_scheduling", "wakeup_worst_us", "sleep_p99_us"}
    if args.json:
        answer_json({field: value for field, value in answer.items() if field in asked})
    return FINE


def _by_size(what: str, sizes: Sequence[int], measured: Callable[[int], float]) -> dict[str, float]:
    found_us = {str(size): measured(size) for size in sizes}
    for size, us in found_us.items():
        say(f"{what}, {size} chargers: {us} µs")
    return found_us


def _wakeup() -> dict[str, object]:
    wakes = wakeup.measure(make_kernel(WAKING))
    times = round(wakes.times_better, 1)
    answer = {
        "wakeup_p99_us": wakes.p99_ns / NS_PER_US,
        "wakeup_vs_sleep": times,
        "wakeup_worst_us": max(map(max, wakes.kernel_ns)) / NS_PER_US,
        "sleep_p99_us": wakeup.p99([late for block in wakes.sleep_ns for late in block])
        / NS_PER_US,
        "wakeup_scheduling": in_words(wakes.granted).scheduling,
    }
    say(
        f"the kernel's thread woke {answer['wakeup_p99_us']} µs late (p99; at worst "
        f"{answer['wakeup_worst_us']} µs) while two others kept the interpreter busy"
    )
    say(f"a thread that sleeps in Python: {answer['sleep_p99_us']} µs, {times} times as late")
    say(f"scheduling of the kernel's thread: {answer['wakeup_scheduling']}")
    return answer


def _tree(chargers: int) -> list[CircuitRow]:
    """Three levels: rows of ten chargers, feeders of ten rows. Every level is contested."""
    rows = max(1, chargers // 10)
    feeders = max(1, rows // 10)
    nothing = (0, 0, 0)

    def circuit(parent: int, each_ma: int, count: int) -> CircuitRow:
        rating_ma = each_ma * count
        return CircuitRow(parent, (rating_ma, rating_ma, rating_ma), nothing)

    return [
        circuit(ROOT, 11_000, chargers),
        *(circuit(0, 11_000 + 800 * (i % 3), chargers // feeders) for i in range(feeders)),
        *(circuit(1 + i % feeders, 9_000 + 700 * (i % 5), chargers // rows) for i in range(rows)),
    ]


def sharing(size: int) -> tuple[list[int], list[Phases], list[Demand]]:
    """Parents, caps in mA and demands of that tree: what fair shares are measured with."""
    tree = _tree(size)
    leaves = len(tree) - max(1, size // 10)
    demands = [
        Demand(leaves + i % (len(tree) - leaves), ROTATIONS[i % 3], 6_000, 32_000, 1 + i % 3)
        for i in range(size)
    ]
    return [circuit.parent for circuit in tree], [circuit.rating_ma for circuit in tree], demands


def _shares_us(size: int) -> float:
    return _median_us(ShareRun(*sharing(size)).run)


def _tick_us(size: int) -> float:
    """A tick after a fresh meter reading and a fresh report of every charger."""
    kernel = make_kernel(size)
    now_ns = SECOND_NS

    def prepare() -> None:
        nonlocal now_ns
        now_ns += TICK_NS
        load_ma = 9_000 * size + now_ns // TICK_NS % 7 * 500
        kernel.post_reading(0, now_ns, (load_ma, load_ma, load_ma))
        for charger in range(size):
            output = kernel.output(charger)
            set_ma = 6_000 if output.setpoint_ma is None else output.setpoint_ma
            current_ma = (set_ma, set_ma, set_ma)
            kernel.post_report(charger, now_ns, set_ma, current_ma, Vehicle.C, output.changed_tick)

    return _median_us(lambda: kernel.tick(now_ns), prepare)


class Rows(NamedTuple):
    """The tables of the depot that is measured with."""

    circuits: list[CircuitRow]
    sources: list[SourceRow]
    chargers: list[ChargerRow]
    slots: list[SlotRow]
    tuning: Tuning
    contactors: tuple[ContactorRow, ...] = ()


def make_kernel(size: int) -> Kernel:
    return Kernel(*make_rows(size))


def make_rows(size: int) -> Rows:
    tree = _tree(size)
    leaves = len(tree) - max(1, size // 10)
    charger = ChargerRow(
        circuit=leaves,
        phases=ROTATIONS[0],
        min_ma=6_000,
        max_ma=32_000,
        step_ma=100,
        fallback_ma=6_000,
        power_on_ma=6_000,
        tolerance_ppm=30_000,
        standby_ma=50,
        settle_ns=6 * SECOND_NS,
        metered=True,
        error_ma=100,
        lag_ns=SECOND_NS // 2,
        poll_ns=SECOND_NS,
        max_age_ns=3 * SECOND_NS,
    )
    chargers = [
        charger._replace(circuit=leaves + i % (len(tree) - leaves), phases=ROTATIONS[i % 3])
        for i in range(size)
    ]
    meter = SourceRow(0, 100, SECOND_NS // 5, SECOND_NS, SECOND_NS // 5)
    slot = SlotRow(0, Kind.GRID, tree[0].rating_ma, 0)
    tuning = Tuning(2 * SECOND_NS, 15 * SECOND_NS, 4_000, 10 * SECOND_NS, 900 * SECOND_NS)
    return Rows(tree, [meter], chargers, [slot], tuning)


def _median_us(work: Callable[[], object], prepare: Callable[[], None] = lambda: None) -> float:
    """Median over blocks of about 20 ms of the mean time of `work`, without `prepare`."""
    return round(median(_block_ns(work, prepare) for _ in range(BLOCKS)) / 1000, 2)


def _block_ns(work: Callable[[], object], prepare: Callable[[], None]) -> float:
    spent_ns = times = 0
    while spent_ns < BLOCK_NS:
        prepare()
        began_ns = perf_counter_ns()
        work()
        spent_ns += perf_counter_ns() - began_ns
        times += 1
    return spent_ns / times
