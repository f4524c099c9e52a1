"""Every way a reply can be broken, over TCP and over a serial line, to reads and to writes: each
becomes the right failure, within the line's bound, and the next answer is right again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.device import (
    BadReplyError,
    BusyError,
    DeviceError,
    DeviceFailureError,
    GatewaySilenceError,
    IllegalAddressError,
    IllegalFunctionError,
    IllegalValueError,
    Line,
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
from drivers.serialline import SerialLine
from tests.modbus_wire import Asked, serving
from tests.serial_wire import Framing, Heard, SerialWire, plugged

TIMEOUT_S = 0.25
PATIENT_S = 5.0  # where nothing but an answer is waited for
EXCEPTIONS: dict[int, type[DeviceError]] = {
    1: IllegalFunctionError,
    2: IllegalAddressError,
    3: IllegalValueError,
    4: DeviceFailureError,
    5: RefusedError,  # "acknowledge: it takes long" is no answer to a read
    6: BusyError,
    7: RefusedError,
    8: RefusedError,
    9: RefusedError,
    10: PathError,
    11: GatewaySilenceError,
}
COILS = Request("charger", 1, 1, 20, 12)
REGISTERS = Request("meter", 1, 3, 100, 3)
REQUESTS = {
    "coils": COILS,
    "inputs": Request("charger", 1, 2, 20, 12),
    "registers": REGISTERS,
    "input registers": Request("meter", 1, 4, 100, 3),
    "write of a coil": Request("charger", 1, 5, 20, 1, (1,)),
    "write of one": Request("charger", 1, 6, 100, 1, (160,)),
    "write of many": Request("charger", 1, 16, 100, 2, (1, 2)),
}
NEXT = Request("meter", 1, 4, 7, 5)  # its reply looks like no other one's

Telegram = Asked | Heard
Send = Callable[[bytes], None]
Device = Callable[[Telegram, Send], Awaitable[None]]


def good(asked: Telegram) -> bytes:
    """Coils are 1, 0, 1 …; registers hold their addresses; what is written is acknowledged."""
    if asked.function not in (1, 2, 3, 4):
        return asked.frame(asked.pdu[:5])
    if asked.function in (1, 2):
        content = b"\x55" * (-(-asked.count // 8))
    else:
        held = range(asked.address, asked.address + asked.count)
        content = b"".join(each.to_bytes(2, "big") for each in held)
    return asked.frame(bytes((asked.function, len(content))) + content)


def right(request: Request) -> tuple[int, ...]:
    if request.writes:
        return ()
    if request.reads_bits:
        return tuple(1 - each % 2 for each in range(request.count))
    return tuple(range(request.address, request.address + request.count))


@asynccontextmanager
async def tcp(folder: Path, device: Device, timeout_s: float) -> AsyncIterator[Line]:
    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await device(asked, writer.write)

    async with serving(behave) as wire:
        line = TcpLine("127.0.0.1", wire.port, timeout_s, may_write=True)
        try:
            yield line
        finally:
            line.close()


@asynccontextmanager
async def rtu(folder: Path, device: Device, timeout_s: float) -> AsyncIterator[Line]:
    async with serial(folder, device, timeout_s, "rtu") as line:
        yield line


@asynccontextmanager
async def letters(folder: Path, device: Device, timeout_s: float) -> AsyncIterator[Line]:
    async with serial(folder, device, timeout_s, "ascii") as line:
        yield line


@asynccontextmanager
async def serial(
    folder: Path, device: Device, timeout_s: float, framing: Framing
) -> AsyncIterator[Line]:
    async def behave(heard: Heard, wire: SerialWire) -> None:
        await device(heard, wire.send)

    async with plugged(str(folder), behave, framing) as wire:
        line = SerialLine(wire.address(), timeout_s, may_write=True)
        try:
            yield line
        finally:
            line.close()


LINES = [tcp, rtu, letters]
AnyLine = Callable[[Path, Device, float], AbstractAsyncContextManager[Line]]


async def bounded(line: Line, request: Request) -> tuple[int, ...] | DeviceError | None:
    """What comes of it, and never later than the line says."""
    async with asyncio.timeout(line.longest_s):
        try:
            return await line.exchange(lambda: request)
        except DeviceError as error:
            return error


async def answered(line: Line, request: Request) -> tuple[int, ...] | None:
    """Its first answer; what it fails with until then is a silence, and nothing else."""
    for _ in range(20):
        found = await bounded(line, request)
        if not isinstance(found, DeviceError):
            return found
        assert isinstance(found, NoReplyError | NoConnectionError), found
        await asyncio.sleep(TIMEOUT_S / 5)
    raise AssertionError("it was never answered again")


@pytest.mark.parametrize("line_of", LINES)
@pytest.mark.parametrize("name", REQUESTS)
def test_each_exception_is_a_refusal_with_its_meaning(
    line_of: AnyLine, name: str, tmp_path: Path
) -> None:
    """After the last one, of a converter about a silent unit, its answer may be an older one."""
    request = REQUESTS[name]
    *own, silent = EXCEPTIONS
    codes = [*own, 0, silent]  # 0: no exception

    async def device(asked: Telegram, send: Send) -> None:
        code = codes.pop(0)
        send(asked.refusal(code) if code else good(asked))

    async def story() -> None:
        async with line_of(tmp_path, device, PATIENT_S) as line:
            for code, kind in EXCEPTIONS.items():
                if code == silent:
                    assert await bounded(line, request) == right(request)
                error = await bounded(line, request)
                assert type(error) is kind
                assert request.device in str(error)

    asyncio.run(story())


@pytest.mark.parametrize("line_of", LINES)
@pytest.mark.parametrize("name", REQUESTS)
def test_an_answer_may_come_byte_by_byte(line_of: AnyLine, name: str, tmp_path: Path) -> None:
    request = REQUESTS[name]

    async def device(asked: Telegram, send: Send) -> None:
        for byte in good(asked):
            send(bytes((byte,)))
            await asyncio.sleep(0.001)

    async def story() -> None:
        async with line_of(tmp_path, device, PATIENT_S) as line:
            for _ in range(3):
                assert await bounded(line, request) == right(request)

    asyncio.run(story())


def another_unit(asked: Telegram) -> bytes:
    if isinstance(asked, Asked):
        return good(Asked(asked.transaction, asked.unit + 1, asked.pdu))
    assert isinstance(asked, Heard)
    return good(replace(asked, unit=asked.unit + 1))


def another_transaction(asked: Telegram) -> bytes:
    assert isinstance(asked, Asked)
    return good(Asked(asked.transaction + 1, asked.unit, asked.pdu))


def another_function(asked: Telegram) -> bytes:
    """Of those with a reply of the same form."""
    function = {1: 2, 2: 1, 3: 4, 4: 3, 5: 6, 6: 5, 16: 6}[asked.function]
    pdu = bytes((function,)) + asked.pdu[1:]
    if isinstance(asked, Asked):
        return good(Asked(asked.transaction, asked.unit, pdu))
    assert isinstance(asked, Heard)
    return good(replace(asked, pdu=pdu))


def one_less(asked: Telegram) -> bytes:
    """A byte of coils, or a register: whole, and with its own length."""
    count = asked.count - (8 if asked.function in (1, 2) else 1)
    pdu = asked.pdu[:3] + count.to_bytes(2, "big")
    if isinstance(asked, Asked):
        return good(Asked(asked.transaction, asked.unit, pdu))
    assert isinstance(asked, Heard)
    return good(replace(asked, pdu=pdu))


def wrong_lrc(asked: Telegram) -> bytes:
    """Each digit is one; only their sum is not right."""
    right_ = good(asked)
    return right_[:-4] + (b"00" if right_[-4:-2] != b"00" else b"01") + right_[-2:]


def longer(asked: Telegram) -> bytes:
    """Its LRC is right, the number of its bytes is not the one that it has."""
    return asked.frame(bytes((asked.function,)) + bytes(20))


BROKEN: list[tuple[str, Callable[[Telegram], bytes], type[DeviceError], str]] = [
    ("another unit", another_unit, WrongUnitError, "tcp rtu letters"),
    ("another transaction", another_transaction, WrongTransactionError, "tcp"),
    ("another function", another_function, BadReplyError, "tcp rtu letters"),
    ("a wrong checksum", lambda asked: good(asked)[:-1] + b"\0", BadReplyError, "rtu"),
    ("a cut reply", lambda asked: good(asked)[:-1], NoReplyError, "tcp rtu letters"),
    ("half a head", lambda asked: good(asked)[:2], NoReplyError, "tcp rtu letters"),
    ("nothing", lambda asked: b"", NoReplyError, "tcp rtu letters"),
    ("a wrong LRC", wrong_lrc, BadReplyError, "letters"),
    ("an odd number of digits", lambda asked: good(asked)[:-3] + b"\r\n", BadReplyError, "letters"),
    ("no digit", lambda asked: good(asked)[:3] + b"G" + good(asked)[4:], BadReplyError, "letters"),
    ("a blank", lambda asked: good(asked)[:3] + b" " + good(asked)[3:], BadReplyError, "letters"),
    ("LF without CR", lambda asked: good(asked)[:-2] + b"\n", BadReplyError, "letters"),
    ("CR without LF", lambda asked: good(asked)[:-1], NoReplyError, "letters"),
    ("neither CR nor LF", lambda asked: good(asked)[:-2], NoReplyError, "letters"),
    ("a frame without end", lambda asked: b":" + b"01" * 300, BadReplyError, "letters"),
    ("no colon", lambda asked: good(asked)[1:], BadReplyError, "letters"),
    ("RTU instead", lambda asked: b"\x01\x01\x02\x55\x55\x86\xc3", BadReplyError, "letters"),
    ("an empty frame", lambda asked: b":\r\n", BadReplyError, "letters"),
    ("a frame of its unit alone", lambda asked: b":01FF\r\n", BadReplyError, "letters"),
    ("another length than it says", longer, BadReplyError, "letters"),
]


@pytest.mark.parametrize("request_", [COILS, REQUESTS["write of many"]], ids=["coils", "write"])
@pytest.mark.parametrize(
    ("line_of", "make", "kind"),
    [
        pytest.param(line_of, make, kind, id=f"{name}, {line_of.__name__}")
        for name, make, kind, where in BROKEN
        for line_of in LINES
        if line_of.__name__ in where.split()
    ],
)
def test_what_is_broken_is_the_right_failure_and_the_next_answer_is_right(
    line_of: AnyLine,
    make: Callable[[Telegram], bytes],
    kind: type[DeviceError],
    request_: Request,
    tmp_path: Path,
) -> None:
    seen: list[Telegram] = []

    async def device(asked: Telegram, send: Send) -> None:
        send(good(asked) if seen else make(asked))
        seen.append(asked)

    async def story() -> None:
        async with line_of(tmp_path, device, TIMEOUT_S) as line:
            assert type(await bounded(line, request_)) is kind
            assert await answered(line, NEXT) == right(NEXT)

    asyncio.run(story())


@pytest.mark.parametrize("line_of", LINES)
@pytest.mark.parametrize("request_", [COILS, REGISTERS], ids=["coils", "registers"])
def test_fewer_values_than_were_asked_for_are_none(
    line_of: AnyLine, request_: Request, tmp_path: Path
) -> None:
    async def device(asked: Telegram, send: Send) -> None:
        send(one_less(asked))

    async def story() -> None:
        async with line_of(tmp_path, device, TIMEOUT_S) as line:
            assert type(await bounded(line, request_)) is ShortReplyError

    asyncio.run(story())


@pytest.mark.parametrize("line_of", LINES)
@pytest.mark.parametrize("request_", [COILS, REQUESTS["write of many"]], ids=["coils", "write"])
def test_what_comes_after_its_time_out_answers_nothing_else(
    line_of: AnyLine, request_: Request, tmp_path: Path
) -> None:
    late: list[Telegram] = []

    async def device(asked: Telegram, send: Send) -> None:
        if not late:
            late.append(asked)
            await asyncio.sleep(1.5 * TIMEOUT_S)
        send(good(asked))

    async def story() -> None:
        async with line_of(tmp_path, device, TIMEOUT_S) as line:
            assert type(await bounded(line, request_)) is NoReplyError
            assert await answered(line, NEXT) == right(NEXT)

    asyncio.run(story())
