"""Single sentences of the rules, one kernel at a time, with time by hand."""

from typing import Any

import pytest

from cext.rows import Rule
from tests.door import Door, row_of
from tests.oracle.beliefs import Beliefs
from tests.oracle.site import MS, NEVER, Charger, Circuit, Meter, Pace, S, Site, Slot, Triple, flat

# -- single sentences of the rules --------------------------------------------------------------


class Bench:
    """One kernel, one circuit, its chargers and time by hand."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.door = Door(site)
        self.now_ns = 1000 * S

    def step(
        self,
        base_ma: int,
        drawn: list[int],
        read: bool = True,
        reported: bool = True,
        decides: bool = True,
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
        if decides:
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


def test_what_is_permitted_and_not_drawn_comes_down_for_an_excess_two_levels_above() -> None:
    row = Charger(2, (0, 1, 2), settle_ns=S, lag_ns=0, fallback_ma=16_000)
    circuits = [Circuit(i - 1, flat(20_000), flat(40_000 if i == 0 else 0)) for i in range(3)]
    one = Bench(Site(circuits, [Meter(0, 0, 0, S, 100 * MS)], [row]))
    one.steps(40, 0, [0])
    assert one.orders() == [20_000]
    one.step(30_000, [0])
    assert one.orders() == [0]


def test_one_that_fell_back_by_itself_is_not_raised_until_its_order_is_in_force_again() -> None:
    """Its writes get lost: to order more would not reach it, and doubt never raises."""
    one = bench(1, cap_ma=60_000, worst_ma=0, max_ma=32_000)
    one.steps(2, 0, [32_000])
    (before,) = one.orders()
    assert before is not None and 16_000 <= before < 32_000
    for vehicle in ("B", "C"):
        for _ in range(200):
            one.now_ns += 100 * MS
            in_force = one.orders()[0] or 0 if vehicle == "C" else 0
            one.door.reading(0, one.now_ns, flat(in_force))
            tick = one.door.output(0).changed_tick
            one.door.report(0, one.now_ns, in_force, flat(in_force), vehicle, tick)
            one.door.tick(one.now_ns)
        assert one.orders() == [before if vehicle == "B" else 32_000]
        why = one.door.output(0).why.rule
        assert why is (Rule.FALLBACK if vehicle == "B" else Rule.MAXIMUM), "it obeys: no suspect"


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


def test_a_start_suspects_nobody_whose_car_still_follows_what_was_in_force_before() -> None:
    """It has just fallen back from 14 A to 6 A: a start finds 6 A in force and 14 A drawn."""
    one = bench(1, 60_000, 0, settle_ns=3 * S, fallback_ma=6000)
    for tick in range(80):
        one.now_ns += 100 * MS
        drawn, out = 14_000 if tick < 25 else 6000, one.door.output(0)
        one.door.reading(0, one.now_ns, flat(drawn))
        one.door.report(0, one.now_ns, 6000, flat(drawn), "C", out.changed_tick)
        one.door.tick(one.now_ns)
        assert not one.door.charger(0).suspect


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


def test_a_target_that_stays_lower_is_followed_to_the_highest_that_it_was() -> None:
    """It does not use what it gives up, so no excess asks for it; base load goes to and fro."""
    one = bench(1, cap_ma=60_000, worst_ma=60_000, fallback_ma=6000)
    one.steps(40, 10_000, [32_000])
    began_ns = one.now_ns
    while one.orders() == [32_000]:
        waited_ns = one.now_ns - began_ns
        assert waited_ns < 20 * S
        one.step(40_000 if waited_ns // (700 * MS) % 2 == 0 else 36_000, [10_000])
    assert one.now_ns - began_ns >= one.site.pace.calm_ns
    assert one.orders() == [24_000], "60 A less 36 A, not less 40 A"


def test_who_was_lowered_for_an_excess_stays_down_for_the_dwell_time() -> None:
    one = bench(1, cap_ma=60_000, worst_ma=60_000, fallback_ma=6000)
    one.steps(60, 10_000, [32_000])
    assert one.orders() == [32_000]
    one.step(50_000, [32_000])
    (low,) = one.orders()
    lowered_ns = one.now_ns
    assert low is not None and low < 32_000
    while one.orders() == [low]:
        one.step(10_000, [32_000])
        assert one.now_ns < lowered_ns + 100 * S
    assert one.site.pace.dwell_ns <= one.now_ns - lowered_ns <= one.site.pace.dwell_ns + S


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


def test_a_fallback_that_the_charger_tells_counts_where_it_is_higher() -> None:
    one = bench(1, cap_ma=40_000, worst_ma=0, fallback_ma=8000, power_on_ma=8000)
    for told, counted in ((32_000, 32_000), (6000, 8000)):
        one.door.kernel.set_fallback(0, told)
        one.steps(30, 0, [0])
        one.steps(10, 0, [0], reported=False)
        assert one.door.charger(0).draw_hi_ma >= counted
        assert one.door.failsafe_ma(0) == 8000


def test_a_fallback_that_the_charger_tells_never_counts_for_less_than_was_declared() -> None:
    one = bench(1, cap_ma=7000, worst_ma=0, fallback_ma=10_000, power_on_ma=6000)
    one.door.kernel.set_fallback(0, 6000)
    one.steps(30, 0, [0])
    assert one.orders() == [7000]
    one.steps(10, 0, [0], reported=False)
    assert one.door.charger(0).draw_hi_ma == 10_000


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


# -- what is shown ---------------------------------------------------------------------------


def test_a_current_is_shown_while_it_is_told_and_no_longer() -> None:
    one = bench(1, cap_ma=100_000, worst_ma=0)
    one.steps(30, 0, [16_000])
    assert one.door.kernel.charger(0).current_ma == flat(16_000)
    one.door.report(0, one.now_ns, 16_000, None, "C", one.door.output(0).changed_tick)
    one.door.tick(one.now_ns)
    assert one.door.kernel.charger(0).current_ma is None, "not told any more"
    one.steps(1, 0, [16_000])
    one.steps(10, 0, [16_000], reported=False)
    assert one.door.kernel.charger(0).current_ma is None, "silent"
