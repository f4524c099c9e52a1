"""An Eastron SDM630-Modbus V2, as its protocol document V1.7 says.

Written down a second time and on purpose not taken from the driver's profile. Input registers
hold float32, high word first. Currents are magnitudes; each phase's direction is the sign of its
power, + is import.
"""

from __future__ import annotations

import struct

from hil.devices.mbap import Server
from hil.devices.pdu import READ_HOLDING, READ_INPUT, Code, RefusalError
from hil.devices.seats import MeterSeat

MAX_WORDS = 60
SERIAL_AT = 0xFC00  # a holding register
_LAST = 382  # of the map; what stands between its values reads 0


class Sdm630(MeterSeat):
    """Registers of a meter."""

    serial = 23_110_042
    low_first = False  # its "register order", as set in its menu

    def serve(self) -> Server:
        """Behind a gateway, where it hangs on no line."""
        return Server(self)

    def read(self, function: int, address: int, count: int) -> bytes:
        if (function, address, count) == (READ_HOLDING, SERIAL_AT, 2):
            return self.serial.to_bytes(4, "big")
        if function != READ_INPUT:
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        if address % 2 or count % 2 or count > MAX_WORDS:
            raise RefusalError(Code.ILLEGAL_VALUE)
        if address + count > _LAST:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        values = self._values()
        shown = (values.get(each, 0.0) for each in range(address, address + count, 2))
        words = (struct.pack(">f", value) for value in shown)
        return b"".join(each[2:] + each[:2] if self.low_first else each for each in words)

    def write(self, function: int, address: int, words: bytes) -> None:
        raise RefusalError(Code.ILLEGAL_FUNCTION)  # its set-up is not simulated

    def _values(self) -> dict[int, float]:
        self.present()
        amperes = [ma / 1000 for ma in self.seen_ma()]
        watts = [ampere * self.voltage_v for ampere in amperes]
        values = {52: sum(watts), 56: sum(map(abs, watts)), 70: 50.0}
        for i, (ampere, watt) in enumerate(zip(amperes, watts, strict=True)):
            values |= {
                2 * i: self.voltage_v,
                6 + 2 * i: abs(ampere),
                12 + 2 * i: watt,
                18 + 2 * i: abs(watt),
                30 + 2 * i: 1.0 if watt >= 0 else -1.0,
            }
        return values
