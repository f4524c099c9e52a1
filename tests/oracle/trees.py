"""Random trees with wishes on them, for fair shares."""

import random

from tests.oracle.shares import Triple, Want

ROTATIONS = [(0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
SUBSETS = [(0, -1, -1), (1, -1, -1), (2, -1, -1), (-1, 2, -1), (0, 1, -1), (2, -1, 0), (1, 2, -1)]

Case = tuple[list[int], list[Triple], list[Want]]


def random_depot(rng: random.Random, chargers: int, circuits: int) -> Case:
    """A depot between starved and generous, in amperes or in odd milliamps."""
    grain = rng.choice([1, 1, 1000])
    room = rng.choice([0, 3, 12, 40]) * 1000

    def cap(below: int) -> int:
        if rng.random() < 0.08:
            return rng.choice([0, -1, -20_000, 1, 5999, 6000])
        return rng.randrange(below * room // 2 + 1) // grain * grain + below * room // 2

    parents = [-1] + [rng.randrange(i) for i in range(1, circuits)]
    wants = []
    for _ in range(chargers):
        low = rng.choice([0, 6000, 6000, rng.randrange(1, 12_000) // grain * grain])
        high = low + rng.choice([-1, 0, 10_000, 26_000, rng.randrange(50_000)]) // grain * grain
        weight = rng.choice([1, 1, 2, rng.randrange(1, 1001)])
        phases = rng.choice(ROTATIONS if rng.random() < 0.6 else SUBSETS)
        wants.append(Want(rng.randrange(circuits), phases, low, max(0, high), weight))
    below = [0] * circuits
    for want in wants:
        circuit = want.circuit
        while circuit >= 0:
            below[circuit] += 1
            circuit = parents[circuit]
    caps = [(cap(count), cap(count), cap(count)) for count in below]
    return parents, caps, wants


def graded(rng: random.Random, depot: Case) -> Case:
    """The same depot with classes, advised floors and caps, and some who go before all."""
    parents, caps, wants = depot
    ranks = rng.choice([[0], [0, 0, 0, 1], [0, 1, 2], [0, 7, 100]])
    advised = rng.choice([0.0, 0.2, 0.7])
    early = rng.choice([0.0, 0.1, 0.5])

    def grade(want: Want) -> Want:
        floor_ma = rng.randrange(40_000) if rng.random() < advised else 0
        cap_ma = rng.randrange(6000, 40_000) if rng.random() < advised else want.max_ma
        return want._replace(
            rank=rng.choice(ranks),
            floor_ma=floor_ma,
            max_ma=min(want.max_ma, cap_ma),
            early=rng.random() < early,
        )

    return parents, caps, [grade(want) for want in wants]
