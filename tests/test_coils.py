"""Coils and discrete inputs, over both lines: bits are counted from a byte's lowest one."""

import asyncio
from pathlib import Path

import pytest

from drivers.device import BadReplyError, Request, ShortReplyError
from drivers.modbus import TcpLine
from drivers.serialline import SerialLine
from tests.modbus_wire import Asked, Behaviour, serving
from tests.serial_wire import Heard, SerialWire, Slave, plugged

NINE = Request("x", 1, 1, 19, 9)
SWITCH_ON = Request("x", 1, 5, 400, 1, (1,))
SWITCH_OFF = Request("x", 1, 5, 400, 1, (0,))
BITS = (1, 0, 1, 1, 0, 0, 0, 0, 1)  # 0x0D 0x01


def over_tcp(behave: Behaviour, *requests: Request) -> list[tuple[int, ...] | None]:
    async def whole() -> list[tuple[int, ...] | None]:
        async with serving(behave) as wire:
            line = TcpLine("127.0.0.1", wire.port, 5, may_write=True)
            try:
                return [await line.exchange(lambda each=each: each) for each in requests]  # type: ignore[misc]
            finally:
                line.close()

    return asyncio.run(whole())


def over_serial(folder: Path, behave: Slave, *requests: Request) -> list[tuple[int, ...] | None]:
    async def whole() -> list[tuple[int, ...] | None]:
        async with plugged(str(folder), behave) as wire:
            line = SerialLine(wire.address(), 5, may_write=True)
            try:
                return [await line.exchange(lambda each=each: each) for each in requests]  # type: ignore[misc]
            finally:
                line.close()

    return asyncio.run(whole())


def answers(content: bytes) -> Behaviour:
    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        echo = asked.function == 5
        body = asked.pdu if echo else bytes((asked.function, len(content))) + content
        writer.write(asked.frame(body))

    return behave


def slave(content: bytes, heard_pdus: list[bytes] | None = None) -> Slave:
    async def behave(heard: Heard, wire: SerialWire) -> None:
        if heard_pdus is not None:
            heard_pdus.append(heard.pdu)
        echo = heard.function == 5
        body = heard.pdu if echo else bytes((heard.function, len(content))) + content
        wire.send(heard.frame(body))

    return behave


@pytest.mark.parametrize("function", [1, 2])
def test_nine_bits_come_in_two_bytes(function: int, tmp_path: Path) -> None:
    request = Request("x", 1, function, 19, 9)
    assert over_tcp(answers(b"\x0d\x01"), request) == [BITS]
    assert over_serial(tmp_path, slave(b"\x0d\x01"), request) == [BITS]


def test_another_number_of_bytes_is_no_reply(tmp_path: Path) -> None:
    for content in (b"\x0d", b"\x0d\x01\x00"):
        with pytest.raises(BadReplyError):
            over_tcp(answers(content), NINE)
    with pytest.raises(ShortReplyError):
        over_serial(tmp_path, slave(b"\x0d"), NINE)


def test_a_coil_is_written_as_the_protocol_has_it(tmp_path: Path) -> None:
    pdus: list[bytes] = []
    assert over_serial(tmp_path, slave(b"", pdus), SWITCH_ON, SWITCH_OFF) == [(), ()]
    assert pdus == [bytes.fromhex("050190ff00"), bytes.fromhex("0501900000")]
    told: list[bytes] = []

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        told.append(asked.pdu)
        writer.write(asked.frame(asked.pdu))

    assert over_tcp(behave, SWITCH_ON, SWITCH_OFF) == [(), ()]
    assert told == pdus


def test_a_coil_that_is_acknowledged_otherwise_is_not_acknowledged(tmp_path: Path) -> None:
    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.frame(bytes.fromhex("0501900000")))

    with pytest.raises(BadReplyError):
        over_tcp(behave, SWITCH_ON)

    async def contrary(heard: Heard, wire: SerialWire) -> None:
        wire.send(heard.frame(bytes.fromhex("0501900000")))

    with pytest.raises(BadReplyError):
        over_serial(tmp_path, contrary, SWITCH_ON)
