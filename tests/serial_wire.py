"""The other end of a serial line: a pseudo-terminal with slaves of raw bytes behind it.

The checksum stands here a second time, bit by bit.
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

from controller.document.buses import SerialAddress
from tests.modbus_wire import Telegram


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


@dataclass(frozen=True)
class Heard(Telegram):
    """One request as it came over the line."""

    unit: int
    pdu: bytes
    at_s: float  # when its last byte had come

    def frame(self, pdu: bytes) -> bytes:
        return sealed(bytes((self.unit,)) + pdu)

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
        while len(self._buffer) >= 8:
            length = 8 if self._buffer[1] != 16 else 9 + self._buffer[6]
            if len(self._buffer) < length:
                return
            request, self._buffer = self._buffer[:length], self._buffer[length:]
            assert crc(request[:-2]) == request[-2:]
            heard = Heard(request[0], request[1:-2], time.monotonic())
            self.heard.append(heard)
            task = asyncio.ensure_future(self._serve(heard))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, heard: Heard) -> None:
        await self.behave(heard, self)

    def address(self, baud: int = 19_200) -> SerialAddress:
        return SerialAddress(self.link, baud, "N", 1)


@asynccontextmanager
async def plugged(folder: str, behave: Slave = good) -> AsyncIterator[SerialWire]:
    """A line with an adapter at `folder`/adapter."""
    wire = SerialWire(f"{folder}/adapter", behave)
    wire.plug()
    try:
        yield wire
    finally:
        wire.stop()
