"""What the guard takes of the loop in which orders go out, in a depot of a thousand chargers."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from statistics import median
from time import thread_time_ns

from cext.rows import Vehicle
from cext.tick import Kernel
from controller.commands.bench import Rows, make_rows
from controller.guard.gate import Gate
from controller.guard.guard import Verdict
from controller.tap import Tap
from hil.figures import CannotMeasureError, Figure, Must

CHARGERS = 1000
WARM = 40  # decisions, until the windows are full
MEASURED = 60
TICK_NS = 100_000_000
LEAST_MA, MORE_MA = 6_500, 20  # of a limit for each charger: it rises with each tick
FOR_EVER_NS = 2**62


class _Depot:
    """Every charger does as told and reports before each decision; a limit rises slowly, and with
    each of its steps some of them."""

    def __init__(self, rows: Rows) -> None:
        self.kernel = Kernel(*rows)
        self._count = len(rows.chargers)
        self._ticks = 0

    def decide(self) -> bool:
        """Whether an order changed."""
        self._ticks += 1
        now_ns, drawn_ma = self._ticks * TICK_NS, 0
        for charger in range(self._count):
            told = self.kernel.output(charger)
            ma = 6_000 if told.setpoint_ma is None else told.setpoint_ma
            drawn_ma += ma
            self.kernel.post_report(charger, now_ns, ma, (ma, ma, ma), Vehicle.C, told.changed_tick)
        limit_ma = (LEAST_MA + MORE_MA * self._ticks) * self._count
        self.kernel.set_limit(0, (limit_ma,) * 3, FOR_EVER_NS, FOR_EVER_NS)
        self.kernel.post_reading(0, now_ns, (drawn_ma,) * 3)
        return self.kernel.tick(now_ns)


def guard_ms() -> dict[str, float]:
    """Processor time of the thread: the longest piece, and the median of all that one decision
    with changed orders takes, its reports and the journal in it."""
    rows = make_rows(CHARGERS)
    depot, gate = _Depot(rows), Gate(rows)
    verdicts: list[Verdict] = []
    gate.on_verdict(verdicts.append)
    tap = Tap(depot.kernel)
    tap.follow_bytes(gate.post)
    for _ in range(WARM):
        depot.decide()
        tap.drain()
        gate.finish()
    gc.freeze()  # as the enforcer does when it has started
    try:
        pieces_ns, wholes_ns = [], []
        for _ in range(MEASURED):
            changed = depot.decide()
            found_ns = list(_pieces(tap, gate))
            pieces_ns += found_ns
            if changed:
                wholes_ns.append(sum(found_ns))
    finally:
        gc.unfreeze()
    if any(each.disputes for each in verdicts):
        raise CannotMeasureError("void: a decision was disputed")
    if len(wholes_ns) < MEASURED // 4:
        raise CannotMeasureError(f"void: only {len(wholes_ns)} decisions changed an order")
    return {
        "piece": round(max(pieces_ns) / 1e6, 2),
        "whole": round(median(wholes_ns) / 1e6, 1),
    }


def _pieces(tap: Tap, gate: Gate) -> Iterator[int]:
    """How long each of them took: first the journal is drained, then it is heard."""
    began_ns = thread_time_ns()
    tap.drain()
    yield thread_time_ns() - began_ns
    more = True
    while more:
        began_ns = thread_time_ns()
        more = gate.step()
        yield thread_time_ns() - began_ns


FIGURES = (
    Figure(
        field="guard_ms",
        unit="ms by what",
        must=Must("≤", {"piece": 4, "whole": 60}),
        how=f"the guard in the loop, with {CHARGERS} chargers that have all told: its longest "
        "piece, after which orders go out, and all that a decision with changed orders takes "
        "(median); processor time of the thread",
        measure=guard_ms,
    ),
)
