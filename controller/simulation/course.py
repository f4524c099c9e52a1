"""A day's course: the site's own controller on the virtual depot, judged by what really flows."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from cext.plant import Over, Plant
from cext.rows import NEVER_NS, Phases
from controller.document.clamps import Clamp
from controller.document.devices import Meter
from controller.hardware import build_plant, let_go
from controller.limits import Lease
from controller.plant import VirtualEnforcer
from controller.reasons import Reasons
from controller.simulation.day import HOUR_S, BaseLoad, Day, Stay
from controller.simulation.steps import Steps
from controller.site import Site
from controller.tables import Tables
from controller.units import NS_PER_S

MINUTE_S = 60
ERRORS_SIGMAS = 4  # of a meter's noise, to its declared error


class Second(NamedTuple):
    """The load of all circuits at one instant, in the site's order."""

    at_s: float
    load_ma: tuple[Phases, ...]


@dataclass(frozen=True, slots=True)
class Minute:
    """A circuit through one minute: the phase on which it came nearest to its cap."""

    at_s: float  # its first second
    mean_ma: int
    most_ma: int
    cap_ma: int  # at its most


@dataclass(frozen=True, slots=True)
class Charging:
    """A charger at one instant, and why it had what it had."""

    charger: str
    setpoint_ma: int | None
    current_ma: int
    why: str


@dataclass(frozen=True, slots=True)
class Worst:
    """The minute in which a circuit came nearest to its cap, or went furthest beyond it."""

    circuit: int
    phase: int
    at_s: float  # the worst second
    over_ma: int  # below 0: so much was still free
    cap_ma: int
    seconds: tuple[Second, ...]  # of that minute
    chargers: tuple[Charging, ...]  # below that circuit, at the worst second


@dataclass(frozen=True, slots=True)
class Visit:
    """A vehicle's stay, and what it took away."""

    stay: Stay
    got_mwh: int

    @property
    def wanted_mwh(self) -> int:
        return self.stay.car.energy_wh * 1000

    @property
    def content(self) -> bool:
        """It has all it wanted, but for a hundredth."""
        return self.got_mwh * 100 >= self.wanted_mwh * 99


@dataclass(slots=True)
class Course:
    """What came of a day."""

    day: Day
    minutes: list[list[Minute]] = field(default_factory=list)  # by circuit
    over: list[Over] = field(default_factory=list)  # by circuit, over the whole day
    seconds_over: list[int] = field(default_factory=list)  # by circuit: full seconds found so
    unexplained: list[int] = field(default_factory=list)  # of those: by no step of base load
    offered_ma: list[int] = field(default_factory=list)  # Σ setpoints, each minute
    visits: list[Visit] = field(default_factory=list)  # that began and ended in it
    worst: Worst | None = None
    energy_mwh: int = 0
    setpoint_writes: int = 0


def run(
    site: Site,
    day: Day,
    seed: int,
    silent: Set[str],
    lost: Set[str],
    remark: Callable[[float], None] = lambda _: None,
) -> Course:
    """The whole day. Devices in `silent` never answer, limit sources in `lost` are never heard;
    the others ask for nothing. `remark` is told each hour that has passed, in seconds."""
    return _Run(site, day, seed, silent, lost).through(remark)


class _Run:
    def __init__(self, site: Site, day: Day, seed: int, silent: Set[str], lost: Set[str]) -> None:
        self._site = site
        self._day = day
        self._plant: Plant = build_plant(site, seed)
        _set_meters(site, self._plant)
        self._caps_ma = _caps_ma(site, lost)
        for index, cap_ma in enumerate(self._caps_ma):
            self._plant.set_cap(index, cap_ma)
        leases = {
            source.id: Lease(None, NEVER_NS, NEVER_NS)
            for source in site.limit_sources
            if source.id not in lost
        }
        let_go(site, self._plant)
        self._plant.advance(0)
        self._enforcer = VirtualEnforcer(site, self._plant, 0, frozenset(silent), leases)
        tables = Tables.of(site)
        self._reasons = Reasons([each.id for each in site.circuits], list(tables.slot_index))
        self._below = _below(site)
        none = [0] * len(site.circuits)
        self._course = Course(day, [[] for _ in none], [], none.copy(), none.copy())
        self._steps = Steps(site)
        self._there: dict[int, int] = {}  # by charger: its counter when the vehicle arrived
        self._seconds: list[Second] = []  # of this minute
        self._nearest: Worst | None = None  # of this minute

    def through(self, remark: Callable[[float], None]) -> Course:
        course, plant = self._course, self._plant
        agenda = self._agenda()
        for second in range(1, round(self._day.lasts_s) + 1):
            while agenda and agenda[-1][0] < second:
                at_s, happen = agenda.pop()
                self._go_to(at_s)
                happen()
            self._go_to(second)
            self._look(self._day.begins_s + second)
            if second % MINUTE_S == 0:
                self._end_minute()
            if second % HOUR_S == 0:
                remark(second)
        course.over = [plant.over(index) for index in range(len(self._site.circuits))]
        course.energy_mwh = sum(self._energy_mwh(i) for i in range(len(self._site.chargers)))
        course.setpoint_writes = self._enforcer.setpoint_writes
        course.visits.sort(key=lambda visit: visit.stay.arrives_s)
        return course

    def _agenda(self) -> list[tuple[float, Callable[[], None]]]:
        """What happens when, in seconds of the run; the last comes first. Who leaves makes room
        for who arrives."""
        day = self._day
        every: list[tuple[float, Callable[[], None]]] = [
            *((stay.leaves_s, partial(self._leave, stay)) for stay in day.stays),
            *((stay.arrives_s, partial(self._arrive, stay)) for stay in day.stays),
            *((base.at_s, partial(self._set_base, base)) for base in day.base),
        ]
        every.sort(key=lambda each: each[0])
        return [(max(0.0, at_s - day.begins_s), happen) for at_s, happen in reversed(every)]

    def _go_to(self, second: float) -> None:
        now_ns = round(second * NS_PER_S)
        self._enforcer.run_until(now_ns)
        self._plant.advance(now_ns)

    # What the day brings.

    def _set_base(self, base: BaseLoad) -> None:
        self._plant.set_base(base.circuit, base.load_ma, base.noise_ma)
        self._steps.take(base, max(base.at_s, self._day.begins_s))

    def _arrive(self, stay: Stay) -> None:
        self._plant.plug(stay.charger, stay.car)
        self._there[stay.charger] = self._energy_mwh(stay.charger)

    def _leave(self, stay: Stay) -> None:
        before_mwh = self._there.pop(stay.charger)
        got_mwh = self._energy_mwh(stay.charger) - before_mwh
        self._plant.unplug(stay.charger)
        if stay.arrives_s >= self._day.begins_s:  # nobody saw what the others had before
            self._course.visits.append(Visit(stay, got_mwh))

    def _energy_mwh(self, charger: int) -> int:
        return self._plant.charger(charger).energy_mwh

    # What is seen of it.

    def _look(self, at_s: float) -> None:
        loads_ma = tuple(self._plant.load(index) for index in range(len(self._site.circuits)))
        self._seconds.append(Second(at_s, loads_ma))
        for index, flows_ma in enumerate(loads_ma):
            first, second, third = map(int.__sub__, flows_ma, self._caps_ma[index])
            if max(first, second, third) > 0:
                self._course.seconds_over[index] += 1
                explained = self._steps.explain(index, (first, second, third), at_s)
                self._course.unexplained[index] += not explained
        over_ma, circuit, phase = max(
            (load_ma[phase] - cap_ma[phase], index, phase)
            for index, (load_ma, cap_ma) in enumerate(zip(loads_ma, self._caps_ma, strict=True))
            for phase in range(3)
        )
        known = self._nearest or self._course.worst
        if known is None or over_ma > known.over_ma:
            chargers = tuple(self._charging(index) for index in self._below[circuit])
            cap_ma = self._caps_ma[circuit][phase]
            self._nearest = Worst(circuit, phase, at_s, over_ma, cap_ma, (), chargers)

    def _charging(self, charger: int) -> Charging:
        output = self._enforcer.kernel.output(charger)
        return Charging(
            self._site.chargers[charger].id,
            output.setpoint_ma,
            max(self._plant.charger(charger).current_ma),
            self._reasons.words(output.why),
        )

    def _end_minute(self) -> None:
        if self._nearest is not None:
            self._course.worst = replace(self._nearest, seconds=tuple(self._seconds))
            self._nearest = None
        for index, minutes in enumerate(self._course.minutes):
            minutes.append(_minute(self._seconds, index, self._caps_ma[index]))
        offered = self._plant.offered_total_ma()
        self._course.offered_ma.append(offered)
        self._seconds = []


def _set_meters(site: Site, plant: Plant) -> None:
    """As late as they may be, and as wrong as a good one is: four standard deviations are what is
    declared. A clamp beside a meter is imitated as that meter is."""
    circuits = [circuit.id for circuit in site.circuits]
    sources: list[Meter | Clamp] = [*site.clamps, *site.meters]
    for source in sources:
        sigma_ma = source.error_ma // ERRORS_SIGMAS
        plant.set_meter(circuits.index(source.circuit), source.lag_ns, 0, sigma_ma)


def _minute(seconds: Sequence[Second], circuit: int, cap_ma: Phases) -> Minute:
    loads_ma = [second.load_ma[circuit] for second in seconds]
    phase = max(range(3), key=lambda phase: max(load[phase] for load in loads_ma) - cap_ma[phase])
    flows_ma = [load[phase] for load in loads_ma]
    mean_ma = sum(flows_ma) // len(flows_ma)
    return Minute(seconds[0].at_s, mean_ma, max(flows_ma), cap_ma[phase])


def _caps_ma(site: Site, lost: Set[str]) -> list[Phases]:
    """The ratings, and where a source is lost its fail-safe cap."""
    caps = {circuit.id: circuit.rating_ma for circuit in site.circuits}
    for source in site.limit_sources:
        if source.id in lost:
            first, second, third = map(min, caps[source.circuit], source.failsafe_ma)
            caps[source.circuit] = (first, second, third)
    return list(caps.values())


def _below(site: Site) -> list[list[int]]:
    """The chargers below each circuit."""
    insides = [site.inside(circuit.id) for circuit in site.circuits]
    return [
        [i for i, charger in enumerate(site.chargers) if charger.circuit in inside]
        for inside in insides
    ]
