"""One RS-485 line with 32 devices, three of them dead: how old the reading that protects gets.

The enforcer is the product's process; the line is a pseudo-terminal that takes the time that the
bytes take at 19 200 baud, with the devices behind it in this process. All that is asked for is
more than the line can carry at some moments.

The base load climbs in steps, for most of which half of the chargers or more must make room at
once, and falls back to where they may rise again. One that stands still, or is merely noisy, has
next to nothing written for minutes at a time: that would be the easier case.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

from controller.wire import FrameError, ask_status
from hil.devices.pdu import Registers
from hil.devices.rs485 import Rs485, Slave
from hil.figures import CannotMeasureError, Figure, Must
from hil.figures.crowd import end, log_tail, start_enforcer
from hil.figures.devices import SerialBay, SerialMeter

BAUD = 19_200
METERS, CHARGERS = 8, 24  # the first meter protects all of them
DEAD = (3, 15, 27)  # units: a meter and two chargers
POLL_S = 1.0  # of the meter that protects
OTHERS_POLL_S, CHARGER_POLL_S = 2.0, 5.0
RATING_A, WORST_BASE_A = 360.0, 200.0
REST_A = 40.0  # of the base load: it rests, climbs in steps, and falls back
STEPS_A = (100.0, 15.0, 15.0, 15.0, 15.0)  # the first takes what they had not risen to
REST_S, STEP_S = 66.0, 4.0
RELEASE_A = 800.0  # carries all of it at once: nothing of the proof is measured here
NOISE_A = 3.0
PERIOD_S = REST_S + len(STEPS_A) * STEP_S
UP_WITHIN_S = 90.0
SETTLE_S = 15.0
MEASURE_S = PERIOD_S  # so that it has all of it, wherever it begins
ROUSING = 4  # of them, at least: each lowers half of the living before the next


class Depot:
    """What hangs on the line."""

    def __init__(self) -> None:
        self._noise = random.Random(1)
        self._began_s = time.monotonic()
        units = range(METERS + 1, METERS + CHARGERS + 1)
        self.bays = [SerialBay(unit) for unit in units if unit not in DEAD]
        self.protects = SerialMeter(1, self._load_a)
        others = [SerialMeter(unit, lambda: 20.0) for unit in range(2, METERS + 1)]
        self.line = Rs485(BAUD, "E", 1)
        devices: list[Registers] = [self.protects, *others, *self.bays]
        for device in devices:
            if device.unit not in DEAD:
                Slave(self.line, device)

    def _load_a(self) -> float:
        drawn_a = sum(bay.setpoint_a for bay in self.bays)
        return self._base_a() + self._noise.gauss(0, NOISE_A) + drawn_a

    def _base_a(self) -> float:
        """Now: up in steps, down at once."""
        return REST_A + sum(STEPS_A[: self._climbed(time.monotonic())])

    def _climbed(self, at_s: float) -> int:
        """How many steps it was up then."""
        past_s = (at_s - self._began_s) % PERIOD_S - REST_S
        return max(0, int(past_s // STEP_S) + 1)

    def roused_since(self, began_s: float) -> int:
        """Steps that lowered at least half of the living chargers before the next step."""
        lowered: list[set[int]] = [set() for _ in STEPS_A]
        for bay in self.bays:
            for at_s in bay.lowered_s:
                step = self._climbed(at_s)
                if at_s >= began_s and step > 0:
                    lowered[step - 1].add(bay.unit)
        return sum(2 * len(units) >= len(self.bays) for units in lowered)

    @property
    def living(self) -> int:
        return len(self.line.slaves)


def age_polls() -> float:
    """The greatest age that the protective meter's reading reached, in its polls."""
    return round(asyncio.run(_age_s()) / POLL_S, 2)


async def _age_s() -> float:
    depot = Depot()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lk-")))
        depot.line.plug()
        stack.callback(depot.line.unplug)
        site = directory / "site.json"
        site.write_text(json.dumps(_document(depot.line.url)))
        enforcer = start_enforcer(site, directory)
        stack.callback(end, enforcer)
        await _online(depot, directory)
        await asyncio.sleep(SETTLE_S)
        began_s = time.monotonic()
        await asyncio.sleep(MEASURE_S)
        await _online(depot, directory)
        if depot.line.spoilt:
            raise CannotMeasureError(f"void: {depot.line.spoilt} frames met others on the line")
        if (roused := depot.roused_since(began_s)) < ROUSING:
            raise CannotMeasureError(
                f"void: {roused} of {len(STEPS_A)} steps lowered half of the chargers"
            )
        # Each answer takes as long as the other: an age is what lies between two of them.
        asked = [at_s for at_s in depot.protects.asked if at_s >= began_s]
        return max(b - a for a, b in pairwise([began_s, *asked, time.monotonic()]))


async def _online(depot: Depot, directory: Path) -> None:
    """Returns when all that live are heard, and only they."""
    deadline_s = time.monotonic() + UP_WITHIN_S
    heard = 0
    while time.monotonic() < deadline_s:
        await asyncio.sleep(0.5)
        try:
            status = await ask_status(directory / "r" / "enforcer.sock")
        except (OSError, FrameError):
            continue
        heard = sum(each.online for each in status.devices)
        if heard == depot.living:
            return
    told = log_tail(directory)
    raise CannotMeasureError(
        f"{heard} of {depot.living} devices were heard at once within {UP_WITHIN_S:g} s; "
        f"last in the log: {told}"
    )


def _document(url: str) -> dict[str, Any]:
    release = {"kind": "electronic", "ir_a": RELEASE_A, "tr_s": 16}
    grid = {"id": "grid", "rating_a": RATING_A, "worst_base_a": WORST_BASE_A}
    grid |= {"base_step_a": STEPS_A[-1] + 4 * NOISE_A}
    rows = [
        {"id": f"row-{i}", "parent": "grid", "rating_a": 100, "worst_base_a": 1}
        for i in range(1, METERS)
    ]
    return {
        "schema": 1,
        "site": {"id": "serial"},
        "circuit": [grid | {"protection": release}, *rows],
        "bus": [{"id": "line", "url": url}],
        "meter": [
            {
                "id": f"meter-{i}",
                "circuit": rows[i - 1]["id"] if i else "grid",
                "profile": "eastron_sdm630_v2",
                "bus": "line",
                "unit": 1 + i,
                "poll_s": OTHERS_POLL_S if i else POLL_S,
            }
            for i in range(METERS)
        ],
        "charger": [
            {
                "id": f"bay-{i}",
                "circuit": rows[i % len(rows)]["id"],
                "profile": "heidelberg_energy_control",
                "bus": "line",
                "unit": METERS + 1 + i,
                "max_a": 16,
                "fallback_a": 6,
                "power_on_a": 6,
                "poll_s": CHARGER_POLL_S,
            }
            for i in range(CHARGERS)
        ],
    }


FIGURES = (
    Figure(
        field="rtu32_protective_age_polls",
        unit="polls",
        must=Must("≤", 3),
        how=f"one paced RS-485 line of {BAUD} baud, {METERS} meters and {CHARGERS} chargers, "
        f"{len(DEAD)} of them dead: the greatest age, in its polls of {POLL_S:g} s, of the "
        f"reading of the meter that protects all of them, in {MEASURE_S:g} s, while the base load "
        f"climbs in {len(STEPS_A)} steps, of which {ROUSING} or more lower half of the chargers",
        measure=age_polls,
    ),
)
