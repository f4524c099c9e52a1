"""Fallback and watchdog: read, written where they differ, seldom, and only what is declared."""

import asyncio
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from controller.document.devices import Charger
from controller.site import DocumentError, parse
from controller.units import NS_PER_S
from drivers.arming import A_DAY, DAY_NS, IN_A_ROW, PAUSE_NS, Arming
from drivers.charger import ChargerDriver
from drivers.chargerprofile import ChargerProfile
from drivers.library import ProfileError, library
from drivers.library import parse as parse_profile
from drivers.reader import Sample
from drivers.report import proven
from tests.driven import charger
from tests.modbus_wire import Board
from tests.patience import until
from tests.test_any_traffic import Heidelberg, told

HEIDELBERG = library().charger_profile("heidelberg_energy_control")
KEBA = library().charger_profile("keba_p40")
DECLARED: dict[str, Any] = {"set_fallback_ma": 8_000, "set_delay_ns": 15 * NS_PER_S}
RIGHT = {"watchdog_time": 15_000, "failsafe_current": 8_000, "standby": 4}


def wished(profile: ChargerProfile, **changes: Any) -> Charger:
    its = charger(502, profile=profile.name, facts=profile.facts)
    return replace(its, **(DECLARED | changes))


class Time:
    def __init__(self) -> None:
        self.ns = 10**12

    def now_ns(self) -> int:
        return self.ns


def armed(profile: ChargerProfile = HEIDELBERG, **changes: Any) -> tuple[Arming, Time]:
    time = Time()
    return Arming(wished(profile, **changes), profile, time.now_ns), time


def sample(shown: Mapping[str, int | None]) -> Sample:
    return Sample(0, dict(shown))


def written(made: Arming) -> tuple[int, tuple[int, ...]] | None:
    request = made.due()
    return None if request is None else (request.address, request.words)


def test_what_reads_as_declared_is_not_written() -> None:
    made, _ = armed()
    assert made.due() is None  # nothing was read yet
    made.read(sample(RIGHT))
    assert made.due() is None
    assert made.remark is None


def test_the_watchdog_is_armed_last() -> None:
    made, _ = armed()
    shown = {"watchdog_time": 0, "failsafe_current": 16_000, "standby": 0}
    order = []
    for name in ("standby", "failsafe_current", "watchdog_time"):
        made.read(sample(shown))
        order.append(written(made))
        made.wrote()
        shown[name] = RIGHT[name]
    made.read(sample(shown))
    assert order == [(258, (4,)), (262, (80,)), (257, (15_000,))]
    assert made.due() is None


def test_one_after_the_other_goes_out_without_a_report_between() -> None:
    """A KEBA takes a write each 5 s, and a report of its own takes as long."""
    made, _ = armed()
    made.read(sample({"watchdog_time": 0, "failsafe_current": 16_000, "standby": 4}))
    order = []
    while (each := written(made)) is not None:
        order.append(each)
        made.wrote()
    assert order == [(262, (80,)), (257, (15_000,))]


def test_a_keba_is_set_at_other_registers_than_it_shows() -> None:
    made, _ = armed(KEBA)
    made.read(sample({"failsafe_timeout": 15_000, "failsafe_current": 0}))
    assert written(made) == (5016, (8_000,))
    made.wrote()
    made.read(sample({"failsafe_timeout": 0, "failsafe_current": 8_000}))
    assert written(made) == (5018, (15,))
    assert made.remark == "its watchdog is off: it would never fall back"


def test_what_is_unknown_is_not_written_over() -> None:
    made, _ = armed()
    made.read(sample({**RIGHT, "failsafe_current": None}))
    assert made.due() is None
    assert made.remark == "it does not tell its failsafe_current: it cannot be relied upon alone"
    made.read(sample({**RIGHT, "failsafe_current": None, "watchdog_time": 0}))
    assert written(made) == (257, (15_000,))


def test_after_a_write_nothing_goes_out_before_it_was_read() -> None:
    made, _ = armed()
    made.read(sample({**RIGHT, "watchdog_time": 0}))
    made.wrote()
    assert made.due() is None
    made.read(sample({**RIGHT, "watchdog_time": 0}))
    assert made.due() is not None


def test_what_does_not_help_is_tried_three_times_and_then_seldom() -> None:
    made, time = armed()
    wrong = sample({**RIGHT, "watchdog_time": 0})

    def tries() -> int:
        count = 0
        made.read(wrong)
        while made.due() is not None:
            made.wrote()
            made.read(wrong)
            count += 1
        return count

    assert tries() == IN_A_ROW
    time.ns += PAUSE_NS - 1
    assert tries() == 0
    time.ns += 1
    assert tries() == 1
    made.read(sample(RIGHT))
    time.ns += PAUSE_NS
    assert tries() == IN_A_ROW  # it had helped


def test_a_charger_that_forgets_again_and_again_is_not_worn_out() -> None:
    made, time = armed()
    count = 0
    for _ in range(500):
        made.read(sample({**RIGHT, "watchdog_time": 0}))
        if made.due() is not None:
            made.wrote()
            count += 1
        made.read(sample(RIGHT))
        time.ns += PAUSE_NS
    assert count <= A_DAY * (1 + 500 * PAUSE_NS // DAY_NS)
    assert count >= A_DAY


def test_nothing_declared_means_nothing_written() -> None:
    made, _ = armed(set_fallback_ma=None, set_delay_ns=None)
    made.read(sample({"watchdog_time": 0, "failsafe_current": 16_000, "standby": 4}))
    assert made.due() is None


# --- the driver --------------------------------------------------------------------------------


def forgetful() -> Heidelberg:
    shown = Heidelberg()
    shown.registers |= {257: 0, 262: 0}
    return shown


def test_it_is_programmed_once_there_is_an_order_and_no_more_than_once() -> None:
    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        await until(lambda: len(board.chargers) >= 3)
        assert shown.written == []  # while STARTING
        assert "watchdog is off" in str(driver.health().error) or "falls back" in str(
            driver.health().error
        )
        board.command("bay-01", 10_000)
        await until(lambda: driver.health().error is None and driver.health().online)
        assert shown.written == [(261, 100), (262, 80), (257, 15_000)]
        polls = shown.polls
        await until(lambda: shown.polls > polls + 30)
        assert [each for each in shown.written if each[0] != 261] == [(262, 80), (257, 15_000)]

    told(story, forgetful(), **DECLARED)


def test_a_write_to_its_memory_that_is_never_acknowledged_counts_as_one() -> None:
    """It may have arrived, and worn its register, each time."""

    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        board.command("bay-01", 10_000)
        await until(lambda: shown.written.count((262, 80)) == IN_A_ROW)
        polls = shown.polls
        await until(lambda: shown.polls > polls + 30)
        assert shown.written.count((262, 80)) == IN_A_ROW

    shown = forgetful()
    shown.obeys, shown.mangles = False, 262
    told(story, shown, **DECLARED)


def test_after_a_reboot_it_is_written_again_and_its_watchdog_armed_again() -> None:
    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        order = board.command("bay-01", 10_000)
        await until(lambda: board.chargers and board.chargers[-1][1].written_tick == order.tick)
        shown.written.clear()
        shown.registers |= {257: 0, 261: 160, 262: 0}  # back as delivered, and at full power
        await until(lambda: any(each.in_force_ma == 16_000 for _, each in board.chargers))  # counts
        await until(lambda: len(shown.written) == 3)
        await until(lambda: driver.health().error is None)
        assert shown.written == [(261, 100), (262, 80), (257, 15_000)]

    told(story, Heidelberg(), **DECLARED)


def test_it_is_proven_by_what_it_says() -> None:
    """Without that it is not raised, and counted at its maximum after a while."""

    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        await until(lambda: board.chargers and board.chargers[-1][1].proven is False)
        board.command("bay-01", 10_000)
        await until(lambda: board.chargers[-1][1].proven is True)
        shown.registers |= {262: 160}
        await until(lambda: board.chargers[-1][1].proven is False)
        await until(lambda: board.chargers[-1][1].proven is True)

    told(story, forgetful(), **DECLARED)


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [
        ({}, True),
        ({"failsafe_current": 6_000}, True),  # less is as good
        ({"failsafe_current": 8_100}, False),
        ({"failsafe_current": None}, False),  # what is unknown proves nothing
        ({"watchdog_time": 0}, False),
        ({"watchdog_time": 15_001}, False),
        ({"watchdog_time": 5_000}, True),
    ],
)
def test_what_proves_a_charger(shown: dict[str, int | None], verdict: bool) -> None:
    its = wished(HEIDELBERG, fallback_ma=8_000, fallback_delay_ns=15 * NS_PER_S)
    assert proven(its, HEIDELBERG, sample(RIGHT | shown)) is verdict
    assert proven(replace(its, fallback_ma=None), HEIDELBERG, sample(RIGHT | shown)) is None


def test_a_setting_that_has_no_part_in_its_watchdog_proves_nothing_and_is_worth_no_wait() -> None:
    """A charger that may go to standby falls back like any other: its register 258 only ends
    communication, after which it counts as silent."""
    its = wished(HEIDELBERG, fallback_ma=8_000, fallback_delay_ns=15 * NS_PER_S)
    assert proven(its, HEIDELBERG, sample(RIGHT | {"standby": 0})) is True
    made, _ = armed()
    made.read(sample(RIGHT | {"standby": 0}))
    assert written(made) == (258, (4,))
    assert not made.holds
    made.read(sample(RIGHT | {"standby": 0, "watchdog_time": 0}))
    assert made.holds


def test_one_that_does_not_take_258_is_raised_and_the_installer_told() -> None:
    shown = Heidelberg()
    shown.registers[258] = 0
    shown.forgets = {258}

    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        await until(lambda: board.chargers)
        for ma in (6_000, 8_000, 10_000):
            order = board.command("bay-01", ma)
            await until(lambda tick=order.tick: board.chargers[-1][1].written_tick == tick)  # type: ignore[misc]
            assert board.chargers[-1][1].proven is True
        assert "its standby is allowed" in str(driver.health().error)
        assert [value for addr, value in shown.written if addr == 261] == [60, 80, 100]

    told(story, shown)


def test_who_only_observes_programs_nothing() -> None:
    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        board.command("bay-01", 10_000)
        await until(lambda: len(board.chargers) >= 10)
        assert shown.written == []

    told(story, forgetful(), write=False, **DECLARED)


def test_what_the_installer_sets_himself_is_only_compared() -> None:
    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        board.command("bay-01", 10_000)
        await until(lambda: "watchdog is off" in str(driver.health().error))
        await asyncio.sleep(0.3)
        assert [each for each in shown.written if each[0] != 261] == []

    told(story, forgetful())


# --- the document ------------------------------------------------------------------------------


def entry(profile: str, **keys: Any) -> dict[str, Any]:
    line = "tcp://192.0.2.9:502"
    common = {"id": "bay", "circuit": "grid", "profile": profile, "bus": line, "max_a": 16}
    grid = {"id": "grid", "rating_a": 100, "worst_base_a": 20}
    whole = {"schema": 1, "site": {"id": "depot"}, "circuit": [grid], "charger": [common | keys]}
    if profile.startswith("heidelberg"):
        whole["charger"][0]["bus"] = "rtu:///dev/ttyUSB0?baud=19200&parity=E&stop=1"  # type: ignore[index]
    return whole


def declared(profile: str, **keys: Any) -> tuple[int | None, int | None]:
    its = parse(entry(profile, **keys), library()).chargers[0]
    return its.set_fallback_ma, its.set_delay_ns


def refused(profile: str, **keys: Any) -> dict[str, str]:
    with pytest.raises(DocumentError) as caught:
        parse(entry(profile, **keys), library())
    return {each.path.split(" ")[0]: each.message for each in caught.value.problems}


def test_only_what_the_document_declares_is_programmed() -> None:
    heidelberg = "heidelberg_energy_control"
    both = {"fallback_a": 8, "fallback_delay_s": 15}
    assert declared(heidelberg, **both) == (8_000, 15 * NS_PER_S)
    assert declared(heidelberg, fallback_a=8) == (8_000, None)  # the time is as delivered
    assert declared(heidelberg) == (None, None)
    assert declared(heidelberg, **both, program=False) == (None, None)
    assert declared("alfen_eve", **both) == (None, None)  # only its installer's app can


def test_what_cannot_be_programmed_is_refused_with_the_document() -> None:
    assert (
        "can only be set in the device itself"
        in refused("alfen_eve", program=True)["charger[0].program"]
    )
    told = refused("keba_p40", fallback_a=8, fallback_delay_s=3)["charger[0].fallback_delay_s"]
    assert told == "keba_p40 can be set to 5 to 600 s (or program = false); found 3"
    told = refused("heidelberg_energy_control", fallback_a=8, fallback_delay_s=70)[
        "charger[0].fallback_delay_s"
    ]
    assert told.endswith("can be set to 0.001 to 65.535 s (or program = false); found 70")
    told = refused("keba_p40", fallback_a=4, fallback_delay_s=10)["charger[0].fallback_a"]
    assert told.startswith("must be 0 or at least 6 A to be written into keba_p40")
    assert declared("keba_p40", fallback_a=4, fallback_delay_s=3, program=False) == (None, None)


def test_a_fallback_of_0_is_not_written_where_no_source_says_that_it_stops_the_charger() -> None:
    for profile in ("daheimladen", "free2move_eprowallbox"):
        told = refused(profile, fallback_a=0, fallback_delay_s=10)["charger[0].fallback_a"]
        assert told.startswith(f"must be at least 6 A to be written into {profile}")
    assert declared("keba_p30", fallback_a=0, fallback_delay_s=10) == (0, 10 * NS_PER_S)


def test_a_profile_that_sets_blindly_is_refused() -> None:
    data = tomllib.loads(library().names()["keba_p40"].read_text(encoding="utf-8"))
    del data["watchdog"]["timeout"]
    with pytest.raises(ProfileError, match="is set blindly: nothing reads it back"):
        parse_profile(data, "keba")
