"""What polling costs: 300 Modbus TCP devices, each asked every 100 ms, by the enforcer itself."""

from __future__ import annotations

import time
from collections.abc import Mapping

from hil.figures import CannotMeasureError, Figure, Must
from hil.figures.crowd import Crowd, cpu_s

METERS, CHARGERS = 280, 20
POLL_S = 0.1
READS = {"meter": 1, "charger": 2}  # in one poll of a device
SETTLE_S = 5.0
MEASURE_S = 15.0
MADE = 0.98  # of all polls; fewer, and the processor time is that of something easier


def poll300() -> Mapping[str, float]:
    with Crowd(METERS, CHARGERS, POLL_S) as crowd:
        time.sleep(SETTLE_S)
        before, began_s, used_s = crowd.asked(), time.monotonic(), cpu_s(crowd.enforcer.pid)
        time.sleep(MEASURE_S)
        after, ended_s, spent_s = crowd.asked(), time.monotonic(), cpu_s(crowd.enforcer.pid)
    reads = [READS["meter"]] * METERS + [READS["charger"]] * CHARGERS
    took_s = ended_s - began_s
    made_s = [(b - a) / each / took_s for a, b, each in zip(before, after, reads, strict=True)]
    polls_s = sum(made_s)
    if polls_s < MADE * len(reads) / POLL_S or min(made_s) < 0.9 / POLL_S:
        raise CannotMeasureError(
            f"void: {polls_s:.0f} of {len(reads) / POLL_S:.0f} polls a second were made, "
            f"{min(made_s):.1f} of the slowest device"
        )
    return {
        "core_pct": round(100 * (spent_s - used_s) / took_s, 1),
        "per_s": round(polls_s),
    }


FIGURES = (
    Figure(
        field="poll300_core_pct",
        unit="% of one core",
        must=Must("≤", 45),
        how="processor time of the enforcer that polls 280 meters and 20 chargers (two reads "
        "each) over Modbus TCP every 100 ms",
        measure=poll300,
        part="core_pct",
    ),
    Figure(
        field="poll300_per_s",
        unit="polls a second",
        must=Must("≥", MADE * (METERS + CHARGERS) / POLL_S),
        how="polls that the devices answered meanwhile, of 3000",
        measure=poll300,
        part="per_s",
    ),
)
