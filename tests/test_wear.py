"""Budgets of what wears out: counted, kept over a restart, told, and never in a reduction's way."""

from pathlib import Path

from controller.units import NS_PER_S
from drivers.chargerparts import Enable, Endurance
from drivers.chargerprofile import ChargerProfile
from drivers.library import library
from drivers.wear import DAY_S, Wear

DAY_NS = DAY_S * NS_PER_S
TIMEOUT, SETPOINT = 257, 261


def worn(*names: str, a_day: int = 4, in_all: int = 100) -> ChargerProfile:
    endurance = Endurance(registers=names, writes_a_day=a_day, writes=in_all)
    plain = library().charger_profile("heidelberg_energy_control")
    return plain.model_copy(update={"endurance": endurance})


class Time:
    def __init__(self) -> None:
        self.ns = 7 * DAY_NS

    def now_ns(self) -> int:
        return self.ns


def writes(wear: Wear, profile: ChargerProfile, most: int = 1000) -> int:
    count = 0
    while count < most and wear.may("bay", profile, TIMEOUT):
        wear.wrote("bay", profile, TIMEOUT)
        count += 1
    return count


def test_a_day_bears_so_many_and_no_more() -> None:
    time, profile = Time(), worn("watchdog_time")
    wear = Wear(time.now_ns)
    assert writes(wear, profile) == 4
    assert wear.remark("bay") == (
        "watchdog_time was written 4 times, 4 within this day: it is not written now, "
        "but to lower the charger"
    )
    time.ns += DAY_NS // 4
    assert writes(wear, profile) == 1
    time.ns += 10 * DAY_NS
    assert writes(wear, profile) == 4


def test_what_does_not_wear_out_is_neither_counted_nor_held() -> None:
    time, profile = Time(), worn("watchdog_time")
    wear = Wear(time.now_ns)
    for _ in range(1000):
        assert wear.may("bay", profile, SETPOINT)
        wear.wrote("bay", profile, SETPOINT)
    assert wear.written("bay", "setpoint") == 0
    assert wear.may_rise("bay", profile)
    assert wear.remark("bay") is None


def test_what_enables_it_wears_out_like_its_setpoint() -> None:
    time, profile = Time(), worn("watchdog_time", a_day=2)
    enable = Enable(register="watchdog_time", fc=6, on=1, off=0)
    profile = profile.model_copy(update={"enable": enable})
    wear = Wear(time.now_ns)
    assert wear.may_rise("bay", profile, enabled=False)
    writes(wear, profile)
    assert not wear.may_rise("bay", profile, enabled=False)
    assert wear.may_rise("bay", profile, enabled=True)  # it is not written then


def test_one_charger_is_one_charger() -> None:
    time, profile = Time(), worn("watchdog_time")
    wear = Wear(time.now_ns)
    writes(wear, profile)
    assert wear.may("other", profile, TIMEOUT)
    assert wear.remark("other") is None


def test_what_it_bears_in_all_is_the_end_of_it() -> None:
    time, profile = Time(), worn("watchdog_time", in_all=6)
    wear = Wear(time.now_ns)
    assert writes(wear, profile) == 4
    time.ns += 30 * DAY_NS
    assert writes(wear, profile) == 2
    time.ns += 30 * DAY_NS
    assert writes(wear, profile) == 0
    assert "6 times, as often as its memory bears" in str(wear.remark("bay"))


def kept(wear: Wear, path: Path) -> None:
    assert wear._saver is not None
    wear._saver.close(within_s=10)
    assert path.exists()


def test_a_restart_gives_nothing_back(tmp_path: Path) -> None:
    time, profile, path = Time(), worn("watchdog_time"), tmp_path / "wear.json"
    total = 0
    for _ in range(5):
        wear = Wear(time.now_ns, path)
        total += writes(wear, profile)
        if wear._saver is not None:
            kept(wear, path)
        time.ns = 0  # another boot: the clock begins anew
    assert total == 4
    assert Wear(time.now_ns, path).written("bay", "watchdog_time") == 4


def test_of_a_file_that_cannot_be_read_nothing_is_believed(tmp_path: Path) -> None:
    time, profile, path = Time(), worn("watchdog_time"), tmp_path / "wear.json"
    path.write_text('{"format": 1, "chargers": {"bay": {"watchdog_time": {"left_s": 1e9}}}}')
    wear = Wear(time.now_ns, path)
    assert writes(wear, profile) == 0
    time.ns += DAY_NS // 4
    assert writes(wear, profile) == 1


def test_reductions_are_counted_beyond_the_budget_and_owed(tmp_path: Path) -> None:
    time, profile = Time(), worn("setpoint")
    wear = Wear(time.now_ns)
    for _ in range(50):
        wear.wrote("bay", profile, SETPOINT)
    assert wear.written("bay", "setpoint") == 50
    assert not wear.may_rise("bay", profile)
    time.ns += DAY_NS
    assert not wear.may_rise("bay", profile)  # a day is owed, and no more than one
    time.ns += DAY_NS
    assert wear.may_rise("bay", profile)
