"""One connector of an Alpitronic Hypercharger, as two drivers in the field know its registers.

Written down a second time and on purpose not taken from the driver's profile. It is told the power
of its AC side in watts, and draws it whatever the voltage is: the current is the plant's to know.
Any request feeds the watchdog of the station, and what was told before holds again. 0 W ends the
vehicle's session: it charges again after it was unplugged.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from cext.plant import PlantChargerState
from cext.rows import Vehicle
from hil.devices.mbap import Server
from hil.devices.pdu import READ_HOLDING, READ_INPUT, WRITE_MANY, Code, RefusalError
from hil.devices.seats import ChargerSeat

CONNECTOR = 100  # its registers begin there
NOMINAL_V = 3**0.5 * 400  # all three phases of an ampere
EFFICIENCY, POWER_FACTOR = 0.92, 0.95
_INPUT_WORDS = 38
_HOLDING_WORDS = 4
_FINISHING, _CHARGING, _SUSPENDED, _AVAILABLE = 6, 3, 5, 0


@dataclass(eq=False)
class Alpitronic(ChargerSeat):
    """Registers of one connector."""

    voltage: float = field(default=1.0, init=False)  # of nominal
    ended: bool = field(default=False, init=False)  # the vehicle's session, until it leaves

    def __post_init__(self) -> None:
        self.setpoint_w = round(self.row.power_on_ma * NOMINAL_V / 1000)

    def serve(self) -> Server:
        return Server(self)

    def feel(self, voltage: float) -> None:
        self.voltage = voltage

    def reboot(self) -> None:
        """Its power was cut: it begins with its power-on current."""
        self.setpoint_w = round(self.row.power_on_ma * NOMINAL_V / 1000)

    def read(self, function: int, address: int, count: int) -> bytes:
        self._hear()
        block = {READ_INPUT: self._measured, READ_HOLDING: self._told}.get(function)
        if block is None:
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        words = block()
        start = 2 * (address - CONNECTOR)
        if start < 0 or start + 2 * count > len(words):
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        return words[start : start + 2 * count]

    def write(self, function: int, address: int, words: bytes) -> None:
        if function != WRITE_MANY:
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        if address != CONNECTOR or len(words) != 4:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        self.present()
        self.setpoint_w = struct.unpack(">I", words)[0]
        self.ended = self.ended or (self.setpoint_w == 0 and self._occupied)
        self.writes += 1
        self._hear()

    @property
    def _occupied(self) -> bool:
        return self.state.vehicle is not Vehicle.A

    def _hear(self) -> None:
        """Feeds the watchdog; what it was told holds again."""
        self.present()
        self.ended = self.ended and self._occupied
        ma = 0 if self.ended else int(self.setpoint_w * 1000 / NOMINAL_V)
        self.plant.write_setpoint(self.index, ma)

    def _told(self) -> bytes:
        return struct.pack(">Ii", self.setpoint_w, 0)

    def _measured(self) -> bytes:
        """Offsets 0 to 37."""
        state = self.state
        drawn_w = sum(state.current_ma) / 1000 * NOMINAL_V / 3 * self.voltage
        dc_w = drawn_w * POWER_FACTOR * EFFICIENCY
        words = bytearray(2 * _INPUT_WORDS)
        struct.pack_into(">H", words, 0, self._state(state))
        struct.pack_into(">IHI", words, 2, 40_000, min(round(dc_w / 4), 65535), round(dc_w))
        struct.pack_into(">II", words, 20, self.setpoint_w, 1_000)
        struct.pack_into(">I", words, 72, self.setpoint_w)
        return bytes(words)

    def _state(self, state: PlantChargerState) -> int:
        if self.ended:
            return _FINISHING
        match state.vehicle:
            case Vehicle.A:
                return _AVAILABLE
            case Vehicle.C | Vehicle.D:
                return _CHARGING
        return _SUSPENDED
