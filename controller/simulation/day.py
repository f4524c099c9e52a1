"""What a day brings to a depot: base load and vehicles, made up or as the installer wrote them."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cext.plant import Car
from cext.rows import NO_PHASE, Phases
from controller.document.devices import Charger
from controller.site import Site
from controller.units import NS_PER_S

HOUR_S = 3600
DAY_S = 24 * HOUR_S
MACHINE_EVERY_S = 900  # a machine in the building starts and stops about so often
MACHINE_SHARE = 0.25  # of what the circuit carries at the most, unless its declared step is less
NOISE_SHARE = 0.01
QUIET = 0.3  # of the worst case, at night
# Share of the worst-case base load by hour: an assumed working day with a workshop.
SHAPE = (
    (0.0, QUIET),
    (5.0, QUIET),
    (7.0, 0.65),
    (9.0, 0.75),
    (12.0, 0.65),
    (14.0, 0.75),
    (17.0, 0.7),
    (19.0, 0.45),
    (22.0, QUIET),
    (24.0, QUIET),
)


@dataclass(frozen=True, slots=True)
class Stay:
    """A vehicle at a charger, in seconds since the day's first midnight."""

    charger: int
    arrives_s: float
    leaves_s: float
    car: Car


@dataclass(frozen=True, slots=True)
class BaseLoad:
    """A circuit's own load, without what stands below it, from one instant on."""

    at_s: float
    circuit: int
    load_ma: Phases
    noise_ma: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """From `begins_s` after midnight, for `lasts_s`."""

    begins_s: float
    lasts_s: float
    stays: tuple[Stay, ...]  # in order of arrival; at one charger they do not overlap
    base: tuple[BaseLoad, ...]  # in order of time

    @property
    def ends_s(self) -> float:
        return self.begins_s + self.lasts_s


def own_worst_ma(site: Site) -> list[Phases]:
    """The worst-case base load of each circuit itself, without that of the circuits below."""
    worst = [list(circuit.worst_base_ma) for circuit in site.circuits]
    index = {circuit.id: i for i, circuit in enumerate(site.circuits)}
    for circuit in site.circuits:
        if circuit.parent is not None:
            for phase in range(3):
                worst[index[circuit.parent]][phase] -= circuit.worst_base_ma[phase]
    return [(max(0, a), max(0, b), max(0, c)) for a, b, c in worst]


def share_at(hour: float) -> float:
    """Of the worst case, by SHAPE; `hour` may be of any day."""
    hour %= 24
    for (earlier, low), (later, high) in pairwise(SHAPE):
        if hour <= later:
            return low + (high - low) * (hour - earlier) / (later - earlier)
    raise AssertionError("the shape covers a whole day")


def made_up_base(site: Site, begins_s: float, lasts_s: float, seed: int) -> tuple[BaseLoad, ...]:
    """A working day's load with machines that start and stop, never above the worst case."""
    every: list[BaseLoad] = []
    for index, worst_ma in enumerate(own_worst_ma(site)):
        if any(worst_ma):
            rng = random.Random(f"{seed} {site.circuits[index].id}")
            step_ma = _machine_ma(worst_ma, site.circuits[index].step_ma)
            every += _building(index, worst_ma, step_ma, begins_s, lasts_s, rng)
    return tuple(sorted(every, key=lambda each: each.at_s))


def _machine_ma(worst_ma: Phases, step_ma: Phases) -> Phases:
    first, second, third = (
        min(step, int(worst * MACHINE_SHARE)) for worst, step in zip(worst_ma, step_ma, strict=True)
    )
    return first, second, third


def _building(
    circuit: int,
    worst_ma: Phases,
    step_ma: Phases,
    begins_s: float,
    lasts_s: float,
    rng: random.Random,
) -> Iterator[BaseLoad]:
    at_s, runs = begins_s, False
    while at_s < begins_s + lasts_s:
        share = share_at(at_s / HOUR_S)
        noise_ma = int(max(worst_ma) * NOISE_SHARE)
        load = [
            max(0, min(int(worst * share) + runs * step, worst - noise_ma))
            for worst, step in zip(worst_ma, step_ma, strict=True)
        ]
        yield BaseLoad(at_s, circuit, (load[0], load[1], load[2]), noise_ma)
        runs = not runs
        at_s += rng.uniform(0.2, 1.8) * MACHINE_EVERY_S


def made_up_fleet(site: Site, begins_s: float, lasts_s: float, seed: int) -> tuple[Stay, ...]:
    """One vehicle at each charger over night, and at every third one over midday."""
    rng = random.Random(f"{seed} fleet")
    stays = []
    for day in range(int(begins_s // DAY_S) - 1, int((begins_s + lasts_s) // DAY_S) + 1):
        for index, charger in enumerate(site.chargers):
            evening_s = day * DAY_S + rng.uniform(16.0, 18.5) * HOUR_S
            morning_s = (day + 1) * DAY_S + rng.uniform(5.0, 7.5) * HOUR_S
            stays.append(Stay(index, evening_s, morning_s, _vehicle(charger, rng, 20, 75)))
            noon_s = day * DAY_S + rng.uniform(10.5, 12.0) * HOUR_S
            back_s = noon_s + rng.uniform(0.7, 2.5) * HOUR_S
            midday = Stay(index, noon_s, back_s, _vehicle(charger, rng, 5, 25))
            if rng.random() < 1 / 3:
                stays.append(midday)
    return within(stays, begins_s, lasts_s)


def within(stays: Sequence[Stay], begins_s: float, lasts_s: float) -> tuple[Stay, ...]:
    """Those that stand there at any time of it, in order of arrival."""
    ends_s = begins_s + lasts_s
    there = (stay for stay in stays if stay.leaves_s > begins_s and stay.arrives_s < ends_s)
    return tuple(sorted(there, key=lambda stay: stay.arrives_s))


def _vehicle(charger: Charger, rng: random.Random, least_kwh: float, most_kwh: float) -> Car:
    wired = sum(phase != NO_PHASE for phase in charger.phases)
    max_ma = rng.choice((16_000, 32_000, charger.max_ma))
    phases = rng.choice((1, wired, wired, wired))
    energy_wh = int(rng.uniform(least_kwh, most_kwh) * 1000 * phases / 3)
    return car(min(max_ma, charger.max_ma), phases, energy_wh, rng.uniform(1.0, 4.0))


def car(max_ma: int, phases: int, energy_wh: int, reaction_s: float = 2.0) -> Car:
    """It tapers over the last twentieth of what it wants."""
    return Car(max_ma, phases, int(reaction_s * NS_PER_S), energy_wh, energy_wh // 20)


def repeated(
    daily: Mapping[int, Sequence[tuple[float, Phases]]], begins_s: float, lasts_s: float
) -> tuple[BaseLoad, ...]:
    """Loads that hold from a time of day on, on every day alike; by circuit, in order of time."""
    every: list[BaseLoad] = []
    for circuit, rows in daily.items():
        last = bisect_right([at_s for at_s, _ in rows], begins_s % DAY_S) - 1
        every.append(BaseLoad(begins_s, circuit, rows[last][1]))
        for day in range(int((begins_s + lasts_s) // DAY_S) + 1):
            every += [
                BaseLoad(day * DAY_S + at_s, circuit, load_ma)
                for at_s, load_ma in rows
                if begins_s < day * DAY_S + at_s < begins_s + lasts_s
            ]
    return tuple(sorted(every, key=lambda each: each.at_s))
