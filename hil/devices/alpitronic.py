"""An Alpitronic Hypercharger and its connectors, as two drivers in the field know its registers.

Written down a second time and on purpose not taken from the driver's profile. A connector is told
the power of its AC side in watts, and draws it whatever the voltage is: the current is the plant's
to know. Any request, to whichever connector, feeds the watchdog of the whole station, and what was
told before holds again. 0 W ends the vehicle's session: it charges again after it was unplugged.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from cext.plant import PlantChargerState
from cext.rows import Vehicle
from hil.devices.mbap import Server
from hil.devices.pdu import READ_HOLDING, READ_INPUT, WRITE_MANY, Code, Manner, RefusalError
from hil.devices.seats import ChargerSeat

CONNECTOR = 100  # registers of the first begin there, of the next ones so much further on each
NOMINAL_V = 3**0.5 * 400  # all three phases of an ampere
EFFICIENCY, POWER_FACTOR = 0.92, 0.95
_INPUT_WORDS = 38
_HOLDING_WORDS = 4
_FINISHING, _CHARGING, _SUSPENDED, _AVAILABLE = 6, 3, 5, 0


@dataclass(eq=False)
class Alpitronic(ChargerSeat):
    """Registers of one connector, as those of the first; alone, or one of a station's."""

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
        self.hear()
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
        self.hear()

    @property
    def _occupied(self) -> bool:
        return self.state.vehicle is not Vehicle.A

    def hear(self) -> None:
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


class Hypercharger:
    """Several connectors behind one address. Any request feeds them all, a refused one, too."""

    def __init__(self, unit: int) -> None:
        self.unit = unit
        self.server = Server(self)
        self.refuses: set[int] = set()  # connectors that answer nothing but exceptions
        self._connectors: dict[int, Alpitronic] = {}

    def add(self, number: int, device: Alpitronic) -> Connector:
        self._connectors[number] = device
        return Connector(self, number)

    def read(self, function: int, address: int, count: int) -> bytes:
        number, device = self._asked(address)
        return device.read(function, address - (number - 1) * CONNECTOR, count)

    def write(self, function: int, address: int, words: bytes) -> None:
        number, device = self._asked(address)
        device.write(function, address - (number - 1) * CONNECTOR, words)

    def _asked(self, address: int) -> tuple[int, Alpitronic]:
        for each in self._connectors.values():
            each.hear()
        number = address // CONNECTOR
        if number not in self._connectors:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        if number in self.refuses:
            raise RefusalError(Code.DEVICE_FAILURE)
        return number, self._connectors[number]


class Connector:
    """One of a station's, as what carries requests to it."""

    def __init__(self, station: Hypercharger, number: int) -> None:
        self._station = station
        self._number = number
        self.manner = Manner.ANSWERS

    @property
    def url(self) -> str:
        return self._station.server.url

    async def open(self) -> None:
        """With the first of them, the station."""
        if not self._station.server.listens:
            await self._station.server.open()

    async def close(self) -> None:
        await self._station.server.close()

    async def behave(self, manner: Manner, delay_s: float = 0.0) -> None:
        """The station hears for it, so it refuses what it does not answer."""
        self.manner = manner
        if manner is Manner.ANSWERS:
            self._station.refuses.discard(self._number)
        else:
            self._station.refuses.add(self._number)
