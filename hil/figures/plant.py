"""How fast the bench `plant` tells a story: a depot of a hundred chargers, on and on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from statistics import median
from time import perf_counter_ns
from typing import Any

from hil.bench_plant import PlantBench
from hil.figures import CannotMeasureError, Figure, Must
from hil.figures.blocks import BLOCKS
from hil.profiles import StoryProfiles
from hil.stage import Stage
from hil.story.script import Story, parse

FEEDERS = 4
BAYS = 25  # at each feeder
WARM_S = 120  # until all have begun and share what there is
BLOCK_S = 120
STEP_S = 10  # the base load moves so often
STAY_S = 900  # a vehicle stays about so long
SEED = 4
NS_PER_S = 1_000_000_000


def times_real_time() -> float:
    """Median over blocks of virtual by real time, what a story does included: the kernel, the
    plant, the drivers, plausibility, turns, and the samples by which it is judged. Not the guard,
    which judges the kernel here and holds nothing."""
    bench = PlantBench(Stage(story(), StoryProfiles()), guarded=False)
    bench.begin()
    bench.run_until(WARM_S * NS_PER_S)
    ratios = []
    for block in range(BLOCKS):
        began_ns = perf_counter_ns()
        bench.run_until((WARM_S + (block + 1) * BLOCK_S) * NS_PER_S)
        ratios.append(BLOCK_S * NS_PER_S / (perf_counter_ns() - began_ns))
    outcome = bench.stage.outcome("plant")
    if not outcome.passed:
        raise CannotMeasureError(f"the depot was not held: {outcome.as_json()['failed']}")
    return round(median(ratios), 1)


def story() -> Story:
    """Two thirds of a depot's capacity, vehicles that come and go, and a building beside it."""
    rng = random.Random(SEED)
    return parse(
        {
            "schema": 1,
            "name": "hundred",
            "about": "A hundred chargers on four feeders, half an hour of a busy day.",
            "benches": ["plant"],
            "duration_s": WARM_S + BLOCKS * BLOCK_S,
            "site": site(),
            "base": [{"circuit": "grid", "load_a": 150, "noise_a": 5}],
            "vehicle": [_vehicle(f"bay-{i}-{n:02}", rng) for i, n in _bays() if rng.random() < 0.7],
            "at": sorted([*_traffic(rng), *_building(rng)], key=lambda each: float(each["t_s"])),
            "expect": [
                {"kind": "over", "worst_a": 60, "longest_s": 10, "why": "shed within seconds"},
                {"kind": "energy", "at_least_kwh": 100, "why": "the depot charges all the time"},
            ],
        }
    )


def site() -> dict[str, Any]:
    """Feeders that bind now and then, under a connection that binds most of the time."""
    feeders = [
        {"id": f"feeder-{i}", "parent": "grid", "rating_a": 320, "worst_base_a": 0}
        for i in range(1, FEEDERS + 1)
    ]
    meter = {"id": "meter", "circuit": "grid", "profile": "carlo_gavazzi_em24_ethernet"}
    usual = {"profile": "alfen_eve", "max_a": 32, "fallback_a": 6, "fallback_delay_s": 60}
    return {
        "schema": 1,
        "site": {"id": "hundred"},
        "control": {"tick_s": 0.1},
        "circuit": [{"id": "grid", "rating_a": 1200, "worst_base_a": 400}, *feeders],
        "meter": [meter | {"bus": "tcp://192.0.2.200:502", "poll_s": 0.2}],
        "charger": [
            usual
            | {
                "id": f"bay-{i}-{{n:02}}",
                "count": BAYS,
                "circuit": f"feeder-{i}",
                "bus": f"tcp://192.0.2.{{n+{(i - 1) * BAYS}}}:502",
                "poll_s": 1,
            }
            for i in range(1, FEEDERS + 1)
        ],
    }


def _bays() -> Iterator[tuple[int, int]]:
    return ((i, n) for i in range(1, FEEDERS + 1) for n in range(1, BAYS + 1))


def _vehicle(bay: str, rng: random.Random) -> dict[str, Any]:
    return {
        "charger": bay,
        "phases": rng.choice([1, 3, 3]),
        "max_a": rng.choice([16, 32, 32]),
        "reaction_s": rng.choice([1, 2, 4]),
        "energy_kwh": rng.choice([2, 8, 60]),
    }


def _traffic(rng: random.Random) -> Iterator[dict[str, Any]]:
    for i, n in _bays():
        bay = f"bay-{i}-{n:02}"
        t_s = rng.randrange(WARM_S, WARM_S + STAY_S)
        while t_s < WARM_S + BLOCKS * BLOCK_S:
            yield {"t_s": t_s, "do": "unplug", "charger": bay}
            t_s += rng.randrange(30, STAY_S // 3)
            if t_s < WARM_S + BLOCKS * BLOCK_S:
                yield {"t_s": t_s, "do": "plug", **_vehicle(bay, rng)}
            t_s += rng.randrange(STAY_S // 2, 2 * STAY_S)


def _building(rng: random.Random) -> Iterator[dict[str, Any]]:
    load_a = 150
    for t_s in range(STEP_S, WARM_S + BLOCKS * BLOCK_S, STEP_S):
        load_a = max(100, min(390, load_a + rng.randrange(-25, 26)))
        yield {"t_s": t_s, "do": "base", "circuit": "grid", "load_a": load_a, "noise_a": 5}


FIGURES = (
    Figure(
        field="plant_x_realtime",
        unit="times real time",
        must=Must("≥", 1500),
        how="100 chargers, 100 ms ticks: a story on the bench `plant` and its judging, no guard",
        measure=times_real_time,
    ),
)
