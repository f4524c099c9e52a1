"""The rig's faults break what they name, and mend it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from hil.devices.mbap import Server
from hil.devices.pdu import Code, Manner, RefusalError
from hil.faults.device import DeviceFault
from hil.faults.process import Child, ProcessFault
from hil.faults.proxy import Line, LineFault, Proxy


class Counting:
    """Register n holds n."""

    unit = 1

    def read(self, function: int, address: int, count: int) -> bytes:
        if address + count > 100:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        return b"".join(n.to_bytes(2, "big") for n in range(address, address + count))

    def write(self, function: int, address: int, words: bytes) -> None:
        raise RefusalError(Code.ILLEGAL_ADDRESS)


@asynccontextmanager
async def serving(**manners: float) -> AsyncIterator[Server]:
    server = Server(Counting(), **manners)  # type: ignore[arg-type]
    await server.open()
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def connected(port: int, timeout_s: float = 0.1) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient(
        "127.0.0.1", port=port, timeout=timeout_s, retries=0, reconnect_delay=0
    )
    await client.connect()
    try:
        yield client
    finally:
        client.close()


async def until(true: Callable[[], bool]) -> None:
    """Returns as soon as it is true, fails after ten seconds."""
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never true")


async def ended(reader: asyncio.StreamReader) -> None:
    """The other side has closed or reset the connection, and sent nothing more."""
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(1), 10) == b""


async def answers(client: AsyncModbusTcpClient) -> bool:
    """Whether a read is answered; reconnects when the connection was cut."""
    try:
        if not client.connected:
            await client.connect()
        reply = await client.read_holding_registers(5, count=2)
    except ModbusException:
        return False
    return reply.registers == [5, 6]


def test_a_silent_device_accepts_and_never_answers() -> None:
    async def story() -> None:
        async with serving() as server, connected(server.port) as client:
            fault = DeviceFault(server, Manner.SILENT)
            assert await answers(client)
            await fault.begin()
            assert not await answers(client)
            async with connected(server.port) as newcomer:
                assert newcomer.connected
            await fault.end()
            assert await answers(client)

    asyncio.run(story())


def test_a_device_that_is_gone_returns_on_its_port() -> None:
    async def story() -> None:
        async with serving() as server, connected(server.port) as client:
            fault = DeviceFault(server, Manner.GONE)
            port = server.port
            await fault.begin()
            await fault.begin()
            assert not await answers(client)
            assert not await client.connect()
            await fault.end()
            assert server.port == port
            assert await answers(client)

    asyncio.run(story())


def test_a_slow_device_answers_late() -> None:
    async def story() -> None:
        async with serving() as server, connected(server.port, timeout_s=2) as client:
            await DeviceFault(server, Manner.SLOW, delay_s=0.05).begin()
            before_s = asyncio.get_running_loop().time()
            assert await answers(client)
            assert asyncio.get_running_loop().time() - before_s >= 0.05

    asyncio.run(story())


def test_an_idle_master_is_hung_up_on_and_one_too_many_is_not_served() -> None:
    async def story() -> None:
        async with serving(max_masters=1, idle_s=0.05) as server:
            async with connected(server.port) as client:
                assert await answers(client)
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                await ended(reader)
                writer.close()
                await until(lambda: not client.connected)
            assert not server.sessions

    asyncio.run(story())


@pytest.mark.parametrize(
    ("pdu", "reply"),
    [
        ("03 0005 0002", "03 04 0005 0006"),
        ("03 0005 0000", "83 03"),  # nothing asked
        ("03 0005 007e", "83 03"),  # more than a reply can carry
        ("03 0063 0002", "83 02"),  # over the end
        ("03 0005", "83 03"),  # cut short
        ("01 0005 0001", "81 01"),  # coils: none here
        ("06 0005 0001", "86 02"),
        ("10 0005 0001 04 0001", "90 03"),  # counts that contradict each other
        ("10 0005 0001 02 0001", "90 02"),
    ],
)
def test_requests_are_answered_or_refused_with_the_right_exception(pdu: str, reply: str) -> None:
    assert Server(Counting()).answer(1, bytes.fromhex(pdu)) == bytes.fromhex(reply)


def test_another_unit_is_not_there() -> None:
    assert Server(Counting()).answer(2, bytes.fromhex("03 0005 0002")) == b"\x83\x0b"


def test_requests_in_pieces_and_several_at_once_are_all_answered() -> None:
    async def story() -> None:
        async with serving() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            request = bytes.fromhex("0001 0000 0006 01 03 0005 0001")
            for piece in (request[:3], request[3:] + request + request[:9], request[9:]):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
            answer = bytes.fromhex("0001 0000 0005 01 03 02 0005")
            assert await reader.readexactly(3 * len(answer)) == 3 * answer
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            await ended(reader)
            writer.close()

    asyncio.run(story())


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1000):
            writer.write(data)
    except ConnectionResetError:
        pass
    finally:
        writer.close()


def through_a_proxy(story: Callable[[Proxy], Awaitable[None]]) -> None:
    async def whole() -> None:
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        proxy = Proxy(server.sockets[0].getsockname()[1])
        await proxy.open()
        try:
            await story(proxy)
        finally:
            await proxy.close()
            server.close()

    asyncio.run(whole())


async def ask(port: int, data: bytes, wait_s: float = 1.0) -> bytes:
    """What comes back for `data`; empty when the line is broken."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            return await asyncio.wait_for(reader.readexactly(len(data)), wait_s)
        finally:
            writer.close()
    except (OSError, EOFError, TimeoutError):
        return b""


def test_the_proxy_passes_bytes_as_they_are() -> None:
    async def story(proxy: Proxy) -> None:
        data = bytes(range(256)) * 1000
        assert await ask(proxy.port, data) == data

    through_a_proxy(story)


def test_a_closed_line_resets_who_is_on_it_and_refuses_who_comes() -> None:
    async def story(proxy: Proxy) -> None:
        fault = LineFault(proxy)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        await fault.begin()
        await fault.begin()
        await ended(reader)
        writer.close()
        assert await ask(proxy.port, b"lost") == b""
        await fault.end()
        await fault.end()
        assert await ask(proxy.port, b"found") == b"found"

    through_a_proxy(story)


def test_a_black_hole_accepts_and_swallows() -> None:
    async def story(proxy: Proxy) -> None:
        fault = LineFault(proxy, Line.BLACK_HOLE)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        await fault.begin()
        writer.write(b"y")
        assert await ask(proxy.port, b"lost", wait_s=0.05) == b""
        await fault.end()
        await ended(reader)
        writer.close()
        assert await ask(proxy.port, b"found") == b"found"

    through_a_proxy(story)


def test_nobody_behind_the_proxy_is_a_reset_in_front_of_it() -> None:
    async def story() -> None:
        proxy = Proxy(1)  # a port where nobody listens
        await proxy.open()
        assert await ask(proxy.port, b"x") == b""
        await proxy.close()

    asyncio.run(story())


def _child(tmp_path: Path, code: str) -> Child:
    return Child("it", [sys.executable, "-c", code], tmp_path / "it.log")


def test_a_killed_process_is_dead_and_can_be_started_again(tmp_path: Path) -> None:
    async def story() -> None:
        child = _child(tmp_path, "import time; print('up', flush=True); time.sleep(60)")
        await child.start()
        first = child.pid
        fault = ProcessFault(child)
        await fault.begin()
        await fault.begin()
        assert (child.running, child.status, child.pid) == (False, -9, None)
        assert not child.died  # it was asked to
        assert child.resident_mb() is None
        await fault.end()
        await fault.end()
        assert child.pid not in (None, first)
        assert child.resident_mb()
        await child.stop()
        assert child.status == -15

    asyncio.run(story())


def test_a_process_that_ends_unasked_has_died_and_its_words_are_kept(tmp_path: Path) -> None:
    async def story() -> None:
        child = _child(tmp_path, "raise SystemExit('no more')")
        await child.start()
        await until(lambda: not child.running)
        assert (child.died, child.status, child.tail()) == (True, 1, "no more")

    asyncio.run(story())


def test_a_process_that_does_not_end_when_asked_is_killed(tmp_path: Path) -> None:
    async def story() -> None:
        child = _child(
            tmp_path,
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "print('deaf', flush=True); time.sleep(60)",
        )
        await child.start()
        await until(lambda: "deaf" in child.tail())
        await child.stop(within_s=0.05)
        assert child.status == -9

    asyncio.run(story())
