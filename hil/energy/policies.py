"""Three plain ways to share, as many depots have them today, on the same plant.

Every five seconds they read the meters and the chargers, and write every charger. The first two
keep 5 % of each rating free for what happens in between, and take a vehicle that draws less than it
was told for half a minute at its word: it gets what it draws and 2 A more, or nothing more when it
is full. The third knows nothing and needs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from cext.plant import Plant
from controller.document.devices import Charger
from controller.hardware import let_go
from hil.energy.course import Course, plant_of
from hil.energy.day import BEGIN_S, Day, S, Visit
from hil.energy.optimum import paths_of

EVERY_S = 5
KEPT_FREE_PPM = 50_000
BELIEVED_S = 30
GROW_MA = 2_000
PPM = 1_000_000

Room = list[list[int]]  # mA by circuit and phase
Present = dict[int, int]  # what each vehicle can use, in mA, in the order in which these came
Policy = Callable[["Depot", Room, Present], dict[int, int]]


class Depot:
    """What a policy knows of the installation."""

    def __init__(self, day: Day) -> None:
        self.site = day.site
        self.paths = paths_of(day)

    def places(self, charger: int) -> Iterator[tuple[int, int]]:
        """Circuits and phases that a charger takes its current from."""
        for circuit in self.paths[charger]:
            for phase in self.site.chargers[charger].phases:
                if phase >= 0:
                    yield circuit, phase

    def crowd(self, chargers: Iterable[int]) -> Room:
        """How many of these hang on each circuit and phase."""
        count = [[0, 0, 0] for _ in self.site.circuits]
        for charger in chargers:
            for circuit, phase in self.places(charger):
                count[circuit][phase] += 1
        return count


def told(row: Charger, ma: int) -> int:
    """As a charger takes it: whole steps up to its maximum, and nothing below its minimum."""
    ma = min(ma, row.max_ma)
    return ma - ma % row.step_ma if ma >= row.min_ma else 0


def equal_split(depot: Depot, room: Room, present: Present) -> dict[int, int]:
    """Every vehicle that is there gets the same part of what there is."""
    crowd = depot.crowd(present)
    return {
        charger: told(
            depot.site.chargers[charger],
            min(most_ma, *(max(0, room[c][p]) // crowd[c][p] for c, p in depot.places(charger))),
        )
        for charger, most_ma in present.items()
    }


def first_come(depot: Depot, room: Room, present: Present) -> dict[int, int]:
    """Who came first gets all he can take."""
    setpoints = {}
    for charger, can_ma in present.items():
        most_ma = min(can_ma, *(max(0, room[c][p]) for c, p in depot.places(charger)))
        setpoints[charger] = told(depot.site.chargers[charger], most_ma)
        for circuit, phase in depot.places(charger):
            room[circuit][phase] -= setpoints[charger]
    return setpoints


def fixed_cap(depot: Depot, _room: Room, present: Present) -> dict[int, int]:
    """Each charger is set once, so that all of them fit beside the worst base load."""
    site = depot.site
    everybody = depot.crowd(range(len(site.chargers)))

    def part(circuit: int, phase: int) -> int:
        row = site.circuits[circuit]
        return (row.rating_ma[phase] - row.worst_base_ma[phase]) // everybody[circuit][phase]

    return {
        charger: told(site.chargers[charger], min(part(c, p) for c, p in depot.places(charger)))
        for charger in present
    }


POLICIES: dict[str, Policy] = {
    "equal split": equal_split,
    "first come first served": first_come,
    "fixed cap per charger": fixed_cap,
}


def follow(day: Day, policy: Policy) -> Course:
    """The day as it went under a policy."""
    plant = plant_of(day)
    course, depot = Course(day, plant), Depot(day)
    ability = Ability(day, plant)
    let_go(day.site, plant)
    plant.advance(0)
    for t_s in range(BEGIN_S, day.congested_s[1]):
        course.second(t_s)
        if t_s % EVERY_S == 0:
            setpoints = policy(depot, _room(day, plant), ability.of(course.visits, t_s))
            for charger in range(len(day.site.chargers)):
                plant.write_setpoint(charger, setpoints.get(charger, 0))
        plant.advance((t_s - BEGIN_S + 1) * S)
        course.note(t_s)
    course.end()
    return course


class Ability:
    """What vehicles showed that they can use."""

    def __init__(self, day: Day, plant: Plant) -> None:
        self._day = day
        self._plant = plant
        self._less: dict[int, tuple[int, int]] = {}  # who came when, and draws less since then
        self._full: set[Visit] = set()

    def of(self, visits: dict[int, Visit], t_s: int) -> Present:
        able = {}
        self._full &= set(visits.values())
        for charger, visit in visits.items():
            if visit in self._full:
                continue
            state = self._plant.charger(charger)
            drawn_ma = max(state.current_ma)
            limited = drawn_ma >= state.offered_ma - GROW_MA // 2
            came_s, since_s = self._less.get(charger, (visit.from_s, t_s))
            if limited or came_s != visit.from_s:
                since_s = t_s
            self._less[charger] = (visit.from_s, since_s)
            able[charger] = self._day.site.chargers[charger].max_ma
            if t_s - since_s >= BELIEVED_S:
                able[charger] = drawn_ma + GROW_MA
                if not drawn_ma:
                    self._full.add(visit)
        return able


def _room(day: Day, plant: Plant) -> Room:
    """What each circuit leaves to the chargers, by its rating and its meter."""
    site = day.site
    measured = {meter.circuit for meter in site.meters}
    drawn = _drawn(day, plant)
    room = []
    for index, circuit in enumerate(site.circuits):
        part = PPM - KEPT_FREE_PPM
        base = (0, 0, 0)
        if circuit.id in measured:
            shown = plant.meter(index)
            base = (
                shown[0] - drawn[index][0],
                shown[1] - drawn[index][1],
                shown[2] - drawn[index][2],
            )
        room.append([circuit.rating_ma[p] * part // PPM - max(0, base[p]) for p in range(3)])
    return room


def _drawn(day: Day, plant: Plant) -> Room:
    drawn = [[0, 0, 0] for _ in day.site.circuits]
    paths = paths_of(day)
    for charger, row in enumerate(day.site.chargers):
        for terminal, ma in enumerate(plant.charger(charger).current_ma):
            if ma:
                for circuit in paths[charger]:
                    drawn[circuit][row.phases[terminal]] += ma
    return drawn
