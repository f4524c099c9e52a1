"""`loadkeeper bench`: what a bare gateway can measure of its kernel."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable
from statistics import median
from time import perf_counter_ns

from cext.rows import (
    ROOT,
    ChargerRow,
    CircuitRow,
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
from controller.commands.output import FINE, add_json_option, answer_json, columns, say

SIZES = (10, 100, 1000)
BLOCKS = 15
BLOCK_NS = 20_000_000
TICK_NS = 100_000_000
SECOND_NS = 1_000_000_000
ROTATIONS: tuple[Phases, ...] = ((0, 1, 2), (1, 2, 0), (2, 0, 1))


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("bench", help="measure the kernel on this machine")
    add_json_option(parser)


def run(args: Namespace) -> int:
    shares_us = {str(size): _shares_us(size) for size in SIZES}
    tick_us = {str(size): _tick_us(size) for size in SIZES}
    if args.json:
        answer_json({"fair_shares_us": shares_us, "tick_us": tick_us})
    else:
        rows = [[size, f"{shares_us[size]}", f"{tick_us[size]}"] for size in shares_us]
        head = ["chargers", "fair shares, µs", "whole tick, µs"]
        for line in columns([head, *rows], right=frozenset({0, 1, 2})):
            say(line)
    return FINE


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


def _shares_us(size: int) -> float:
    tree = _tree(size)
    leaves = len(tree) - max(1, size // 10)
    demands = [
        Demand(leaves + i % (len(tree) - leaves), ROTATIONS[i % 3], 6_000, 32_000, 1 + i % 3)
        for i in range(size)
    ]
    parents = [circuit.parent for circuit in tree]
    caps_ma = [circuit.rating_ma for circuit in tree]
    return _median_us(ShareRun(parents, caps_ma, demands).run)


def _tick_us(size: int) -> float:
    """A tick after a fresh meter reading and a fresh report of every charger."""
    kernel = _kernel(size)
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


def _kernel(size: int) -> Kernel:
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
    return Kernel(tree, [meter], chargers, [slot], tuning)


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
