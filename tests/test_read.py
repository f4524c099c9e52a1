"""`loadkeeper read`: what an installer sees of a device, and what he is told where he sees none."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.__main__ import main
from controller.document.clamps import FORMATS
from drivers.library import library
from tests.aside import aside
from tests.clamp_lines import rpict7v1
from tests.driven import Alfen, Devices, Em24
from tests.modbus_wire import Behaviour, serving
from tests.serial_wire import SerialWire

EM24 = "carlo_gavazzi_em24_ethernet"


@contextmanager
def device(behave: Behaviour) -> Iterator[str]:
    """Yields its URL."""
    with aside(serving(behave)) as wire:
        yield f"tcp://127.0.0.1:{wire.port}"


def read(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["read", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def answer(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def test_a_meter_is_shown_in_units_with_its_direction(capsys: pytest.CaptureFixture[str]) -> None:
    with device(Devices({1: Em24([10_500, -2_000, 0])})) as url:
        status, out, err = read(capsys, EM24, url)
    assert (status, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["current_l1", "10.5", "A"] in lines
    assert ["current_l2", "-2.0", "A"] in lines
    assert ["voltage_l3", "230.0", "V"] in lines
    assert "Carlo Gavazzi" in out


def test_a_charger_is_shown_with_what_control_takes_from_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = Alfen(setpoint=32.0, applied=6.0, valid_s=0, state="B2")
    with device(Devices({2: shown})) as url:
        status, out, _ = read(capsys, "alfen_eve", url, "--unit", "2", "--json")
    values = answer(out)["values"]
    assert status == 0
    assert values["in_force"] == {"value": 6.0, "unit": "A"}
    assert values["vehicle"] == {"value": "B", "unit": ""}
    assert values["setpoint_valid_for"] == {"value": 0.0, "unit": "s"}
    assert shown.written == []


def test_a_profile_may_be_a_path(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shutil.copy(library().names()["alfen_eve"], tmp_path / "mine.toml")
    with device(Devices({1: Alfen()})) as url:
        status, out, _ = read(capsys, str(tmp_path / "mine.toml"), url, "--json")
    assert (status, answer(out)["profile"]) == (0, "mine")


@pytest.mark.parametrize(
    ("units", "words"),
    [
        ({1: Em24(application=2)}, "application is not H"),
        ({1: Alfen()}, "no such register (exception 2)"),
        ({1: None}, "no answer within 0.2 s"),
        ({1: Em24([0x7FFFFFFF, 0, 0])}, "current_l1 unknown"),
    ],
)
def test_what_cannot_be_used_is_said_and_ends_with_1(
    capsys: pytest.CaptureFixture[str], units: dict[int, Em24 | Alfen | None], words: str
) -> None:
    with device(Devices(units)) as url:
        status, out, err = read(capsys, EM24, url, "--timeout", "0.2", "--json")
    assert status == 1
    assert words in err
    assert answer(out)["profile"] == EM24


def test_a_busy_device_is_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    busy = iter([6, 11])
    devices = Devices({1: Alfen()})
    devices.refuse = lambda _: next(busy, 0)
    with device(devices) as url:
        assert read(capsys, "alfen_eve", url)[0] == 0
    devices.refuse = lambda _: 6
    with device(devices) as url:
        status, _, err = read(capsys, "alfen_eve", url)
    assert status == 1
    assert "is busy" in err


def test_nobody_there_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = read(capsys, "alfen_eve", "tcp://127.0.0.1:1", "--json")
    assert status == 1
    assert "tcp://127.0.0.1:1, unit 1, register 306): connection refused" in err
    assert "connection refused" in answer(out)["error"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("alfen", "tcp://127.0.0.1:1"), "did you mean alfen_eve"),
        (("/no/such.toml", "tcp://127.0.0.1:1"), "cannot read the profile /no/such.toml"),
        (("alfen_eve", "127.0.0.1:1"), "BUS must look like tcp://"),
        (("alfen_eve", "rtu:///dev/ttyUSB0"), "BUS must look like rtu:///dev"),
        (("alfen_eve", "tcp://127.0.0.1:1", "--unit", "256"), "from 0 to 255"),
        (("alfen_eve", "tcp://127.0.0.1:1", "--unit", "one"), "from 0 to 255"),
        (("alfen_eve", "tcp://127.0.0.1:1", "--timeout", "nan"), "from 0.05 to 60"),
        (("alfen_eve", "tcp://127.0.0.1:1", "--timeout", "soon"), "from 0.05 to 60"),
        (("alfen_eve",), "BUS"),
    ],
)
def test_wrong_use_ends_with_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    status, _, err = read(capsys, *arguments)
    assert status == 2
    assert words in err


def test_a_bad_profile_is_wrong_use_with_every_mistake(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = library().names()["alfen_eve"].read_text()
    bad = tmp_path / "bad.toml"
    bad.write_text(text.replace("addr = 306,", "addr = 307,").replace('unit = "W"', 'unit = "kW"'))
    status, _, err = read(capsys, str(bad), "tcp://127.0.0.1:1")
    assert status == 2
    assert err.count("registers.power_") == 4


@asynccontextmanager
async def clamp_port(tmp_path: Path, line: bytes) -> AsyncIterator[str]:
    """A port that says the same line again and again. Yields its path."""
    wire = SerialWire(f"{tmp_path}/adapter")
    wire.plug()

    async def say() -> None:
        while True:
            wire.send(line)
            await asyncio.sleep(0.02)

    saying = asyncio.create_task(say())
    try:
        yield wire.port
    finally:
        saying.cancel()
        wire.stop()


def test_a_clamp_is_heard_on_its_port(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with aside(clamp_port(tmp_path, rpict7v1([1.5, 2, 0.25], node=7))) as port:
        status, out, _ = read(capsys, "rpict7v1", port, "--unit", "7", "--json")
        told = answer(out)
        assert status == 0
        assert [each["value"] for each in told["values"].values()] == [1.5, 2.0, 0.25]
        status, out, _ = read(capsys, "rpict7v1", port, "--unit", "7")
        assert ["current_l3", "0.25", "A"] in [line.split() for line in out.splitlines()]


def test_a_clamp_that_says_something_else_ends_with_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = replace(FORMATS["rpict7v1"], period_ns=100_000_000)
    monkeypatch.setitem(FORMATS, "rpict7v1", brief)
    with aside(clamp_port(tmp_path, b"pi login:\r\n")) as port:
        status, out, err = read(capsys, "rpict7v1", port, "--timeout", "0.3", "--json")
    assert status == 1
    assert "no line of this format" in err
    assert "no line of this format" in answer(out)["error"]


def test_a_clamp_has_a_port_and_no_bus(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = read(capsys, "emontx3", "tcp://127.0.0.1:502")
    assert status == 2
    assert "the path of its port" in err
