"""One Modbus TCP line against a server of raw sockets: what is broken never becomes a value."""

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.device import (
    BadReplyError,
    BusyError,
    DeviceError,
    DeviceFailureError,
    GatewaySilenceError,
    IllegalAddressError,
    IllegalFunctionError,
    IllegalValueError,
    NoConnectionError,
    NoReplyError,
    PathError,
    RefusedError,
    Request,
    ShortReplyError,
    WrongTransactionError,
    WrongUnitError,
)
from drivers.modbus import TcpLine
from tests.modbus_wire import Asked, Behaviour, Wire, good, serving
from tests.patience import WITHIN_S, until

TIMEOUT_S = 0.1
PATIENT_S = 5.0  # where the time-out must not be what ends the exchange

FIRST = Request("meter", 1, 4, 100, 3)
SECOND = Request("meter", 1, 4, 700, 3)
WRITE = Request("bay-01", 1, 16, 1210, 2, (0x4154, 0xCCCD))

Story = Callable[[TcpLine, Wire], Awaitable[None]]


def told(story: Story, behave: Behaviour = good, timeout_s: float = PATIENT_S) -> None:
    """Tells a story to a line and the server at its other end."""

    async def whole() -> None:
        async with serving(behave) as wire:
            line = TcpLine("127.0.0.1", wire.port, timeout_s, may_write=True)
            try:
                await story(line, wire)
            finally:
                line.close()

    asyncio.run(whole())


async def ask(line: TcpLine, request: Request = FIRST) -> tuple[int, ...] | None:
    return await line.exchange(lambda: request)


async def ask_until_answered(line: TcpLine, request: Request) -> tuple[int, ...] | None:
    """With a short time-out a busy machine may miss a good reply, too; never get a wrong one."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                return await ask(line, request)
            except (NoReplyError, NoConnectionError):
                await asyncio.sleep(0.01)


def words(request: Request) -> tuple[int, ...]:
    """What the good server answers: each register holds its address."""
    return tuple(range(request.address, request.address + request.count))


def sends(make: Callable[[Asked], bytes]) -> Behaviour:
    """A server that answers FIRST and WRITE wrongly, once, and all else well."""
    done: list[Asked] = []

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        wrongly = not done and asked.address != SECOND.address
        writer.write(make(asked) if wrongly else asked.reply())
        done.append(asked)

    return behave


def refused(
    kind: type[DeviceError], behave: Behaviour, timeout_s: float = PATIENT_S
) -> DeviceError:
    """The first exchange fails with `kind`; the next one is clean. Returns the failure."""
    failures: list[DeviceError] = []

    async def story(line: TcpLine, _: Wire) -> None:
        with pytest.raises(kind) as caught:
            await ask(line)
        failures.append(caught.value)
        assert await ask(line, SECOND) == words(SECOND)

    told(story, behave, timeout_s)
    return failures[0]


def test_reads_and_writes_over_one_connection() -> None:
    async def story(line: TcpLine, wire: Wire) -> None:
        assert await ask(line) == words(FIRST)
        assert await ask(line, Request("meter", 7, 3, 11, 1)) == (11,)
        assert await ask(line, WRITE) == ()
        assert await ask(line, Request("meter", 1, 6, 40960, 1, (7,))) == ()
        assert wire.connections == 1
        assert [each.pdu.hex() for each in wire.asked] == [
            "0400640003",
            "03000b0001",
            "1004ba0002044154cccd",
            "06a0000007",
        ]
        assert wire.asked[1].unit == 7

    told(story)


@pytest.mark.parametrize(
    ("code", "kind", "passing"),
    [
        (1, IllegalFunctionError, False),
        (2, IllegalAddressError, False),
        (3, IllegalValueError, False),
        (4, DeviceFailureError, False),
        (5, RefusedError, False),
        (6, BusyError, True),
        (10, PathError, False),
        (11, GatewaySilenceError, True),
        (200, RefusedError, False),
    ],
)
def test_exceptions_mean_what_they_mean(
    code: int, kind: type[DeviceError], passing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.behind.LATEST_S", 0.0)
    error = refused(kind, sends(lambda asked: asked.refusal(code)))
    assert type(error) is kind
    assert error.passing is passing
    assert "meter" in str(error)
    assert "unit 1, register 100" in str(error)


def test_a_refusal_keeps_the_connection() -> None:
    async def story(line: TcpLine, wire: Wire) -> None:
        with pytest.raises(BusyError):
            await ask(line)
        assert await ask(line) == words(FIRST)
        assert wire.connections == 1

    told(story, sends(lambda asked: asked.refusal(6)))


def registers(asked: Asked, count: int) -> bytes:
    content = struct.pack(f">{count}H", *range(asked.address, asked.address + count))
    return asked.frame(bytes((asked.function, len(content))) + content)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 125])
def test_another_number_of_registers_is_no_reply(count: int) -> None:
    refused(ShortReplyError, sends(lambda asked: registers(asked, count)))


def test_a_byte_count_that_contradicts_the_frame_is_no_reply() -> None:
    def lies(asked: Asked) -> bytes:
        reply = bytearray(asked.reply())
        reply[8] -= 2
        return bytes(reply)

    refused(ShortReplyError, sends(lies))


def test_a_refusal_without_its_code_is_no_reply() -> None:
    refused(ShortReplyError, sends(lambda asked: asked.frame(bytes((asked.function | 0x80,)))))


@pytest.mark.parametrize("length", [0, 1, 2, 4, 0xFFFF])
def test_a_length_that_no_reply_can_have_is_refused_before_the_rest_comes(length: int) -> None:
    def begins(asked: Asked) -> bytes:
        return struct.pack(">HHH", asked.transaction, 0, length)

    refused(ShortReplyError, sends(begins))


def test_another_unit_is_not_believed() -> None:
    error = refused(
        WrongUnitError, sends(lambda asked: Asked(asked.transaction, 2, asked.pdu).reply())
    )
    assert "unit 2 answered instead" in str(error)


@pytest.mark.parametrize("offset", [1, -1, 0xFF00])
def test_another_transaction_is_not_believed(offset: int) -> None:
    def other(asked: Asked) -> bytes:
        return Asked((asked.transaction + offset) & 0xFFFF, asked.unit, asked.pdu).reply()

    refused(WrongTransactionError, sends(other))


def test_transaction_0_is_not_believed_either() -> None:
    refused(WrongTransactionError, sends(lambda asked: Asked(0, asked.unit, asked.pdu).reply()))


@pytest.mark.parametrize("function", [3, 6, 0x83, 43])
def test_another_function_is_not_believed(function: int) -> None:
    def other(asked: Asked) -> bytes:
        reply = bytearray(asked.reply())
        reply[7] = function
        return bytes(reply)

    refused(BadReplyError, sends(other))


def test_a_write_that_is_acknowledged_for_another_place_is_not_acknowledged() -> None:
    async def story(line: TcpLine, _: Wire) -> None:
        with pytest.raises(BadReplyError, match="what it acknowledged is not what was written"):
            await ask(line, WRITE)
        assert await ask(line, WRITE) == ()

    told(story, sends(lambda asked: asked.frame(struct.pack(">BHH", 16, 1212, 2))))


@pytest.mark.parametrize(
    "junk",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff" * 20,
        b"\x00\x01\x00\x07\x00\x09\x01\x04\x06",
    ],
)
def test_garbage_is_no_reply(junk: bytes) -> None:
    refused(BadReplyError, sends(lambda _: junk))


def test_a_reply_may_come_byte_by_byte() -> None:
    refuse: list[bool] = []

    async def slowly(asked: Asked, writer: asyncio.StreamWriter) -> None:
        for byte in asked.refusal(6) if refuse else asked.reply():
            writer.write(bytes([byte]))
            await asyncio.sleep(0.001)

    async def story(line: TcpLine, _: Wire) -> None:
        assert await ask(line) == words(FIRST)
        assert await ask(line, WRITE) == ()
        assert await ask(line, SECOND) == words(SECOND)
        refuse.append(True)
        with pytest.raises(BusyError):
            await ask(line)

    told(story, slowly)


def test_a_second_reply_to_the_same_request_lands_nowhere() -> None:
    async def twice(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.reply() * 2)

    async def story(line: TcpLine, _: Wire) -> None:
        for _attempt in range(5):
            for request in (FIRST, SECOND):
                assert await ask(line, request) == words(request)

    told(story, twice)


@pytest.mark.parametrize("more", [b"\0", b"\0\0\0\7\0\3", bytes(300)])
def test_a_reply_with_more_behind_it_is_the_last_on_its_connection(more: bytes) -> None:
    async def story(line: TcpLine, wire: Wire) -> None:
        for request in (FIRST, WRITE, SECOND):
            assert await ask(line, request) == (() if request.writes else words(request))
        assert wire.connections == 3

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.reply() + more)

    told(story, behave)


def test_a_reply_that_lay_there_while_we_were_held_up_is_none() -> None:
    """It came in time, perhaps, but would be taken for a reading of now."""

    async def holds_us_up(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.reply())
        if asked.address == FIRST.address:
            time.sleep(2 * TIMEOUT_S)  # noqa: ASYNC251 - holds up the loop that both ends share

    async def story(line: TcpLine, wire: Wire) -> None:
        with pytest.raises(NoReplyError):
            await ask(line)
        assert await ask_until_answered(line, SECOND) == words(SECOND)
        assert wire.connections > 1

    told(story, holds_us_up, TIMEOUT_S)


def test_what_nobody_asked_for_ends_the_connection() -> None:
    async def story(line: TcpLine, wire: Wire) -> None:
        await ask(line)
        next(iter(wire.writers)).write(wire.asked[0].reply())
        await until(lambda: wire.resets)
        assert await ask(line, SECOND) == words(SECOND)
        assert wire.connections == 2

    told(story)


def test_more_garbage_than_any_reply_has_is_no_reply() -> None:
    refused(BadReplyError, sends(lambda _: bytes(1000)))


@pytest.mark.parametrize("offset", range(15))
def test_a_reply_that_ends_after_the_timeout_lands_nowhere(offset: int) -> None:
    """The first `offset` of its 15 bytes in time, the rest when the next request is under way."""
    wires: list[Wire] = []

    async def delayed(asked: Asked, writer: asyncio.StreamWriter) -> None:
        wire = wires[0]
        if len(wire.asked) > 1:
            writer.write(asked.reply())
            return
        writer.write(asked.reply()[:offset])
        await until(lambda: writer.transport.is_closing() or len(wire.asked) > 1)
        writer.write(asked.reply()[offset:])

    async def story(line: TcpLine, wire: Wire) -> None:
        wires.append(wire)
        with pytest.raises((NoReplyError, NoConnectionError)):
            await ask(line)
        for request in (SECOND, FIRST, SECOND):
            assert await ask_until_answered(line, request) == words(request)

    told(story, delayed, TIMEOUT_S)


def test_who_falls_silent_after_a_reply_is_given_up_all_the_same() -> None:
    """One timer serves many requests: it must outlast the one that it was set for."""

    async def falls_silent(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.address != SECOND.address:
            writer.write(asked.reply())

    async def story(line: TcpLine, wire: Wire) -> None:
        for _round in range(2):
            await ask_until_answered(line, FIRST)
            await asyncio.sleep(TIMEOUT_S / 2)
            with pytest.raises(NoReplyError):
                await asyncio.wait_for(ask(line, SECOND), WITHIN_S)

    told(story, falls_silent, TIMEOUT_S)


def test_every_reply_delayed_past_the_timeout_never_yields_a_value() -> None:
    """Also where a gateway sends what it owes on whatever connection is the newest."""
    owed: list[bytes] = []

    async def behind(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if owed:
            writer.write(owed.pop())
        owed.append(asked.reply())

    async def story(line: TcpLine, wire: Wire) -> None:
        for request in (FIRST, SECOND, FIRST, SECOND):
            with pytest.raises(DeviceError):
                await ask(line, request)
        assert len({each.transaction for each in wire.asked}) == len(wire.asked)

    told(story, behind, TIMEOUT_S)


def test_after_a_timeout_nothing_more_is_sent_on_the_connection() -> None:
    """It is reset: what the device's side of the network still holds is void."""

    async def silent(asked: Asked, writer: asyncio.StreamWriter) -> None:
        pass

    async def story(line: TcpLine, wire: Wire) -> None:
        with pytest.raises(NoReplyError, match="no answer within"):
            await ask(line, WRITE)
        await until(lambda: wire.resets)
        wire.behave = good
        assert await ask_until_answered(line, FIRST) == words(FIRST)
        assert wire.connections >= 2

    told(story, silent, 4 * TIMEOUT_S)


def test_a_connection_cut_in_the_middle_is_known_at_once_and_mended() -> None:
    async def cut(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.reply()[:9])
        writer.transport.abort()

    async def story(line: TcpLine, wire: Wire) -> None:
        with pytest.raises(NoConnectionError, match="closed"):
            await ask(line)
        wire.behave = good
        assert await ask(line) == words(FIRST)

    told(story, cut)


def test_a_connection_that_the_device_closed_while_idle_costs_nothing() -> None:
    async def story(line: TcpLine, wire: Wire) -> None:
        await ask(line)
        next(iter(wire.writers)).close()
        await until(lambda: not wire.writers)
        assert await ask(line) == words(FIRST)
        assert wire.connections == 2

    told(story)


def test_nobody_there_is_said_at_once_and_found_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]

    async def whole() -> None:
        line = TcpLine("127.0.0.1", port, PATIENT_S, may_write=False)
        for _ in range(3):
            with pytest.raises(NoConnectionError, match="connection refused"):
                await ask(line)
        server = await asyncio.start_server(Wire().session, "127.0.0.1", port)

        assert await ask_until_answered(line, FIRST) == words(FIRST)
        line.close()
        server.close()

    asyncio.run(whole())


def test_attempts_to_connect_grow_apart_to_a_bound() -> None:
    """The pauses as they are set: at once, then 0.1 s doubling to 3 s."""

    async def whole() -> None:
        line = TcpLine("127.0.0.1", 1, PATIENT_S, may_write=False)
        loop = asyncio.get_running_loop()
        pauses_s = []
        for _ in range(9):
            line._pauses.not_before_s = 0.0
            with pytest.raises(NoConnectionError):
                await ask(line)
            pauses_s.append(max(line._pauses.not_before_s - loop.time(), 0))
        assert pauses_s == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3, 3, 3], abs=0.05)

    asyncio.run(whole())


@pytest.mark.parametrize("timeout_s", [0.05])
def test_a_host_that_swallows_everything_costs_one_timeout(timeout_s: float) -> None:
    """A listener whose queue is full: connecting itself hangs."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        for each in crowd:
            each.setblocking(False)
            each.connect_ex(full.getsockname())

        async def whole() -> None:
            line = TcpLine("127.0.0.1", full.getsockname()[1], timeout_s, may_write=False)
            with pytest.raises(NoConnectionError, match="no connection within"):
                await ask(line)

        asyncio.run(whole())
        for each in crowd:
            each.close()


def test_a_host_without_a_name_is_named() -> None:
    async def whole() -> None:
        line = TcpLine("no-such-host.invalid", 502, PATIENT_S, may_write=False)
        with pytest.raises(NoConnectionError, match="no host of this name"):
            await ask(line)

    asyncio.run(whole())


def test_nothing_is_sent_when_there_is_nothing_to_send_any_more() -> None:
    async def story(line: TcpLine, wire: Wire) -> None:
        assert await line.exchange(lambda: None) is None
        assert wire.connections == 0
        answers = iter([WRITE, None])
        assert await line.exchange(lambda: next(answers)) is None
        assert wire.connections == 1
        assert not wire.asked

    told(story)


@pytest.mark.parametrize("function", [6, 16])
def test_a_line_that_may_not_write_does_not(function: int) -> None:
    async def whole() -> None:
        async with serving() as wire:
            line = TcpLine("127.0.0.1", wire.port, PATIENT_S, may_write=False)
            with pytest.raises(PermissionError):
                await ask(line, Request("bay-01", 1, function, 1210, 1, (7,)))
            assert await ask(line) == words(FIRST)
            line.close()
            assert [each.function for each in wire.asked] == [4]

    asyncio.run(whole())


@pytest.mark.parametrize("function", [4, 99])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cancellation_that_comes_with_the_reply_is_not_lost(
    when: str, function: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a good one, and with one that is a fault."""

    async def story(line: TcpLine, _: Wire) -> None:
        await ask(line)
        connection = line._connection
        assert connection is not None
        take = connection.data_received

        def take_and_cancel(data: bytes) -> None:
            if when == "before":
                task.cancel()
            take(data[:7] + bytes([function]) + data[8:])
            task.cancel()

        monkeypatch.setattr(connection, "data_received", take_and_cancel)
        task = asyncio.create_task(ask(line))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await ask(line) == words(FIRST)

    told(story)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_reply_but_the_right_one_becomes_a_value(data: st.DataObject) -> None:
    """Good replies with bytes changed, cut, put in or sent twice; then one that is clean.

    A change of a register's own bytes cannot be seen on TCP: there only the value differs.
    """
    changes = data.draw(st.lists(st.tuples(st.integers(0, 14), st.integers(1, 255)), max_size=3))
    cut = data.draw(st.integers(0, 15))
    extra = data.draw(st.binary(max_size=12))

    def broken(asked: Asked) -> bytes:
        reply = bytearray(asked.reply())
        for place, bits in changes:
            reply[place] ^= bits
        return bytes(reply[:cut] + extra + reply[cut:])

    async def story(line: TcpLine, _: Wire) -> None:
        try:
            found = await ask(line)
        except DeviceError:
            pass
        else:
            assert found is not None
            assert len(found) == FIRST.count
        assert await ask_until_answered(line, SECOND) == words(SECOND)

    told(story, sends(broken), 0.05)
