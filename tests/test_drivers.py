"""Meter and charger drivers against devices of raw sockets and an image without a kernel."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from cext.rows import NO_PHASE, Vehicle
from controller.buses import Bus as SiteBus
from controller.devices import Charger, Meter
from controller.driver import Driver
from controller.image import ChargerReport, MeterReading, Order
from controller.units import NS_PER_S
from drivers.bus import Bus
from drivers.charger import ChargerDriver
from drivers.meter import MeterDriver
from drivers.modbus import TcpLine
from drivers.profile import library
from tests.encode import alfen_control, alfen_measured, em24_block
from tests.modbus_wire import Asked, Board, Wire, serving
from tests.patience import until

EM24 = library().meter_profile("carlo_gavazzi_em24_ethernet")
ALFEN = library().charger_profile("alfen_eve")
MS_NS = 1_000_000
POLL_NS = 20 * MS_NS


@dataclass
class Em24:
    """Answers for a meter; what it shows may be changed at any moment."""

    milliamps: list[int] = field(default_factory=lambda: [10_000, 20_000, 30_000])
    model: int = 1648
    application: int = 7

    def content(self, asked: Asked) -> bytes | None:
        watts = [min(ma * 23 // 10, 10**9) for ma in self.milliamps]  # in tenths, at 230 V
        shown = [abs(ma) for ma in self.milliamps]
        block = em24_block([2300] * 3, shown, watts, sum(watts), [1000] * 3)
        known = {
            (3, 11, 1): struct.pack(">H", self.model),
            (3, 40960, 1): struct.pack(">H", self.application),
            (4, 0, 50): block,
        }
        return known.get((asked.function, asked.address, asked.count))


@dataclass
class Alfen:
    """Answers for a socket that takes setpoints as its document says."""

    setpoint: float = 6.0
    applied: float | None = 6.0
    valid_s: int = 0
    safe: float = 6.0
    state: str = "C2"
    amperes: list[float | None] = field(default_factory=lambda: [5.5, 5.5, 5.5])
    obeys: bool = True
    written: list[float] = field(default_factory=list)

    def content(self, asked: Asked) -> bytes | None:
        if asked.function == 16:
            assert (asked.address, asked.count) == (1210, 2)
            value = struct.unpack(">f", asked.pdu[6:])[0]
            self.written.append(value)
            if self.obeys:
                self.setpoint = self.applied = value
                self.valid_s = 60
            return b""
        known = {
            (3, 306, 40): alfen_measured([230.0] * 3, self.amperes, [1000.0] * 3),
            (3, 1200, 16): alfen_control(
                self.state, self.applied, self.valid_s, self.setpoint, self.safe, 1
            ),
        }
        return known.get((asked.function, asked.address, asked.count))


class Devices:
    """A server's behaviour: units that answer as their devices do, and units that are silent."""

    def __init__(self, units: Mapping[int, Em24 | Alfen | None]) -> None:
        self.units = dict(units)
        self.refuse: Callable[[Asked], int] = lambda asked: 0

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        device = self.units[asked.unit]
        if device is None:
            return
        code = self.refuse(asked)
        content = device.content(asked) if not code else None
        if content is None:
            writer.write(asked.refusal(code or 2))
        elif asked.function == 16:
            writer.write(asked.reply())
        else:
            writer.write(asked.frame(bytes((asked.function, len(content))) + content))


def site_bus(port: int) -> SiteBus:
    url = f"tcp://127.0.0.1:{port}"
    return SiteBus(url, url, "127.0.0.1", port, 5 * NS_PER_S)


def meter(port: int, **changes: Any) -> Meter:
    made = Meter(
        id="grid",
        circuit="grid",
        profile=EM24.name,
        facts=EM24.facts,
        bus=site_bus(port),
        unit=1,
        poll_ns=POLL_NS,
        lag_ns=0,
        max_age_ns=NS_PER_S,
        ratio_ppm=1_000_000,
        reversed=False,
        phases=(0, 1, 2),
    )
    return replace(made, **changes)


def charger(port: int, **changes: Any) -> Charger:
    made = Charger(
        id="bay-01",
        name="",
        circuit="grid",
        profile=ALFEN.name,
        facts=ALFEN.facts,
        bus=site_bus(port),
        unit=1,
        poll_ns=POLL_NS,
        phases=(0, 1, 2),
        min_ma=6_000,
        max_ma=32_000,
        step_ma=100,
        fallback_ma=6_000,
        fallback_delay_ns=60 * NS_PER_S,
        power_on_ma=6_000,
        tolerance_ppm=0,
        standby_ma=0,
        settle_ns=NS_PER_S // 10,
        max_age_ns=NS_PER_S,
        weight=1,
        class_rank=0,
    )
    return replace(made, **changes)


@dataclass
class Scene:
    """One server, one bus, and drivers that run until the scene is over."""

    wire: Wire
    board: Board
    bus: Bus
    running: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, driver: Driver) -> None:
        self.running.append(asyncio.create_task(driver.run()))

    def meter(self, **changes: Any) -> MeterDriver:
        driver = MeterDriver(meter(self.wire.port, **changes), EM24, self.bus, self.board)
        self.start(driver)
        return driver

    def charger(self, write: bool = True, **changes: Any) -> ChargerDriver:
        its = charger(self.wire.port, **changes)
        driver = ChargerDriver(its, ALFEN, self.bus, self.board, write)
        self.start(driver)
        return driver

    def readings(self, of: str = "grid") -> list[MeterReading]:
        return [reading for meter, reading in self.board.meters if meter == of]

    def reports(self, of: str = "bay-01") -> list[ChargerReport]:
        return [report for charger, report in self.board.chargers if charger == of]

    async def proof_of(self, order: Order, of: str = "bay-01") -> ChargerReport:
        """The first report that was asked for after the order was acknowledged."""
        await until(lambda: self.reports(of) and self.reports(of)[-1].written_tick == order.tick)
        return self.reports(of)[-1]

    async def news(self, of: str = "bay-01") -> ChargerReport:
        """A report of a poll that begins after now: not the next one, which may be under way."""
        seen = len(self.reports(of))
        await until(lambda: len(self.reports(of)) >= seen + 2)
        return self.reports(of)[-1]


def told(
    story: Callable[[Scene, Devices], Awaitable[None]],
    units: Mapping[int, Em24 | Alfen | None],
    timeout_s: float = 5,
) -> None:
    async def whole() -> None:
        devices = Devices(units)
        board = Board()
        async with serving(devices) as wire:
            line = TcpLine("127.0.0.1", wire.port, timeout_s, may_write=True)
            scene = Scene(wire, board, Bus(line, board.clock))
            try:
                await story(scene, devices)
            finally:
                for task in scene.running:
                    task.cancel()
                for task in scene.running:
                    with suppress(asyncio.CancelledError):
                        await task

    asyncio.run(whole())


# Meters.


def test_a_meter_is_checked_and_then_polled_for_good() -> None:
    shown = Em24([10_000, -20_000, 0])

    async def story(scene: Scene, _: Devices) -> None:
        driver = scene.meter()
        assert not driver.health().online
        await until(lambda: len(scene.readings()) >= 3)
        assert scene.readings()[0].current_ma == (10_000, -20_000, 0)
        assert driver.health().online
        assert driver.health().error is None
        assert driver.health().since_ns > 0
        places = [(each.address, each.count) for each in scene.wire.asked]
        assert places[:4] == [(11, 1), (40960, 1), (0, 50), (0, 50)]
        shown.milliamps = [1, 2, 3]
        await until(lambda: scene.readings()[-1].current_ma == (1, 2, 3))

    told(story, {1: shown})


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (Em24(application=3), "application is not H"),
        (Em24(model=57), "no EM24 Ethernet"),
        (Em24([0x7FFFFFFF, 0, 0]), "current_l1 has no value"),
    ],
)
def test_a_meter_that_is_not_as_the_profile_says_is_never_believed(shown: Em24, words: str) -> None:
    async def story(scene: Scene, _: Devices) -> None:
        driver = scene.meter()
        await until(lambda: len(scene.wire.asked) > 8)
        assert scene.readings() == []
        assert not driver.health().online
        assert words in str(driver.health().error)
        shown.model, shown.application, shown.milliamps = 1648, 7, [1, 2, 3]
        await until(scene.readings)
        await until(lambda: driver.health().error is None)
        assert all(asked.function in (3, 4) for asked in scene.wire.asked)

    told(story, {1: shown})


def test_a_meter_that_another_replaced_is_checked_again() -> None:
    shown = Em24()

    async def story(scene: Scene, devices: Devices) -> None:
        driver = scene.meter()
        await until(scene.readings)
        devices.refuse = lambda _: 4
        await until(lambda: not driver.health().online)
        shown.application = 0
        before = len(scene.readings())
        devices.refuse = lambda _: 0
        await until(lambda: "application" in str(driver.health().error))
        assert len(scene.readings()) == before

    told(story, {1: shown})


def test_one_failed_poll_does_not_make_a_meter_offline() -> None:
    async def story(scene: Scene, devices: Devices) -> None:
        driver = scene.meter()
        await until(scene.readings)
        failing = iter([6, 6])
        devices.refuse = lambda _: next(failing, 0)
        await until(lambda: driver.health().error is not None)
        assert driver.health().online
        assert "is busy" in str(driver.health().error)
        await until(lambda: driver.health().error is None)
        assert driver.health().online

    told(story, {1: Em24()})


def test_a_reading_that_the_image_refuses_is_an_error_of_the_device() -> None:
    async def story(scene: Scene, _: Devices) -> None:
        def refuse(meter: str, reading: MeterReading) -> None:
            raise ValueError("beyond int32")

        scene.board.post_meter = refuse  # type: ignore[method-assign]
        driver = scene.meter()
        await until(lambda: "beyond int32" in str(driver.health().error))

    told(story, {1: Em24()})


def test_a_slow_meter_skips_polls_and_never_has_two_under_way() -> None:
    under_way: list[int] = []

    async def story(scene: Scene, devices: Devices) -> None:
        async def slowly(asked: Asked, writer: asyncio.StreamWriter) -> None:
            under_way.append(len(scene.wire.asked) - answered[0])
            await asyncio.sleep(2.5 * POLL_NS / NS_PER_S)
            await devices(asked, writer)
            answered[0] += 1

        answered = [0]
        scene.wire.behave = slowly
        scene.meter()
        await until(lambda: len(scene.readings()) >= 3)
        assert set(under_way) == {1}

    told(story, {1: Em24()})


# Chargers.


def test_a_charger_reports_what_it_does_before_it_is_told_anything() -> None:
    shown = Alfen(setpoint=32.0, applied=6.0, valid_s=0, amperes=[5.5, 0.0, 0.25])

    async def story(scene: Scene, _: Devices) -> None:
        driver = scene.charger()
        await until(scene.reports)
        report = scene.reports()[0]
        assert report.in_force_ma == 6_000
        assert report.current_ma == (5_500, 0, 250)
        assert report.vehicle is Vehicle.C
        assert report.written_tick == 0
        await scene.news()
        assert shown.written == []
        assert driver.health().online

    told(story, {1: shown})


def test_an_order_is_written_at_once_and_read_back() -> None:
    shown = Alfen()

    async def story(scene: Scene, _: Devices) -> None:
        scene.charger(poll_ns=60 * NS_PER_S)  # only the read-back polls
        await until(scene.reports)
        order = scene.board.command("bay-01", 13_300)
        assert (await scene.proof_of(order)).in_force_ma == 13_300
        assert shown.written == [pytest.approx(13.3)]
        order = scene.board.command("bay-01", 0)
        assert (await scene.proof_of(order)).in_force_ma == 0
        assert shown.written[1:] == [0.0]

    told(story, {1: shown})


def test_only_what_is_asked_after_the_acknowledgement_carries_its_tick() -> None:
    """The status block of a poll that began before the write shows it, and is not its proof."""
    shown = Alfen()

    async def story(scene: Scene, devices: Devices) -> None:
        measured = asyncio.Event()
        proceed = asyncio.Event()

        async def staged(asked: Asked, writer: asyncio.StreamWriter) -> None:
            if asked.address == 306 and not proceed.is_set():
                measured.set()
                await proceed.wait()
            await devices(asked, writer)

        scene.wire.behave = staged
        scene.charger()
        await measured.wait()
        order = scene.board.command("bay-01", 10_000)
        await asyncio.sleep(0.01)  # the write waits for the line
        proceed.set()
        await until(lambda: len(scene.reports()) >= 2)
        functions = [asked.function for asked in scene.wire.asked[:3]]
        assert functions == [3, 16, 3]  # it went between the two blocks of the poll
        first, second = scene.reports()[:2]
        assert (first.in_force_ma, first.written_tick) == (10_000, 0)
        assert (second.in_force_ma, second.written_tick) == (10_000, order.tick)

    told(story, {1: shown})


def test_an_order_given_again_under_a_new_tick_is_written_again() -> None:
    shown = Alfen()

    async def story(scene: Scene, _: Devices) -> None:
        scene.charger()
        for _attempt in range(2):
            order = scene.board.command("bay-01", 10_000)
            await scene.proof_of(order)
        assert shown.written == [10.0, 10.0]

    told(story, {1: shown})


def test_an_expired_order_is_never_written_nor_refreshed() -> None:
    shown = Alfen()

    async def story(scene: Scene, _: Devices) -> None:
        driver = scene.charger(fallback_delay_ns=3 * NS_PER_S)
        await scene.proof_of(scene.board.command("bay-01", 10_000))
        scene.board.expire("bay-01")
        driver._taken_ns -= 100 * NS_PER_S  # its watchdog is long due
        shown.setpoint = shown.applied = 16.0  # and something else is in force
        await scene.news()
        await asyncio.sleep(0.6)  # two rounds of the writer
        assert shown.written == [10.0]
        order = scene.board.command("bay-01", 12_000, lasts_s=0)
        assert scene.board.order("bay-01") is None
        await asyncio.sleep(0.3)
        assert shown.written == [10.0]
        assert scene.reports()[-1].written_tick < order.tick

    told(story, {1: shown})


def test_an_order_that_expires_while_it_waits_for_the_line_is_not_written() -> None:
    shown = Alfen()

    async def story(scene: Scene, devices: Devices) -> None:
        proceed = asyncio.Event()

        async def staged(asked: Asked, writer: asyncio.StreamWriter) -> None:
            await proceed.wait()
            await devices(asked, writer)

        scene.wire.behave = staged
        scene.charger()
        await until(lambda: scene.wire.asked)
        scene.board.command("bay-01", 10_000)
        await asyncio.sleep(0.01)
        scene.board.expire("bay-01")
        proceed.set()
        await scene.news()
        assert shown.written == []

    told(story, {1: shown})


def test_a_charger_that_lost_its_setpoint_is_told_again() -> None:
    """A reboot: the safe current holds again. Written again by the next poll, once a second."""
    shown = Alfen()

    async def story(scene: Scene, _: Devices) -> None:
        driver = scene.charger()
        order = scene.board.command("bay-01", 10_000)
        await scene.proof_of(order)
        driver._taken_ns -= 2 * NS_PER_S  # the write was a while ago
        shown.setpoint, shown.applied, shown.valid_s = 8.0, 8.0, 0
        await until(lambda: len(shown.written) == 2)
        await until(lambda: scene.reports()[-1].in_force_ma == 10_000)
        assert scene.reports()[-1].written_tick == order.tick

    told(story, {1: shown})


def test_a_charger_that_does_not_obey_is_named_after_it_had_time_to_settle() -> None:
    shown = Alfen(setpoint=32.0, applied=32.0, valid_s=60, obeys=False)

    async def story(scene: Scene, _: Devices) -> None:
        driver = scene.charger()
        scene.board.command("bay-01", 10_000)
        await until(lambda: "10 A was written, but 32 A stays" in str(driver.health().error))
        assert driver.health().online
        assert scene.reports()[-1].in_force_ma == 32_000
        await until(lambda: len(shown.written) >= 2)

    told(story, {1: shown})


def test_the_watchdog_is_fed_with_the_live_order_before_a_third_of_its_time_is_over() -> None:
    shown = Alfen()

    async def story(scene: Scene, _: Devices) -> None:
        driver = scene.charger(fallback_delay_ns=30 * NS_PER_S)
        await scene.proof_of(scene.board.command("bay-01", 10_000))
        driver._taken_ns -= 9 * NS_PER_S
        await asyncio.sleep(0.6)
        assert len(shown.written) == 1
        driver._taken_ns -= NS_PER_S
        await until(lambda: len(shown.written) == 2)
        assert shown.written == [10.0, 10.0]

    told(story, {1: shown})


def test_a_watchdog_that_is_shorter_than_the_document_says_is_fed_in_its_own_time() -> None:
    shown = Alfen()

    async def story(scene: Scene, _: Devices) -> None:
        driver = scene.charger(fallback_delay_ns=600 * NS_PER_S)
        await scene.proof_of(scene.board.command("bay-01", 10_000))
        assert driver._watchdog_ns is not None
        assert 60 * NS_PER_S <= driver._watchdog_ns < 62 * NS_PER_S
        driver._taken_ns -= 21 * NS_PER_S
        await until(lambda: len(shown.written) == 2)

    told(story, {1: shown})


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (Alfen(valid_s=300), "its watchdog runs for 300 s or more"),
        (Alfen(safe=16.0), "it falls back to 16 A, the site document says 6 A"),
        (Alfen(applied=None), "does not say what current is in force"),
    ],
)
def test_a_charger_set_up_otherwise_than_the_document_says_is_named(
    shown: Alfen, words: str
) -> None:
    async def story(scene: Scene, _: Devices) -> None:
        driver = scene.charger()
        await until(scene.reports)
        await until(lambda: words in str(driver.health().error))
        assert driver.health().online

    told(story, {1: shown})


def test_a_write_that_is_refused_is_named_and_tried_again() -> None:
    shown = Alfen()

    async def story(scene: Scene, devices: Devices) -> None:
        driver = scene.charger()
        devices.refuse = lambda asked: 4 if asked.function == 16 else 0
        order = scene.board.command("bay-01", 10_000)
        await until(lambda: "register 1210): failed" in str(driver.health().error))
        assert driver.health().online
        assert scene.reports()[-1].written_tick == 0
        devices.refuse = lambda _: 0
        await scene.proof_of(order)
        await until(lambda: driver.health().error is None)

    told(story, {1: shown})


def test_unknown_is_not_zero() -> None:
    shown = Alfen(applied=None, state="??", amperes=[5.5, None, 5.5])

    async def story(scene: Scene, _: Devices) -> None:
        scene.charger()
        await until(scene.reports)
        report = scene.reports()[0]
        assert report.in_force_ma is None
        assert report.current_ma is None
        assert report.vehicle is Vehicle.UNKNOWN

    told(story, {1: shown})


def test_terminals_that_are_not_wired_need_no_value() -> None:
    shown = Alfen(amperes=[5.5, None, None])

    async def story(scene: Scene, _: Devices) -> None:
        scene.charger(phases=(1, NO_PHASE, NO_PHASE))
        await until(scene.reports)
        assert scene.reports()[0].current_ma == (5_500, 0, 0)

    told(story, {1: shown})


@pytest.mark.parametrize("ampere", [-0.3, -5.0])
def test_less_than_nothing_is_nothing_within_the_error_and_else_unknown(ampere: float) -> None:
    async def story(scene: Scene, _: Devices) -> None:
        scene.charger()
        await until(scene.reports)
        assert scene.reports()[0].current_ma == ((0, 0, 0) if ampere == -0.3 else None)

    told(story, {1: Alfen(amperes=[ampere, 0.0, 0.0])})


# Together.


def test_when_nothing_may_be_written_nothing_is() -> None:
    shown = Alfen()

    async def story(scene: Scene, _: Devices) -> None:
        scene.charger(write=False)
        scene.board.command("bay-01", 10_000)
        await until(lambda: len(scene.reports()) >= 5)
        assert {asked.function for asked in scene.wire.asked} == {3}

    told(story, {1: shown})


def test_a_dead_device_on_the_line_costs_the_others_one_timeout_at_a_time() -> None:
    """Between two polls of a silent unit, both others get an answer."""

    async def story(scene: Scene, devices: Devices) -> None:
        scene.charger(id="dead", unit=9)
        scene.charger(id="bay-01", unit=1)
        scene.meter(unit=2)
        await until(lambda: sum(asked.unit == 9 for asked in scene.wire.asked) >= 4)
        units = [asked.unit for asked in scene.wire.asked]
        first, *_, last = [i for i, unit in enumerate(units) if unit == 9]
        assert all(
            pair != (9, 9) for pair in zip(units[first:last], units[first + 1 :], strict=False)
        )
        assert scene.reports("bay-01")
        assert scene.readings()
        assert not scene.reports("dead")
        order = scene.board.command("bay-01", 10_000)
        await scene.proof_of(order)

    told(story, {1: Alfen(), 2: Em24(), 9: None}, timeout_s=0.1)


def test_a_cancelled_driver_leaves_no_connection() -> None:
    async def story(scene: Scene, _: Devices) -> None:
        scene.meter()
        await until(scene.readings)
        scene.running[0].cancel()
        await until(lambda: not scene.wire.writers)

    told(story, {1: Em24()})
