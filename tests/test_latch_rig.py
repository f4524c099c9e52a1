"""The latch in the product's own process: killed and started again, it is still closed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT
from controller.__main__ import main
from controller.clock import MonotonicClock
from controller.events import Events
from controller.latch import Latch
from controller.places import Places
from controller.status_report import StatusReport
from controller.units import NS_PER_S
from controller.wire import ask_status
from hil.devices.alfen import Alfen
from hil.devices.em24 import Em24
from tests.aside import aside
from tests.linked import DOCUMENT, Wall
from tests.patience import wait_for

ROW = PlantCharger(0, (0, 1, 2), 32_000, 6_000, 6_000, 10 * NS_PER_S)
WITHIN_S = 40.0  # from a start until a charger has risen, on a machine with other things to do


class Depot:
    """One circuit, its meter, and a charger with a car; its plant lives in real time."""

    def __init__(self) -> None:
        self.plant = Plant([ROOT], (ROW,), nominal_mv=230_000, seed=1)
        self.plant.set_meter(0, 0, 0)
        self.present()
        self.meter = Em24(self.plant, 0, self.present)
        self.bay = Alfen(self.plant, 0, ROW, self.present)
        self.plant.plug(0, Car(32_000, 3, NS_PER_S, energy_wh=600_000, taper_wh=0))

    def present(self) -> int:
        now_ns = MonotonicClock().now_ns()
        self.plant.advance(now_ns)
        return now_ns


@asynccontextmanager
async def served(depot: Depot) -> AsyncIterator[tuple[str, str]]:
    meter, bay = depot.meter.serve(), depot.bay.serve()
    await meter.open()
    await bay.open()
    try:
        yield meter.url, bay.url
    finally:
        await meter.close()
        await bay.close()


class Process:
    """`loadkeeper run`, as somebody starts it in a directory."""

    def __init__(self, site: dict[str, Any], places: Places) -> None:
        self.places = places
        path = places.state / "site.json"
        path.write_text(json.dumps(site))
        words = [sys.executable, "-m", "controller", "run", str(path)]
        words += ["--runtime", str(places.runtime), "--state", str(places.state)]
        self._child = subprocess.Popen(
            words,
            cwd=Path(__file__).parents[1],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: self.report() is not None, WITHIN_S)

    def report(self) -> StatusReport | None:
        try:
            return asyncio.run(ask_status(self.places.socket))
        except OSError:
            return None

    def setpoint_a(self) -> float:
        report = self.report()
        return (report.chargers[0].setpoint_a or 0.0) if report else 0.0

    def waits_for(self, least_a: float, most_a: float) -> None:
        wait_for(lambda: least_a <= self.setpoint_a() <= most_a, WITHIN_S)

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()


def test_latched_killed_started_and_reset(tmp_path: Path) -> None:
    places = Places(tmp_path / "r", tmp_path / "s")
    places.prepare()
    depot = Depot()
    with aside(served(depot)) as (meter, bay):
        site = DOCUMENT | {
            "meter": [DOCUMENT["meter"][0] | {"bus": meter}],
            "charger": [DOCUMENT["charger"][0] | {"bus": bay, "unit": 1}],
            "limit_source": [],
        }
        before = Latch(places.latch, Events(MonotonicClock()), Wall())  # as the guard closes it
        before.close("guard_disputes", "three in a row")
        before.stop()
        for _ in range(2):
            process = Process(site, places)
            try:
                process.waits_for(6, 6)
                report = process.report()
                assert report is not None
                assert report.latched is not None
                assert report.latched.why == "three in a row"
            finally:
                process.kill()
        process = Process(site, places)
        try:
            process.waits_for(6, 6)
            assert main(["reset", "--runtime", str(places.runtime)]) == 0
            process.waits_for(20, 32)
            wait_for(lambda: depot.plant.charger(0).offered_ma > 20_000, WITHIN_S)
        finally:
            process.kill()
        process = Process(site, places)
        try:
            report = process.report()
            assert report is not None
            assert report.latched is None
        finally:
            process.kill()
