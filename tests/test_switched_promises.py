"""The kernel in the oracle's slow world, with contactors and chargers that do not obey."""

import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.door import Door
from tests.examples import depots
from tests.oracle.promises import BrokenPromiseError
from tests.oracle.site import Site
from tests.oracle.story import PEACE, SWITCHED, TROUBLE, squeeze, tell
from tests.oracle.world import World

stories = depots(6)
a_seed = st.integers(0, 2**32)
a_size = {"chargers": st.integers(1, 7), "circuits": st.integers(1, 4)}


@stories
@given(seed=a_seed, **a_size)
def test_any_switched_depot_in_peace(seed: int, chargers: int, circuits: int) -> None:
    """Who obeys is never cut off, and everybody gets power back in turn."""
    world = tell(Door, seed, PEACE, chargers, circuits, contactors=True)
    since = world.watch.ticks
    world.run(20)
    contactors = range(len(world.site.contactors))
    opened = [
        i
        for i in contactors
        if not world.closed[i] and world.watch.port.contactor(i).changed_tick > since
    ]
    assert not opened


@stories
@given(seed=a_seed, **a_size)
def test_any_switched_depot_with_chargers_that_do_not_obey(
    seed: int, chargers: int, circuits: int
) -> None:
    tell(Door, seed, SWITCHED, chargers, circuits, beats=8, contactors=True)


@stories
@given(seed=a_seed, **a_size)
@example(seed=0, chargers=7, circuits=1)
def test_any_switched_depot_in_trouble(seed: int, chargers: int, circuits: int) -> None:
    tell(Door, seed, (*TROUBLE, "stubborn", "weld"), chargers, circuits, beats=8, contactors=True)


@pytest.mark.parametrize(
    ("seed", "chargers", "circuits"),
    [
        (11, 7, 4),  # what was reserved for one that is not known to be cut off
        (63, 5, 3),  # power came back while its fallback was not proven
        (86, 1, 1),  # a welded contactor is ordered closed
        (172, 7, 3),  # a reservation alone cut a silent neighbour off
    ],
)
def test_depots_that_were_in_trouble_once(seed: int, chargers: int, circuits: int) -> None:
    kinds = (*TROUBLE, "stubborn", "weld")
    tell(Door, seed, kinds, chargers, circuits, beats=10, contactors=True)


@stories
@given(seed=a_seed, **a_size)
def test_what_can_be_cut_off_is_cut_off(seed: int, chargers: int, circuits: int) -> None:
    """Nobody holds a circuit over for long who is metered and whose contactor works."""
    world = tell(Door, seed, PEACE, chargers, circuits, beats=3, contactors=True)
    rng = random.Random(seed)
    for _ in range(2):
        squeeze(world, rng, for_s=120)
        assert not held_up(world)


def held_up(world: World) -> list[tuple[int, int, int]]:
    """Circuit, phase and charger wherever one that could be cut off keeps a circuit over."""
    found, beliefs = [], world.watch.beliefs
    for circuit in range(len(world.site.circuits)):
        readings = beliefs.fresh(circuit, world.now_ns)
        if not readings:
            continue
        error = max(world.site.meters[meter].error_ma for meter, _, _ in readings)
        for phase in range(3):
            cap = beliefs.cap(circuit, phase, world.now_ns, economic=False)
            load = world.depot.load(circuit)[phase]
            if load - cap <= max(cap // 50, 2000) + error:
                continue
            found += [
                (circuit, phase, charger)
                for charger in world.truth.stuck(circuit, phase)
                for i, row in enumerate(world.site.contactors)
                if row.chargers == (charger,) and i not in world.welded
                if world.site.chargers[charger].metered
            ]
    return found


# -- the watch can fail -------------------------------------------------------------------------


class Bent(Door):
    """A kernel whose contactors are bent on their way out."""

    def __init__(self, site: Site, **fields: Any) -> None:
        super().__init__(site)
        self._fields = fields

    def contactor(self, contactor: int) -> Any:
        return super().contactor(contactor)._replace(**self._fields)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"closed": True}, "ordered True"),
        ({"expires_ns": 2**63 - 1}, "expires"),
        ({"tick": 1}, "confirmed by tick"),
        ({"verified_open": True}, "verified open"),
    ],
)
def test_the_watch_notices_a_bent_contactor(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(BrokenPromiseError, match=says):
        tell(lambda site: Bent(site, **fields), 7, PEACE, 4, 2, contactors=True)


def test_the_watch_notices_who_is_closed_without_room() -> None:
    """All contactors closed in the first tick: together, and before any meter was heard."""

    class Hasty(Door):
        def tick(self, now_ns: int) -> bool:
            return super().tick(now_ns) or self.kernel.ticks == 1

        def contactor(self, contactor: int) -> Any:
            ticked = self.kernel.ticks > 0
            real = super().contactor(contactor)
            return real._replace(closed=ticked, changed_tick=int(ticked), verified_open=False)

    with pytest.raises(BrokenPromiseError, match=r"closed together|gets its power back"):
        tell(Hasty, 7, PEACE, 4, 2, contactors=True)


def test_the_watch_notices_who_is_cut_off_without_cause() -> None:
    class Wilful(Door):
        """Opens every contactor in its 400th tick, for nothing."""

        def tick(self, now_ns: int) -> bool:
            return super().tick(now_ns) or self.kernel.ticks == 400

        def contactor(self, contactor: int) -> Any:
            real = super().contactor(contactor)
            if self.kernel.ticks < 400 or not real.closed:
                return real
            return real._replace(closed=False, changed_tick=400)

    with pytest.raises(BrokenPromiseError, match=r"who do as told|before 0 A was ordered"):
        tell(Wilful, 3, PEACE, 4, 2, beats=12, contactors=True)
