"""The kernel in the oracle's slow world: what must hold, held against after every tick."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.rows import Rule
from tests.door import Door
from tests.oracle.beliefs import Beliefs
from tests.oracle.depot import Car
from tests.oracle.promises import BrokenPromiseError
from tests.oracle.site import (
    MS,
    NEVER,
    ROTATIONS,
    Charger,
    Circuit,
    Meter,
    Pace,
    S,
    Site,
    Slot,
    Triple,
    flat,
)
from tests.oracle.story import PEACE, TROUBLE, tell
from tests.oracle.world import World

stories = settings(max_examples=12, deadline=None, derandomize=True)
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


@settings(max_examples=4, deadline=None, derandomize=True)
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


def row_of(
    count: int,
    base_ma: int,
    cap_ma: int,
    worst_ma: int = 150_000,
    meter: Meter | None = None,
    charger: Charger | None = None,
    want_ma: int = 32_000,
    gain_ppm: int = 1_000_000,
    slots: tuple[Slot, ...] = (),
    open_port: Callable[[Site], Any] = Door,
) -> World:
    """Alike chargers, wired in rotation, with cars, on one circuit with one meter."""
    row = charger or Charger(0, (0, 1, 2))
    rows = [row._replace(phases=ROTATIONS[i % 3]) for i in range(count)]
    meters = [meter or Meter(0, 0, 200 * MS, S, 200 * MS)]
    site = Site([Circuit(-1, flat(cap_ma), flat(worst_ma))], meters, rows, slots)
    world = World(site, open_port, seed=count)
    world.jitter = 0.0
    for index in range(count):
        reaction = world.rng.randint(row.settle_ns // 6, row.settle_ns)
        world.plug(index, Car(want_ma, 3, reaction, gain_ppm))
    world.base(0, flat(base_ma))
    for slot in range(len(slots)):
        world.limit(slot, None, 1e6, 1e6)
    return world


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
    world.run(world.reaction_ns(0) / S)
    assert max(world.depot.load(0)) <= 400_000


@pytest.mark.parametrize("lag_ms", [200, 1000, 2000])
@pytest.mark.parametrize("cause", ["base", "cap", "both", "wake", "lie"])
def test_unmetered_cars_that_wake_together(lag_ms: int, cause: str) -> None:
    """20 cars draw 10 A of 32 A; `_judge` in the world holds the reaction time."""
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


# -- single sentences of the rules --------------------------------------------------------------


class Bench:
    """One kernel, one circuit, its chargers and time by hand."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.door = Door(site)
        self.now_ns = 1000 * S

    def step(
        self, base_ma: int, drawn: list[int], read: bool = True, reported: bool = True
    ) -> None:
        """100 ms later: every charger does as it was told, and draws at most `drawn`."""
        self.now_ns += 100 * MS
        outs = [self.door.output(index) for index in range(len(drawn))]
        told = [16_000 if out.setpoint_ma is None else out.setpoint_ma for out in outs]
        drawn = [min(each) for each in zip(drawn, told, strict=True)]
        if read:
            self.door.reading(0, self.now_ns, flat(base_ma + sum(drawn)))
        for index, ma in enumerate(drawn if reported else ()):
            tick = outs[index].changed_tick
            self.door.report(index, self.now_ns, told[index], flat(ma), "C", tick)
        self.door.tick(self.now_ns)

    def steps(self, seconds: float, base_ma: int, drawn: list[int], **how: bool) -> None:
        for _ in range(int(seconds * 10)):
            self.step(base_ma, drawn, **how)

    def orders(self) -> list[int | None]:
        return [self.door.output(i).setpoint_ma for i in range(len(self.site.chargers))]


def bench(count: int, cap_ma: int, worst_ma: int, *slots: Slot, **charger: Any) -> Bench:
    row = Charger(0, (0, 1, 2), **{"settle_ns": S, "lag_ns": 0, "fallback_ma": 16_000, **charger})
    circuit, meter = Circuit(-1, flat(cap_ma), flat(worst_ma)), Meter(0, 0, 0, S, 100 * MS)
    return Bench(Site([circuit], [meter], [row] * count, slots))


def test_idle_chargers_come_down_under_a_net_excess() -> None:
    """Nothing can be shed but what may wake: it must not keep its setpoint for the calm pace."""
    one = bench(1, cap_ma=20_000, worst_ma=40_000)
    one.steps(40, 0, [0])
    assert one.orders() == [20_000]
    one.step(30_000, [0])
    assert one.orders() == [0]


def test_first_order_meets_the_net_excess_in_its_tick() -> None:
    one = bench(1, cap_ma=30_000, worst_ma=10_000, fallback_ma=7000)
    one.step(34_000, [16_000])
    assert one.orders() == [0]


def test_first_orders_are_credited_like_any_other_reduction() -> None:
    """4 A too much, 8 A taken by the first orders: nothing more goes while that is on its way."""
    two = bench(2, cap_ma=30_000, worst_ma=2000, fallback_ma=12_000)
    for _ in range(3):
        two.now_ns += 100 * MS
        two.door.reading(0, two.now_ns, flat(34_000))
        for index in range(2):
            two.door.report(index, two.now_ns, 16_000, flat(16_000), "C", 0)
        two.door.tick(two.now_ns)
    assert two.orders() == [12_000, 12_000]


def test_restart_while_a_reduction_settles() -> None:
    """The old process lowered 32 A to 6 A and died: the cars may follow a settle time late."""
    site = bench(1, 60_000, 0, metered=False, settle_ns=6 * S, fallback_ma=6000).site
    door = Door(site)
    door.reading(0, S, flat(32_000))
    door.report(0, S, 6000, None, "C", 0)
    door.tick(S)
    assert door.charger(0).draw_hi_ma >= 32_000


def test_return_from_silence_while_the_fallback_settles() -> None:
    """It fell back to 32 A, comes back and is told 6 A: its car may follow a settle time late."""
    one = bench(1, 10_000, 0, metered=False, settle_ns=6 * S, fallback_ma=32_000)
    one.steps(20, 0, [6000])
    assert one.door.charger(0).draw_hi_ma <= 10_000
    one.steps(10, 0, [6000], reported=False)
    assert one.door.charger(0).draw_hi_ma == 32_000
    one.now_ns += 100 * MS
    one.door.reading(0, one.now_ns, flat(32_000))
    out = one.door.output(0)
    one.door.report(0, one.now_ns, out.setpoint_ma, None, "C", out.changed_tick)
    one.door.tick(one.now_ns)
    assert one.door.charger(0).draw_hi_ma >= 32_000


def test_dwell_after_every_reduction_that_names_a_cap() -> None:
    """A circuit's cap bound it and it came down, if calmly: it stays down for the dwell time."""
    three = bench(3, cap_ma=90_000, worst_ma=90_000, fallback_ma=6000)
    three.steps(60, 10_000, [18_000] * 3)
    lowered = [-NEVER] * 3
    for _ in range(300):
        before = three.orders()
        three.step(30_000 if max(lowered) < 0 else 10_000, [18_000] * 3)
        for index, (old, new) in enumerate(zip(before, three.orders(), strict=True)):
            if (new or 0) > (old or 0):
                assert three.now_ns - lowered[index] >= three.site.pace.dwell_ns
            elif new != old and three.door.output(index).cause.rule == Rule.CAP:
                lowered[index] = three.now_ns
    assert max(lowered) > 0


def test_nothing_rises_while_the_reading_is_above_the_cap() -> None:
    """The meter shows what was 2 s ago. Credits and settled setpoints explain it: no matter."""
    metered = Charger(0, (0, 1, 2), settle_ns=S, lag_ns=0, fallback_ma=32_000)
    rows = [metered._replace(metered=False, max_ma=20_000), metered, metered]
    meter = Meter(0, 0, 2 * S, S, 100 * MS)
    site = Site([Circuit(-1, flat(52_000), flat(0))], [meter], rows, (Slot(0, flat(52_000)),))
    door, now_ns = Door(site), 1000 * S
    load = [0] * 20  # what flowed in the last 2 s
    door.limit(0, None, NEVER, NEVER)
    for tick in range(540):
        now_ns += 100 * MS
        if tick in (500, 512):
            door.limit(0, flat(20_000 if tick == 500 else 50_000), NEVER, NEVER)
        outs = [door.output(i) for i in range(3)]
        told = [out.setpoint_ma or 0 for out in outs]
        load = [*load[1:], told[0] + told[1]]
        door.reading(0, now_ns, flat(load[0]))
        door.report(0, now_ns, told[0], None, "C", outs[0].changed_tick)
        door.report(1, now_ns, told[1], flat(told[1]), "C", outs[1].changed_tick)
        vehicle = "A" if tick < 500 else "C"
        door.report(2, now_ns, told[2], flat(0), vehicle, outs[2].changed_tick)
        door.tick(now_ns)
        if load[0] > door.circuit(0).cap_ma[0]:
            orders = [door.output(i).setpoint_ma or 0 for i in range(3)]
            assert all(new <= old for new, old in zip(orders, told, strict=True)), orders


@pytest.mark.parametrize("metered", [False, True])
@pytest.mark.parametrize("lag_ms", [200, 1000, 2000])
def test_a_lagging_meter_disproves_no_declared_base(lag_ms: int, metered: bool) -> None:
    """After a limit fell the meter goes on showing what the chargers drew a lag ago."""
    world = row_of(
        3,
        base_ma=0,
        cap_ma=100_000,
        worst_ma=0,
        meter=Meter(0, 0, lag_ms * MS, S, 200 * MS),
        charger=Charger(0, (0, 1, 2), settle_ns=S, metered=metered),
        slots=(Slot(0, flat(100_000)),),
    )
    world.run(30)
    world.limit(0, flat(40_000), 1e6, 1e6)
    world.run(10)
    assert world.watch.port.circuit(0).worst_base_ma == flat(0)


def test_silent_charger_is_counted_and_never_raised() -> None:
    two = bench(2, cap_ma=40_000, worst_ma=0, fallback_ma=8000, power_on_ma=20_000, max_ma=20_000)
    two.steps(40, 0, [10_000] * 2)
    assert two.orders() == [20_000, 20_000]
    two.steps(5, 0, [10_000] * 2, reported=False)
    assert two.orders() == [8000, 8000], "it would come back to an order nobody stands for"
    assert [two.door.charger(i).fresh for i in range(2)] == [False, False]
    assert two.door.charger(0).draw_hi_ma == 20_000


def test_stale_reading_is_the_worst_case_and_not_zero() -> None:
    two = bench(2, cap_ma=60_000, worst_ma=40_000)
    two.steps(60, 10_000, [20_000] * 2)
    assert sum(order or 0 for order in two.orders()) == 50_000 // 2 * 2
    two.steps(1.0, 10_000, [20_000] * 2, read=False)
    assert two.door.circuit(0).reading_ma is not None
    two.step(10_000, [20_000] * 2, read=False)
    assert two.door.circuit(0).reading_ma is None
    assert two.door.circuit(0).base_hi_ma == flat(40_000)
    assert sum(order or 0 for order in two.orders()) <= 20_000


def test_nothing_is_ordered_before_the_setpoint_in_force_is_known() -> None:
    one = bench(1, cap_ma=60_000, worst_ma=0)
    for _ in range(100):
        one.now_ns += 100 * MS
        one.door.reading(0, one.now_ns, flat(0))
        one.door.report(0, one.now_ns, None, flat(0), "C", 0)
        one.door.tick(one.now_ns)
    assert one.orders() == [None]
    assert one.door.charger(0).draw_hi_ma == 32_000


@pytest.mark.parametrize(
    ("in_force", "fallback", "first"),
    [
        (0, 16_000, 0),
        (6000, 16_000, 6000),
        (32_000, 16_000, 16_000),
        (32_000, 0, 0),
        (3000, 16_000, 0),
    ],
)
def test_first_order_is_the_lesser_of_in_force_and_fail_safe(
    in_force: int, fallback: int, first: int
) -> None:
    one = bench(1, cap_ma=60_000, worst_ma=0, fallback_ma=fallback)
    assert one.door.failsafe_ma(0) == fallback
    one.door.report(0, S, in_force, flat(0), "C", 0)
    one.door.tick(S)
    assert one.orders() == [first]


def test_fail_safe_setpoint_is_a_fair_share_of_the_worst_case() -> None:
    slot = Slot(0, flat(50_000))
    assert bench(2, 90_000, 20_000, slot, fallback_ma=32_000).door.failsafe_ma(0) == 15_000
    assert bench(2, 90_000, 20_000, slot, fallback_ma=8000).door.failsafe_ma(0) == 8000
    assert bench(2, 90_000, 20_000, fallback_ma=32_000).door.failsafe_ma(1) == 32_000
    assert bench(2, 90_000, 50_000, slot, fallback_ma=32_000).door.failsafe_ma(1) == 0


# -- limit slots --------------------------------------------------------------------------------

LATER, NOW = 20 * S, 10 * S


@pytest.mark.parametrize(
    ("told", "hold_ns", "cap", "state"),
    [
        (None, 0, 40_000, "lost"),  # never heard since boot
        ((flat(30_000), NEVER, LATER), 0, 30_000, "live"),
        ((flat(0), NEVER, LATER), 0, 0, "live"),  # zero means zero
        ((flat(900_000), NEVER, LATER), 0, 60_000, "live"),  # nothing lifts a rating
        ((None, NEVER, LATER), 0, 60_000, "unlimited"),
        ((flat(30_000), NOW - 1, LATER), 0, 60_000, "ended"),  # as planned
        ((flat(30_000), NEVER, NOW - 1), 0, 40_000, "lost"),
        ((flat(50_000), NEVER, NOW - 1), 0, 40_000, "lost"),
        ((None, NEVER, NOW - 1), 0, 40_000, "lost"),
        ((flat(30_000), NEVER, NOW - 1), S, 30_000, "lost"),  # holds its last limit
        ((flat(30_000), NEVER, NOW - 2 * S), S, 40_000, "lost"),  # held long enough
        ((flat(50_000), NEVER, NOW - 1), S, 40_000, "lost"),
        ((None, NEVER, NOW - 1), S, 40_000, "lost"),
    ],
)
def test_limit_slot(
    told: tuple[Triple | None, int, int] | None, hold_ns: int, cap: int, state: str
) -> None:
    row = Slot(0, flat(40_000), hold_ns)
    one = bench(1, 60_000, 0, row)
    mirror = Beliefs(one.site)
    if told is not None:
        one.door.limit(0, *told)
        mirror.slots[0].tell(*told)
    one.door.tick(NOW)
    assert one.door.circuit(0).cap_ma == flat(cap)
    assert one.door.kernel.slot(0).state == state
    assert mirror.cap(0, 1, NOW) == cap
    bound = one.door.circuit(0).slot
    assert bound == (flat(-1) if cap == 60_000 else flat(0))


def test_fresh_limit_lifts_the_fail_safe_cap() -> None:
    one = bench(1, 60_000, 0, Slot(0, flat(10_000)))
    one.door.limit(0, None, NEVER, NOW)
    one.door.tick(NOW + S)
    assert one.door.circuit(0).cap_ma == flat(10_000)
    one.door.limit(0, flat(50_000), NEVER, NOW + 9 * S)
    one.door.tick(NOW + 2 * S)
    assert one.door.circuit(0).cap_ma == flat(50_000)


def test_lowest_of_all_limits_binds_each_phase() -> None:
    one = bench(1, 60_000, 0, Slot(0, flat(1)), Slot(0, flat(1)))
    one.door.limit(0, (10_000, 50_000, 99_000), NEVER, NEVER)
    one.door.limit(1, (20_000, 40_000, 99_000), NEVER, NEVER)
    one.door.tick(NOW)
    assert one.door.circuit(0).cap_ma == (10_000, 40_000, 60_000)
    assert one.door.circuit(0).slot == (0, 1, -1)


def test_limit_of_zero_stops_everything_at_once() -> None:
    two = bench(2, 60_000, 0, Slot(0, flat(60_000)))
    two.door.limit(0, None, NEVER, NEVER)
    two.steps(40, 0, [10_000] * 2)
    assert all(order for order in two.orders())
    two.door.limit(0, flat(0), NEVER, NEVER)
    two.step(0, [10_000] * 2)
    assert two.orders() == [0, 0]


def test_lost_source_lowers_in_the_tick_that_notices() -> None:
    two = bench(2, 60_000, 0, Slot(0, flat(20_000)))
    two.door.limit(0, None, NEVER, 1000 * S + 60 * S)
    two.steps(59.9, 0, [16_000] * 2)
    assert sum(order or 0 for order in two.orders()) > 40_000
    two.steps(0.2, 0, [16_000] * 2)
    assert sum(order or 0 for order in two.orders()) <= 20_000


def test_orders_expire_with_the_dead_man() -> None:
    one = bench(1, 60_000, 0)
    pace = Pace(dead_man_ns=3 * S)
    one = Bench(one.site._replace(pace=pace))
    for tick in range(1, 30):
        one.step(0, [0])
        out = one.door.output(0)
        assert (out.tick, out.expires_ns) == (tick, one.now_ns + 3 * S)


def test_deep_tree_binds_at_its_narrowest() -> None:
    circuits = [Circuit(level - 1, flat(90_000 - 5000 * level), flat(0)) for level in range(10)]
    site = Site(circuits, [Meter(0, 0, 0, S, 100 * MS)], [Charger(9, (0, 1, 2), max_ma=80_000)])
    deep = Bench(site)
    deep.steps(60, 0, [32_000])
    assert deep.orders() == [45_000]
