"""The product's whole path in random worlds: kernel, guard and gate, and what a veto does to them.

What the guard does not let through, the kernel does not hear of: it finds a charger that is not at
its order. Whatever it makes of that, what truly flows is judged as ever.
"""

import random
from collections.abc import Generator
from functools import partial

import pytest

from controller.guard.account import Tables
from controller.guard.guard import Dispute, Guard, Verdict
from controller.records import Lost, Record, Tick
from hil.search.days import draw_case
from hil.search.world import World
from tests.gated import GatedEnforcer

SEEDS = (3, 21, 27, 36, 42, 50)
S = 1_000_000_000
WHY = "as if that were wrong"


class Capricious(Guard):
    """Now and then it disputes what is right, for a while; misses records; fails altogether."""

    made = 0
    vetoes = 0

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        type(self).made += 1
        self._rng = random.Random(self.made)
        self._until = 0

    def judging(
        self, record: Record, *, newer: bool = False
    ) -> Generator[None, None, Verdict | None]:
        verdict = yield from super().judging(record, newer=newer)
        if not isinstance(record, Tick):
            return verdict
        chance = self._rng.random()
        if chance < 0.0005:
            raise ZeroDivisionError("a bug of its own")
        if chance < 0.001:
            yield from super().judging(Lost(7))
        if chance > 0.998:
            self._until = record.tick + self._rng.randrange(1, 200)
        if verdict is None or record.tick > self._until:
            return verdict
        type(self).vetoes += 1
        low = tuple(
            None if ma is None else self._rng.choice((ma, 0 if ma < 12_000 else ma - ma % 6000))
            for ma in verdict.bound_ma
        )
        self._passed = list(low)
        self._disputes = True
        wrong = (Dispute("whim", -1, -1, -1, WHY),)
        return verdict._replace(disputes=wrong, bound_ma=low)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_gate_lets_out_keeps_the_depot(seed: int) -> None:
    """The real guard disputes nothing, and holds nothing back for long."""
    world = World(draw_case(seed), guarded=True, enforcer=partial(GatedEnforcer, judge=Guard))
    assert world.run() is None
    assert sum(world.plant.charger(i).energy_mwh for i in range(len(world.rows))) > 0


def wake_whom_a_veto_held(world: World, judge: type[Capricious], before: int) -> None:
    """What a veto held back is drawn when it ends, as if a vehicle woke up."""
    world.agenda.at(
        world.now_ns + S // 2, partial(wake_whom_a_veto_held, world, judge, judge.vetoes)
    )
    if judge.vetoes != before:
        for charger in range(len(world.rows)):
            world.judge.wake(charger, 5 * S)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_veto_without_reason_endangers_nobody(seed: int) -> None:
    class Whims(Capricious):
        made = vetoes = 0

    world = World(draw_case(seed), enforcer=partial(GatedEnforcer, judge=Whims))
    world.agenda.at(S, partial(wake_whom_a_veto_held, world, Whims, 0))
    assert world.run() is None
    assert Whims.vetoes > 10
    assert Whims.made > 1
