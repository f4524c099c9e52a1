"""Chargers that are told a percentage or a duty cycle, by profiles of an installer's own; and the
rig's boxes whose watchdog is fed by their setpoint, or that have none, or one that nobody knows."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import get_args

import pytest

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT, Vehicle
from controller.__main__ import main
from controller.document.lines import Line
from controller.proof import prove
from controller.site import parse
from drivers.bus import Bus
from drivers.charger import ChargerDriver
from drivers.chargerparts import Watchdog
from drivers.chargerprofile import ChargerProfile
from drivers.library import library
from drivers.modbus import TcpLine
from drivers.setpoint import as_written_ma, writes_of
from drivers.watts import seated
from hil.devices.pdu import Code, RefusalError
from hil.devices.plainbox import CHARX, DUTY, PERCENT, Model, Plainbox, duty, percent_of_32
from hil.profiles import StoryProfiles, found
from hil.story.gateway_events import Kill
from hil.story.happenings import ChargerBack, PowerCycle
from hil.story.script import find, load
from tests.aside import aside
from tests.driven import charger
from tests.modbus_wire import Board
from tests.patience import until

S = 1_000_000_000
CAR = Car(max_ma=80_000, phases=3, reaction_ns=S // 20, energy_wh=60_000, taper_wh=0)
ROW = PlantCharger(0, (0, 1, 2), 80_000, 32_000, 6_000, 10 * S)


class Time:
    """A box with a vehicle, and a clock that leaps."""

    def __init__(self, model: Model, row: PlantCharger = ROW) -> None:
        self.now_ns = 7 * S
        self.plant = Plant([ROOT], [row], nominal_mv=230_000, seed=1)
        self.box = Plainbox(self.plant, 0, row, self.present, model.unit, model=model)
        self.plant.plug(0, CAR)

    def present(self) -> int:
        self.plant.advance(self.now_ns)
        return self.now_ns

    def leap(self, seconds: float) -> None:
        self.now_ns += int(seconds * S)
        self.present()

    @property
    def offered_ma(self) -> int:
        return self.plant.charger(0).offered_ma

    def tell(self, raw: int, address: int | None = None) -> None:
        at = self.box.model.setpoint.address if address is None else address
        self.box.write(6, at, raw.to_bytes(2, "big"))

    def cut(self) -> None:
        self.plant.power_cycle(0)
        self.box.reboot()
        self.leap(1)


# The boxes.


def test_its_setpoint_feeds_a_charx_and_reads_do_not() -> None:
    time = Time(CHARX)
    time.tell(16)
    for _ in range(4):
        time.leap(3)
        time.tell(16)
    assert time.offered_ma == 16_000
    for _ in range(4):
        time.leap(3)
        shown = struct.unpack(">77H", time.box.read(3, 1232, 77))
    assert time.offered_ma == 6_000
    assert (shown[1297 - 1232], shown[1301 - 1232]) == (6, 16), "applied, and told before"


def test_without_power_a_charx_forgets_its_watchdog() -> None:
    time = Time(CHARX)
    time.tell(16)
    time.cut()
    assert time.offered_ma == 32_000
    time.tell(16)
    time.leap(60)
    assert time.offered_ma == 16_000
    for address, raw in ((1306, 6), (1307, 3)):
        time.tell(raw, address)
    time.tell(16)
    time.leap(4)
    assert time.offered_ma == 6_000
    time.tell(65_535, 1307)
    time.tell(20)
    time.leap(60)
    assert time.offered_ma == 20_000, "switched off"


def test_one_without_a_watchdog_stays_where_it_is() -> None:
    time = Time(DUTY, ROW._replace(watchdog_ns=0))
    time.tell(267)
    time.leap(100_000)
    assert time.offered_ma == 16_020


def test_what_one_does_that_nobody_knows_it_shows_in_no_register() -> None:
    time = Time(PERCENT, ROW._replace(max_ma=32_000, fallback_ma=32_000, watchdog_ns=5 * S))
    time.tell(500)
    for _ in range(4):
        time.leap(4)
        time.box.read(4, 0, 5)
    assert time.offered_ma == 16_000, "any request feeds it"
    time.leap(6)
    assert time.offered_ma == 32_000
    time.box.read(4, 0, 5)
    assert time.offered_ma == 32_000, "and brings nothing back"
    time.tell(500)
    assert time.offered_ma == 16_000


@pytest.mark.parametrize("model", [PERCENT, DUTY])
def test_more_than_all_is_refused(model: Model) -> None:
    time = Time(model)
    with pytest.raises(RefusalError) as refused:
        time.tell(1001)
    assert refused.value.code is Code.ILLEGAL_VALUE
    with pytest.raises(RefusalError):
        time.box.write(16, 0, b"\0\1")
    with pytest.raises(RefusalError):
        time.box.read(4, 0, 6)


# What they are told.

TOLD: list[tuple[str, Callable[[int], int], int]] = [
    ("percent", percent_of_32, 32_000),
    ("duty", duty, 80_000),
]
BY_BOTH = pytest.mark.parametrize(("name", "permits", "most_ma"), TOLD)


def profile_of(name: str) -> ChargerProfile:
    return seated(library().charger_profile(found(name)))


def raw_of(name: str, ma: int) -> int:
    profile = profile_of(name)
    (write,) = writes_of("bay", profile.unit, profile, ma)
    assert (write.fc, write.address, write.unit) == (6, 0, profile.unit)
    return write.words[0]


@BY_BOTH
def test_no_order_permits_more_than_it_says_nor_a_whole_step_less(
    name: str, permits: Callable[[int], int], most_ma: int
) -> None:
    """By what the device makes of it, which shares nothing with what makes the number."""
    profile = profile_of(name)
    for ma in range(most_ma + 1):
        permitted_ma = permits(raw_of(name, ma))
        assert permitted_ma <= ma, ma
        if ma >= 6_000:
            step_ma = 250 if ma > 51_000 else profile.setpoint.step_ma
            if ma in range(51_001, 52_750):
                step_ma = ma - 50_399  # the norm's two formulas do not meet there
            assert permitted_ma > ma - step_ma, ma
            assert as_written_ma(profile, ma) == permitted_ma, "and so it is read back"


@BY_BOTH
def test_the_ends_of_its_range(name: str, permits: Callable[[int], int], most_ma: int) -> None:
    assert permits(raw_of(name, 0)) == 0
    assert permits(raw_of(name, 5_999)) < 6_000
    assert permits(raw_of(name, most_ma)) == most_ma
    profile = profile_of(name)
    assert profile.facts.writable_ma == most_ma


def test_a_duty_cycle_is_never_one_by_which_a_vehicle_is_told_another_way() -> None:
    raws = {raw_of("duty", ma) for ma in range(80_001)}
    assert not [raw for raw in raws if raw < 100 or 970 < raw < 1000 or raw > 1000]
    assert {raw_of("duty", ma) for ma in (80_000, 100_000, 10**6)} == {960}


def test_a_percentage_of_more_than_all_is_no_percentage() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        raw_of("percent", 32 * 65_536 * 1000)


# Over a line.


class Live:
    """A box that lives in real time, behind a server."""

    def __init__(self, model: Model, board: Board) -> None:
        self.board = board
        row = ROW._replace(max_ma=32_000, watchdog_ns=0)
        self.plant = Plant([ROOT], [row], nominal_mv=230_000, seed=1)
        self.present()
        self.plant.plug(0, CAR)
        self.box = Plainbox(self.plant, 0, row, self.present, model.unit, model=model)

    def present(self) -> int:
        now_ns = self.board.clock.now_ns()
        self.plant.advance(now_ns)
        return now_ns


LIVE = pytest.mark.parametrize(("name", "model"), [("percent", PERCENT), ("duty", DUTY)])


@LIVE
def test_a_driver_tells_it_and_believes_what_it_shows(name: str, model: Model) -> None:
    profile = library().charger_profile(found(name))

    async def whole() -> None:
        board = Board()
        live = Live(model, board)
        server = live.box.serve()
        await server.open()
        line = TcpLine("127.0.0.1", server.port, 5, may_write=True)
        its = charger(server.port, profile=profile.name, facts=profile.facts)
        its = replace(its, unit=profile.unit, fallback_delay_ns=None, fallback_ma=None)
        driver = ChargerDriver(its, profile, Bus(line, board.clock), board, True)
        running = asyncio.create_task(driver.run())
        try:
            for ma in (32_000, 16_000, 6_100, 0, 31_999, 6_016):
                order = board.command("bay-01", ma)

                def confirmed(tick: int = order.tick) -> bool:
                    return bool(board.chargers) and board.chargers[-1][1].written_tick == tick

                await until(confirmed)
                report = board.chargers[-1][1]
                assert report.in_force_ma == as_written_ma(profile_of(name), ma)
                assert live.plant.charger(0).offered_ma == report.in_force_ma <= ma
                assert driver.health().error is None
            await until(lambda: board.chargers[-1][1].vehicle is Vehicle.C)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            line.close()
            await server.close()

    asyncio.run(whole())


@asynccontextmanager
async def _served(live: Live) -> AsyncIterator[str]:
    server = live.box.serve()
    await server.open()
    yield server.url
    await server.close()


@LIVE
def test_an_installer_reads_it_by_the_path_of_its_profile(
    name: str, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    live = Live(model, Board())
    live.box.write(6, 0, (500).to_bytes(2, "big"))
    with aside(_served(live)) as url:
        assert main(["read", "--json", found(name), url]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["values"]
    assert told["in_force"] == {"value": {"percent": 16, "duty": 30}[name], "unit": "A"}


# What is counted.


def test_whatever_it_does_alone_its_maximum_is_in_the_proof_and_named() -> None:
    """The site of three stories: its rating is the sum, and an ampere less is refused."""
    story = load(find(["no_watchdog"])[0])
    document = story.site_document()
    site = parse(document, StoryProfiles())
    terms = [
        {term.what: term.each_ma for term in each.terms}
        for each in prove(site).findings
        if each.line is Line.UNATTENDED
    ]
    assert len(terms) == 3
    for its in terms:
        assert its["falls in transformer: fallback 6 A"] == 6_280
        for alone in ("stays", "unknown"):
            assert its[f"{alone} in transformer: no fallback, so their maximum, 32 A"] == 33_060
    assert prove(site).passed
    document["circuit"] = [{**document["circuit"][0], "rating_a": 102}]
    findings = prove(parse(document, StoryProfiles())).findings
    assert Line.UNATTENDED in {each.line for each in findings if not each.passed}


STORIES = {
    "any_traffic": "charger_rebooted",
    "setpoint_rewrite": "setpoint_rewritten",
    "timeout_rewrite": "time_rewritten",
    "life_bit": "life_bit",
    "token": "token",
    "unknown": "unknown_watchdog",
    "none": "no_watchdog",
}


def test_there_are_no_other_kinds_of_watchdogs() -> None:
    assert {*get_args(Watchdog.model_fields["kind"].annotation)} == {*STORIES}


@pytest.mark.parametrize(("kind", "name"), STORIES.items())
def test_each_kind_has_a_story_in_which_it_is_left_alone_twice(kind: str, name: str) -> None:
    """It loses its power or its line, and comes back; then the enforcer dies."""
    story = load(find([name])[0])
    site = parse(story.site_document(), StoryProfiles())
    alike = {
        each.id
        for each in site.chargers
        if library().charger_profile(found(each.profile)).watchdog.kind == kind
    }
    happens = story.events()
    assert any(
        {*each.charger} & alike for each in happens if isinstance(each, PowerCycle | ChargerBack)
    )
    assert isinstance(happens[-1], Kill) and happens[-1].restart_after_s is None
    assert "rig" in story.benches
