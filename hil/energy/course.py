"""What happens on a fleet day, to whom it matters, and what is written down of it: the same for the
product and for the plain policies.

All figures come from the plant: its loads, its chargers' setpoints in force and its energy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import mean, median

from cext.plant import Plant
from cext.rows import Phases
from controller.hardware import build_plant
from hil.energy.day import BEGIN_S, DAYS, Day, S, Visit

CAR_TAKES_UP_S = 30  # so long after a vehicle came its charger's first setpoints are its doing
MINUTE_S = 60


def plant_of(day: Day) -> Plant:
    """The depot, empty, its meters as they are on that day."""
    site = day.site
    plant = build_plant(site, seed=[each.name for each in DAYS].index(day.name) + 1)
    index = {circuit.id: i for i, circuit in enumerate(site.circuits)}
    for meter in site.meters:
        circuit = index[meter.circuit]
        plant.set_meter(
            circuit,
            lag_ns=round(day.lag_s * S),
            refresh_ns=meter.poll_ns,
            sigma_ma=site.circuits[circuit].rating_ma[0] * day.sigma_ppm // 1_000_000,
            step_ma=round(day.step_a * 1000),
        )
    return plant


@dataclass(slots=True)
class Course:
    """How one day went under one policy."""

    day: Day
    plant: Plant
    visits: dict[int, Visit] = field(default_factory=dict)  # who stands at a charger now
    load_ma: list[Phases] = field(default_factory=list)  # of the grid connection, each second
    worst_ma: list[int] = field(default_factory=list)  # by circuit, in the congested hours
    longest_s: list[float] = field(default_factory=list)
    moves: list[int] = field(default_factory=list)  # setpoints changed, by vehicle and minute
    flaps: int = 0  # vehicles paused that still wanted to charge
    short_s: int = 0  # seconds of the congested hours in which there was room for all
    energy_mwh: int = 0  # charged in the congested hours
    _before_mwh: int = 0
    _offered: tuple[int, ...] = ()
    _changes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._offered, self._changes = self.plant.glance()[0], self.plant.changes()

    def second(self, t_s: int) -> None:
        """What becomes different at this second; nobody was asked yet what to do about it."""
        plant, day = self.plant, self.day
        for circuit, series in day.base_ma.items():
            plant.set_base(circuit, series[t_s - BEGIN_S])
        for charger, visit in list(self.visits.items()):
            if visit.until_s <= t_s:
                plant.unplug(charger)
                del self.visits[charger]
        for visit in _coming(day, t_s):
            plant.plug(visit.charger, visit.car)
            self.visits[visit.charger] = visit

    def note(self, t_s: int) -> None:
        """Looks at the plant just before the next second."""
        plant = self.plant
        offered, _, energy_mwh, _ = plant.glance()
        self.load_ma.append(plant.load(0))
        if t_s < self.day.congested_s[0]:
            self._offered, self._before_mwh = offered, energy_mwh
            self._changes = plant.changes()
            plant.mark()
            return
        for charger, visit in self.visits.items():
            if self._offered[charger] and not offered[charger] and plant.wanted_mwh(charger):
                self.flaps += t_s - visit.from_s > CAR_TAKES_UP_S
        self._offered = offered
        if (t_s + 1) % MINUTE_S == 0:
            self._minute(t_s, plant.changes())
        self.energy_mwh = energy_mwh - self._before_mwh

    def _minute(self, t_s: int, changes: tuple[int, ...]) -> None:
        for charger, visit in self.visits.items():
            if t_s - visit.from_s >= MINUTE_S and self.plant.wanted_mwh(charger):
                self.moves.append(changes[charger] - self._changes[charger])
        self._changes = changes
        self.short_s += MINUTE_S * self._room_for_all(t_s)

    def _room_for_all(self, t_s: int) -> bool:
        """Whether whoever still wants to charge could do so as fast as his vehicle can."""
        site = self.day.site
        most_ma = [0, 0, 0]
        for charger, visit in self.visits.items():
            if self.plant.wanted_mwh(charger):
                row = site.chargers[charger]
                for terminal in range(visit.car.phases):
                    most_ma[row.phases[terminal]] += min(row.max_ma, visit.car.max_ma)
        base_ma = self.day.below_ma(0, t_s - BEGIN_S)
        rating_ma = site.circuits[0].rating_ma
        return all(most_ma[p] + base_ma[p] <= rating_ma[p] for p in range(3))

    def end(self) -> None:
        for circuit in range(len(self.day.site.circuits)):
            over = self.plant.over(circuit)
            self.worst_ma.append(over.worst_ma)
            self.longest_s.append(over.longest_ns / S)

    @property
    def energy_kwh(self) -> float:
        return self.energy_mwh / 1e6

    @property
    def median_moves(self) -> float:
        return median(self.moves)

    @property
    def mean_moves(self) -> float:
        return mean(self.moves)


_calendars: dict[str, dict[int, list[Visit]]] = {}


def _coming(day: Day, t_s: int) -> list[Visit]:
    if day.name not in _calendars:
        calendar: dict[int, list[Visit]] = {}
        for visit in day.visits:
            calendar.setdefault(visit.from_s, []).append(visit)
        _calendars[day.name] = calendar
    return _calendars[day.name].get(t_s, [])
