"""The kernel in the oracle's slow world: what must hold, held against after every tick."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.door import Door, row_of
from tests.examples import depots
from tests.oracle.promises import BrokenPromiseError
from tests.oracle.site import (
    MS,
    NEVER,
    Charger,
    Meter,
    S,
    Site,
    Slot,
    flat,
)
from tests.oracle.story import PEACE, TROUBLE, UNDECLARED, tell
from tests.oracle.world import World

stories = depots(12)
a_seed = st.integers(0, 2**32)
a_size = {"chargers": st.integers(1, 8), "circuits": st.integers(1, 5)}


# -- the watch can fail -------------------------------------------------------------------------


class Bent:
    """A kernel whose answers are bent on their way out."""

    def __init__(self, site: Site, bend: Callable[[str, Any], Any]) -> None:
        self._door = Door(site)
        self._bend = bend

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._door, name)
        if name not in ("tick", "output", "circuit", "charger"):
            return real
        return lambda *args: self._bend(name, real(*args))


def bent(**answers: Callable[[Any], Any]) -> Callable[[Site], Bent]:
    """Opens a kernel of which the named answers are changed."""
    return lambda site: Bent(
        site, lambda name, answer: answers.get(name, lambda same: same)(answer)
    )


def outputs(**fields: Any) -> Callable[[Any], Any]:
    """Changes an output, but only of a charger that is already under orders."""
    return lambda out: out if out.setpoint_ma is None else out._replace(**fields)


@pytest.mark.parametrize(
    ("liar", "what"),
    [
        (bent(output=outputs(setpoint_ma=32_000)), "first order"),
        (bent(output=outputs(setpoint_ma=5_900)), "outside its range"),
        (bent(output=outputs(setpoint_ma=6_050)), "no multiple"),
        (bent(output=outputs(expires_ns=NEVER)), "expires"),
        (bent(output=outputs(tick=1)), "confirmed by tick"),
        (bent(tick=lambda changed: not changed), "tick() said"),
        (bent(circuit=lambda c: c._replace(cap_ma=flat(999_000))), "cap"),
        (bent(circuit=lambda c: c._replace(base_hi_ma=flat(0))), "base"),
        (bent(circuit=lambda c: c._replace(draw_hi_ma=flat(0))), "draw"),
        (bent(circuit=lambda c: c._replace(reading_ma=None)), "reading"),
        (bent(charger=lambda c: c._replace(draw_hi_ma=0)), "draws"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_watch_notices(liar: Callable[[Site], Bent], what: str) -> None:
    world = row_of(4, base_ma=40_000, cap_ma=100_000, open_port=liar)
    with pytest.raises(BrokenPromiseError, match=what.replace("(", r"\(").replace(")", r"\)")):
        world.run(60)


def test_the_watch_notices_who_does_not_shed() -> None:
    held: dict[int, int] = {}

    def never_down(out: Any) -> Any:
        if out.setpoint_ma is None:
            return out
        kept = max(out.setpoint_ma, held.get(0, 0))
        held[0] = kept
        return out._replace(
            setpoint_ma=kept,
            changed_tick=out.tick if kept == out.setpoint_ma and kept else out.changed_tick,
        )

    world = row_of(1, base_ma=10_000, cap_ma=40_000, open_port=bent(output=never_down))
    with pytest.raises(BrokenPromiseError):
        world.run(40)
        world.base(0, flat(38_000))
        world.run(10)


# -- whatever happens ---------------------------------------------------------------------------


@stories
@given(seed=a_seed, **a_size)
def test_any_depot_in_peace(seed: int, chargers: int, circuits: int) -> None:
    tell(Door, seed, PEACE, chargers, circuits)


@stories
@given(seed=a_seed, **a_size)
def test_any_depot_in_trouble(seed: int, chargers: int, circuits: int) -> None:
    tell(Door, seed, TROUBLE, chargers, circuits)


@stories
@given(seed=a_seed, chargers=st.integers(1, 6), circuits=st.integers(1, 3))
def test_any_depot_with_more_base_load_than_declared(
    seed: int, chargers: int, circuits: int
) -> None:
    """What was read of it is not forgotten with the reading: nobody gets the room that it took."""
    tell(Door, seed, UNDECLARED, chargers, circuits, beats=8)


@depots(4)
@given(seed=a_seed)
def test_same_inputs_same_outputs(seed: int) -> None:
    def everything() -> list[object]:
        seen: list[object] = []

        class Recorded(Door):
            def tick(self, now_ns: int) -> bool:
                changed = super().tick(now_ns)
                rows = len(site_of[0].chargers), len(site_of[0].circuits), len(site_of[0].slots)
                seen.append(changed)
                seen.extend(self.kernel.output(i) for i in range(rows[0]))
                seen.extend(self.kernel.charger(i) for i in range(rows[0]))
                seen.extend(self.kernel.circuit(i) for i in range(rows[1]))
                seen.extend(self.kernel.slot(i) for i in range(rows[2]))
                return changed

        site_of: list[Site] = []

        def open_port(site: Site) -> Door:
            site_of[:] = [site]
            return Recorded(site)

        try:
            tell(open_port, seed, TROUBLE, 4, 3, beats=4)
        except BrokenPromiseError as broken:
            seen.append(str(broken))
        return seen

    assert everything() == everything()


# -- the two traps ------------------------------------------------------------------------------


def sums(world: World, since: int = 0) -> list[int]:
    """Σ of all orders after each tick."""
    return [sum(order or 0 for order in orders) for orders in world.history[since:]]


def moves(totals: list[int]) -> list[int]:
    """The changes, one after another."""
    return [b - a for a, b in pairwise(totals) if a != b]


@pytest.mark.parametrize("lag_ms", [200, 1000, 2000])
@pytest.mark.parametrize("step_ma", [1, 1000])
def test_base_step_under_fresh_reports_settles_once(lag_ms: int, step_ma: int) -> None:
    world = row_of(
        20,
        base_ma=80_000,
        cap_ma=400_000,
        meter=Meter(0, 0, lag_ms * MS, S, 200 * MS),
        charger=Charger(0, (0, 1, 2), step_ma=step_ma),
    )
    world.run(40)
    since = len(world.history)
    world.base(0, flat(120_000))
    world.run(40)
    after = sums(world, since)
    fair = (400_000 - 120_000) // 20
    assert min(after) >= 20 * (fair - 1000), "it collapsed"
    assert after[-1] >= 20 * (fair - 1000) and after[-1] <= 20 * fair
    turns = [a for a, b in pairwise(moves(after)) if (a > 0) != (b > 0)]
    assert len(turns) <= 1, "it oscillates"


def test_second_step_finds_no_credit_in_the_tolerance() -> None:
    """Cars draw 3 % above their setpoint: once they followed it, the rest will never show."""
    row = Charger(0, (0, 1, 2), tolerance_ppm=30_000, settle_ns=6 * S, lag_ns=S, poll_ns=300 * MS)
    world = row_of(20, base_ma=80_000, cap_ma=400_000, charger=row, gain_ppm=1_030_000)
    for device in world.depot.devices:
        assert device.car is not None
        device.car.reaction_ns = 2500 * MS
    world.run(60)
    world.base(0, flat(90_000))
    world.run(4)
    world.base(0, flat(130_000))
    world.run(world.truth.reaction_ns(0) / S)
    assert max(world.depot.load(0)) <= 400_000


@pytest.mark.parametrize("lag_ms", [200, 1000, 2000])
@pytest.mark.parametrize("cause", ["base", "cap", "both", "wake", "lie"])
def test_unmetered_cars_that_wake_together(lag_ms: int, cause: str) -> None:
    """20 cars draw 10 A of 32 A; `Truth.circuit()` of the world holds the reaction time."""
    world = row_of(
        20,
        base_ma=0,
        cap_ma=900_000,
        worst_ma=900_000 if cause == "wake" else 250_000,
        meter=Meter(0, 0, lag_ms * MS, S, 200 * MS),
        charger=Charger(0, (0, 1, 2), metered=False, fallback_ma=32_000, power_on_ma=32_000),
        want_ma=10_000,
        slots=(Slot(0, flat(900_000)),),
    )
    for device in world.depot.devices:
        device.offer(world.now_ns, 32_000)
    world.run(40)
    assert sums(world)[-1] == 20 * 32_000
    world.honest = cause != "lie"
    if cause in ("base", "both", "wake", "lie"):
        world.base(0, flat({"wake": 300_000, "lie": 500_000}.get(cause, 250_000)))
    if cause in ("cap", "both"):
        world.limit(0, flat(600_000), 1e6, 1e6)
    for charger in range(20):
        world.want(charger, 32_000)
    world.run(30)


# -- calm ---------------------------------------------------------------------------------------


def restless(world: World, seconds: float) -> list[int]:
    """How often each charger changed direction in a time in which nothing happens."""
    since = len(world.history)
    world.run(seconds)
    return [
        sum((a > 0) != (b > 0) for a, b in pairwise(steps))
        for steps in (
            moves([orders[i] or 0 for orders in world.history[since:]])
            for i in range(len(world.site.chargers))
        )
    ]


@pytest.mark.parametrize("tolerance_ppm", [0, 30_000])
@pytest.mark.parametrize("error_ma", [0, 500])
def test_nothing_moves_for_ever(tolerance_ppm: int, error_ma: int) -> None:
    """Cars at the upper end of the tolerance, a meter with noise: still it settles."""
    world = row_of(
        20,
        base_ma=120_000,
        cap_ma=400_000,
        meter=Meter(0, error_ma, 2 * S, S, 200 * MS),
        charger=Charger(0, (0, 1, 2), step_ma=1000, tolerance_ppm=tolerance_ppm, error_ma=100),
        gain_ppm=1_000_000 + tolerance_ppm,
    )
    world.jitter = 1.0
    world.run(60)
    assert max(restless(world, 60)) <= 1


def test_cars_at_the_upper_end_of_the_tolerance_do_not_make_it_hunt() -> None:
    """13 A fit by setpoint x 1.03; measured 13.39 A x 1.03 would not."""
    world = row_of(
        20,
        base_ma=100_000,
        cap_ma=372_000,
        charger=Charger(0, (0, 1, 2), step_ma=1000, tolerance_ppm=30_000),
        gain_ppm=1_030_000,
    )
    world.run(60)
    assert max(restless(world, 90)) <= 1


def test_a_meter_error_above_the_declared_base_does_not_make_it_hunt() -> None:
    """No base load is declared, the cap leaves less room than the meter's error."""
    world = row_of(
        1,
        base_ma=0,
        cap_ma=9500,
        worst_ma=0,
        meter=Meter(0, 500, 200 * MS, S, 200 * MS),
        charger=Charger(0, (0, 1, 2), step_ma=1000, tolerance_ppm=30_000),
        gain_ppm=1_030_000,
    )
    world.run(60)
    assert max(restless(world, 60)) <= 1


def test_noise_moves_a_few_unmetered_chargers_at_most() -> None:
    world = row_of(
        10,
        base_ma=0,
        cap_ma=380_000,
        worst_ma=380_000,
        meter=Meter(0, 500, 200 * MS, S, 200 * MS),
        charger=Charger(0, (0, 1, 2), step_ma=1000, metered=False),
    )
    world.run(60)
    assert sum(turns > 1 for turns in restless(world, 60)) <= 3


def test_what_fits_is_used() -> None:
    world = row_of(10, base_ma=20_000, cap_ma=200_000)
    world.run(60)
    assert sums(world)[-1] >= 10 * 17_000
