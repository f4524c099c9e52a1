"""Faults of lines and of the broker do what they say, and mend it."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest

from controller.document.buses import SerialAddress
from drivers.device import BadReplyError, DeviceError, NoConnectionError, NoReplyError, Request
from drivers.serialline import SerialLine
from hil.broker import Broker
from hil.devices.rs485 import Rs485, Slave
from hil.faults.broker import BrokerFault
from hil.faults.proxy import (
    CLEAR,
    Line,
    LineFault,
    Proxy,
    ResetFault,
    Weather,
    WeatherFault,
)
from hil.faults.serial import Misrouted, Noise, SerialFault, SerialFaultKind, WrongSpeed
from tests.test_faults import Counting, ask, ended, through_a_proxy

# Serial lines.

READ = Request("x", 1, 3, 20, 4, fewer=(3, 2))
RIGHT = (20, 21, 22, 23)
OTHER = Request("y", 2, 3, 20, 4, fewer=(3, 2))


class Second(Counting):
    unit = 2


Story = Callable[[Rs485, SerialLine], Awaitable[None]]


def told(story: Story, timeout_s: float = 0.1, framing: Literal["rtu", "ascii"] = "rtu") -> None:
    async def whole() -> None:
        bus = Rs485(115_200, "N", 1, framing)
        for device in (Counting(), Second()):
            Slave(bus, device, 0.001)
        bus.plug()
        address = SerialAddress(str(bus.port), 115_200, "N", 1, framing)
        line = SerialLine(address, timeout_s, may_write=False)
        try:
            await story(bus, line)
        finally:
            line.close()
            bus.unplug()

    asyncio.run(whole())


async def tried(line: SerialLine, request: Request = READ) -> tuple[int, ...] | DeviceError:
    try:
        words = await line.exchange(lambda: request)
    except DeviceError as error:
        return error
    assert words is not None
    return words


async def until_right(line: SerialLine, request: Request = READ) -> None:
    async with asyncio.timeout(20):
        while await tried(line, request) != RIGHT:
            pass  # each takes its time


@pytest.mark.parametrize(
    ("kind", "errors"),
    [
        ("cut", NoReplyError),
        ("wrong_speed", (NoReplyError, BadReplyError)),
        ("stuck", BadReplyError),
        ("unplugged", NoConnectionError),
    ],
)
@pytest.mark.parametrize("framing", ["rtu", "ascii"])
def test_a_line_goes_wrong_and_is_mended(
    framing: Literal["rtu", "ascii"],
    kind: SerialFaultKind,
    errors: type[DeviceError] | tuple[type[DeviceError], ...],
) -> None:
    async def story(bus: Rs485, line: SerialLine) -> None:
        assert await tried(line) == RIGHT
        fault = SerialFault(bus, kind)
        await fault.begin()
        await fault.begin()
        heard = bus.frames
        for _ in range(3):
            assert isinstance(await tried(line), errors)
        assert bus.frames == heard
        await fault.end()
        await fault.end()
        await until_right(line)

    told(story, framing=framing)


def test_noise_spoils_some_and_nothing_wrong_is_believed() -> None:
    async def story(bus: Rs485, line: SerialLine) -> None:
        await until_right(line)
        fault = SerialFault(bus, "noise", seed=3)
        await fault.begin()
        found = [await tried(line, (READ, OTHER)[i % 2]) for i in range(40)]
        await fault.end()
        assert {each for each in found if isinstance(each, tuple)} == {RIGHT}
        assert any(isinstance(each, DeviceError) for each in found)
        await until_right(line)

    told(story, timeout_s=0.05)


def test_noise_and_wrong_speed_change_bytes_and_repeat_by_their_seed() -> None:
    data = bytes(range(256)) * 4
    assert Noise(seed=1).to_master(data) == Noise(seed=1).to_master(data) != data
    assert Noise(wrong=0.0).to_slaves(data) == data
    assert len(WrongSpeed().to_slaves(data)) == len(data) // 2
    assert len(WrongSpeed().to_master(data)) == len(data) * 2


def test_an_echo_is_heard_and_changes_nothing() -> None:
    async def story(bus: Rs485, line: SerialLine) -> None:
        fault = SerialFault(bus, "echo")
        await fault.begin()
        assert await tried(line) == RIGHT
        assert line._echoes
        await fault.end()
        await until_right(line)

    told(story)


def test_a_misrouted_unit_is_answered_for_by_another() -> None:
    async def story(bus: Rs485, line: SerialLine) -> None:
        fault = Misrouted(bus, 1, 2)
        await fault.begin()
        error = await tried(line)
        assert "unit 2 answered instead" in str(error)
        assert await tried(line, OTHER) == RIGHT
        await fault.end()
        await fault.end()
        await until_right(line)

    told(story)


# Connections.


def test_a_half_open_line_hears_and_does_not_answer() -> None:
    async def story(proxy: Proxy) -> None:
        fault = LineFault(proxy, Line.HALF_OPEN)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        await fault.begin()
        writer.write(b"y")
        assert await ask(proxy.port, b"lost", wait_s=0.05) == b""
        await fault.end()
        await ended(reader)
        writer.close()
        assert await ask(proxy.port, b"found") == b"found"

    through_a_proxy(story)


def test_a_half_open_line_delivers_what_is_said() -> None:
    async def whole() -> None:
        said: list[bytes] = []

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said.append(await reader.read(5))
            writer.write(b"yes")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        proxy = Proxy(server.sockets[0].getsockname()[1])
        await proxy.open()
        await LineFault(proxy, Line.HALF_OPEN).begin()
        assert await ask(proxy.port, b"order", wait_s=0.1) == b""
        assert said == [b"order"]
        await proxy.close()
        server.close()

    asyncio.run(whole())


def test_late_bytes_take_their_time_both_ways() -> None:
    async def story(proxy: Proxy) -> None:
        fault = WeatherFault(proxy, Weather(delay_s=0.05))
        await fault.begin()
        before_s = time.monotonic()
        assert await ask(proxy.port, b"slow") == b"slow"
        assert time.monotonic() - before_s >= 0.1
        await fault.end()
        assert proxy.weather is CLEAR

    through_a_proxy(story)


def test_a_throttled_line_passes_so_many_bytes_a_second() -> None:
    async def story(proxy: Proxy) -> None:
        await WeatherFault(proxy, Weather(bytes_per_s=10_000)).begin()
        before_s = time.monotonic()
        assert await ask(proxy.port, bytes(1000), wait_s=10) == bytes(1000)
        assert time.monotonic() - before_s >= 0.1

    through_a_proxy(story)


def test_a_corrupt_line_changes_bytes_and_loses_none() -> None:
    async def story(proxy: Proxy) -> None:
        fault = WeatherFault(proxy, Weather(wrong=0.05))
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        await fault.begin()
        data = bytes(10_000)
        heard = await ask(proxy.port, data, wait_s=10)
        assert len(heard) == len(data)
        assert 500 <= sum(byte != 0 for byte in heard) <= 1500  # 5 % each way
        await fault.end()
        await ended(reader)
        writer.close()
        assert await ask(proxy.port, data) == data

    through_a_proxy(story)


def test_connections_are_reset_again_and_again() -> None:
    async def story(proxy: Proxy) -> None:
        fault = ResetFault(proxy, every_s=0.05)
        await fault.begin()
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            await ended(reader)
            writer.close()
        await fault.end()
        await fault.end()
        assert await ask(proxy.port, b"found") == b"found"

    through_a_proxy(story)


# The broker.


async def greeted(port: int) -> bytes:
    """What a broker answers to an anonymous MQTT 3.1.1 client; empty where it says nothing."""
    connect = bytes.fromhex("100d00044d5154540402003c000161")
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(connect)
            return await asyncio.wait_for(reader.readexactly(4), 0.5)
        finally:
            writer.close()
    except (OSError, EOFError, TimeoutError):
        return b""


WELCOME = bytes.fromhex("20020000")
NOT_AUTHORISED = bytes.fromhex("20020005")


def test_a_broker_is_killed_frozen_or_refuses_and_keeps_its_port(tmp_path: Path) -> None:
    async def story() -> None:
        broker = Broker(tmp_path)
        await broker.start()
        port = broker.port
        try:
            assert await greeted(port) == WELCOME
            for fault, answer in (
                (BrokerFault(broker, "killed"), b""),
                (BrokerFault(broker, "frozen"), b""),
                (BrokerFault(broker, "refusing"), NOT_AUTHORISED),
            ):
                await fault.begin()
                assert await greeted(port) == answer
                await fault.end()
                await fault.end()
                assert broker.port == port
                assert await greeted(port) == WELCOME
        finally:
            await broker.stop()
        assert broker.child is not None
        assert broker.child.pid is None

    asyncio.run(story())


def test_a_frozen_broker_can_be_stopped(tmp_path: Path) -> None:
    async def story() -> None:
        broker = Broker(tmp_path)
        await broker.start()
        assert broker.child is not None
        pid = broker.child.pid
        assert pid is not None
        await BrokerFault(broker, "frozen").begin()
        await broker.stop()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(story())
