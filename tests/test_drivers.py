"""Meter and charger drivers against devices of raw sockets and an image without a kernel."""

from __future__ import annotations

import asyncio

import pytest

from cext.rows import NO_PHASE, Vehicle
from controller.image import MeterReading
from controller.units import NS_PER_S
from tests.driven import POLL_NS, Alfen, Devices, Em24, Scene, told
from tests.modbus_wire import Asked
from tests.patience import until

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
        driver._standing.taken_ns -= 100 * NS_PER_S  # its watchdog is long due
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
        driver._standing.taken_ns -= 2 * NS_PER_S  # the write was a while ago
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
        driver._standing.taken_ns -= 9 * NS_PER_S
        await asyncio.sleep(0.6)
        assert len(shown.written) == 1
        driver._standing.taken_ns -= NS_PER_S
        await until(lambda: len(shown.written) == 2)
        assert shown.written == [10.0, 10.0]

    told(story, {1: shown})


def test_a_watchdog_that_is_shorter_than_the_document_says_is_fed_in_its_own_time() -> None:
    shown = Alfen()

    async def story(scene: Scene, _: Devices) -> None:
        driver = scene.charger(fallback_delay_ns=600 * NS_PER_S)
        await scene.proof_of(scene.board.command("bay-01", 10_000))
        assert driver._standing._watchdog_ns is not None
        assert 60 * NS_PER_S <= driver._standing._watchdog_ns < 62 * NS_PER_S
        driver._standing.taken_ns -= 21 * NS_PER_S
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


def test_an_order_that_cannot_be_written_down_is_an_error_of_this_charger_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_narrow(*_: object, **__: object) -> None:
        raise ValueError("10000 does not fit a uint16")

    async def story(scene: Scene, _: Devices) -> None:
        monkeypatch.setattr("drivers.errand.writes_of", too_narrow)
        driver = scene.charger()
        scene.board.command("bay-01", 10_000)
        await until(lambda: "does not fit a uint16" in str(driver.health().error))
        await scene.news()

    told(story, {1: Alfen()})


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


def test_what_a_charger_says_of_its_fallback_is_reported() -> None:
    async def story(scene: Scene, _: Devices) -> None:
        scene.charger()
        await until(scene.reports)
        assert scene.reports()[0].fallback_ma == 16_000

    told(story, {1: Alfen(safe=16.0)})


def test_a_cancelled_driver_leaves_no_connection() -> None:
    async def story(scene: Scene, _: Devices) -> None:
        scene.meter()
        await until(scene.readings)
        scene.running[0].cancel()
        await until(lambda: not scene.wire.writers)

    told(story, {1: Em24()})
