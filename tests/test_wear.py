"""Budgets of what wears out: counted, kept over a restart, told, and never in a reduction's way."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from controller.units import NS_PER_S
from drivers.chargerparts import Enable, Endurance
from drivers.chargerprofile import ChargerProfile
from drivers.connectors import Connectors, at_connector
from drivers.device import Request
from drivers.library import library
from drivers.memory import Memory
from drivers.wear import DAY_S, Kept, Wear, _File
from tests.test_charger_format import COIL, made

DAY_NS = DAY_S * NS_PER_S
LINE, DEVICE = "tcp://192.0.2.1:502", "tcp://192.0.2.1:502 unit 1"


def to(address: int, fc: int = 6) -> Request:
    return Request("bay", 1, fc, address, 1, (1,))


TIMEOUT, SETPOINT = to(257), to(261)


def worn(*names: str, a_day: int = 4, in_all: int = 100) -> ChargerProfile:
    endurance = Endurance(registers=names, writes_a_day=a_day, writes=in_all)
    plain = library().charger_profile("heidelberg_energy_control")
    return plain.model_copy(update={"endurance": endurance})


class Time:
    def __init__(self) -> None:
        self.ns = 7 * DAY_NS

    def now_ns(self) -> int:
        return self.ns


def of(wear: Wear, profile: ChargerProfile, unit: int = 1, connector: int = 1) -> Memory:
    return Memory(wear, LINE, unit, at_connector(profile, connector), connector)


def writes(memory: Memory, request: Request = TIMEOUT, most: int = 1000) -> int:
    count = 0
    while count < most and memory.may(request):
        memory.wrote(request)
        count += 1
    return count


def test_a_day_bears_so_many_and_no_more() -> None:
    time = Time()
    memory = of(Wear(time.now_ns), worn("watchdog_time"))
    assert writes(memory) == 4
    assert memory.remark() == (
        "watchdog_time was written 4 times, 4 within this day: it is not written now, "
        "but to lower the charger"
    )
    time.ns += DAY_NS // 4
    assert writes(memory) == 1
    time.ns += 10 * DAY_NS
    assert writes(memory) == 4


def test_what_does_not_wear_out_is_neither_counted_nor_held() -> None:
    memory = of(Wear(Time().now_ns), worn("watchdog_time"))
    for _ in range(1000):
        assert memory.may(SETPOINT)
        memory.wrote(SETPOINT)
    assert memory.written("setpoint") == 0
    assert memory.may_rise()
    assert memory.remark() is None


def test_what_enables_it_wears_out_like_its_setpoint() -> None:
    enable = Enable(register="watchdog_time", fc=6, on=1, off=0)
    profile = worn("watchdog_time", a_day=2).model_copy(update={"enable": enable})
    memory = of(Wear(Time().now_ns), profile)
    assert memory.may_rise(enabled=False)
    writes(memory)
    assert not memory.may_rise(enabled=False)
    assert memory.may_rise(enabled=True)  # it is not written then


def test_a_coil_is_another_place_than_a_register_of_that_number() -> None:
    endurance = Endurance(registers=("coil",), writes_a_day=2, writes=100)
    profile = made(enable=COIL).model_copy(update={"endurance": endurance})
    memory = of(Wear(Time().now_ns), profile)
    assert writes(memory, to(400), most=10) == 10
    assert writes(memory, to(400, fc=5)) == 2
    assert memory.written("coil") == 2


def test_one_device_is_one_device_and_a_line_has_many() -> None:
    wear, profile = Wear(Time().now_ns), worn("watchdog_time")
    first, second = of(wear, profile), of(wear, profile, unit=2)
    writes(first)
    assert second.may(TIMEOUT)
    assert second.remark() is None


@pytest.mark.parametrize("apart", [{"stride": 100}, {"unit_stride": 1}], ids=str)
def test_connectors_that_share_a_register_share_its_budget(apart: dict[str, int]) -> None:
    """One memory bears what one memory bears, however many orders are written into it."""
    connectors = Connectors(count=2, common=("watchdog_time",), **apart)
    profile = worn("watchdog_time", "setpoint").model_copy(update={"connectors": connectors})
    wear = Wear(Time().now_ns)
    first = of(wear, profile)
    second = of(wear, profile, unit=1 + apart.get("unit_stride", 0), connector=2)
    assert writes(first) == 4
    assert writes(second) == 0
    assert "watchdog_time was written 4 times" in str(second.remark())
    own = to(SETPOINT.address + apart.get("stride", 0))
    assert writes(first, SETPOINT) == 4
    assert writes(second, own) == 4


def test_a_charger_by_another_name_has_written_what_it_has_written() -> None:
    wear, profile = Wear(Time().now_ns), worn("watchdog_time")
    writes(of(wear, profile))
    assert not of(wear, profile).may(TIMEOUT)


def test_what_it_bears_in_all_is_the_end_of_it() -> None:
    time = Time()
    memory = of(Wear(time.now_ns), worn("watchdog_time", in_all=6))
    assert writes(memory) == 4
    time.ns += 30 * DAY_NS
    assert writes(memory) == 2
    time.ns += 30 * DAY_NS
    assert writes(memory) == 0
    assert "6 times, as often as its memory bears" in str(memory.remark())


def test_a_restart_gives_nothing_back_and_takes_nothing_away(tmp_path: Path) -> None:
    time, profile, path = Time(), worn("watchdog_time"), tmp_path / "wear.json"
    total = 0
    for _ in range(5):
        wear = Wear(time.now_ns, path)
        total += writes(of(wear, profile), most=1)
        wear.close()
        time.ns = 0  # another boot: the clock begins anew
    assert total == 4
    assert Wear(time.now_ns, path).written(DEVICE, "257") == 4


def test_of_a_file_that_cannot_be_read_nothing_is_believed(tmp_path: Path) -> None:
    time, profile, path = Time(), worn("watchdog_time"), tmp_path / "wear.json"
    path.write_text('{"format": 2, "devices": {"bay": {"257": {"left_s": 1e9}}}}')
    memory = of(Wear(time.now_ns, path), profile)
    assert writes(memory) == 0
    time.ns += DAY_NS // 4
    assert writes(memory) == 1


def test_reductions_are_counted_beyond_the_budget_and_owed() -> None:
    time = Time()
    memory = of(Wear(time.now_ns), worn("setpoint"))
    for _ in range(50):
        memory.wrote(SETPOINT)
    assert memory.written("setpoint") == 50
    assert not memory.may_rise()
    time.ns += DAY_NS
    assert not memory.may_rise()  # a day is owed, and no more than one
    time.ns += DAY_NS
    assert memory.may_rise()


# --- the file ----------------------------------------------------------------------------------


class Disk:
    """Takes what is urgent at once, and the rest when it likes."""

    def __init__(self) -> None:
        self.file = b'{"format": 2}'
        self.saves = 0
        self._newest: bytes | None = None
        self._on_attempt: Kept = lambda data, problem: None

    def __call__(self, path: Path, on_attempt: Kept) -> Disk:
        self._on_attempt = on_attempt
        self._newest = None
        return self

    def save(self, data: bytes, *, urgent: bool) -> None:
        self._newest = data
        if urgent:
            self.turns()

    def turns(self) -> None:
        if self._newest is not None:
            self.file, self._newest = self._newest, None
            self.saves += 1
            self._on_attempt(self.file, None)

    def close(self) -> None:
        self.turns()

    def says(self, place: str) -> tuple[int, int]:
        """Writes, and seconds of the day that are left."""
        kept = _File.model_validate_json(self.file).devices[DEVICE][place]
        return kept.written, kept.left_s


@pytest.mark.parametrize("seed", range(30))
def test_a_crash_at_any_moment_counts_too_many_and_never_too_few(seed: int, tmp_path: Path) -> None:
    rng, time, disk, path = random.Random(seed), Time(), Disk(), tmp_path / "wear.json"
    a_day = rng.choice([1, 4, 20, 300, 1000])
    profile = worn("watchdog_time", "setpoint", a_day=a_day, in_all=10_000)
    truly = {"257": 0, "261": 0}
    for _ in range(10):  # lives of the process
        wear = Wear(time.now_ns, path, disk)
        memory = of(wear, profile)
        for place, times in truly.items():
            assert wear.written(DEVICE, place) >= times
        for _ in range(rng.randrange(60)):
            request = rng.choice([TIMEOUT, SETPOINT])
            if rng.random() < 0.3 or memory.may(request):  # or it is a reduction
                memory.wrote(request)
                place = str(request.address)
                truly[place] += 1
                written, left_s = disk.says(place)
                assert written >= truly[place]
                left_ns = wear._of(DEVICE, place).left_ns(time.ns)
                assert left_s * NS_PER_S <= left_ns
            if rng.random() < 0.2:
                disk.turns()
            time.ns += rng.choice([0, NS_PER_S, 3600 * NS_PER_S])
        if rng.random() < 0.3:
            wear.close()
            assert disk.says("257")[0] >= truly["257"]
        path.write_bytes(disk.file)
        time.ns = rng.randrange(DAY_NS)


def test_a_planned_end_leaves_just_what_was_written(tmp_path: Path) -> None:
    time, disk = Time(), Disk()
    wear = Wear(time.now_ns, tmp_path / "wear.json", disk)
    memory = of(wear, worn("watchdog_time", a_day=1000))
    assert writes(memory, most=3) == 3
    assert disk.says("257")[0] == 50  # the first time, before it was written at all
    wear.close()
    assert disk.says("257")[0] == 3


def test_a_disk_that_takes_nothing_holds_nobody_up(tmp_path: Path) -> None:
    wear = Wear(Time().now_ns, tmp_path / "nowhere" / "wear.json")
    memory = of(wear, worn("watchdog_time"))
    assert writes(memory) == 4
    assert memory.written("watchdog_time") == 4


def test_a_hundred_chargers_whose_setpoints_wear_out_write_little_to_the_disk(
    tmp_path: Path,
) -> None:
    """Each as often as its memory bears: less than a sixth of what a day may take in all."""
    time, disk, written = Time(), Disk(), 0
    wear = Wear(time.now_ns, tmp_path / "wear.json", disk)
    profile = worn("setpoint", a_day=1000, in_all=10**6)
    chargers = [Memory(wear, f"tcp://192.0.2.{i}:502", 1, profile) for i in range(100)]
    for second in range(DAY_S // 87 + 1):
        for i, memory in enumerate(chargers):
            if second >= i % 25 and memory.may(SETPOINT):  # none in step with another
                memory.wrote(SETPOINT)
        saves = disk.saves
        if second % 3 == 0:  # five minutes or so are over
            disk.turns()
        written += (disk.saves - saves) * len(disk.file)
        time.ns += 87 * NS_PER_S
    assert wear.written("tcp://192.0.2.7:502 unit 1", "261") > 900
    assert written <= 3_000_000
