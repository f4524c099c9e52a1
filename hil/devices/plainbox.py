"""Wall boxes that nothing but their setpoint feeds, or nothing at all: or nobody knows what.

Where the CHARX keeps what, its document says; written down here a second time, on purpose not taken
from the driver's profile. The other two are nobody's: what an installer would meet who has a device
that no profile was written for. One is told a percentage of its 32 A, the other the duty cycle of
its pilot, both in tenths of a percent. Without power all that was set is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from cext.rows import Vehicle
from hil.devices.mbap import Server
from hil.devices.pdu import WRITE_MANY, WRITE_ONE, Code, RefusalError
from hil.devices.seats import ChargerSeat
from hil.devices.words import Place, number_written, words_at

_NS_PER_MS = 1_000_000
_LEAST_MA = 6_000
_PERMILLE = 1000


class Fed(Enum):
    """What its watchdog runs on."""

    SETPOINT = auto()
    TRAFFIC = auto()  # any request; and it tells nobody that it has one
    NEVER = auto()  # it has none


def amperes(raw: int) -> int:
    return raw * 1000


def percent_of_32(raw: int) -> int:
    """Tenths of a percent."""
    if raw > _PERMILLE:
        raise RefusalError(Code.ILLEGAL_VALUE)
    return raw * 32


def duty(raw: int) -> int:
    """Tenths of a percent of its pilot's period, as a vehicle reads them."""
    if raw > _PERMILLE:
        raise RefusalError(Code.ILLEGAL_VALUE)
    if raw < 80:
        return 80_000  # by digital communication: anything
    for most, permitted_ma in ((100, 6_000), (850, raw * 60), (960, (raw - 640) * 250)):
        if raw <= most:
            return permitted_ma
    return 80_000 if raw <= 970 else 0


@dataclass(frozen=True)
class Model:
    """What one of them has where, and how it is told. Names without a place are not there."""

    unit: int
    fed: Fed
    writes: tuple[int, ...]  # functions that it takes
    states: Mapping[Vehicle, int]
    state: Place
    currents: tuple[Place, Place, Place]
    setpoint: Place
    permits: Callable[[int], int]  # by the number in its setpoint's register
    at_power_on: Callable[[int], int]  # the number that stands there for a current
    applied: Place | None = None
    fallback: Place | None = None
    timeout: Place | None = None
    never: int = 0  # read or written there, in ms: its watchdog is off
    blank: range = range(0)  # holding registers that read 0 where nothing else stands
    says: Mapping[Place, str] = field(default_factory=dict)  # of itself

    @property
    def written(self) -> tuple[Place, ...]:
        named = (self.setpoint, self.fallback, self.timeout)
        return tuple(place for place in named if place is not None)


def _tenths(places: range) -> tuple[Place, Place, Place]:
    first, second, third = (Place(4, address, per=100) for address in places)
    return first, second, third


_LETTERS = {vehicle: ord(vehicle.name[0]) for vehicle in Vehicle}

CHARX = Model(  # Phoenix Contact CHARX SEC, its first charging point
    unit=1,
    fed=Fed.SETPOINT,
    writes=(WRITE_ONE, WRITE_MANY),
    states={
        Vehicle[code[0]]: int.from_bytes(code.encode(), "big")
        for code in ("A1", "B2", "C2", "D2", "E0", "F0")
    },
    state=Place(3, 1299),
    currents=(Place(3, 1238, 2), Place(3, 1240, 2), Place(3, 1242, 2)),
    setpoint=Place(3, 1301),
    permits=amperes,
    at_power_on=lambda ma: ma // 1000,
    applied=Place(3, 1297, per=1000),
    fallback=Place(3, 1306, per=1000),
    timeout=Place(3, 1307, per=1000),
    never=65_535_000,
    blank=range(1232, 1309),
    says={Place(3, 110, 4): "1.7.3"},
)

PERCENT = Model(
    unit=7,
    fed=Fed.TRAFFIC,
    writes=(WRITE_ONE,),
    states=_LETTERS,
    state=Place(4, 0),
    currents=_tenths(range(1, 4)),
    setpoint=Place(3, 0),
    permits=percent_of_32,
    at_power_on=lambda ma: -(-ma // 32),
    applied=Place(4, 4, per=32),
)

DUTY = Model(
    unit=1,
    fed=Fed.NEVER,
    writes=(WRITE_ONE,),
    states=_LETTERS,
    state=Place(4, 0),
    currents=_tenths(range(1, 4)),
    setpoint=Place(3, 0),
    permits=duty,
    at_power_on=lambda ma: -(-ma // 60),
)


@dataclass(eq=False)
class Plainbox(ChargerSeat):
    """Registers of one of them."""

    model: Model = CHARX
    told: list[int] = field(default_factory=list, init=False)  # numbers that were written

    def __post_init__(self) -> None:
        self._raw = self.model.at_power_on(self.row.power_on_ma)
        self._fallback_ma = self.row.fallback_ma
        self._timeout_ms = self.row.watchdog_ns // _NS_PER_MS

    def serve(self) -> Server:
        return Server(self)

    def reboot(self) -> None:
        """Its power was cut: a watchdog that was set up is off; one of its own runs on."""
        self._raw = self.model.at_power_on(self.row.power_on_ma)
        if self.model.timeout is not None:
            self._fallback_ma = self._timeout_ms = 0
            self.plant.set_alone(self.index, 0, 0)

    def read(self, function: int, address: int, count: int) -> bytes:
        self._hear()
        words = {(3, at): b"\0\0" for at in self.model.blank}
        for place, shown in self._places():
            words |= place.shows(shown)
        for place, said in self.model.says.items():
            words |= place.spells(said)
        return words_at(function, address, count, words)

    def write(self, function: int, address: int, words: bytes) -> None:
        self._hear()
        model = self.model
        if function not in model.writes:
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        place, raw = number_written(address, words, model.written)
        if place is model.setpoint:
            self._take(raw)
        elif place is model.fallback:
            self._fallback_ma = raw * place.per
        else:
            self._timeout_ms = raw * place.per
        if place is not model.setpoint:
            self.plant.set_alone(self.index, self._fallback_ma, self._watchdog_ns)

    def _take(self, raw: int) -> None:
        permitted_ma = self.model.permits(raw)
        self._raw = raw
        self.told.append(raw)
        self.writes += 1
        offered_ma = permitted_ma if permitted_ma >= _LEAST_MA else 0
        self.plant.write_setpoint(self.index, min(offered_ma, self.row.max_ma))

    @property
    def _watchdog_ns(self) -> int:
        return 0 if self._timeout_ms == self.model.never else self._timeout_ms * _NS_PER_MS

    def _hear(self) -> None:
        self.present()
        if self.model.fed is Fed.TRAFFIC:
            self.plant.feed(self.index)

    def _places(self) -> list[tuple[Place, int]]:
        model, state = self.model, self.state
        drawn = zip(self.wired, state.current_ma, strict=True)
        currents_ma = [ma if wired else 0 for wired, ma in drawn]
        shown: list[tuple[Place | None, int]] = [
            (model.state, model.states.get(state.vehicle, model.states[Vehicle.B])),
            (model.setpoint, self._raw),
            (model.applied, state.offered_ma),
            (model.fallback, self._fallback_ma),
            (model.timeout, self._timeout_ms),
            *zip(model.currents, currents_ma, strict=True),
        ]
        return [(place, value) for place, value in shown if place is not None]
