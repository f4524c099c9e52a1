"""The other end of a serial line: a pseudo-terminal with slaves of raw bytes behind it.

The checksums stand here a second time, bit by bit and digit by digit.
"""

from __future__ import annotations

import asyncio
import os
import termios
import time
import tty
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from controller.document.buses import SerialAddress
from tests.modbus_wire import Telegram

Framing = Literal["rtu", "ascii"]


def crc(data: bytes) -> bytes:
    """CRC-16, polynomial 0xA001, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            odd, value = value & 1, value >> 1
            if odd:
                value ^= 0xA001
    return bytes((value & 0xFF, value >> 8))


def sealed(body: bytes) -> bytes:
    return body + crc(body)


def lettered(body: bytes) -> bytes:
    """The same in ASCII framing."""
    check = 0x100 - sum(body) % 0x100
    return "".join(
        [":", *(f"{byte:02X}" for byte in body), f"{check % 0x100:02X}", "\r\n"]
    ).encode()


SEALS = {"rtu": sealed, "ascii": lettered}


@dataclass(frozen=True)
class Heard(Telegram):
    """One request as it came over the line."""

    unit: int
    pdu: bytes
    at_s: float  # when its last byte had come
    framing: Framing = "rtu"

    def frame(self, pdu: bytes) -> bytes:
        return SEALS[self.framing](bytes((self.unit,)) + pdu)

    def registers(self, count: int | None = None) -> bytes:
        """Each register holds its address and its unit."""
        wanted = range(self.address, self.address + (self.count if count is None else count))
        content = b"".join((value(self.unit, each)).to_bytes(2, "big") for each in wanted)
        return self.frame(bytes((self.function, len(content))) + content)

    def reply(self) -> bytes:
        return self.frame(self.pdu[:5]) if self.function in (6, 16) else self.registers()


def value(unit: int, address: int) -> int:
    """What a good slave holds: no two registers of the line hold the same."""
    return unit << 12 | address


Slave = Callable[[Heard, "SerialWire"], Awaitable[None]]


async def good(heard: Heard, wire: SerialWire) -> None:
    wire.send(heard.reply())


@dataclass
class SerialWire:
    """What the slaves' side has seen; `behave` may be changed at any moment."""

    link: str  # a path that stays when the adapter is plugged in again
    behave: Slave = good
    echoes: bool = False  # the adapter hears what it sends
    framing: Framing = "rtu"
    heard: list[Heard] = field(default_factory=list)
    sent_s: list[float] = field(default_factory=list)
    master: int | None = None
    _spare: int | None = None  # keeps the terminal alive while nobody has it open
    _buffer: bytes = b""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def plug(self) -> None:
        self.master, self._spare = os.openpty()
        tty.setraw(self._spare)
        os.set_blocking(self.master, False)
        Path(self.link).symlink_to(self.port)
        asyncio.get_running_loop().add_reader(self.master, self._read)

    @property
    def port(self) -> str:
        """The terminal's own path."""
        assert self._spare is not None
        return os.ttyname(self._spare)

    def hold(self, held: bool) -> None:
        """Whether the adapter takes nothing that is to be sent."""
        assert self._spare is not None
        termios.tcflow(self._spare, termios.TCOOFF if held else termios.TCOON)

    def unplug(self) -> None:
        if self.master is not None and self._spare is not None:
            asyncio.get_running_loop().remove_reader(self.master)
            Path(self.link).unlink()
            os.close(self._spare)
            os.close(self.master)
            self.master = self._spare = None

    def send(self, data: bytes) -> None:
        if self.master is not None:
            os.write(self.master, data)
            self.sent_s.append(time.monotonic())

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self.unplug()

    def _read(self) -> None:
        assert self.master is not None
        try:
            data = os.read(self.master, 4096)
        except OSError:
            return
        self._buffer += data
        if self.echoes:
            os.write(self.master, data)
        while request := self._request():
            heard = Heard(request[0], request[1:], time.monotonic(), self.framing)
            self.heard.append(heard)
            task = asyncio.ensure_future(self._serve(heard))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _request(self) -> bytes:
        """The next one that is whole; empty where none is."""
        if self.framing == "ascii":
            line, last, rest = self._buffer.partition(b"\r\n")
            if not last:
                return b""
            self._buffer = rest
            letters = line.decode("ascii")
            body = bytes(int(letters[i : i + 2], 16) for i in range(1, len(letters) - 2, 2))
            assert lettered(body) == line + last
            return body
        if len(self._buffer) < 8:
            return b""
        length = 8 if self._buffer[1] != 16 else 9 + self._buffer[6]
        if len(self._buffer) < length:
            return b""
        request, self._buffer = self._buffer[:length], self._buffer[length:]
        assert crc(request[:-2]) == request[-2:]
        return request[:-2]

    async def _serve(self, heard: Heard) -> None:
        await self.behave(heard, self)

    def address(self, baud: int = 19_200) -> SerialAddress:
        bits = 7 if self.framing == "ascii" else 8
        return SerialAddress(self.link, baud, "N", 1, self.framing, bits)


@asynccontextmanager
async def plugged(
    folder: str, behave: Slave = good, framing: Framing = "rtu"
) -> AsyncIterator[SerialWire]:
    """A line with an adapter at `folder`/adapter."""
    wire = SerialWire(f"{folder}/adapter", behave, framing=framing)
    wire.plug()
    try:
        yield wire
    finally:
        wire.stop()
