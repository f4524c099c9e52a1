"""A clamp's driver on a pseudo-terminal: adapters that go and come, lines that repeat, silence."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest

from controller.document.buses import SerialAddress
from controller.document.clamps import Clamp
from controller.image import MeterReading
from drivers import clampdriver
from drivers.clampdriver import REPEATS_MAX, ClampDriver
from tests.clamp_lines import emontx3, rpict3t1, rpict7v1
from tests.modbus_wire import Board
from tests.patience import until
from tests.serial_wire import SerialWire

S = 1_000_000_000


def clamp(port: str, **changes: Any) -> Clamp:
    made = Clamp(
        id="clamp",
        circuit="grid",
        format="rpict7v1",
        address=SerialAddress(port, 38_400, "N", 1),
        node=11,
        assumed_v=240,
        power_factor_ppm=1_000_000,
        period_ns=S,
        lag_ns=0,
        max_age_ns=3 * S,
        ratio_ppm=1_000_000,
        channels=(1, 2, 3),
        phases=(0, 1, 2),
        error_ma=100,
    )
    return replace(made, **changes)


class Counting(ClampDriver):
    """Tells how much it has taken from its port."""

    heard = 0

    def _hear(self, data: bytes) -> None:
        super()._hear(data)
        self.heard += len(data)


@dataclass
class Scene:
    """A port, and a driver that listens to it."""

    wire: SerialWire
    board: Board
    driver: Counting
    said: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def readings(self) -> list[MeterReading]:
        return [reading for _, reading in self.board.meters]

    def say(self, line: bytes) -> None:
        self.wire.send(line)

    async def opened(self) -> None:
        """When the driver hears at all."""
        before = self.driver.heard
        for _ in range(200):
            self.say(b"1")
            with suppress(TimeoutError):
                return await until(lambda: self.driver.heard > before, within_s=0.05)
        raise AssertionError

    async def hears(self, line: bytes, amps: tuple[float, float, float]) -> None:
        """Says it until a reading of it came: whoever has just opened drops the first."""
        seen = len(self.readings)
        wanted = tuple(round(each * 1000) for each in amps)
        await self.opened()
        self.say(b"\n" + line)
        await until(lambda: len(self.readings) > seen)
        assert self.readings[-1].current_ma == wanted

    async def settled(self, line: bytes) -> None:
        """When the driver has taken this line for what it is."""
        whole = self.driver.heard + len(line)
        self.say(line)
        await until(lambda: self.driver.heard >= whole)


def told(folder: Any, story: Callable[[Scene], Awaitable[None]], **changes: Any) -> None:
    async def whole() -> None:
        wire = SerialWire(f"{folder}/adapter")
        wire.plug()
        board = Board()
        driver = Counting(clamp(wire.link, **changes), board)
        task = asyncio.create_task(driver.run())
        try:
            await story(Scene(wire, board, driver))
            assert not task.done()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            wire.stop()

    asyncio.run(whole())


def test_a_line_becomes_a_reading(tmp_path: Any) -> None:
    async def story(scene: Scene) -> None:
        assert not scene.driver.health().online
        await scene.hears(rpict7v1([1, 2, 3]), (1, 2, 3))
        assert scene.driver.health().online
        assert scene.driver.health().error is None

    told(tmp_path, story)


def test_the_line_that_the_opening_cut_is_none(tmp_path: Any) -> None:
    async def story(scene: Scene) -> None:
        await scene.opened()
        scene.say(b" 1.00 2.00 3.00 21.5\r\n")  # of `11 …`
        await scene.hears(rpict3t1([4, 5, 6]), (4, 5, 6))
        assert scene.readings[0].current_ma == (4000, 5000, 6000)

    told(tmp_path, story, format="rpict3t1")


def test_text_on_the_line_is_named_and_no_reading(tmp_path: Any) -> None:
    async def story(scene: Scene) -> None:
        await scene.hears(rpict7v1([1, 2, 3]), (1, 2, 3))
        seen = len(scene.readings)
        for _ in range(4):
            await scene.settled(b"login: pi\r\n")
        health = scene.driver.health()
        assert len(scene.readings) == seen
        assert not health.online
        assert health.error is not None
        assert "no line of this format" in health.error
        assert scene.wire.link in health.error
        await scene.hears(rpict7v1([2, 2, 2]), (2, 2, 2))
        assert scene.driver.health().online

    told(tmp_path, story)


def test_an_adapter_that_comes_back_as_another_file_is_heard_again(tmp_path: Any) -> None:
    async def story(scene: Scene) -> None:
        await scene.hears(rpict7v1([1, 2, 3]), (1, 2, 3))
        first = scene.wire.port
        scene.wire.unplug()
        await until(lambda: "adapter" in (scene.driver.health().error or ""))
        spares: list[tuple[int, int]] = []  # so that the next is another file, whoever else opens
        while len(spares) < 16 and first not in (os.ttyname(slave) for _, slave in spares):
            spares.append(os.openpty())
        scene.wire.plug()
        assert scene.wire.port != first
        await scene.hears(rpict7v1([4, 5, 6]), (4, 5, 6))
        assert scene.driver.health().error is None
        for each in itertools.chain(*spares):
            os.close(each)

    told(tmp_path, story)


def test_a_port_that_is_silent_is_opened_anew(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clampdriver, "QUIET_LEAST_S", 0.1)

    async def story(scene: Scene) -> None:
        await scene.hears(rpict7v1([1, 2, 3]), (1, 2, 3))
        await until(lambda: "not a byte" in (scene.driver.health().error or ""))
        await scene.hears(rpict7v1([4, 5, 6]), (4, 5, 6))

    told(tmp_path, story, period_ns=S // 20)


def test_a_line_that_repeats_itself_is_fresh_only_so_often(tmp_path: Any) -> None:
    async def story(scene: Scene) -> None:
        await scene.hears(rpict7v1([9, 9, 9]), (9, 9, 9))
        seen = len(scene.readings)
        for _ in range(REPEATS_MAX + 4):
            await scene.settled(rpict7v1([1, 2, 3]))
        assert len(scene.readings) == seen + 1 + REPEATS_MAX
        assert "stuck" in (scene.driver.health().error or "")
        await scene.settled(rpict7v1([1, 2, 3.1]))
        assert scene.readings[-1].current_ma == (1000, 2000, 3100)

    told(tmp_path, story)


def test_a_numbered_line_is_fresh_once_and_lost_ones_are_counted(tmp_path: Any) -> None:
    async def story(scene: Scene) -> None:
        await scene.hears(emontx3([1, 2, 3], 5, volts=250), (1, 2, 3))
        seen = len(scene.readings)
        lost = scene.driver.lost_lines
        await scene.settled(emontx3([1, 2, 3], 6, volts=250))
        for _ in range(3):
            await scene.settled(emontx3([1, 2, 3], 6, volts=250))
        assert len(scene.readings) == seen + 1
        await scene.settled(emontx3([1, 2, 3], 9, volts=250))
        assert scene.driver.lost_lines == lost + 2
        assert "lines are lost" in (scene.driver.health().error or "")
        assert scene.driver.health().online
        await scene.settled(emontx3([4, 2, 3], 1, volts=250))
        assert "was it started again?" in (scene.driver.health().error or "")
        assert scene.driver.lost_lines == lost + 2
        assert len(scene.readings) == seen + 3
        await scene.settled(emontx3([4, 2, 3], 2, volts=250))
        assert scene.driver.health().error is None

    told(tmp_path, story, format="emontx3", node=None)


def test_of_lines_that_come_at_once_only_the_last_is_of_now(tmp_path: Any) -> None:
    async def story(scene: Scene) -> None:
        await scene.hears(rpict7v1([1, 2, 3]), (1, 2, 3))
        seen = len(scene.readings)
        await scene.settled(rpict7v1([4, 4, 4]) + rpict7v1([5, 5, 5]))
        assert [each.current_ma for each in scene.readings[seen:]] == [(5000, 5000, 5000)]

    told(tmp_path, story)


def test_what_the_image_refuses_is_told(tmp_path: Any) -> None:
    class Refusing(Board):
        def post_meter(self, meter: str, reading: MeterReading) -> None:
            raise ValueError("more than the circuit can carry")

    async def whole() -> None:
        wire = SerialWire(f"{tmp_path}/adapter")
        wire.plug()
        driver = Counting(clamp(wire.link), Refusing())
        task = asyncio.create_task(driver.run())
        scene = Scene(wire, Board(), driver)
        await scene.opened()
        await scene.settled(rpict7v1([1, 2, 3]) * 2)
        await until(lambda: "than the circuit can carry" in (driver.health().error or ""))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        wire.stop()

    asyncio.run(whole())
