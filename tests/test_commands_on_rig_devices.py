"""`loadkeeper read` and `set` on the rig's own devices: a KEBA, and what hangs on a serial line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

import pytest

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT, Vehicle
from controller.__main__ import main
from controller.clock import MonotonicClock
from controller.units import NS_PER_S
from drivers.bus import Bus
from drivers.library import library
from drivers.modbus import TcpLine
from drivers.trial import Trial
from hil.devices import keba
from hil.devices.heidelberg import Heidelberg
from hil.devices.keba import Keba
from hil.devices.mbap import Server
from hil.devices.rs485 import Rs485, Slave
from hil.devices.sdm630 import Sdm630
from tests.aside import aside
from tests.patience import wait_for

ROW = PlantCharger(0, (0, 1, 2), 16_000, 8_000, 6_000, 10 * NS_PER_S)
READ_GAP_S, WRITE_GAP_S = 0.02, 0.3


class Depot:
    """One circuit and two chargers with cars; its plant lives in real time."""

    def __init__(self) -> None:
        self.plant = Plant([ROOT], (ROW, ROW), nominal_mv=230_000, seed=1)
        self.plant.set_meter(0, 0, 0)
        self.present()
        self.keba = Keba(self.plant, 0, ROW, self.present)
        self.box = Heidelberg(self.plant, 1, ROW, self.present, unit=3)
        self.meter = Sdm630(self.plant, 0, self.present, unit=7)
        for index in (0, 1):
            self.plant.plug(index, Car(16_000, 3, NS_PER_S // 20, energy_wh=60_000, taper_wh=0))
        wait_for(self._charging)

    def _charging(self) -> bool:
        self.present()
        return self.plant.charger(0).vehicle is Vehicle.C

    def present(self) -> int:
        now_ns = MonotonicClock().now_ns()
        self.plant.advance(now_ns)
        return now_ns


@asynccontextmanager
async def _served(
    depot: Depot, framing: str = "rtu", bits: int = 8
) -> AsyncIterator[tuple[str, str]]:
    server: Server = depot.keba.serve()
    await server.open()
    line = Rs485(19_200, "E", 1, framing, bits)
    for device in (depot.box, depot.meter):
        Slave(line, device, 0.005)
    line.plug()
    yield server.url, line.url
    line.unplug()
    await server.close()


def serving(depot: Depot) -> AbstractContextManager[tuple[str, str]]:
    """Yields the KEBA's URL, the line's."""
    return aside(_served(depot))


Told = tuple[int, dict[str, object], str]


@pytest.fixture
def loadkeeper(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, dict[str, object], str]]:
    """Exit status, the JSON line, and what was said beside it."""

    def run(command: str, *arguments: str) -> Told:
        runtime = ["--runtime", str(tmp_path)] if command == "set" else []
        status = main([command, *runtime, "--json", *arguments])
        captured = capsys.readouterr()
        return status, json.loads(captured.out.splitlines()[-1]), captured.out + captured.err

    return run


@pytest.fixture
def hasty_keba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its profile, and the device, with the gaps of a KEBA for the impatient."""
    monkeypatch.setattr(keba, "READ_GAP_NS", int(READ_GAP_S * NS_PER_S))
    monkeypatch.setattr(keba, "WRITE_GAP_NS", int(WRITE_GAP_S * NS_PER_S))
    text = library().names()["keba_p40"].read_text()
    for before, after in (
        ("read_gap_s = 0.5", f"read_gap_s = {READ_GAP_S}"),
        ("write_gap_s = 5", f"write_gap_s = {WRITE_GAP_S}"),
        ("settle_s = 6", "settle_s = 0.5"),
    ):
        assert before in text
        text = text.replace(before, after)
    profile = tmp_path / "keba.toml"
    profile.write_text(text)
    return str(profile)


Command = Callable[..., Told]


def value(told: dict[str, object], name: str) -> object:
    values = told["values"]
    assert isinstance(values, dict)
    return values[name]["value"]


def test_a_line_in_letters_is_scanned_and_read_and_set(loadkeeper: Command) -> None:
    """A converter that makes Modbus ASCII of what hangs there, at 7 data bits."""
    depot = Depot()
    with aside(_served(depot, "ascii", 7)) as (_, url):
        assert url.startswith("ascii:///dev/shm/")
        status, told, said = loadkeeper("scan", url, "--units", "3,7,9", "--timeout", "0.5")
        assert status == 0, said
        status, _, said = loadkeeper("read", "eastron_sdm630_v2", url, "--unit", "7")
        assert status == 0, said
        before = depot.box.writes
        status, _, said = loadkeeper(
            "set", "heidelberg_energy_control", url, "10", "--unit", "3", "--hold", "0.3"
        )
        assert status == 0, said
        assert depot.box.writes > before
        status, _, said = loadkeeper(
            "read", "eastron_sdm630_v2", url.replace("ascii:", "rtu:").replace("&bits=7", "")
        )
        assert status == 1
    scans = told["scans"]
    assert isinstance(scans, list)
    found = {each["unit"]: each for each in scans[0]["found"]}
    assert set(found) == {3, 7}
    assert "eastron_sdm630_v2" in json.dumps(found[7])
    assert "heidelberg_energy_control" in json.dumps(found[3])


def test_a_keba_is_read_one_value_at_a_time(loadkeeper: Command) -> None:
    """At its own pace: ten reads take four and a half seconds."""
    depot = Depot()
    with serving(depot) as (url, _):
        status, told, _ = loadkeeper("read", "keba_p40", url)
    assert status == 0
    assert value(told, "max_current") == value(told, "in_force") == 8
    assert value(told, "failsafe_timeout") == 10
    assert value(told, "vehicle") == "C"
    assert depot.keba.hurried == 0


def test_a_keba_is_set_and_gets_back_what_it_had(loadkeeper: Command, hasty_keba: str) -> None:
    depot = Depot()
    with serving(depot) as (url, _):
        status, _, said = loadkeeper("set", hasty_keba, url, "10", "--hold", "0.3")
    assert status == 0, said
    assert depot.keba.writes == 2
    assert depot.keba.hurried == 0
    depot.present()
    # It does not tell whether it had fallen back before: the lower of the two cannot harm.
    assert depot.plant.charger(0).offered_ma == 6_000


@pytest.mark.parametrize(
    ("watchdog_s", "words"), [(0, "its watchdog is off"), (10, "10 s, it shows")]
)
def test_what_a_keba_does_alone_is_told_as_it_is_set(
    hasty_keba: str, watchdog_s: int, words: str
) -> None:
    depot = Depot()
    row = ROW._replace(watchdog_ns=watchdog_s * NS_PER_S)
    depot.keba = Keba(depot.plant, 0, row, depot.present)
    profile = library().charger_profile(hasty_keba)

    async def look(port: int) -> str:
        line = TcpLine("127.0.0.1", port, 2, may_write=False)
        trial = Trial(profile.unit, profile, Bus(line, MonotonicClock()), 10_000)
        await trial.look()
        line.close()
        return trial.alone()

    with serving(depot) as (url, _):
        assert words in asyncio.run(look(int(url.rsplit(":", 1)[1])))


def test_a_wall_box_and_a_meter_on_one_line_are_read_and_set(loadkeeper: Command) -> None:
    depot = Depot()
    depot.plant.set_base(0, (20_000, 0, -5_000))
    with serving(depot) as (_, url):
        status, told, said = loadkeeper("read", "eastron_sdm630_v2", url, "--unit", "7")
        assert status == 0, said
        assert float(str(value(told, "current_l1"))) >= 20  # and what its cars draw already
        box = ("heidelberg_energy_control", url)
        status, _, said = loadkeeper("set", *box, "10", "--unit", "3", "--hold", "0.3")
        assert status == 0, said
        assert depot.box.hurried == 0
        status, told, said = loadkeeper("read", *box, "--unit", "3")
    assert status == 0, said
    assert value(told, "setpoint") == 6
    assert depot.box.writes == 2
