"""One RS-485 line: a pseudo-terminal with Modbus slaves behind it, RTU or ASCII, and its own time.

A terminal has no speed, so it is imitated here: a frame is heard when its last character would
have come, and in RTU 3.5 characters of silence after it; and a reply comes in pieces, as fast as
the line would carry it. What is sent into a frame, or too soon after one, spoils both. The
checksums stand here once more. The adapter can be pulled out and put back: its path stays, as
udev's would.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from controller.document.buses import SerialAddress
from hil.devices.pdu import Manner, Registers, answer

ANSWER_S = 0.02  # from a request's end to its reply's beginning
SILENT_CHARACTERS = 3.5
FAST_SILENCE_S = 0.00175
FAST_BAUD = 19_200
_PIECE = 16  # bytes that an adapter hands over at once
_FOLDER = Path("/dev/shm")  # a site document's serial ports are below /dev
_BROADCAST = 0
_LINE_MOST = 513  # characters of an ASCII frame


class Tamper(Protocol):
    """What stands on the line and changes what passes; nothing passes where it returns nothing."""

    def to_slaves(self, data: bytes) -> bytes: ...
    def to_master(self, data: bytes) -> bytes: ...


class Slave:
    """One device on the line."""

    def __init__(self, line: Rs485, device: Registers, answer_s: float = ANSWER_S) -> None:
        self.device = device
        self.manner = Manner.ANSWERS
        self.delay_s = 0.0
        self.requests = 0
        self._line = line
        self._answer_s = answer_s
        line.slaves.append(self)

    @property
    def url(self) -> str:
        return self._line.url

    async def open(self) -> None:
        self._line.plug()

    async def close(self) -> None:
        self._line.unplug()

    async def behave(self, manner: Manner, delay_s: float = 0.0) -> None:
        """Changes the device's manner at once; ANSWERS mends every fault."""
        self.manner, self.delay_s = manner, delay_s

    def take(self, pdu: bytes) -> tuple[bytes, float] | None:
        """Its reply, with its unit and not framed yet, and how long it takes to begin with it; None
        where it stays silent."""
        if self.manner in (Manner.SILENT, Manner.GONE) or getattr(self.device, "asleep", False):
            return None
        self.requests += 1
        reply = answer(self.device, pdu)
        return bytes((self.device.unit,)) + reply, self._answer_s + self.delay_s


class Rs485:
    """The line. `plug` before use, `unplug` in the end; both may be asked for twice."""

    def __init__(
        self, baud: int, parity: str, stop: int, framing: str = "rtu", bits: int = 8
    ) -> None:
        self.slaves: list[Slave] = []
        self.misrouted: dict[int, int] = {}  # asked unit: the unit that answers instead
        self.tamper: Tamper | None = None
        self.echoes = False  # the adapter hears what its master sends
        self.frames = 0  # whole requests
        self.spoilt = 0  # what no slave could understand
        self._framing = framing
        data = f"&bits={bits}" if framing == "ascii" else ""
        self._settings = f"baud={baud}{data}&parity={parity}&stop={stop}"
        self._heard_as = (getattr(termios, f"B{baud}"), stop, parity == "O")
        self._master_set: tuple[int, int, bool] | None = None
        self._character_s = (1 + bits + (parity != "N") + stop) / baud
        self._silence_s = FAST_SILENCE_S
        if framing == "ascii":
            self._silence_s = 0.0  # its frames say themselves where they end
        elif baud <= FAST_BAUD:
            self._silence_s = SILENT_CHARACTERS * self._character_s
        self._folder: Path | None = None
        self._master: int | None = None
        self._spare: int | None = None  # keeps the terminal alive while nobody has it open
        self._heard = b""
        self._ends_s = 0.0  # when the line is free again
        self._clash = False
        self._frame: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.TimerHandle] = set()

    @classmethod
    def at(cls, address: SerialAddress) -> Rs485:
        return cls(address.baud, address.parity, address.stop, address.framing, address.bits)

    @property
    def port(self) -> Path:
        """The adapter's path, whether it is plugged in or not."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="lk-", dir=_FOLDER))
        return self._folder / "adapter"

    @property
    def url(self) -> str:
        return f"{self._framing}://{self.port}?{self._settings}"

    @property
    def plugged(self) -> bool:
        return self._master is not None

    def plug(self) -> None:
        if self.plugged:
            return
        self._master, self._spare = os.openpty()
        tty.setraw(self._spare)
        os.set_blocking(self._master, False)
        self.port.symlink_to(os.ttyname(self._spare))
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def pull(self) -> None:
        """The adapter is gone: whoever has it open sees it hang up."""
        if self._master is None or self._spare is None:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        self._fall_silent()
        self.port.unlink()
        os.close(self._spare)
        os.close(self._master)
        self._master = self._spare = None

    def unplug(self) -> None:
        """For good."""
        self.pull()
        if self._folder is not None:
            with suppress(OSError):
                self._folder.rmdir()
            self._folder = None

    def say(self, data: bytes) -> None:
        """Puts bytes on the line towards the master, whoever they come from."""
        if self._master is None or not data:
            return
        self._ends_s = max(self._ends_s, asyncio.get_running_loop().time())
        with suppress(BlockingIOError):  # nobody reads: an adapter's buffer is full, too, one day
            os.write(self._master, data)

    def _read(self) -> None:
        assert self._master is not None
        try:
            data = os.read(self._master, 4096)
        except OSError:
            return  # the other side has closed it
        self._forget_speed()
        if self._master_set not in (None, self._heard_as):
            self.spoilt += 1  # sent with other settings than the slaves': noise
            return
        if self.echoes:
            self.say(data)
        if self.tamper is not None:
            data = self.tamper.to_slaves(data)
        if not data:
            return
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        if self._sending:  # somebody still speaks
            self._clash = True
        self._heard += data
        self._ends_s = max(now_s, self._ends_s) + len(data) * self._character_s
        if self._frame is not None:
            self._frame.cancel()
        self._frame = loop.call_at(self._ends_s + self._silence_s, self._end_of_frame)

    def _forget_speed(self) -> None:
        """A terminal takes no parity, and glibc refuses one if nothing else is new: so that the
        next master can set up the port, its speed is always another one. What the last one set is
        remembered: speed and stop bits, and of the parity that it is odd; E and N look alike."""
        assert self._spare is not None
        attributes = termios.tcgetattr(self._spare)
        if attributes[5] != termios.B50:
            stop = 2 if attributes[2] & termios.CSTOPB else 1
            self._master_set = attributes[5], stop, bool(attributes[2] & termios.PARODD)
            attributes[4] = attributes[5] = termios.B50
            termios.tcsetattr(self._spare, termios.TCSANOW, attributes)

    def _end_of_frame(self) -> None:
        self._frame = None
        if self._framing == "ascii":
            *frames, self._heard = self._heard.split(b"\r\n")
            self._heard = self._heard[-_LINE_MOST:]
            if not frames:
                return  # its end is to come
            asked = [_unlettered(frame) for frame in frames]
        else:
            asked = [_unsealed(self._heard)]
            self._heard = b""
        clash, self._clash = self._clash, False
        for message in asked:
            if clash or message is None:
                self.spoilt += 1
            else:
                self._take(message)

    def _take(self, message: bytes) -> None:
        """A whole request: its unit, and what is asked."""
        self.frames += 1
        unit = self.misrouted.get(message[0], message[0])
        if unit == _BROADCAST:
            return
        for slave in self.slaves:
            if slave.device.unit == unit:
                taken = slave.take(message[1:])
                if taken is not None:
                    reply, after_s = taken
                    framed = lettered if self._framing == "ascii" else sealed
                    self._reply(framed(reply), after_s)

    def _reply(self, frame: bytes, after_s: float) -> None:
        """In pieces, each when its last character would have come."""
        loop = asyncio.get_running_loop()
        begins_s = loop.time() + after_s
        for start in range(0, len(frame), _PIECE):
            piece = frame[start : start + _PIECE]
            at_s = begins_s + (start + len(piece)) * self._character_s
            self._later(at_s, partial(self._pass, piece))

    def _later(self, at_s: float, act: Callable[[], None]) -> None:
        def run() -> None:
            self._sending.discard(handle)
            act()

        handle = asyncio.get_running_loop().call_at(at_s, run)
        self._sending.add(handle)

    def _pass(self, piece: bytes) -> None:
        self.say(piece if self.tamper is None else self.tamper.to_master(piece))

    def _fall_silent(self) -> None:
        for handle in self._sending:
            handle.cancel()
        self._sending.clear()
        if self._frame is not None:
            self._frame.cancel()
        self._heard, self._frame, self._clash = b"", None, False


def sealed(message: bytes) -> bytes:
    """As RTU."""
    return message + checksum(message)


def lettered(message: bytes) -> bytes:
    """As ASCII."""
    return b":" + (message + bytes((-sum(message) % 256,))).hex().upper().encode() + b"\r\n"


def _unsealed(frame: bytes) -> bytes | None:
    """The message of an RTU frame; None where it is spoilt."""
    sound = len(frame) >= 4 and checksum(frame[:-2]) == frame[-2:]
    return frame[:-2] if sound else None


def _unlettered(line: bytes) -> bytes | None:
    """Of an ASCII frame without its end; None where it is spoilt. What stands before its colon is
    nothing."""
    digits = line[line.rfind(b":") + 1 :]
    if b":" not in line or not digits.isalnum() or len(digits) % 2:
        return None
    try:
        raw = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return None
    return raw[:-1] if len(raw) >= 3 and sum(raw) % 256 == 0 else None


def checksum(data: bytes) -> bytes:
    """CRC-16, polynomial 0xA001 (reflected), low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")
