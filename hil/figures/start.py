"""From the start of the enforcer's process to the first safe setpoint at a charger."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

from hil.devices.mbap import Server
from hil.figures import CannotMeasureError, Figure, Must
from hil.figures.crowd import end, log_tail, start_enforcer
from hil.figures.devices import Bay, Meter

STARTS = 7
WITHIN_S = 20.0
FALLBACK_A = 6.0


def cold_start() -> float:
    """Median of some starts, in s."""
    return round(median(asyncio.run(_once_s()) for _ in range(STARTS)), 2)


async def _once_s() -> float:
    arrived: asyncio.Future[tuple[int, float]] = asyncio.get_running_loop().create_future()

    def written(setpoint_a: float) -> None:
        if not arrived.done():
            arrived.set_result((time.monotonic_ns(), setpoint_a))

    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lk-")))
        meter, charger = Server(Meter()), Server(Bay(charging=True, written=written))
        for server in (meter, charger):
            await server.open()
            stack.push_async_callback(server.close)
        site = directory / "site.json"
        site.write_text(json.dumps(_document(meter.url, charger.url)))
        began_ns = time.monotonic_ns()
        stack.callback(end, start_enforcer(site, directory))
        try:
            at_ns, setpoint_a = await asyncio.wait_for(arrived, WITHIN_S)
        except TimeoutError:
            told = log_tail(directory)
            raise CannotMeasureError(
                f"no setpoint within {WITHIN_S:g} s; last in the log: {told}"
            ) from None
    if setpoint_a > FALLBACK_A:
        raise CannotMeasureError(f"void: the first setpoint was {setpoint_a:g} A: not safe")
    return (at_ns - began_ns) / 1e9


def _document(meter: str, charger: str) -> dict[str, Any]:
    return {
        "schema": 1,
        "site": {"id": "start"},
        "circuit": [{"id": "grid", "rating_a": 63, "worst_base_a": 20}],
        "meter": [
            {
                "id": "meter",
                "circuit": "grid",
                "profile": "carlo_gavazzi_em24_ethernet",
                "bus": meter,
            }
        ],
        "charger": [
            {
                "id": "bay",
                "circuit": "grid",
                "profile": "alfen_eve",
                "bus": charger,
                "max_a": 32,
                "fallback_a": FALLBACK_A,
            }
        ],
    }


FIGURES = (
    Figure(
        field="cold_start_s",
        unit="s",
        must=Must("≤", 2),
        how="from the start of the enforcer's process until the first setpoint, no higher than the "
        f"fallback, has arrived at a charger: median of {STARTS}",
        measure=cold_start,
    ),
)
