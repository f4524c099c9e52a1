"""Depots in which a few chargers swing for all, and vehicles that are full, in the oracle's
slow world: what must hold is held against after every tick."""

import random

from hypothesis import given
from hypothesis import strategies as st

from cext.rows import Rule
from tests.door import Door, row_of
from tests.examples import depots
from tests.oracle.beliefs import Report
from tests.oracle.calm import Parking
from tests.oracle.depot import Car
from tests.oracle.site import MS, REPLUG, Charger, Circuit, Meter, S, Site, flat
from tests.oracle.story import PEACE, TROUBLE, tell
from tests.oracle.world import World

crowds = depots(3)
a_seed = st.integers(0, 2**32)
a_crowd = st.integers(20, 26)


@crowds
@given(seed=a_seed, chargers=a_crowd, circuits=st.integers(1, 3))
def test_any_crowd_in_peace(seed: int, chargers: int, circuits: int) -> None:
    tell(Door, seed, PEACE, chargers, circuits)


@crowds
@given(seed=a_seed, chargers=a_crowd, circuits=st.integers(1, 3))
def test_any_crowd_in_trouble(seed: int, chargers: int, circuits: int) -> None:
    tell(Door, seed, TROUBLE, chargers, circuits)


@crowds
@given(seed=a_seed)
def test_a_crowd_beside_a_base_load_that_wavers(seed: int) -> None:
    rng = random.Random(seed)
    world = row_of(20, base_ma=60_000, cap_ma=320_000)
    world.run(40)
    for _ in range(40):
        world.base(0, flat(rng.randrange(40_000, 80_000)))
        world.run(rng.choice([0.5, 2, 5]))


@crowds
@given(seed=a_seed, may=st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_full_vehicles_among_those_that_want_more(seed: int, may: list[int]) -> None:
    """Whoever is paused for it had its minute, and may be."""
    rng = random.Random(seed)
    rows = [Charger(0, (0, 1, 2), may_pause=each) for each in may]
    site = Site(
        [Circuit(-1, flat(50_000), flat(30_000))], [Meter(0, 0, 200 * MS, S, 200 * MS)], rows
    )
    world = World(site, Door, seed)
    for index in range(len(rows)):
        world.plug(index, Car(32_000, 3, S, 1_000_000))
    world.run(20)
    for _ in range(3):
        for index in range(len(rows)):
            world.want(index, rng.choice([0, 32_000]))
        world.run(140)


def test_a_full_one_is_parked_in_the_slow_world_and_the_watch_looked_at_it() -> None:
    rules = set()
    world = row_of(2, base_ma=10_000, cap_ma=34_000)
    world.want(0, 0)
    for _ in range(140):
        world.run(1)
        rules.add(world.watch.port.output(0).cause.rule)
    assert Rule.IDLE in rules


def test_the_watch_notices_one_that_is_paused_while_it_draws() -> None:
    parking = Parking()
    row = Charger(0, (0, 1, 2))
    parking.report(0, Report(0, 16_000, (0, 0, 0), "C"))
    assert "drew lately" in parking.wrong(0, row, 59 * S)
    assert parking.wrong(0, row, 60 * S) == ""
    assert "may not be" in parking.wrong(0, row._replace(may_pause=REPLUG), 60 * S)
    parking.report(0, Report(61 * S, 16_000, (0, 600, 0), "C"))
    assert "drew lately" in parking.wrong(0, row, 61 * S)
