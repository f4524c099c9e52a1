"""Figures with devices: what they measure against is sound, and what is no figure is refused."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.proof import prove
from controller.site import parse
from drivers.decode import decode
from drivers.library import library
from drivers.library import read as read_profile
from drivers.meterprofile import MeterProfile
from hil.faults.process import resident_mb
from hil.figures import CannotMeasureError, memory, overload, polling, serial, start
from hil.figures.crowd import Crowd, cpu_s
from hil.figures.devices import Bay, Meter, Twenty
from hil.profiles import HOME


@pytest.mark.parametrize(
    ("values", "percent", "found"),
    [
        ([5.0], 99, 5.0),
        (list(range(1, 101)), 99, 99),
        (list(range(100, 0, -1)), 99, 99),
        (list(range(1, 241)), 99, 238),  # 2 of 240 may be longer
        ([1, 2, 3, 4], 50, 2),
    ],
)
def test_percentile(values: Sequence[float], percent: int, found: float) -> None:
    assert overload.percentile(values, percent) == found


def crowd_site(meters: int, chargers: int, poll_s: float) -> dict[str, Any]:
    return Crowd(meters, chargers, poll_s)._document(
        list(range(10_000, 10_000 + meters + chargers))
    )


def urls(count: int) -> list[str]:
    return [f"tcp://127.0.0.1:{10_000 + i}" for i in range(count)]


@pytest.mark.parametrize(
    ("document", "devices"),
    [
        (crowd_site(polling.METERS, polling.CHARGERS, polling.POLL_S), 300),
        (crowd_site(memory.METERS, memory.CHARGERS, memory.POLL_S), 500),
        (overload._document(urls(1 + overload.CHARGERS), 50), 13),
        (start._document(*urls(2)), 2),
        (serial._document("rtu:///dev/shm/line?baud=19200&parity=E&stop=1"), 32),
    ],
    ids=["polling", "memory", "overload", "start", "serial"],
)
def test_sites_pass_their_proof(document: dict[str, Any], devices: int) -> None:
    site = parse(document, library())
    assert len(site.meters) + len(site.chargers) == devices
    assert prove(site).passed


def shown(device: Meter | Twenty | Bay, path: Path | str) -> dict[str, object]:
    """Every register of a profile, as the device shows it, read by its blocks."""
    profile = library().find(path) if isinstance(path, str) else read_profile(path)
    found: dict[str, object] = {}
    for block in profile.blocks:
        raw = device.read(block.fc, block.start, block.count)
        words = [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]
        assert len(words) == block.count
        for name, register in profile.registers.items():
            if block.covers(register):
                found[name] = decode(
                    register, words[register.addr - block.start :][: register.length]
                )
    return found


def test_meter_of_twenty_registers_is_read_at_once_and_shows_the_present() -> None:
    load_a = 12.5
    meter = Twenty(lambda: load_a)
    path = HOME / "twenty.toml"
    profile = read_profile(path)
    assert isinstance(profile, MeterProfile)
    assert [block.count for block in profile.blocks] == [20]
    for expected_ma in (12_500, 99_001):
        load_a = expected_ma / 1000
        found = shown(meter, path)
        assert [found[f"current_l{n}"] for n in (1, 2, 3)] == [expected_ma] * 3
        assert found["power_l2"] == round(230 * load_a) * 1000


def test_crowd_s_meters_are_never_quite_the_same() -> None:
    meter = Meter()
    readings = [shown(meter, "carlo_gavazzi_em24_ethernet") for _ in range(3)]
    assert len({str(each) for each in readings}) == 3
    assert all(each["current_l1"] != 0 for each in readings)


def test_bay_draws_what_it_was_told() -> None:
    told: list[float] = []
    bay = Bay(charging=True, written=told.append)
    bay.write(16, 1210, bytes.fromhex("41480000"))  # 12.5 A
    assert told == [12.5]
    found = shown(bay, "alfen_eve")
    assert (found["current_l3"], found["applied_current"], found["state"]) == (12_500, 12_500, "C2")


class Counted:
    """A crowd in which each device was asked so often a second, by a clock that leaps."""

    def __init__(self, meter_s: float, charger_s: float, slowest_s: float | None) -> None:
        self.enforcer = SimpleNamespace(pid=1)
        self.now_s = 0.0
        self._rates = [meter_s] * polling.METERS + [charger_s] * polling.CHARGERS
        if slowest_s is not None:
            self._rates[7] = slowest_s

    def __call__(self, *_: object) -> "Counted":
        return self

    def __enter__(self) -> "Counted":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def monotonic(self) -> float:
        return self.now_s

    def asked(self) -> list[int]:
        return [round(self.now_s * rate) for rate in self._rates]


@pytest.fixture
def polled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Mapping[str, float]]:
    def measure(*rates_s: float | None) -> Mapping[str, float]:
        crowd = Counted(*rates_s)  # type: ignore[arg-type]  # three rates
        monkeypatch.setattr(polling, "Crowd", crowd)
        monkeypatch.setattr(polling, "time", crowd)
        monkeypatch.setattr(polling, "cpu_s", lambda pid: 0.3 * crowd.now_s)
        return polling.poll300()

    return measure


def test_polling_counts_polls_and_not_requests(polled: Callable[..., Mapping[str, float]]) -> None:
    assert polled(10.0, 20.0, None) == {"core_pct": 30.0, "per_s": 3000}


@pytest.mark.parametrize(
    ("meter_s", "charger_s", "slowest_s"),
    [(9.5, 20.0, None), (9.8, 10.0, None), (10.0, 20.0, 5.0), (10.0, 20.0, 0.0)],
)
def test_missed_polls_are_no_figure(
    polled: Callable[..., Mapping[str, float]],
    meter_s: float,
    charger_s: float,
    slowest_s: float | None,
) -> None:
    with pytest.raises(CannotMeasureError, match="void"):
        polled(meter_s, charger_s, slowest_s)


def test_a_process_s_time_and_memory_are_read_from_the_system() -> None:
    before_s = cpu_s(os.getpid())
    while cpu_s(os.getpid()) == before_s:
        sum(range(10_000))
    assert 5 < resident_mb(os.getpid()) < 5000
