"""`loadkeeper scan` on the rig's own devices, behind real sockets and terminals."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT
from controller.__main__ import main
from controller.clock import MonotonicClock
from controller.document.buses import bus_address
from controller.units import NS_PER_S
from drivers.bus import Bus
from drivers.discover import Found, scan, usual_units, who_is
from drivers.identity import Marker
from drivers.library import library
from drivers.modbus import TcpLine
from drivers.prober import SILENT_MAX, Prober
from hil.devices.alfen import Alfen
from hil.devices.em24 import APPLICATION_H, Em24
from hil.devices.heidelberg import Heidelberg
from hil.devices.keba import Keba
from hil.devices.mbap import Server
from hil.devices.pdu import Code, Manner, RefusalError, Registers
from hil.devices.rs485 import Rs485, Slave
from hil.devices.sdm630 import Sdm630
from hil.devices.simulated import SIMULATED_CHARGERS
from tests.aside import aside

ROW = PlantCharger(0, (0, 1, 2), 16_000, 8_000, 6_000, 10 * NS_PER_S)
Command = Callable[..., tuple[int, dict[str, object], str]]


@pytest.fixture
def loadkeeper(capsys: pytest.CaptureFixture[str], tmp_path: object) -> Command:
    """Exit status, the JSON line, and what was said beside it."""

    def run(*arguments: str) -> tuple[int, dict[str, object], str]:
        status = main(["scan", "--runtime", str(tmp_path), "--json", *arguments])
        captured = capsys.readouterr()
        return status, json.loads(captured.out.splitlines()[-1]), captured.out + captured.err

    return run


def only(told: dict[str, object]) -> dict[str, object]:
    scans = told["scans"]
    assert isinstance(scans, list)
    assert len(scans) == 1
    found = scans[0]["found"]
    assert len(found) == 1, found
    return dict(found[0])


class Depot:
    """A loaded circuit and two chargers, one with a car."""

    def __init__(self) -> None:
        self.plant = Plant([ROOT], (ROW, ROW), nominal_mv=230_000, seed=1)
        self.plant.set_meter(0, 0, 0)
        self.present()
        self.plant.set_base(0, (20_000, 15_000, 10_000), 0)
        self.plant.plug(0, Car(16_000, 3, NS_PER_S // 20, energy_wh=60_000, taper_wh=0))

    def present(self) -> int:
        now_ns = MonotonicClock().now_ns()
        self.plant.advance(now_ns)
        return now_ns


@asynccontextmanager
async def _served(device: Alfen | Keba | Em24) -> AsyncIterator[str]:
    server = device.serve()
    await server.open()
    yield server.url
    await server.close()


def serving(device: Alfen | Keba | Em24) -> AbstractContextManager[str]:
    return aside(_served(device))


def test_a_meter_with_a_marker_is_sure(loadkeeper: Command) -> None:
    depot = Depot()
    with serving(Em24(depot.plant, 0, depot.present)) as url:
        status, told, said = loadkeeper(url, "--units", "1-3")
    found = only(told)
    assert status == 0, said
    assert (found["profile"], found["surety"]) == ("carlo_gavazzi_em24_ethernet", "sure")
    assert f'bus = "{url}"' in str(told)


def test_what_is_set_otherwise_in_it_is_told_with_what_to_mend(loadkeeper: Command) -> None:
    depot = Depot()
    meter = Em24(depot.plant, 0, depot.present)
    meter.application = APPLICATION_H - 1
    with serving(meter) as url:
        _, told, _ = loadkeeper(url, "--units", "1")
    fits = only(told)["fits"]
    assert isinstance(fits, list)
    assert fits[0]["surety"] == "sure"
    assert "set it in the meter's own menu" in fits[0]["wrong"][0]


def test_a_charger_without_a_marker_is_likely_by_what_it_says(loadkeeper: Command) -> None:
    depot = Depot()
    with serving(Alfen(depot.plant, 0, ROW, depot.present)) as url:
        status, told, said = loadkeeper(url, "--units", "1,2")
    found = only(told)
    assert status == 0, said
    assert (found["profile"], found["surety"]) == ("alfen_eve", "likely")


def test_one_that_is_busy_is_asked_slowly_and_tells_its_serial_number(loadkeeper: Command) -> None:
    depot = Depot()
    device = Keba(depot.plant, 0, ROW, depot.present)
    with serving(device) as url:
        status, told, said = loadkeeper(url, "--units", "255")
    found = only(told)
    assert status == 0, said
    fits = found["fits"]
    assert isinstance(fits, list)
    # The older model has the same registers, and nothing known that tells them apart.
    assert [(each["profile"], each["surety"]) for each in fits[:2]] == [
        ("keba_p30", "likely"),
        ("keba_p40", "likely"),
    ]
    assert found["profile"] is None
    assert device.hurried <= 2  # until it had said so
    assert device.writes == 0


VESTEL_SAYS = {"serial": "EVC-0042-7781", "firmware": "v3.187.0", "model": "EVC04"}


@pytest.mark.parametrize(
    ("name", "told"),
    [("vestel_evc04", VESTEL_SAYS), ("phoenix_charx_sec3xxx", {"firmware": "1.7.3"})],
)
def test_one_of_which_the_profile_is_known_tells_who_it_is(name: str, told: dict[str, str]) -> None:
    """As `check --live` asks; a scan does so once it is sure."""
    depot, profile = Depot(), library().charger_profile(name)
    device = SIMULATED_CHARGERS[name](depot.plant, 0, ROW, depot.present, profile.unit)

    async def whole() -> dict[str, str]:
        server = device.serve()
        await server.open()
        line = TcpLine("127.0.0.1", server.port, 1, may_write=False)
        try:
            return await who_is(Prober(profile.unit, Bus(line, MonotonicClock()), gap_s=0), profile)
        finally:
            line.close()
            await server.close()

    assert asyncio.run(whole()) == told


def test_a_serial_line_is_asked_unit_by_unit(loadkeeper: Command) -> None:
    depot = Depot()

    @asynccontextmanager
    async def line() -> AsyncIterator[str]:
        made = Rs485(19_200, "E", 1)
        Slave(made, Heidelberg(depot.plant, 1, ROW, depot.present, unit=3), 0.005)
        Slave(made, Sdm630(depot.plant, 0, depot.present, unit=7), 0.005)
        made.plug()
        yield made.url
        made.unplug()

    with aside(line()) as url:
        status, told, said = loadkeeper(url, "--units", "3,5,7", "--timeout", "0.2")
    assert status == 0, said
    scans = told["scans"]
    assert isinstance(scans, list)
    found = {each["unit"]: each for each in scans[0]["found"]}
    assert set(found) == {3, 7}
    assert (found[3]["profile"], found[3]["surety"]) == ("heidelberg_energy_control", "sure")
    # An SDM72D-M v2 has the same registers: nothing that can be read tells them apart.
    assert found[7]["profile"] is None
    fits = {each["profile"] for each in found[7]["fits"]}
    assert {"eastron_sdm630_v2", "eastron_sdm72d_m_v2"} <= fits
    assert '[[bus]]\nid = "rs485-a"' in scans[0]["entries"]
    assert 'profile = "eastron_sdm630_v2"  # or eastron_sdm72d_m_v2' in scans[0]["entries"]


@dataclass
class Strange:
    """Nobody knows it: it holds some words, and refuses the rest."""

    held: dict[int, int] = field(default_factory=dict)
    refusal: Code = Code.ILLEGAL_ADDRESS
    unit: int = 1
    asked: int = 0

    def read(self, function: int, address: int, count: int) -> bytes:
        self.asked += 1
        words = [self.held.get(address + i) for i in range(count)]
        if function != 3 or None in words:
            raise RefusalError(self.refusal)
        return struct.pack(f">{count}H", *(word or 0 for word in words))

    def write(self, function: int, address: int, words: bytes) -> None:
        raise AssertionError("something was written")


def asking(device: Registers) -> Found | None:
    """What a scan of unit 1 finds, with all profiles."""

    async def whole() -> Found | None:
        server = Server(device)
        await server.open()
        bus = Bus(TcpLine("127.0.0.1", server.port, 1, may_write=False), MonotonicClock())
        every = [library().find(name) for name in library().names()]
        done = await scan(bus, (1,), every)
        bus.close()
        await server.close()
        assert done.any_unit is False
        return done.found[0] if done.found else None

    return asyncio.run(whole())


def test_an_exception_means_that_somebody_is_there() -> None:
    found = asking(Strange())
    assert found is not None
    assert "exception 2" in found.heard
    assert found.fits == []
    assert found.best is None


def test_a_gateway_that_reaches_nobody_is_nobody() -> None:
    assert asking(Strange(refusal=Code.GATEWAY_NO_RESPONSE)) is None


def test_a_sunspec_device_says_who_it_is() -> None:
    def text(words: int, said: str) -> list[int]:
        raw = said.encode().ljust(2 * words, b"\0")
        return list(struct.unpack(f">{words}H", raw))

    common = text(16, "Acme") + text(16, "Meter 3") + text(8, "") + text(8, "1.2")
    common += [*text(16, "SN-77"), 1, 0]
    words = [0x5375, 0x6E53, 1, 66, *common, 203, 105, *[0] * 105, 0xFFFF, 0]
    found = asking(Strange({40000 + i: word for i, word in enumerate(words)}))
    assert found is not None
    assert found.sunspec is not None
    assert (found.sunspec.maker, found.sunspec.model) == ("Acme", "Meter 3")
    assert found.sunspec.models == (1, 203)
    assert found.serial == "SN-77"
    assert found.best is not None
    assert (found.best.profile, found.best.surety.name) == ("sunspec_201_204", "SURE")


def test_a_device_of_zeros_is_no_charger_and_no_meter() -> None:
    found = asking(Strange(dict.fromkeys(range(65536), 0)))
    assert found is not None
    assert found.best is None


def test_one_that_falls_silent_is_left_alone() -> None:
    async def whole() -> int:
        server = Server(Strange())
        await server.open()
        line = TcpLine("127.0.0.1", server.port, 0.1, may_write=False)
        prober = Prober(1, Bus(line, MonotonicClock()), gap_s=0)
        assert (await prober.contact()).there
        await server.behave(Manner.SILENT)
        before = prober.questions
        for address in range(50):
            assert await prober.words(3, 100 + address, 1) is None
        line.close()
        await server.close()
        return prober.questions - before

    assert asyncio.run(whole()) == SILENT_MAX


def test_an_answer_to_every_unit_is_told() -> None:
    class Careless(Server):
        def answer(self, unit: int, pdu: bytes) -> bytes:
            return super().answer(self.device.unit, pdu)

    async def whole() -> bool:
        server = Careless(Strange())
        await server.open()
        bus = Bus(TcpLine("127.0.0.1", server.port, 1, may_write=False), MonotonicClock())
        done = await scan(bus, (1,), ())
        bus.close()
        await server.close()
        return done.any_unit

    assert asyncio.run(whole())


def test_nobody_there_ends_with_1_and_what_to_look_at(
    capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    status = main(["scan", "--runtime", str(tmp_path), "tcp://127.0.0.1:9"])
    captured = capsys.readouterr()
    assert status == 1
    assert "connection refused" in captured.out
    assert "is Modbus TCP switched on in it" in captured.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("127.0.0.1",),
        ("tcp://127.0.0.1", "--units", "0-256"),
        ("tcp://127.0.0.1", "--units", "3-1"),
        ("tcp://127.0.0.1", "--units", "one"),
        ("tcp://127.0.0.1", "--settings"),
    ],
)
def test_wrong_use_ends_with_2(arguments: tuple[str, ...]) -> None:
    try:
        status = main(["scan", *arguments])
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2


def test_marks_are_numbers_or_how_a_text_begins() -> None:
    number = Marker.model_validate({"addr": 1, "type": "uint16", "values": [7, 9]})
    text = Marker.model_validate({"addr": 1, "type": "ascii", "len": 4, "values": ["Acme"]})
    assert number.fits(9)
    assert not number.fits(8)
    assert not number.fits(None)
    assert text.fits("ACME 3000")
    assert not text.fits("The Acme")
    with pytest.raises(ValueError, match="no unit"):
        Marker.model_validate({"addr": 1, "type": "uint16", "unit": "A", "values": [7]})


def test_usual_units_are_those_that_devices_are_delivered_with() -> None:
    every = [library().find(name) for name in library().names()]
    tcp = usual_units(bus_address("tcp://192.0.2.1"), every)
    rtu = usual_units(bus_address("rtu:///dev/ttyUSB0?baud=9600&parity=N&stop=1"), every)
    assert {1, 255} <= set(tcp)
    assert set(range(1, 11)) <= set(rtu)
    assert 0 not in rtu
