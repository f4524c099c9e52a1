"""A Heidelberg Energy Control, as its Modbus register table of 2021-02-22 (layout 1.0.8) says.

Written down a second time and on purpose not taken from the driver's profile. Any valid request
that is addressed to it feeds its watchdog; when that has run out the fail-safe current holds
until a setpoint is written. It does not show what it applies. Where its standby is allowed it
sleeps when no vehicle has been there for a while, and hears nothing any more.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from cext.plant import PlantChargerState
from cext.rows import Vehicle
from hil.devices.mbap import Server
from hil.devices.pdu import (
    READ_HOLDING,
    READ_INPUT,
    WRITE_MANY,
    WRITE_ONE,
    Code,
    RefusalError,
)
from hil.devices.seats import ChargerSeat

LAYOUT = 0x0108
WATCHDOG, STANDBY, LOCK, SETPOINT, FAILSAFE = 257, 258, 259, 261, 262
STANDBY_ALLOWED, STANDBY_DISABLED = 0, 4
STANDBY_AFTER_NS = 12 * 60 * 1_000_000_000
GAP_NS = 100_000_000  # that it asks for between two requests
_MA = 100  # of a tenth of an ampere
_MS_NS = 1_000_000
_STATES = {Vehicle.E: 9, Vehicle.F: 10}
_MEASURED = 4  # to 18


@dataclass(eq=False)
class Heidelberg(ChargerSeat):
    """Registers of one wall box."""

    hurried: int = field(default=0, init=False)  # requests that came sooner than it bears

    def __post_init__(self) -> None:
        self._fed = False  # its watchdog runs, or has run out
        self._vehicle_ns = self.present()
        self._asked_ns = self._vehicle_ns - GAP_NS
        self.holding = {  # kept without power, but for the setpoint
            WATCHDOG: self.row.watchdog_ns // _MS_NS,
            STANDBY: STANDBY_DISABLED,
            LOCK: 1,
            SETPOINT: self.row.power_on_ma // _MA,
            FAILSAFE: self.row.fallback_ma // _MA,
        }

    def serve(self) -> Server:
        """Behind a gateway, where it hangs on no line."""
        return Server(self)

    @property
    def asleep(self) -> bool:
        """In standby it hears nothing until a vehicle comes."""
        now_ns = self.present()
        if self.state.vehicle is not Vehicle.A:
            self._vehicle_ns = now_ns
        allowed = self.holding[STANDBY] != STANDBY_DISABLED
        return allowed and now_ns - self._vehicle_ns >= STANDBY_AFTER_NS

    def reboot(self) -> None:
        """Its power was cut: the setpoint is lost, its watchdog runs again from the start."""
        self.holding[SETPOINT] = self.row.power_on_ma // _MA
        self.present()
        self._offer()

    def read(self, function: int, address: int, count: int) -> bytes:
        self._hear()
        if function == READ_INPUT and address >= _MEASURED and address + count <= 19:
            start = 2 * (address - _MEASURED)
            return self._measured()[start : start + 2 * count]
        wanted = range(address, address + count)
        if function == READ_HOLDING and all(each in self.holding or each == 260 for each in wanted):
            return b"".join(self.holding.get(each, 0).to_bytes(2, "big") for each in wanted)
        raise RefusalError(Code.ILLEGAL_ADDRESS)

    def write(self, function: int, address: int, words: bytes) -> None:
        self._hear()
        if function not in (WRITE_ONE, WRITE_MANY) or len(words) != 2:
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        value = int.from_bytes(words, "big")
        if address not in self.holding:
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        if not _may_be(address, value):
            raise RefusalError(Code.ILLEGAL_VALUE)
        lapsed = self._lapsed
        self.holding[address] = value
        if address in (WATCHDOG, FAILSAFE):
            timeout_ns = self.holding[WATCHDOG] * _MS_NS
            self.plant.set_alone(self.index, self.holding[FAILSAFE] * _MA, timeout_ns)
        self.writes += address == SETPOINT
        if address == SETPOINT or not lapsed:
            self._offer()

    def _hear(self) -> None:
        """Any request feeds the watchdog; one that has run out waits for a setpoint."""
        now_ns = self.present()
        self.hurried += now_ns - self._asked_ns < GAP_NS
        self._asked_ns = now_ns
        if not self._lapsed:
            self._offer()

    @property
    def _lapsed(self) -> bool:
        """Whether its watchdog has run, and run out."""
        return self._fed and self.holding[WATCHDOG] > 0 and not self.state.valid_ns

    def _offer(self) -> None:
        offered_ma = self.holding[SETPOINT] * _MA if self.holding[LOCK] else 0
        self.plant.write_setpoint(self.index, offered_ma)
        self._fed = True

    def _measured(self) -> bytes:
        """Registers 4 to 18."""
        state = self.state
        tenths = [
            round(ma / _MA) if wired else 0
            for wired, ma in zip(self.wired, state.current_ma, strict=True)
        ]
        volts = [230 if wired else 0 for wired in self.wired]
        watts = sum(volt * tenth // 10 for volt, tenth in zip(volts, tenths, strict=True))
        energy_wh = state.energy_mwh // 1000
        return struct.pack(
            ">HH3Hh3HHHII",
            *(LAYOUT, self._code(state), *tenths, 215, *volts, self.holding[LOCK], watts),
            *(energy_wh, energy_wh),
        )

    def _code(self, state: PlantChargerState) -> int:
        released = state.offered_ma >= 6_000
        match state.vehicle:
            case Vehicle.A:
                return 3 if released else 2
            case Vehicle.B:
                return 5 if released else 4
            case Vehicle.C | Vehicle.D:
                return 7
        return _STATES.get(state.vehicle, 11)


def _may_be(address: int, value: int) -> bool:
    if address in (SETPOINT, FAILSAFE):
        return value == 0 or 60 <= value <= 160
    if address == STANDBY:
        return value in (STANDBY_ALLOWED, STANDBY_DISABLED)
    return address == WATCHDOG or value in (0, 1)
