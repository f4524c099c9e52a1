"""A Carlo Gavazzi EM24 Ethernet (EM24DINAV..E1) meter, as its register map says.

Written down a second time and on purpose not taken from the driver's profile. 32-bit
values stand low word first. Currents are magnitudes; each phase's direction is the sign
of its power, + is import.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from hil.devices.mbap import Server
from hil.devices.pdu import READ_HOLDING, READ_INPUT, WRITE_ONE, Code, RefusalError
from hil.devices.seats import MeterSeat

MAX_WORDS = 50
IDENTITY = 11  # its own when read alone; inside a block it belongs to a voltage
MODEL = 1648
PHASE_ORDER = 0x1002
SELECTOR = 0xA100
APPLICATION = 40960
APPLICATION_H = 7
_BLOCK_WORDS = 80
_OVERFLOW = 0x7FFFFFFF
_COSINE = 1000  # power factor 1 in thousandths
_LINE_TO_LINE = 3**0.5


@dataclass(eq=False)
class Em24(MeterSeat):
    """Registers of a meter."""

    application: int = field(default=APPLICATION_H, init=False)

    def __post_init__(self) -> None:
        self._energy_ws = [0.0, 0.0, 0.0]
        self._counted_ns = self.present()

    def serve(self) -> Server:
        return Server(self)

    def read(self, function: int, address: int, count: int) -> bytes:
        if function not in (READ_HOLDING, READ_INPUT):
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        if count > MAX_WORDS:
            raise RefusalError(Code.ILLEGAL_VALUE)
        if address + count <= _BLOCK_WORDS and (address, count) != (IDENTITY, 1):
            return self._block()[2 * address : 2 * (address + count)]
        single = {
            IDENTITY: MODEL,
            PHASE_ORDER: 0,  # 3P.n
            SELECTOR: 0,  # kvarh: not locked
            APPLICATION: self.application,
        }.get(address)
        if single is None or count != 1:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        return struct.pack(">H", single)

    def write(self, function: int, address: int, words: bytes) -> None:
        if function != WRITE_ONE:
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        if address != APPLICATION:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        value = struct.unpack(">H", words)[0]
        if value > APPLICATION_H:
            raise RefusalError(Code.ILLEGAL_VALUE)
        self.application = value

    def _block(self) -> bytes:
        """Registers 0 to 79; those that the map does not name read 0."""
        now_ns = self.present()
        current_ma = [round(ma) for ma in self.seen_ma()]
        watts = [ma / 1000 * self.voltage_v for ma in current_ma]
        if self.application != APPLICATION_H:
            watts = [abs(watt) for watt in watts]  # the other applications show no direction
        self._count(watts, now_ns)
        block = bytearray(2 * _BLOCK_WORDS)
        volt = round(self.voltage_v * 10)
        _place(block, 0, [volt] * 3)
        _place(block, 6, [round(volt * _LINE_TO_LINE)] * 3)
        _place(block, 12, [abs(ma) for ma in current_ma])
        _place(block, 18, [round(watt * 10) for watt in watts])
        _place(block, 40, [round(sum(watts) * 10)])
        struct.pack_into(">4h", block, 92, *([_COSINE] * 4))
        struct.pack_into(">HH", block, 100, 0, 500)  # phase order fine, 50 Hz
        _place(block, 52, [int(sum(self._energy_ws) / 360_000)])  # tenths of a kWh
        _place(block, 64, [int(ws / 360_000) for ws in self._energy_ws])
        return bytes(block)

    def _count(self, watts: list[float], now_ns: int) -> None:
        """Counts imported energy per phase, good enough for a display."""
        elapsed_s = (now_ns - self._counted_ns) / 1e9
        self._counted_ns = now_ns
        for phase, watt in enumerate(watts):
            self._energy_ws[phase] += max(0.0, watt) * elapsed_s


def _place(block: bytearray, address: int, values: list[int]) -> None:
    """Puts int32 values low word first; one too large shows the meter's overflow mark."""
    for offset, value in enumerate(values):
        shown = value if -_OVERFLOW <= value < _OVERFLOW else _OVERFLOW
        raw = shown & 0xFFFFFFFF
        struct.pack_into(">HH", block, 2 * (address + 2 * offset), raw & 0xFFFF, raw >> 16)
