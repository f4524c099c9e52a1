"""From an overload at the meter to a lower setpoint at a charger, through everything between.

The enforcer is the product's process, meter and chargers are servers of this one. The chargers
draw what they are offered; the base load goes up in steps, at random phases of the meter's poll,
and each step puts the circuit above its rating.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

from hil.devices.mbap import Server
from hil.figures import CannotMeasureError, Figure, Must
from hil.figures.crowd import end, log_tail, start_enforcer
from hil.figures.devices import Bay, Twenty
from hil.profiles import HOME

POLLS_MS = (100, 50)
CHARGERS = 12
MAX_A = 32.0
RATING_A = 450.0
STEP_A = 1.0
STEPS = 240
WORST_BASE_A = 340.0
RELEASE_A = 800.0  # carries all of it at once: nothing of the proof is measured here
RISEN_WITHIN_S = 60.0
ANSWER_WITHIN_S = 2.0
CALM_S = 0.15  # without any setpoint, before a step


class Depot:
    """Meter and chargers of one circuit."""

    def __init__(self) -> None:
        self.base_a = 10.0
        self.bays = [Bay(charging=True, written=self._written) for _ in range(CHARGERS)]
        self.cleared = asyncio.Event()
        self.cleared_ns = 0
        self.told_ns = 0  # when a setpoint arrived last
        self.meter = Twenty(lambda: self.load_a)

    @property
    def load_a(self) -> float:
        return self.base_a + sum(bay.setpoint_a for bay in self.bays)

    def _written(self, setpoint_a: float) -> None:
        self.told_ns = time.monotonic_ns()
        if not self.cleared.is_set() and self.load_a <= RATING_A:
            self.cleared_ns = self.told_ns
            self.cleared.set()

    async def calm(self, poll_s: float, random: Random) -> None:
        """Returns at a random phase of the meter's poll, when no setpoint has come for a while."""
        told_ns = None
        while told_ns != self.told_ns:
            told_ns = self.told_ns
            await asyncio.sleep(CALM_S + random.random() * poll_s)


def overload() -> dict[str, float]:
    """The 99th percentile in ms, by the meter's poll in ms."""
    return {str(poll_ms): round(asyncio.run(_p99_ms(poll_ms)), 1) for poll_ms in POLLS_MS}


async def _p99_ms(poll_ms: int) -> float:
    depot = Depot()
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lk-")))
        servers = [Server(depot.meter), *(Server(bay) for bay in depot.bays)]
        for server in servers:
            await server.open()
            stack.push_async_callback(server.close)
        site = directory / "site.json"
        site.write_text(json.dumps(_document([server.url for server in servers], poll_ms)))
        enforcer = start_enforcer(site, directory)
        stack.callback(end, enforcer)
        await _risen(depot, directory)
        waits_ms = await _steps(depot, poll_ms)
    return percentile(waits_ms, 99)


async def _risen(depot: Depot, directory: Path) -> None:
    """Returns when nearly all of the rating is given out, and nothing moves any more."""
    deadline_s = time.monotonic() + RISEN_WITHIN_S
    while time.monotonic() < deadline_s:
        await asyncio.sleep(0.5)
        if all(bay.setpoint_a >= MAX_A - 0.1 for bay in depot.bays):
            break
    else:
        told = log_tail(directory)
        raise CannotMeasureError(
            f"the chargers had not risen within {RISEN_WITHIN_S:g} s; last in the log: {told}"
        )
    depot.base_a = RATING_A - CHARGERS * MAX_A - 1
    await asyncio.sleep(1.0)


async def _steps(depot: Depot, poll_ms: int) -> list[float]:
    random = Random(poll_ms)
    waits_ms: list[float] = []
    for _ in range(STEPS):
        await depot.calm(poll_ms / 1000, random)
        depot.cleared.clear()
        depot.base_a += RATING_A - depot.load_a + STEP_A
        began_ns = time.monotonic_ns()
        try:
            await asyncio.wait_for(depot.cleared.wait(), ANSWER_WITHIN_S)
        except TimeoutError:
            raise CannotMeasureError(
                f"not cleared within {ANSWER_WITHIN_S:g} s of step {len(waits_ms) + 1}"
            ) from None
        waits_ms.append((depot.cleared_ns - began_ns) / 1e6)
    return waits_ms


def percentile(values: Sequence[float], percent: int) -> float:
    """The least value that so many percent do not exceed."""
    return sorted(values)[ceil(len(values) * percent / 100) - 1]


def _document(urls: Sequence[str], poll_ms: int) -> dict[str, Any]:
    release = {"kind": "electronic", "ir_a": RELEASE_A, "tr_s": 16}
    grid = {"id": "grid", "rating_a": RATING_A, "worst_base_a": WORST_BASE_A}
    return {
        "schema": 1,
        "site": {"id": "overload"},
        "circuit": [grid | {"protection": release}],
        "meter": [
            {
                "id": "meter",
                "circuit": "grid",
                "profile": str(HOME / "twenty.toml"),
                "bus": urls[0],
                "poll_s": poll_ms / 1000,
            }
        ],
        "charger": [
            {
                "id": f"bay-{i}",
                "circuit": "grid",
                "profile": "alfen_eve",
                "bus": url,
                "max_a": MAX_A,
                "fallback_a": 6,
                "poll_s": 0.5,
            }
            for i, url in enumerate(urls[1:])
        ],
    }


FIGURES = (
    Figure(
        field="overload_to_setpoint_p99_ms",
        unit="ms by the meter's poll in ms",
        must=Must("≤", {str(poll_ms): round(1.1 * poll_ms + 2, 1) for poll_ms in POLLS_MS}),
        how="from a step of the load at the meter, at a random phase of its poll, until the lower "
        f"setpoints that clear it have arrived at the chargers: p99 of {STEPS} steps",
        measure=overload,
    ),
)
