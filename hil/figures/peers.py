"""The kernel's fair shares beside the same shares by other means, in one run."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

import numpy as np

from cext.shares import ShareRun
from controller.commands.bench import SHARED, sharing
from hil.figures import CannotMeasureError, Figure, Must, Value
from hil.figures.blocks import alternated
from hil.figures.filling import Depot, Programs, filled

BLOCK_NS = 10_000_000
AGREES_MA = 1.001  # whole mA are handed out, rounded down


def beside() -> dict[str, Value]:
    """Ratios and the largest gap, each by number of chargers."""
    times: dict[str, dict[str, float]] = {"vs_numpy": {}, "vs_lp": {}, "lp_gap_ma": {}}
    for size in SHARED:
        run, depot = ShareRun(*sharing(size)), Depot.of(*sharing(size))
        took_ns = _took_ns(run, depot)
        shares_ma = np.array(run.shares_ma(), dtype=np.float64)
        if np.abs(filled(depot) - shares_ma).max() > AGREES_MA:
            raise CannotMeasureError(f"filling in NumPy says something else for {size} chargers")
        gap_ma = np.abs(Programs(depot).shares() - shares_ma).max()
        times["vs_numpy"][str(size)] = round(took_ns["numpy"] / took_ns["ours"], 1)
        times["vs_lp"][str(size)] = round(took_ns["lp"] / took_ns["ours"], 1)
        times["lp_gap_ma"][str(size)] = round(float(gap_ma), 3)
    return dict(times)


def _took_ns(run: ShareRun, depot: Depot) -> dict[str, float]:
    return alternated(
        {
            "ours": lambda: _block_ns(run.run),
            "numpy": lambda: _block_ns(lambda: filled(depot)),
            "lp": lambda: _block_ns(Programs(depot).one),
        }
    )


def _block_ns(work: Callable[[], object]) -> float:
    """Mean time of one, over a block."""
    began_ns = perf_counter_ns()
    times = 0
    while (spent_ns := perf_counter_ns() - began_ns) < BLOCK_NS or not times:
        work()
        times += 1
    return spent_ns / times


FIGURES = (
    Figure(
        field="vs_numpy",
        unit="times by chargers",
        must=Must("≥", {"1000": 20}),
        how="fair shares by progressive filling in NumPy, as a multiple of the kernel's time",
        measure=beside,
        part="vs_numpy",
    ),
    Figure(
        field="vs_lp",
        unit="times by chargers",
        must=Must("≥", {"1000": 150}),
        how="the first of the linear programs that fair shares would take (HiGHS), likewise",
        measure=beside,
        part="vs_lp",
    ),
    Figure(
        field="lp_gap_ma",
        unit="mA by chargers",
        must=Must("≤", 1),
        how="largest difference between a share and the lexicographic optimum by HiGHS: shares are "
        "whole milliamps, rounded down",
        measure=beside,
        part="lp_gap_ma",
    ),
)
