"""A depot as it is wired, and the document that an installer wrote about it; no enforcer runs.

The devices are those of the rig, behind the same sockets and terminals. What the document says is
the truth, unless somebody makes a mistake in it or in the wiring.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cext.plant import Car, PlantCharger
from controller.facts import Profiles
from controller.hardware import build_plant, hardware
from controller.site import parse
from hil.faults.process import die_with_parent
from hil.rig import Depot, Rig

SITE = Path(__file__).parent / "sites" / "commissioning.toml"
NS_PER_S = 1_000_000_000
REACTS_NS = NS_PER_S // 10
CARS = {"a1": 3, "a2": 1, "b1": 3, "b2": 1}  # phases of the vehicles that stand there
BASE_MA = (11_000, 8_000, 14_000)
NOISE_MA = 200
NOBODYS_BROKER = "127.0.0.1:9"

Document = dict[str, Any]
Rows = list[PlantCharger]


def unchanged(_document: Any) -> None:
    """No mistake."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wired, set or written otherwise than the installer believes."""

    name: str
    wired: Callable[[Document], None] = unchanged  # the truth differs from what was meant
    hardware: Callable[[Rows], None] = unchanged  # likewise what chargers do alone
    device: Callable[[Premises], None] = unchanged  # likewise a setting inside a device
    written: Callable[[Document], None] = unchanged  # the document differs from what is there


@dataclass(frozen=True, slots=True)
class Told:
    """What a command said."""

    status: int
    answer: dict[str, Any]
    text: str


class Premises(Rig):
    """`async with Premises(directory, profiles, mistake)`: devices up, and a document of them."""

    def __init__(
        self,
        directory: Path,
        profiles: Profiles,
        mistake: Mistake,
        cars: Mapping[str, int] = CARS,
    ) -> None:
        truth = tomllib.loads(SITE.read_text())
        meant = deepcopy(truth)
        mistake.wired(truth)
        site = parse(truth, profiles, "site")
        rows = list(hardware(site))
        mistake.hardware(rows)
        plant = build_plant(site, 1, tuple(rows))
        self._meant = parse(meant, profiles, "meant"), meant
        self._mistake = mistake
        self._cars = cars
        super().__init__(Depot(site, truth, plant, tuple(rows)), directory)
        for meter in site.meters:
            plant.set_meter([c.id for c in site.circuits].index(meter.circuit), 0, 0)

    async def _start(self) -> None:
        self.present()
        plant, site = self.depot.plant, self.depot.site
        plant.set_base(0, BASE_MA, NOISE_MA)
        for index, charger in enumerate(site.chargers):
            if charger.id in self._cars:
                phases = self._cars[charger.id]
                plant.plug(index, Car(16_000, phases, REACTS_NS, energy_wh=80_000, taper_wh=0))
        self._mistake.device(self)
        await self._open_depot()
        truth = self.document(NOBODYS_BROKER)
        self.written = as_meant(truth, self._meant[1])
        self._mistake.written(self.written)
        self.site_file.write_text(json.dumps(self.written))

    @property
    def site_file(self) -> Path:
        return self.directory / "site.json"

    async def loadkeeper(self, *words: str, within_s: float = 300.0) -> Told:
        """Runs a command as a process, with --json; devices go on meanwhile."""
        return await self.heard(await self.begun(*words), within_s)

    async def begun(self, *words: str) -> asyncio.subprocess.Process:
        root = str(Path(__file__).parents[1])
        paths = (root, str(self.supplies.plugins or ""), os.environ.get("PYTHONPATH"))
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "controller", *words, "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                **self.supplies.environment,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            },
            preexec_fn=die_with_parent,
        )

    async def heard(self, process: asyncio.subprocess.Process, within_s: float = 300.0) -> Told:
        """What it said, once it has ended."""
        try:
            out, err = await asyncio.wait_for(process.communicate(), within_s)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        text = out.decode() + err.decode()
        lines = out.decode().splitlines()
        return Told(process.returncode, json.loads(lines[-1]) if lines else {}, text)

    async def check(self, *words: str) -> Told:
        runtime = ("--runtime", str(self.runtime))
        return await self.loadkeeper("check", str(self.site_file), "--live", *runtime, *words)

    async def scan(self, bus: str, *words: str) -> Told:
        return await self.loadkeeper("scan", bus, "--runtime", str(self.runtime), *words)

    async def identify(self, charger: str, *words: str) -> Told:
        runtime = ("--runtime", str(self.runtime))
        return await self.loadkeeper("identify", str(self.site_file), charger, *runtime, *words)


def as_meant(there: Document, meant: Document) -> Document:
    """What the installer believes, with the addresses at which things really are."""
    document = deepcopy(there)
    for section in ("meter", "charger", "clamp", "output", "circuit"):
        said = {entry["id"]: entry for entry in _entries(meant, section)}
        for entry in document.get(section, ()):
            for key, value in said.get(entry["id"], {}).items():
                if key not in ("bus", "port"):
                    entry[key] = value
            for key in set(entry) - set(said.get(entry["id"], entry)):
                del entry[key]
    return document


def _entries(document: Document, section: str) -> Sequence[dict[str, Any]]:
    """Rows of chargers counted out."""
    found = []
    for entry in document.get(section, ()):
        if "count" not in entry:
            found.append(entry)
            continue
        for n in range(1, entry["count"] + 1):
            single = {key: value for key, value in entry.items() if key != "count"}
            found.append({**single, "id": entry["id"].replace("{n}", str(n))})
    return found


def of(document: Document, section: str, id_: str) -> dict[str, Any]:
    """An entry of a document, to be changed."""
    return next(entry for entry in document[section] if entry["id"] == id_)
