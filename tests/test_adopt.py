"""A kernel that takes over from another: what stays goes on, what changed raises nothing."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.rows import Rule
from controller.guard.account import Maps
from controller.guard.guard import Guard
from tests.door import Door, kernel_of, row_of, rows_of
from tests.examples import depots
from tests.oracle.promises import BrokenPromiseError
from tests.oracle.site import MS, NEVER, Charger, Circuit, Meter, Pace, S, Site, Slot, flat
from tests.oracle.story import TROUBLE, happen, random_car, tell
from tests.switched import OWN, Depot

stories = depots(8)


def same(count: int) -> dict[int, int]:
    return {i: i for i in range(count)}


def handed_over(door: Door, site: Site, **maps: dict[int, int]) -> None:
    """A new kernel for `site` behind the same door; what is not mapped otherwise stays."""
    before, guard, rows = door.kernel, door.guard, door.site
    stays = Maps(
        maps.get("circuits", same(min(len(rows.circuits), len(site.circuits)))),
        maps.get("sources", same(min(len(rows.meters), len(site.meters)))),
        maps.get("chargers", same(min(len(rows.chargers), len(site.chargers)))),
        maps.get("slots", same(min(len(rows.slots), len(site.slots)))),
        {},
    )
    door.judge()  # what the old kernel heard, the old guard hears
    door.kernel, door.guard, door.site = kernel_of(site), Guard(rows_of(site)), site
    door.kernel.adopt(before, **stays._asdict())
    door.guard.adopt(guard, stays)


def everything(door: Door) -> list[Any]:
    """All that a kernel tells after a tick."""
    kernel, site = door.kernel, door.site
    return [
        [kernel.output(i) for i in range(len(site.chargers))],
        [kernel.charger(i) for i in range(len(site.chargers))],
        [kernel.circuit(i) for i in range(len(site.circuits))],
        [kernel.source(i) for i in range(len(site.meters))],
        [kernel.slot(i) for i in range(len(site.slots))],
        [kernel.failsafe_ma(i) for i in range(len(site.chargers))],
        kernel.ticks,
        kernel.now_ns,
    ]


# -- nothing changed: nothing differs -----------------------------------------------------------


class Twins(Door):
    """Two kernels with the same inputs; one of them is replaced again and again."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.replaced = Door(site)
        self.rng = random.Random(len(site.chargers))

    def tick(self, now_ns: int) -> bool:
        if self.rng.random() < 0.1:
            handed_over(self.replaced, self.site)
        changed = super().tick(now_ns)
        assert self.replaced.tick(now_ns) == changed
        assert everything(self.replaced) == everything(self)
        return changed

    def reading(self, *args: Any) -> None:
        super().reading(*args)
        self.replaced.reading(*args)

    def report(self, *args: Any) -> None:
        super().report(*args)
        self.replaced.report(*args)

    def limit(self, *args: Any) -> None:
        super().limit(*args)
        self.replaced.limit(*args)

    def distrust(self, *args: Any) -> None:
        super().distrust(*args)
        self.replaced.distrust(*args)

    def prove(self, *args: Any) -> None:
        super().prove(*args)
        self.replaced.prove(*args)


@stories
@given(seed=st.integers(0, 2**32), chargers=st.integers(1, 8), circuits=st.integers(1, 5))
def test_an_unchanged_site_changes_nothing(seed: int, chargers: int, circuits: int) -> None:
    tell(Twins, seed, TROUBLE, chargers, circuits)


@pytest.mark.parametrize("metered", [True, False])
def test_an_unchanged_site_changes_nothing_in_the_trap(metered: bool) -> None:
    """20 chargers under an overload, a lagging meter: credits, suspects and windows are carried."""
    world = row_of(
        20,
        base_ma=80_000,
        cap_ma=400_000,
        charger=Charger(0, (0, 1, 2), metered=metered),
        meter=Meter(0, 100, 2 * S, S, 200 * MS),
        open_port=Twins,
    )
    world.run(20)
    world.base(0, flat(140_000))
    world.run(10)
    world.silence(3, True)
    world.run(8)


# -- anything changed: every promise holds ------------------------------------------------------


def changed(rng: random.Random, site: Site) -> Site:
    """The same depot in another document: ratings, maxima, weights, fallbacks, limits, paces."""

    def rating(circuit: Circuit) -> Circuit:
        part = rng.choice([1, 1, 2, 3])
        lower = [max(w, r * part // 3) for w, r in zip(circuit[2], circuit[1], strict=True)]
        return circuit._replace(rating_ma=(lower[0], lower[1], lower[2]))

    def charger(row: Charger) -> Charger:
        return row._replace(
            max_ma=rng.choice([row.max_ma, row.max_ma, 16_000, 10_000]),
            weight=rng.choice([row.weight, 1, 5]),
            class_rank=rng.choice([0, 0, 1]),
        )

    return site._replace(
        circuits=[rating(circuit) for circuit in site.circuits],
        chargers=[charger(row) for row in site.chargers],
        slots=tuple(
            slot._replace(failsafe_ma=flat(rng.randrange(60_000))) if rng.random() < 0.5 else slot
            for slot in site.slots
        ),
        pace=rng.choice([site.pace, Pace(dwell_ns=5 * S, calm_ns=3 * S)]),
    )


@stories
@given(seed=st.integers(0, 2**32), chargers=st.integers(1, 8), circuits=st.integers(1, 5))
def test_any_change_keeps_every_promise(seed: int, chargers: int, circuits: int) -> None:
    """The watch goes on over the change: nothing it forbids rises, no cap is exceeded longer."""
    rng = random.Random(seed)
    world = tell(Door, seed, ("base", "want", "limit", "plug", "meter"), chargers, circuits, 2)
    for _ in range(3):
        before = [belief.ordered for belief in world.watch.beliefs.chargers]
        site = changed(rng, world.site)
        handed_over(world.watch.port, site)  # type: ignore[arg-type]
        world.rebuild(site)
        after = [world.watch.port.output(i).setpoint_ma for i in range(chargers)]
        assert after == before, "what stays keeps its setpoint until the next tick decides"
        world.run(rng.choice([0.5, 5, 20]))
        happen(world, rng, rng.choice(("base", "want", "limit")))
        world.run(5)


@stories
@given(seed=st.integers(0, 2**32), chargers=st.integers(1, 6))
def test_chargers_that_come_and_go(seed: int, chargers: int) -> None:
    """One more is on the site, then it is gone again; the others lose nothing but their share."""
    rng = random.Random(seed)
    world = tell(Door, seed, ("base", "want"), chargers, 2, 2)
    less = world.site
    new = Charger(0, (0, 1, 2), max_ma=16_000)
    more = less._replace(chargers=[*less.chargers, new])
    handed_over(world.watch.port, more)  # type: ignore[arg-type]
    world.rebuild(more)
    port = world.watch.port
    assert port.output(chargers).setpoint_ma is None
    world.plug(chargers, random_car(rng, new))
    world.run(20)
    assert port.output(chargers).setpoint_ma is not None
    before = [port.output(i).setpoint_ma for i in range(chargers)]
    handed_over(world.watch.port, less)  # type: ignore[arg-type]
    assert [port.output(i).setpoint_ma for i in range(chargers)] == before


# -- single sentences ---------------------------------------------------------------------------


def scene(*slots: Slot, **charger: Any) -> tuple[Door, Site]:
    row = Charger(0, (0, 1, 2), **{"settle_ns": S, "lag_ns": 0, "fallback_ma": 16_000, **charger})
    circuits = [Circuit(-1, flat(100_000), flat(20_000)), Circuit(0, flat(60_000), flat(0))]
    site = Site(circuits, [Meter(0, 0, 0, S, 100 * MS)], [row, row], slots)
    door = Door(site)
    run(door, 0, 40)
    return door, site


def run(door: Door, from_s: float, until_s: float, base_ma: int = 10_000) -> None:
    """All do as told and draw it."""
    for tick in range(int(from_s * 10) + 1, int(until_s * 10) + 1):
        now_ns = 1000 * S + tick * 100 * MS
        outs = [door.output(i) for i in range(len(door.site.chargers))]
        told = [16_000 if out.setpoint_ma is None else out.setpoint_ma for out in outs]
        door.reading(0, now_ns, flat(base_ma + sum(told)))
        for index, out in enumerate(outs):
            door.report(index, now_ns, told[index], flat(told[index]), "C", out.changed_tick)
        door.tick(now_ns)


def orders(door: Door) -> list[int | None]:
    return [door.output(i).setpoint_ma for i in range(len(door.site.chargers))]


def test_a_lower_maximum_comes_down_in_the_next_tick() -> None:
    door, site = scene()
    assert orders(door) == [32_000, 32_000]
    lower = site.chargers[0]._replace(max_ma=20_000)
    handed_over(door, site._replace(chargers=[lower, site.chargers[1]]))
    assert orders(door) == [32_000, 32_000]
    run(door, 40, 40.1)
    assert orders(door) == [20_000, 32_000]
    assert door.output(0).cause.rule == Rule.MAXIMUM
    assert door.charger(0).draw_hi_ma == 32_000, "until it is confirmed"


def test_a_higher_minimum_or_another_step_is_kept_to() -> None:
    door, site = scene(max_ma=9300)
    row = site.chargers[0]
    handed_over(
        door,
        site._replace(
            chargers=[row._replace(step_ma=1000), row._replace(min_ma=9500, max_ma=16_000)]
        ),
    )
    run(door, 40, 40.1)
    assert orders(door) == [9000, 0]


def test_a_lower_rating_is_a_cap_that_fell() -> None:
    door, site = scene()
    low = site.circuits[0]._replace(rating_ma=flat(40_000))
    handed_over(door, site._replace(circuits=[low, site.circuits[1]]))
    run(door, 40, 40.1)
    assert sum(order or 0 for order in orders(door)) <= 30_000


def test_what_a_lower_rating_no_longer_permits_is_taken_back_though_nobody_draws_it() -> None:
    """No excess asks for it, and at the calm pace it would come later."""
    door, site = scene()
    low = site.circuits[0]._replace(rating_ma=flat(40_000))
    handed_over(door, site._replace(circuits=[low, site.circuits[1]]))
    now_ns = 1000 * S + 40 * S + 100 * MS
    door.reading(0, now_ns, flat(10_000 + 12_000))
    for index in range(2):
        tick = door.output(index).changed_tick
        door.report(index, now_ns, 32_000, flat(6000), "C", tick)
    door.tick(now_ns)
    assert sum(order or 0 for order in orders(door)) <= 30_000


def test_a_limit_goes_on_with_its_lease() -> None:
    door, site = scene(Slot(0, flat(0)))
    door.limit(0, flat(50_000), NEVER, 1000 * S + 60 * S)
    run(door, 40, 58)
    handed_over(door, site)
    run(door, 58, 59)
    assert (door.kernel.slot(0).state, door.circuit(0).cap_ma) == ("live", flat(50_000))
    run(door, 59, 60)
    assert (door.kernel.slot(0).state, door.circuit(0).cap_ma) == ("lost", flat(0))


def test_a_latched_depot_stays_latched() -> None:
    door, site = scene()
    door.kernel.latch(True)
    run(door, 40, 41)
    held = orders(door)
    assert max(each or 0 for each in held) < 32_000
    handed_over(door, site)
    assert door.kernel.latched
    run(door, 41, 80)
    assert orders(door) == held


def test_a_slot_that_moved_to_another_circuit_is_lost() -> None:
    door, site = scene(Slot(0, flat(30_000), 60 * S))
    door.limit(0, flat(20_000), NEVER, NEVER)
    run(door, 40, 41)
    handed_over(door, site._replace(slots=(Slot(1, flat(30_000), 60 * S),)))
    run(door, 41, 42)
    assert door.kernel.slot(0).state == "lost"
    assert door.circuit(1).cap_ma == flat(20_000), "no more than its last limit, for its hold"


def test_a_disproved_declaration_stands_until_it_is_declared_anew() -> None:
    door, site = scene()
    run(door, 40, 42, base_ma=45_000)
    proved = door.circuit(0).worst_base_ma
    assert proved > flat(20_000)
    handed_over(door, site._replace(pace=Pace(dwell_ns=S)))
    assert door.circuit(0).worst_base_ma == proved
    anew = site.circuits[0]._replace(worst_base_ma=flat(25_000))
    handed_over(door, site._replace(circuits=[anew, site.circuits[1]]))
    assert door.circuit(0).worst_base_ma == flat(25_000)


@pytest.mark.parametrize("moved", [{"circuit": 1}, {"phases": (2, 1, -1)}])
def test_what_moved_counts_for_no_less(moved: dict[str, Any]) -> None:
    door, site = scene()
    row = site.chargers[0]._replace(**moved)
    handed_over(door, site._replace(chargers=[row, site.chargers[1]]))
    assert orders(door) == [32_000, 32_000]
    now_ns = 1000 * S + 40 * S + 100 * MS
    door.reading(0, now_ns, flat(74_000))
    door.tick(now_ns)
    assert door.charger(0).draw_hi_ma >= 32_000
    assert door.circuit(0).draw_hi_ma[2] >= 64_000
    assert door.circuit(0).base_hi_ma[1:] == (20_000,) * 2, "nobody knows yet what it draws there"


def test_a_source_that_moved_begins_anew() -> None:
    door, site = scene()
    handed_over(door, site._replace(meters=[site.meters[0]._replace(circuit=1)]))
    run(door, 40, 40)
    door.tick(1000 * S + 40 * S)
    assert (door.circuit(0).reading_ma, door.circuit(1).reading_ma) == (None, None)


def test_distrust_is_carried() -> None:
    door, site = scene()
    door.distrust(0, True)
    handed_over(door, site)
    run(door, 40, 42)
    assert door.circuit(0).reading_ma is None


def test_other_indexes() -> None:
    """A circuit is put in between and the chargers change places: each keeps what is its own."""
    door, site = scene(max_ma=20_000)
    three = [site.circuits[0], site.circuits[1], Circuit(0, flat(50_000), flat(0))]
    first, second = site.chargers
    rows = [first._replace(circuit=2, max_ma=6000), second, first._replace(max_ma=10_000)]
    run(door, 40, 41)
    before = door.output(1)
    handed_over(
        door,
        site._replace(circuits=three, chargers=rows),
        circuits={0: 0, 1: 1},
        chargers={1: 1, 2: 0},
    )
    assert orders(door) == [None, 20_000, 20_000]
    assert door.output(1).cause == before.cause
    assert door.kernel.ticks == before.tick


@pytest.mark.parametrize(
    ("maps", "error"),
    [
        ({"chargers": {0: 2}}, IndexError),
        ({"chargers": {2: 0}}, IndexError),
        ({"chargers": {-1: 0}}, IndexError),
        ({"chargers": {0: 0, 1: 0}}, ValueError),
        ({"sources": {0: 1}}, IndexError),
        ({"slots": {0: 0}}, IndexError),
        ({"circuits": {0: 5}}, IndexError),
    ],
)
def test_wrong_maps_are_refused(maps: dict[str, dict[int, int]], error: type[Exception]) -> None:
    door, site = scene()
    with pytest.raises(error):
        handed_over(door, site, **maps)


def test_only_a_kernel_that_has_not_ticked_takes_over() -> None:
    door, _ = scene()
    with pytest.raises(ValueError, match="not ticked"):
        door.kernel.adopt(door.kernel, {}, {}, {}, {})


def test_the_watch_over_a_change_can_fail() -> None:
    """Were a setpoint to rise out of the change, it would be seen."""
    world = row_of(3, base_ma=20_000, cap_ma=80_000)
    world.run(40)
    less = world.site._replace(circuits=[Circuit(-1, flat(50_000), flat(150_000))])
    world.rebuild(less)  # but the kernel goes on as if nothing had changed
    with pytest.raises(BrokenPromiseError):
        world.run(5)


@pytest.mark.parametrize("feedback", [True, False])
def test_contactors_go_on_as_they_were(feedback: bool) -> None:
    """One kernel goes on, one is replaced in every tick: while they close, open and close."""

    def story(replace: bool) -> list[object]:
        rows = [OWN._replace(chargers=(i,), feedback=feedback) for i in range(2)]
        rows.append(OWN._replace(chargers=(0, 1), group=True))
        depot = Depot(rows, count=2, cap_ma=60_000)
        seen: list[object] = []
        for tick in range(900):
            if tick == 300:
                depot.stuck_ma[0], depot.base_ma = 32_000, 50_000
            if tick == 500:
                depot.stuck_ma, depot.base_ma = {}, 0
            if replace:
                before = depot.kernel
                depot.kernel = depot.build()
                depot.kernel.adopt(before, same(1), same(1), same(2), {}, same(3))
            depot.step()
            seen += [depot.kernel.output(i) for i in range(2)]
            seen += [depot.contactor(i) for i in range(3)]
        return seen

    assert story(replace=True) == story(replace=False)


def test_who_leaves_goes_on_leaving() -> None:
    door, site = scene()
    door.kernel.leave()
    handed_over(door, site)
    run(door, 40, 41)
    assert orders(door) == [door.failsafe_ma(i) for i in range(2)]
