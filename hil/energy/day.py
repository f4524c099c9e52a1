"""A fleet day, made up and by seed: a depot of 104 chargers beside a building and its workshop, and
what goes on there from one o'clock to ten at night. Congested are the six hours from four.

- *The tree*: a grid connection of 1400 A on each phase; below it a hall with a workshop of its own
  (800 A) and a yard (800 A); five rows of chargers of 200 to 500 A below those. A meter on the grid
  connection, another one on the hall.
- *The chargers*: 58 three-phase and 24 one-phase ones of 32 A and 12 DC ones of 100 A whose figures
  are known (profile `calibrated`: 0.1 A off in what they report, 1 % above what they are told), and
  10 as the profile `keba_p40` assumes them (0.4 A, 3 %, a write each 5 s). Each vehicle follows
  within 1 to 4 s.
- *The vehicles*: 68 vans come back between 13:00 and 18:00, most of them for the night, with 25 to
  75 kWh to charge at 11 or 22 kW; 24 cars at the one-phase chargers, whose phases go round, with 15
  to 45 kWh at 3.7 or 7.4 kW; lorries at the DC chargers, of weight 4, that stay for one to three
  hours and then make room for the next, with 60 to 150 kWh. A fifth of vans and cars leaves before
  ten. Towards the end of its charge (a tenth, of lorries a sixth) each takes less and less.
- *The building*, in steps of one second, by phase: 240 A at one, most (300 A) at five, 200 A in the
  evening; two compressors of 35 and 20 A that run for one to two minutes and rest for two to four;
  two lifts of 18 A for 10 to 25 s, about once a minute; in the workshop 40 to 60 A by day, and an
  oven on each phase of 25 A with a thermostat (40 s on, 60 s off, each a fifth more or less); and
  noise of 1.5 A (standard deviation) on the building, 0.5 A on the workshop.

Two kinds of day differ in what the meters show and in how finely currents can be told: *usual*, a
meter whose every look is off by chance by 0.5 % of the circuit's rating (standard deviation) and
0.3 s late, steps of 0.1 A; *hard*, 2.5 %, 2 s, and steps of 1 A, both in what meters show and in
what chargers take.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cext.plant import Car
from cext.rows import Phases
from controller.site import Site, parse
from hil.profiles import StoryProfiles

S = 1_000_000_000
HOUR_S = 3600
BEGIN_S = 13 * HOUR_S
END_S = 22 * HOUR_S
CONGESTED_S = (16 * HOUR_S, 22 * HOUR_S)
SEED = 20_270_211
GRID, HALL = 0, 1
POLL_S = 0.2
AC = DC = "calibrated"
PACED = "keba_p40"
NEVER_S = END_S + HOUR_S


@dataclass(frozen=True, slots=True)
class Visit:
    """A vehicle at a charger."""

    charger: int
    from_s: int
    until_s: int
    car: Car

    @property
    def need_mwh(self) -> int:
        return self.car.energy_wh * 1000


@dataclass(frozen=True)
class Day:
    """One kind of day; the depot, the vehicles and the building are the same on each."""

    name: str
    sigma_ppm: int  # of a circuit's rating
    lag_s: float
    step_a: float
    must: float  # % of the optimum
    congested_s: tuple[int, int] = CONGESTED_S

    @cached_property
    def site(self) -> Site:
        return parse(_document(self), StoryProfiles())

    @cached_property
    def visits(self) -> tuple[Visit, ...]:
        """In the order in which they come."""
        draw = random.Random(SEED)
        visits = [
            visit
            for index, charger in enumerate(self.site.chargers)
            for visit in _visits(charger.id, index, draw)
        ]
        return tuple(sorted(visits, key=lambda visit: (visit.from_s, visit.charger)))

    @cached_property
    def base_ma(self) -> dict[int, tuple[Phases, ...]]:
        """Each circuit's own base load, second by second from `BEGIN_S`."""
        return {GRID: tuple(_building()), HALL: tuple(_workshop())}

    def below_ma(self, circuit: int, second: int) -> Phases:
        """The base load that flows through a circuit, `second` after `BEGIN_S`."""
        if circuit > HALL:
            return 0, 0, 0
        own_ma, hall_ma = self.base_ma[circuit][second], self.base_ma[HALL][second]
        if circuit == HALL:
            return own_ma
        return own_ma[0] + hall_ma[0], own_ma[1] + hall_ma[1], own_ma[2] + hall_ma[2]


USUAL = Day("usual", sigma_ppm=5_000, lag_s=0.3, step_a=0.1, must=95)
HARD = Day("hard", sigma_ppm=25_000, lag_s=2, step_a=1, must=85)
DAYS = (USUAL, HARD)


def _document(day: Day) -> dict[str, Any]:
    def circuit(id_: str, rating_a: int, parent: str = "grid", worst_a: int = 0) -> dict[str, Any]:
        row: dict[str, Any] = {"id": id_, "rating_a": rating_a, "worst_base_a": worst_a}
        return row if id_ == "grid" else row | {"parent": parent}

    def meter(id_: str, rating_a: int, host: int) -> dict[str, Any]:
        """Of 65 A, behind current transformers."""
        return {
            "id": f"{id_}-meter",
            "circuit": id_,
            "profile": "carlo_gavazzi_em24_ethernet",
            "bus": f"tcp://192.0.2.{host}:502",
            "lag_s": day.lag_s,
            "poll_s": POLL_S,
            "ct": {"ratio": rating_a / 65},
        }

    def row(
        id_: str, circuit_: str, profile: str, count: int, first_host: int, **more: Any
    ) -> dict[str, Any]:
        usual = {"max_a": 32, "fallback_a": 6, "fallback_delay_s": 60}
        return usual | {
            "id": f"{id_}-{{n:02}}",
            "count": count,
            "circuit": circuit_,
            "profile": profile,
            "bus": f"tcp://192.0.2.{{n+{first_host}}}:502",
            "step_a": day.step_a,
            **more,
        }

    return {
        "schema": 1,
        "site": {"id": f"fleet-{day.name}"},
        "circuit": [
            circuit("grid", 1400, worst_a=560) | {"base_step_a": 80},
            circuit("hall", 800, worst_a=170) | {"base_step_a": 80},
            circuit("yard", 800),
            circuit("hall-1", 250, "hall"),
            circuit("hall-2", 250, "hall"),
            circuit("hall-3", 200, "hall"),
            circuit("yard-1", 315, "yard"),
            circuit("yard-2", 500, "yard"),
        ],
        "meter": [meter("grid", 1400, 201), meter("hall", 800, 202)],
        "charger": [
            row("van-a", "hall-1", AC, 20, 0),
            row("van-b", "hall-2", AC, 10, 20),
            row("van-c", "hall-2", PACED, 10, 30),
            *(
                row(f"car-{'abc'[i]}", "hall-3", AC, 8, 40 + 8 * i, phases=wiring)
                for i, wiring in enumerate(("L1", "L2", "L3"))
            ),
            row("van-d", "yard-1", AC, 28, 64),
            row("lorry", "yard-2", DC, 12, 92, max_a=100, weight=4),
        ],
    }


def _visits(id_: str, index: int, draw: random.Random) -> Iterator[Visit]:
    if id_.startswith("lorry"):
        at_s = BEGIN_S + draw.randrange(0, HOUR_S)
        while at_s < END_S:
            until_s = at_s + draw.randrange(HOUR_S, 3 * HOUR_S)
            wh = draw.randrange(60_000, 150_000)
            reaction_ns = draw.choice((1, 2)) * S
            yield Visit(
                index, at_s, min(until_s, NEVER_S), Car(100_000, 3, reaction_ns, wh, wh // 6)
            )
            at_s = until_s + draw.randrange(300, 1800)
        return
    one = id_.startswith("car")
    at_s = round(draw.triangular(BEGIN_S, 18 * HOUR_S, 16 * HOUR_S))
    until_s = draw.randrange(18 * HOUR_S, END_S) if draw.random() < 0.2 else NEVER_S
    wh = draw.randrange(15_000, 45_000) if one else draw.randrange(25_000, 75_000)
    max_ma = draw.choice((16_000, 16_000, 32_000))
    reaction_ns = draw.choice((1, 2, 2, 4)) * S
    yield Visit(index, at_s, until_s, Car(max_ma, 1 if one else 3, reaction_ns, wh, wh // 10))


def _building() -> Iterator[Phases]:
    draw = random.Random(SEED + 1)
    machines = [
        _machine(draw, 35_000, (60, 120), (120, 240)),
        _machine(draw, 20_000, (60, 120), (120, 240)),
        _machine(draw, 18_000, (10, 25), (30, 90)),
        _machine(draw, 18_000, (10, 25), (30, 90)),
    ]
    for t_s in range(BEGIN_S, END_S):
        hour = t_s / HOUR_S
        shape = 200_000 + 100_000 * math.exp(-(((hour - 17) / 4) ** 2))
        load = round(shape) + sum(next(machine) for machine in machines)
        yield _three(load - 40_000 * (hour > 20) + draw.gauss(0, 1500) for _ in range(3))


def _workshop() -> Iterator[Phases]:
    draw = random.Random(SEED + 2)
    ovens = [_machine(draw, 25_000, (32, 48), (48, 72)) for _ in range(3)]
    for t_s in range(BEGIN_S, END_S):
        by_day = 50_000 if t_s < 19 * HOUR_S else 15_000
        uneven = (1.2, 1.0, 0.8)
        yield _three(
            by_day * uneven[phase] + next(ovens[phase]) + draw.gauss(0, 500) for phase in range(3)
        )


def _machine(
    draw: random.Random, ma: int, runs_s: tuple[int, int], rests_s: tuple[int, int]
) -> Iterator[int]:
    while True:
        for _ in range(draw.randrange(*rests_s)):
            yield 0
        for _ in range(draw.randrange(*runs_s)):
            yield ma


def _three(values: Iterator[float]) -> Phases:
    first, second, third = (max(0, round(value)) for value in values)
    return first, second, third
