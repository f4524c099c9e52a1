"""One socket of an Alfen Eve (NG9xx), as its Modbus TCP document describes it.

Registers from "Implementation of Modbus Slave TCP/IP for Alfen NG9xx platform" v2.3,
written down here a second time and on purpose not taken from the driver's profile.
32- and 64-bit values stand high word first; what the socket does not know reads as
0xFFFF words. The setpoint has a validity time; when it runs out the safe current holds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from cext.rows import Vehicle
from hil.devices.mbap import Server
from hil.devices.pdu import READ_HOLDING, WRITE_MANY, Code, RefusalError
from hil.devices.seats import ChargerSeat

MAX_MASTERS = 2
IDLE_S = 60.0  # the socket hangs up on a master that is quiet for this long
SETPOINT = 1210
CHARGE_PHASES = 1215
PWM_FROM_MA = 6_000  # below, the pilot offers nothing

_MEASURED = 306  # to 345
_ENERGY = 374  # to 377
_CONTROL = 1200  # to 1215
# availability, state, applied, time left, setpoint, safe current, accounted for, phases
_CONTROL_FORM = struct.Struct(">H 10s f I f f H H")
_RESERVED_FLOATS = (None,) * 5


@dataclass(eq=False)
class Alfen(ChargerSeat):
    """Registers of one socket."""

    voltage_v: float = field(default=230.0, init=False)

    def __post_init__(self) -> None:
        self.setpoint_a = self.row.power_on_ma / 1000

    def serve(self) -> Server:
        return Server(self, max_masters=MAX_MASTERS, idle_s=IDLE_S)

    def reboot(self) -> None:
        """The socket's power was cut: the setpoint is not kept."""
        self.setpoint_a = self.row.power_on_ma / 1000

    def read(self, function: int, address: int, count: int) -> bytes:
        if function != READ_HOLDING:
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        for first, words, block in (
            (_MEASURED, 40, self._measured),
            (_ENERGY, 4, self._energy),
            (_CONTROL, 16, self._control),
        ):
            if first <= address and address + count <= first + words:
                start = 2 * (address - first)
                return block()[start : start + 2 * count]
        raise RefusalError(Code.ILLEGAL_ADDRESS)

    def write(self, function: int, address: int, words: bytes) -> None:
        if address == SETPOINT:
            self._write_setpoint(function, words)
        elif address == CHARGE_PHASES:
            if struct.unpack(">H", words[:2])[0] != self._phases() or len(words) != 2:
                raise RefusalError(Code.ILLEGAL_VALUE)  # this socket cannot switch phases
        else:
            raise RefusalError(Code.ILLEGAL_ADDRESS)

    def _write_setpoint(self, function: int, words: bytes) -> None:
        if function != WRITE_MANY or len(words) != 4:
            raise RefusalError(Code.ILLEGAL_VALUE)  # half a number
        ampere = struct.unpack(">f", words)[0]
        if not 0 <= ampere <= 1000:  # NaN is neither
            raise RefusalError(Code.ILLEGAL_VALUE)
        self.present()
        self.plant.write_setpoint(self.index, round(ampere * 1000))
        self.setpoint_a = ampere
        self.writes += 1

    def _measured(self) -> bytes:
        self.present()
        currents_ma = self.state.current_ma
        amperes = [
            ma / 1000 if wired else None for wired, ma in zip(self.wired, currents_ma, strict=True)
        ]
        volts = [None if ampere is None else self.voltage_v for ampere in amperes]
        watts = [None if ampere is None else ampere * self.voltage_v for ampere in amperes]
        total_w = sum(watt for watt in watts if watt is not None)
        return _floats(
            *volts, *_RESERVED_FLOATS[:4], *amperes, *_RESERVED_FLOATS, 50.0, *watts, total_w
        )

    def _energy(self) -> bytes:
        self.present()
        return struct.pack(">d", self.state.energy_mwh / 1000)

    def _control(self) -> bytes:
        self.present()
        state = self.state
        pwm = state.offered_ma >= PWM_FROM_MA
        return _CONTROL_FORM.pack(
            0 if state.vehicle is Vehicle.F else 1,
            _mode3(state.vehicle, pwm).encode().ljust(10, b"\0"),
            state.offered_ma / 1000,
            state.valid_ns // 1_000_000_000,
            self.setpoint_a,
            self.row.fallback_ma / 1000,
            int(state.valid_ns > 0),
            self._phases(),
        )

    def _phases(self) -> int:
        return 3 if sum(self.wired) == 3 else 1


def _mode3(vehicle: Vehicle, pwm: bool) -> str:
    """State in the words of IEC 61851; the digit tells whether the pilot offers current."""
    if vehicle in (Vehicle.B, Vehicle.C, Vehicle.D):
        return f"{vehicle.name}{2 if pwm else 1}"
    return vehicle.name


def _floats(*values: float | None) -> bytes:
    """Single floats; an unknown one as the 0xFFFF words that the socket sends."""
    return b"".join(
        b"\xff\xff\xff\xff" if value is None else struct.pack(">f", value) for value in values
    )
