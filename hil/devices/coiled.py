"""A charge controller of Phoenix Contact that a coil lets charge: the EM-CP-PP-ETH.

Where its registers stand is written down a second time, on purpose not taken from the driver's
profile: 32-bit numbers low word first. Its setpoint alone stops nothing, and less than 6 A is none:
what was set before holds. It has no watchdog. What stands in it without power nobody says, so it is
the worse: it is let, at its power-on current.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from hil.devices.mbap import Server
from hil.devices.pdu import (
    READ_COILS,
    READ_HOLDING,
    READ_INPUT,
    WRITE_ONE,
    Code,
    RefusalError,
)
from hil.devices.seats import ChargerSeat

MEASURED = range(100, 130)  # input registers
SETPOINT = 300  # a holding register
CHARGE = 400  # a coil
_LEAST_A = 6
_CENTIVOLTS = 23_000


@dataclass(eq=False)
class Coiled(ChargerSeat):
    """Registers and the coil of one of them."""

    switched: list[bool] = field(default_factory=list, init=False)  # what its coil was written

    def __post_init__(self) -> None:
        self._setpoint_a = self.row.power_on_ma // 1000
        self._let = True

    def serve(self) -> Server:
        return Server(self)

    def reboot(self) -> None:
        """Its power was cut."""
        self._setpoint_a = self.row.power_on_ma // 1000
        self._let = True

    def read(self, function: int, address: int, count: int) -> bytes:
        self.present()
        if (function, address, count) == (READ_HOLDING, SETPOINT, 1):
            return self._setpoint_a.to_bytes(2, "big")
        if function != READ_INPUT:
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        if address not in MEASURED or address + count > MEASURED.stop:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        start = 2 * (address - MEASURED.start)
        return self._measured()[start : start + 2 * count]

    def read_bits(self, function: int, address: int, count: int) -> bytes:
        self.present()
        if (function, address, count) != (READ_COILS, CHARGE, 1):
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        return bytes((self._let,))

    def write(self, function: int, address: int, words: bytes) -> None:
        self.present()
        if (function, address) != (WRITE_ONE, SETPOINT):
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        value = int.from_bytes(words, "big")
        if value >= _LEAST_A:
            self._setpoint_a = value
        self.writes += 1
        self._offer()

    def write_coil(self, address: int, on: bool) -> None:
        self.present()
        if address != CHARGE:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        self._let = on
        self.switched.append(on)
        self._offer()

    def _offer(self) -> None:
        self.plant.write_setpoint(self.index, self._setpoint_a * 1000 if self._let else 0)

    def _measured(self) -> bytes:
        letter = self.state.vehicle.name[0]
        drawn = zip(self.wired, self.state.current_ma, strict=True)
        currents_ma = [ma if wired else 0 for wired, ma in drawn]
        centikilowatts = sum(currents_ma) * _CENTIVOLTS // 100 // 1000 // 10
        numbers = [_CENTIVOLTS] * 3 + currents_ma + [centikilowatts]
        words = {MEASURED.start: ord(letter).to_bytes(2, "big")}
        for i, number in enumerate(numbers):
            high, low = struct.unpack(">2s2s", struct.pack(">i", number))
            words |= {108 + 2 * i: low, 109 + 2 * i: high}
        return b"".join(words.get(each, b"\0\0") for each in MEASURED)
