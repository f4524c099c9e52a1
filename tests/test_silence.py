"""Devices that do not answer: what they cost the others, and what is said of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from controller.units import NS_PER_S
from drivers.bus import Bus
from drivers.charger import ChargerDriver
from drivers.device import (
    BadReplyError,
    DeviceError,
    HushedError,
    NoReplyError,
    Rank,
    RefusedError,
    Request,
)
from drivers.health import DeviceHealth, Health
from drivers.library import library
from drivers.serialline import SerialLine
from drivers.silence import Silence
from tests.driven import MS_NS, Alfen, Devices, Em24, Scene, charger, told
from tests.modbus_wire import Board
from tests.patience import until
from tests.serial_wire import Heard, SerialWire, plugged, sealed

BOX = library().charger_profile("heidelberg_energy_control")


class Hand:
    at_ns = 5 * NS_PER_S

    def now_ns(self) -> int:
        return self.at_ns


def test_silent_units_do_not_starve_the_others_on_their_line() -> None:
    """Three of seven answer nothing, and all are to be told something."""
    timeout_s, poll_ns = 0.1, 200 * MS_NS

    async def story(scene: Scene, _: Devices) -> None:
        scene.meter(unit=1, poll_ns=poll_ns)
        units = {f"bay-0{unit}": unit for unit in range(2, 8)}
        for name, unit in units.items():
            scene.charger(id=name, unit=unit, poll_ns=poll_ns)
        await until(scene.readings)
        orders = {name: scene.board.command(name, 10_000) for name in units}
        for name in ("bay-02", "bay-03", "bay-04"):
            await scene.proof_of(orders[name], name)
        await asyncio.sleep(2)
        begun, seen = len(scene.wire.asked), len(scene.readings())
        await asyncio.sleep(3)
        dead = [asked for asked in scene.wire.asked[begun:] if asked.unit > 4]
        assert 3 <= len(dead) <= 12  # one in three seconds each, more or less
        assert any(asked.function == 16 for asked in scene.wire.asked if asked.unit > 4)
        at_ns = [reading.at_ns for reading in scene.readings()[seen:]]
        ages_ns = [later - earlier for earlier, later in pairwise(at_ns)]
        assert len(ages_ns) >= 5
        assert max(ages_ns) <= 3 * poll_ns

    units: dict[int, Alfen | Em24 | None] = {1: Em24()}
    units |= {unit: Alfen() for unit in (2, 3, 4)} | dict.fromkeys((5, 6, 7))
    told(story, units, timeout_s)


def test_a_unit_that_answers_wrongly_does_not_starve_the_others_on_its_line(
    tmp_path: Path,
) -> None:
    """Every wrong reply costs a serial line a time-out of silence, and there is a write to do."""
    right: list[float] = []
    wrong: list[Heard] = []

    async def behave(heard: Heard, wire: SerialWire) -> None:
        if heard.unit == 1 or not board.chargers:
            wire.send(heard.reply())
        else:
            wrong.append(heard)
            wire.send(sealed(bytes((9,)) + heard.reply()[1:-2]))

    async def whole() -> None:
        async with plugged(str(tmp_path), behave) as wire:
            line = SerialLine(wire.address(), 0.1, may_write=True)
            bus = Bus(line, board.clock)
            its = charger(1, profile=BOX.name, facts=BOX.facts, unit=2, poll_ns=200 * MS_NS)
            driver = ChargerDriver(its, BOX, bus, board, write=True)
            task = asyncio.create_task(driver.run())
            await until(lambda: board.chargers)
            board.command("bay-01", 10_000)
            request = Request("meter", 1, 4, 0, 2)
            loop = asyncio.get_running_loop()
            ends_s = loop.time() + 4
            while loop.time() < ends_s:
                with suppress(DeviceError):
                    await bus.exchange("meter", lambda: Rank.METER, lambda: request)
                    right.append(loop.time())
                await asyncio.sleep(0.1)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    board = Board()
    asyncio.run(whole())
    assert 2 <= len(wrong) <= 10  # without pauses there are twenty and more
    assert len(right) >= 12


def test_a_silent_charger_is_written_to_as_soon_as_it_answers() -> None:
    shown = Alfen()

    async def story(scene: Scene, devices: Devices) -> None:
        scene.charger()
        order = scene.board.command("bay-01", 10_000)
        await until(lambda: {asked.function for asked in scene.wire.asked} == {3, 16})
        devices.units[1] = shown
        await scene.proof_of(order)

    told(story, {1: None}, timeout_s=0.1)


def test_a_device_that_nobody_asks_any_more_does_not_stay_online() -> None:
    hand = Hand()
    health = Health("bay-01", hand, poll_ns=NS_PER_S, timeout_ns=NS_PER_S // 2)
    health.good()
    hand.at_ns = 8 * NS_PER_S
    assert health.now.online
    hand.at_ns = 20 * NS_PER_S
    assert health.now == DeviceHealth(
        "bay-01", False, "not heard for 3.5 s", 8 * NS_PER_S + NS_PER_S // 2
    )
    health.good()
    assert health.now == DeviceHealth("bay-01", True, None, 20 * NS_PER_S)


def test_one_wrong_reply_is_a_mishap_and_two_are_silence() -> None:
    silence = Silence(Hand(), NS_PER_S)
    silence.failed(BadReplyError("garbled", line="rtu"))
    assert not silence.lasts
    silence.answered()
    silence.failed(BadReplyError("garbled", line="rtu"))
    assert not silence.lasts
    silence.failed(BadReplyError("garbled", line="rtu"))
    assert silence.left_s == 1
    silence.failed(BadReplyError("garbled", line="rtu"))
    assert silence.left_s == 2


def test_not_having_asked_ends_no_silence() -> None:
    silence = Silence(Hand(), NS_PER_S)
    silence.failed(NoReplyError("no answer", line="rtu"))
    silence.failed(HushedError("not asked", line="rtu"))
    assert silence.left_s == 1
    silence.failed(RefusedError("refuses", line="rtu"))
    assert not silence.lasts
