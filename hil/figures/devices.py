"""Lean devices for measurements: registers that cost little to answer from."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable

from hil.devices.pdu import READ_HOLDING, READ_INPUT, WRITE_MANY, Code, RefusalError

_VOLT = 2300  # tenths
_EM24_WORDS, _EM24_MODEL, _EM24_APPLICATION = 80, 1648, 7
_ALFEN_MEASURED, _ALFEN_CONTROL, _ALFEN_APPLIED, _ALFEN_SETPOINT = 306, 1200, 1206, 1210
_TWENTY_WORDS = 20


class Meter:
    """An EM24's registers with a current that is never quite the same.

    With a `noise_a` it is that of a building with machines: so many amperes around 200 (sigma).
    """

    unit = 1

    def __init__(self, noise_a: float = 0.0) -> None:
        self._asked = 0
        self._noise_a = noise_a
        self._draw = random.Random(1)
        self._block = bytearray(2 * _EM24_WORDS)
        for volt in range(3):
            struct.pack_into(">HH", self._block, 4 * volt, _VOLT, 0)

    def read(self, function: int, address: int, count: int) -> bytes:
        if function == READ_INPUT and address + count <= _EM24_WORDS:
            self._asked += 1
            ma = 200 + self._asked % 7
            phases = [ma, ma + 1, ma + 2]
            if self._noise_a:
                phases = [round(1000 * self._draw.gauss(200, self._noise_a)) for _ in phases]
            words = [word for each in phases for word in (each & 0xFFFF, each >> 16)]
            struct.pack_into(">HHHHHH", self._block, 24, *words)
            struct.pack_into(">HHHHHH", self._block, 36, 2 * ma, 0, 2 * ma, 0, 2 * ma, 0)
            return bytes(self._block[2 * address : 2 * (address + count)])
        found = {11: _EM24_MODEL, 40960: _EM24_APPLICATION}.get(address)
        if function != READ_HOLDING or found is None or count != 1:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        return struct.pack(">H", found)

    def write(self, function: int, address: int, words: bytes) -> None:
        raise RefusalError(Code.ILLEGAL_FUNCTION)


class Bay:
    """An Alfen's registers: with `charging`, a vehicle that draws what it is offered.

    `written` is called with each setpoint in A, when it has arrived. With a `noise_a` no two of its
    readings are alike.
    """

    unit = 1

    def __init__(
        self,
        charging: bool = False,
        written: Callable[[float], None] = lambda setpoint_a: None,
        noise_a: float = 0.0,
    ) -> None:
        self._written = written
        self._noise_a = noise_a
        self._draw = random.Random(2)
        self._charging = charging
        state = b"C2" if charging else b"A"
        self._control = bytearray(
            struct.pack(">H10sfIffHH", 1, state.ljust(10, b"\0"), 6.0, 60, 6.0, 6.0, 1, 3)
        )
        self.setpoint_a = 6.0

    def read(self, function: int, address: int, count: int) -> bytes:
        for first, block in ((_ALFEN_MEASURED, self._measured()), (_ALFEN_CONTROL, self._control)):
            start = 2 * (address - first)
            if start >= 0 and start + 2 * count <= len(block):
                return bytes(block[start : start + 2 * count])
        raise RefusalError(Code.ILLEGAL_ADDRESS)

    def write(self, function: int, address: int, words: bytes) -> None:
        if function != WRITE_MANY or address != _ALFEN_SETPOINT or len(words) != 4:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        for place in (_ALFEN_SETPOINT, _ALFEN_APPLIED):
            start = 2 * (place - _ALFEN_CONTROL)
            self._control[start : start + 4] = words
        self.setpoint_a = struct.unpack(">f", words)[0]
        self._written(self.setpoint_a)

    def _measured(self) -> bytes:
        current_a = self.setpoint_a if self._charging else 0.0
        watt = 230.0 * current_a
        floats = (
            *(230.0,) * 3,
            *(0.0,) * 4,
            *(max(0.0, current_a + self._draw.gauss(0, self._noise_a)) for _ in range(3)),
            *(0.0,) * 6,
            *(watt,) * 3,
            3 * watt,
        )
        return struct.pack(">20f", *floats)


class SerialMeter:
    """The part of an SDM630's map that is polled; `current_a()` flows on each phase, now.

    `asked` has the instants at which it was asked for its currents.
    """

    def __init__(self, unit: int, current_a: Callable[[], float]) -> None:
        self.unit = unit
        self.asked: list[float] = []
        self._current_a = current_a

    def read(self, function: int, address: int, count: int) -> bytes:
        if function != READ_INPUT or address % 2 or address + count > 18:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        self.asked.append(time.monotonic())
        ampere = self._current_a()
        block = struct.pack(">9f", *(230.0,) * 3, *(ampere,) * 3, *(230.0 * ampere,) * 3)
        return block[2 * address : 2 * (address + count)]

    def write(self, function: int, address: int, words: bytes) -> None:
        raise RefusalError(Code.ILLEGAL_FUNCTION)


class SerialBay:
    """A Heidelberg's registers, with a vehicle that draws what it is offered on each phase."""

    def __init__(self, unit: int) -> None:
        self.unit = unit
        self.written = 0
        self.lowered_s: list[float] = []  # when its setpoint went down
        self._holding = {257: 15_000, 258: 4, 259: 1, 260: 0, 261: 60, 262: 60}

    @property
    def setpoint_a(self) -> float:
        return self._holding[261] / 10

    def read(self, function: int, address: int, count: int) -> bytes:
        tenths = self._holding[261]
        measured = (0x0108, 7 if tenths else 4, *(tenths,) * 3, 215, *(230,) * 3, 1, 69 * tenths)
        if function == READ_INPUT and address >= 4 and address + count <= 15:
            words = measured[address - 4 : address - 4 + count]
        elif function == READ_HOLDING and address >= 257 and address + count <= 263:
            words = tuple(self._holding[each] for each in range(address, address + count))
        else:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        return struct.pack(f">{count}H", *words)

    def write(self, function: int, address: int, words: bytes) -> None:
        if address not in self._holding or len(words) != 2:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        before, self._holding[address] = self._holding[address], int.from_bytes(words, "big")
        self.written += address == 261
        if address == 261 and self._holding[address] < before:
            self.lowered_s.append(time.monotonic())


class Twenty:
    """The meter of hil/profiles/twenty.toml, which shows `current_a()` on each phase, now."""

    unit = 1

    def __init__(self, current_a: Callable[[], float]) -> None:
        self._current_a = current_a

    def read(self, function: int, address: int, count: int) -> bytes:
        if function != READ_HOLDING or address + count > _TWENTY_WORDS:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        ampere = self._current_a()
        milliamps, decivolts, watts = round(1000 * ampere), 2300, round(230 * ampere)
        block = struct.pack(">10i", *(decivolts, milliamps, watts) * 3, 3 * watts)
        return block[2 * address : 2 * (address + count)]

    def write(self, function: int, address: int, words: bytes) -> None:
        raise RefusalError(Code.ILLEGAL_FUNCTION)
