"""A KEBA KeContact P40, as its Modbus TCP Programmers Guide V1.02 says.

Written down a second time and on purpose not taken from the driver's profile. One value of two
words a read, high word first, and no two reads within half a second: one that comes sooner is
refused as busy. No two writes within five seconds: one that comes sooner is acknowledged and
lost. Any request feeds the watchdog and leaves the fallback. A power cut takes the setpoint and
the watchdog's settings: it is off again, as delivered. Lost writes and lost settings are the
worse of what the guide leaves open.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cext.plant import PlantChargerState
from cext.rows import Vehicle
from hil.devices.mbap import Server
from hil.devices.pdu import READ_HOLDING, WRITE_ONE, Code, RefusalError
from hil.devices.seats import ChargerSeat

READ_GAP_NS = 500_000_000
WRITE_GAP_NS = 5_000_000_000
SETPOINT, ENABLE, FAILSAFE, TIMEOUT = 5004, 5014, 5016, 5018
TIMEOUT_S = range(5, 601)
HARDWARE_MA = 32_000
PRODUCT, FIRMWARE, SERIAL = 400_000, 0x0001_0201, 22_334_455
_VOLTS = 230
_NS_PER_S = 1_000_000_000


@dataclass(eq=False)
class Keba(ChargerSeat):
    """Registers of one charger."""

    unit: int = 255
    hurried_reads: int = field(default=0, init=False)
    hurried_writes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._setpoint_ma = self.row.power_on_ma
        self._enabled = True
        self._failsafe_ma = self.row.fallback_ma
        self._timeout_s = self.row.watchdog_ns // _NS_PER_S
        self._read_ns = self._written_ns = -(10**18)

    def serve(self) -> Server:
        return Server(self, max_masters=2)

    @property
    def hurried(self) -> int:
        """Requests that came sooner than it bears."""
        return self.hurried_reads + self.hurried_writes

    def reboot(self) -> None:
        """Its power was cut: it begins with its power-on current, and its watchdog is off."""
        self._setpoint_ma = self.row.power_on_ma
        self._enabled = True
        self._failsafe_ma = self._timeout_s = 0
        self.plant.set_alone(self.index, self._failsafe_ma, self._timeout_s)

    def read(self, function: int, address: int, count: int) -> bytes:
        now_ns = self._hear()
        if function != READ_HOLDING:
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        if count != 2:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        if now_ns - self._read_ns < READ_GAP_NS:
            self.hurried_reads += 1
            raise RefusalError(Code.BUSY)
        self._read_ns = now_ns
        value = self._values().get(address)
        if value is None:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        return value.to_bytes(4, "big")

    def write(self, function: int, address: int, words: bytes) -> None:
        now_ns = self._hear()
        if function != WRITE_ONE:
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        value = int.from_bytes(words, "big")
        if address not in (SETPOINT, ENABLE, FAILSAFE, TIMEOUT):
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        if not _may_be(address, value):
            raise RefusalError(Code.ILLEGAL_VALUE)
        if now_ns - self._written_ns < WRITE_GAP_NS:
            self.hurried_writes += 1
            return
        self._written_ns = now_ns
        match address:
            case 5004:
                self._setpoint_ma = value
                self.writes += 1
            case 5014:
                self._enabled = bool(value)
            case 5016:
                self._failsafe_ma = value
            case 5018:
                self._timeout_s = value
        if address in (FAILSAFE, TIMEOUT):
            timeout_ns = self._timeout_s * _NS_PER_S
            self.plant.set_alone(self.index, self._failsafe_ma, timeout_ns)
        self._hear()

    def _hear(self) -> int:
        """Feeds the watchdog; what it fell back from holds again."""
        now_ns = self.present()
        self.plant.write_setpoint(self.index, self._setpoint_ma if self._enabled else 0)
        return now_ns

    def _values(self) -> dict[int, int]:
        state = self.state
        currents_ma = [
            ma if wired else 0 for wired, ma in zip(self.wired, state.current_ma, strict=True)
        ]
        energy = state.energy_mwh // 100  # in tenths of a watt-hour
        return {
            1000: _charging_state(state),
            1004: 1 if state.vehicle is Vehicle.A else 7,
            1006: 0,
            1008: currents_ma[0],
            1010: currents_ma[1],
            1012: currents_ma[2],
            1014: SERIAL,
            1016: PRODUCT,
            1018: FIRMWARE,
            1020: sum(currents_ma) * _VOLTS,
            1036: energy,
            **{1040 + 2 * i: _VOLTS if wired else 0 for i, wired in enumerate(self.wired)},
            1046: 1000,
            1100: state.offered_ma,
            1110: min(HARDWARE_MA, self.row.max_ma),
            1502: energy,
            1600: self._failsafe_ma,
            1602: self._timeout_s,
        }


def _charging_state(state: PlantChargerState) -> int:
    match state.vehicle:
        case Vehicle.A:
            return 1
        case Vehicle.B:
            return 2 if state.offered_ma >= 6_000 else 5
        case Vehicle.C | Vehicle.D:
            return 3
    return 4


def _may_be(address: int, value: int) -> bool:
    match address:
        case 5004 | 5016:
            return value == 0 or 6_000 <= value <= HARDWARE_MA
        case 5018:
            return value == 0 or value in TIMEOUT_S
    return value in (0, 1)
