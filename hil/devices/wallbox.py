"""Wall boxes whose watchdog is fed apart from their setpoint: by a life bit, a token, its own time.

Where their registers stand, their documents say; written down here a second time, on purpose not
taken from the drivers' profiles. What the documents leave open is the worse of both: a setpoint
does not feed the watchdog; when that has run out, what feeds it brings nothing back before a
setpoint is written again; and without power all that was set is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cext.rows import Vehicle
from hil.devices.mbap import Server
from hil.devices.pdu import WRITE_MANY, WRITE_ONE, Code, RefusalError
from hil.devices.seats import ChargerSeat
from hil.devices.words import Place, number_written, words_at

_VOLTS = 230
_NS_PER_MS = 1_000_000
_LEAST_MA = 6_000


@dataclass(frozen=True)
class Model:
    """What one kind of wall box has where. Names without a place are not there."""

    unit: int
    writes: tuple[int, ...]  # functions that it takes
    states: Mapping[Vehicle, int]
    state: Place
    currents: tuple[Place, Place, Place]
    setpoint: Place
    feed: Place
    feed_value: int | None  # None: what is written is its time
    fallback: Place | None = None
    timeout: Place | None = None
    enable: Place | None = None
    armed: Place | None = None  # 1: the watchdog is on
    masters: int = 4
    clears: bool = False  # it takes its life bit back when it has seen it
    others: Mapping[Place, int] = field(default_factory=dict)
    says: Mapping[Place, str] = field(default_factory=dict)  # of itself

    @property
    def written(self) -> tuple[Place, ...]:
        named = (self.setpoint, self.fallback, self.timeout, self.enable, self.armed, self.feed)
        return tuple(place for place in named if place is not None)


VESTEL = Model(  # EVC04, Webasto Unite
    unit=255,
    writes=(WRITE_ONE, WRITE_MANY),
    states={Vehicle.A: 0, Vehicle.B: 1, Vehicle.C: 2, Vehicle.D: 2, Vehicle.E: 8, Vehicle.F: 7},
    state=Place(4, 1000),
    currents=(Place(4, 1008), Place(4, 1010), Place(4, 1012)),
    setpoint=Place(3, 5004, per=1000),
    fallback=Place(3, 2000, per=1000),
    timeout=Place(3, 2002, per=1000),
    feed=Place(3, 6000),
    feed_value=1,
    masters=1,
    clears=True,
    others={Place(4, 1004): 3, Place(4, 1020, 2): 0, Place(4, 1100): 32},
    says={
        Place(4, 100, 25): "EVC-0042-7781",
        Place(4, 210, 5): "EVC04",
        Place(4, 230, 50): "v3.187.0",
    },
)

FREE2MOVE = Model(  # eProWallbox, behind a gateway
    unit=1,
    writes=(WRITE_MANY,),
    states={Vehicle.A: 0, Vehicle.B: 3, Vehicle.C: 5, Vehicle.D: 7, Vehicle.E: 8, Vehicle.F: 9},
    state=Place(3, 40101),
    currents=(
        Place(3, 40620, 2, per=1000, single=True),
        Place(3, 40622, 2, per=1000, single=True),
        Place(3, 40624, 2, per=1000, single=True),
    ),
    setpoint=Place(3, 40407, 2),
    fallback=Place(3, 40409, 2),
    timeout=Place(3, 40413, per=1000),
    feed=Place(0, 40502),
    feed_value=0x5555,
    enable=Place(3, 40406),
    armed=Place(3, 40412),
    others={Place(3, 40604 + 2 * i, 2, per=1, single=True): _VOLTS for i in range(3)},
)

WEIDMUELLER = Model(  # AC SMART
    unit=255,
    writes=(WRITE_MANY,),
    states={vehicle: ord(vehicle.name[0]) for vehicle in (Vehicle.A, Vehicle.B, Vehicle.C)},
    state=Place(3, 301),
    currents=(
        Place(3, 406, 2, low_first=True),
        Place(3, 408, 2, low_first=True),
        Place(3, 410, 2, low_first=True),
    ),
    setpoint=Place(3, 11052, per=1000),
    feed=Place(0, 11050, 2),
    feed_value=None,
    others={Place(3, 400 + 2 * i, 2, per=1, low_first=True): 1000 * _VOLTS for i in range(3)},
)


@dataclass(eq=False)
class Wallbox(ChargerSeat):
    """Registers of one of them."""

    model: Model = VESTEL
    feeds: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._setpoint_ma = self.row.power_on_ma
        self._fallback_ma = self.row.fallback_ma
        self._timeout_ms = self.row.watchdog_ns // _NS_PER_MS
        self._enabled = self._armed = 1
        self._bit = 0
        self._fed = False  # its watchdog runs, or has run out
        self._fell = False  # that it has run out, and no setpoint was written since it was fed

    def serve(self) -> Server:
        return Server(self, max_masters=self.model.masters)

    def reboot(self) -> None:
        """Its power was cut: its watchdog is off."""
        self._setpoint_ma = self.row.power_on_ma
        self._fallback_ma = self._timeout_ms = 0
        self._armed = int(self.model.armed is None)
        self._enabled = 1
        self._fed = self._fell = False
        self.plant.set_alone(self.index, 0, 0)

    def read(self, function: int, address: int, count: int) -> bytes:
        self._look()
        words: dict[tuple[int, int], bytes] = {}
        for place, shown in self._places():
            words |= place.shows(shown)
        for place, said in self.model.says.items():
            words |= place.spells(said)
        return words_at(function, address, count, words)

    def write(self, function: int, address: int, words: bytes) -> None:
        self._look()
        model = self.model
        if function not in model.writes:
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        place, raw = number_written(address, words, model.written)
        value = raw * place.per
        if place is model.setpoint:
            self._setpoint_ma = value
            self.writes += 1
            self._offer()
        elif place is model.enable:
            self._enabled = value
            self._offer()
        elif place is model.feed:
            self._feed(value)
        else:
            self._set_up(place, value)

    def _set_up(self, place: Place, value: int) -> None:
        if place is self.model.fallback:
            self._fallback_ma = value
        elif place is self.model.timeout:
            self._timeout_ms = value
        else:
            self._armed = value
        left_ns = self.state.valid_ns
        self._alone(self._watchdog_ns)
        if left_ns and not self._watchdog_ns:
            self._fed = False

    @property
    def _watchdog_ns(self) -> int:
        return self._timeout_ms * _NS_PER_MS if self._armed else 0

    def _alone(self, watchdog_ns: int) -> None:
        self.plant.set_alone(self.index, self._fallback_ma, watchdog_ns)

    def _look(self) -> None:
        """Whether its watchdog has run out since it was asked last; and its life bit, if any."""
        self.present()
        if self._fed and self._watchdog_ns and not self.state.valid_ns:
            self._fell = True

    def _feed(self, value: int) -> None:
        if self.model.feed_value is None:
            self._timeout_ms = value
            self._fallback_ma = self.row.fallback_ma
        elif value != self.model.feed_value:
            raise RefusalError(Code.ILLEGAL_VALUE)
        self.feeds += 1
        self._bit = 0 if self.model.clears else value
        self._alone(self._watchdog_ns)
        self.plant.feed(self.index)
        self._fed = True

    def _offer(self) -> None:
        """What was written takes effect, and leaves the watchdog as it was."""
        left_ns = self.state.valid_ns
        if self._fell and not left_ns:
            return  # it has fallen back, and was not fed since
        self._fell = False
        self._alone(left_ns)
        offered_ma = self._setpoint_ma if self._setpoint_ma >= _LEAST_MA and self._enabled else 0
        self.plant.write_setpoint(self.index, offered_ma)
        self._alone(self._watchdog_ns)
        if left_ns == 0:
            self._fed = False

    def _places(self) -> list[tuple[Place, float]]:
        model, state = self.model, self.state
        vehicle = model.states.get(state.vehicle, model.states[Vehicle.B])
        shown: list[tuple[Place | None, float]] = [
            (model.state, vehicle),
            (model.setpoint, self._setpoint_ma),
            (model.fallback, self._fallback_ma),
            (model.timeout, self._timeout_ms),
            (model.enable, self._enabled),
            (model.armed, self._armed),
            (model.feed, self._bit),
            *zip(model.currents, self._currents_ma(), strict=True),
            *model.others.items(),
        ]
        return [(place, value) for place, value in shown if place is not None and place.function]

    def _currents_ma(self) -> list[int]:
        drawn = zip(self.wired, self.state.current_ma, strict=True)
        return [ma if wired else 0 for wired, ma in drawn]
