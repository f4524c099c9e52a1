"""A charger is raised along a ramp: every write, and over time, whoever it is."""

from __future__ import annotations

import pytest

from cext.rows import ChargerRow, CircuitRow, Kind, SlotRow, SourceRow, Tuning, Vehicle
from cext.tick import Kernel
from tests.bays import TURN, Row, S
from tests.test_swing import FINE

RAMP = 400  # mA/s
SPAN_S = 2  # of the ramp, that one write uses at the most
FOREVER = 10**18


class Held(Row):
    """Twice as much room as a limit lets them have; their loads waver by a milliampere."""

    def __init__(self, count: int, row: ChargerRow = FINE) -> None:
        super().__init__(33 * count + 20, [row] * count)
        cap = (self.most_ma,) * 3
        self.kernel = Kernel(
            [CircuitRow(-1, cap, (20_000,) * 3)],
            [SourceRow(0, 0, 0, 10 * S, S)],
            self.rows,
            [SlotRow(0, Kind.ECONOMIC, cap, 0)],
            Tuning(20 * S, 15 * S, RAMP, 60 * S, TURN),
        )
        self.kernel.set_limit(0, (8000 * count + 10_000,) * 3, FOREVER, FOREVER)
        self.base_ma = 10_000
        self.most_ma = FOREVER
        self.run(600)

    def lapse(self) -> int:
        """The limit ends; the tick in which it was still there."""
        self.kernel.set_limit(0, None, FOREVER, FOREVER)
        return len(self.offers[0]) - 1


@pytest.mark.parametrize("count", [12, 24], ids=["few", "a crowd"])
def test_after_a_limit_nobody_rises_more_than_the_ramp_permits(count: int) -> None:
    held = Held(count)
    since = held.lapse()
    held.run(100, step=1)
    for offers in held.offers:
        rises = offers[since:]
        for at, now_ma in enumerate(rises):
            for before_s in range(1, at + 1):
                most_ma = RAMP * (before_s - 1 + SPAN_S)
                assert now_ma - rises[at - before_s] <= most_ma, (at, before_s, rises)


def test_a_climb_that_the_ramp_cuts_is_one_move() -> None:
    """It goes on until it is there, and then it keeps still."""
    held = Held(24)
    since = held.lapse()
    held.run(70, step=1)
    assert min(offers[-1] for offers in held.offers) == 32_000
    for offers in held.offers:
        climb = offers[since:]
        assert climb == sorted(climb)
        starts = next(i for i, each in enumerate(climb) if each > climb[0])
        assert climb[starts + 62] == 32_000, "no rest on its way"


def test_who_has_arrived_moves_once_in_the_calm_time_again() -> None:
    held = Held(24)
    held.kernel.set_limit(0, (18_000 * 24 + 10_000,) * 3, FOREVER, FOREVER)
    held.run(120, step=1)
    since = len(held.offers[0])
    assert min(offers[-1] for offers in held.offers) >= 16_000
    for second in range(240):
        held.base_ma = 10_000 if second // 4 % 2 else 4000
        held.run(1, step=1)
    moves = sorted(
        sum(a != b for a, b in zip(offers[since:], offers[since + 1 :], strict=False))
        for offers in held.offers
    )
    assert moves[len(moves) // 2] <= 4, moves


@pytest.mark.parametrize("gap_ns", [120 * S, 1 << 56], ids=["two minutes", "years"])
def test_the_longest_gap_of_writes_overflows_nothing(gap_ns: int) -> None:
    """With the steepest ramp; both are what tables may say."""
    kernel = Kernel(
        [CircuitRow(-1, (100_000,) * 3, (0,) * 3)],
        [SourceRow(0, 0, 0, 10 * S, S)],
        [FINE._replace(fallback_ma=6000, write_gap_ns=gap_ns)],
        [],
        Tuning(1 << 56, 0, 1 << 27, S, TURN),
    )
    now_ns = 0

    def tick(later_ns: int) -> None:
        nonlocal now_ns
        now_ns += later_ns
        told = kernel.output(0).setpoint_ma or 6000
        kernel.post_reading(0, now_ns, (6000,) * 3)
        kernel.post_report(0, now_ns, told, (6000,) * 3, Vehicle.C, kernel.ticks)
        kernel.tick(now_ns)

    for later_ns in (S, S, gap_ns // 2, gap_ns // 2, S, S, S):
        tick(later_ns)
    assert kernel.output(0).setpoint_ma == 32_000
