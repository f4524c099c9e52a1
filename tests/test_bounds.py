"""What a circuit bears beside its caps: three phases together, and a bus bar."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.rows import ALL_PHASES, BY_BUSBAR, BY_RATING, Rule
from tests.door import Door
from tests.examples import depots
from tests.oracle.depot import Car
from tests.oracle.promises import BrokenPromiseError
from tests.oracle.site import MS, Charger, Circuit, Contactor, Meter, S, Site, Slot, Triple, flat
from tests.oracle.story import PEACE, TROUBLE, tell
from tests.oracle.world import World
from tests.test_rules import Bench

THREE = (0, 1, 2)


class Depot(Bench):
    """One circuit with a meter; every charger draws what it is told on the phases it has."""

    def __init__(self, circuit: Circuit, *chargers: Charger, **site: Any) -> None:
        meters = [Meter(0, 0, 0, S, 100 * MS)]
        super().__init__(Site([circuit], meters, list(chargers), **site))
        self.stuck: dict[int, int] = {}
        self.silent: set[int] = set()

    def cut_off(self, index: int) -> bool:
        rows = enumerate(self.site.contactors)
        return any(index in row.chargers and not self.door.contactor(i).closed for i, row in rows)

    def drawn(self, index: int) -> Triple:
        if self.cut_off(index):
            return 0, 0, 0
        told = self.door.output(index).setpoint_ma
        ma = self.stuck.get(index, 16_000 if told is None else told)
        wired = self.site.chargers[index].phases
        return (ma if 0 in wired else 0, ma if 1 in wired else 0, ma if 2 in wired else 0)

    def live(self, seconds: float, base: Triple, read: bool = True) -> None:
        """Time passes with that base load, 100 ms at a time."""
        count = range(len(self.site.chargers))
        for _ in range(int(seconds * 10)):
            self.now_ns += 100 * MS
            drawn = [self.drawn(index) for index in count]
            if read:
                flowing = [b + sum(ma[p] for ma in drawn) for p, b in enumerate(base)]
                self.door.reading(0, self.now_ns, (flowing[0], flowing[1], flowing[2]))
            for index in count:
                out = self.door.output(index)
                told = 16_000 if out.setpoint_ma is None else out.setpoint_ma
                if index not in self.silent and not self.cut_off(index):
                    at = (self.now_ns, told, drawn[index], "C", out.changed_tick)
                    self.door.report(index, *at)
            for i in range(len(self.site.contactors)):
                self.door.contact(i, self.now_ns, self.door.contactor(i).closed)
            self.door.tick(self.now_ns)

    def load(self, base: Triple) -> list[int]:
        drawn = [self.drawn(index) for index in range(len(self.site.chargers))]
        return [b + sum(ma[p] for ma in drawn) for p, b in enumerate(base)]

    def whys(self) -> set[tuple[Rule, int, int]]:
        whys = [self.door.output(i).why for i in range(len(self.site.chargers))]
        return {(why.rule, why.phase, why.slot) for why in whys}


def charger(phases: Triple = THREE, **row: Any) -> Charger:
    return Charger(0, phases, **{"settle_ns": S, "lag_ns": 0, "fallback_ma": 16_000, **row})


# -- the bus bar --------------------------------------------------------------------------------


def sunny(busbar_ma: Triple | None) -> Circuit:
    return Circuit(-1, flat(40_000), flat(0), credit_export=True, busbar_ma=busbar_ma)


def test_chargers_never_draw_more_than_the_bus_bar_whatever_is_fed_in() -> None:
    sun = flat(-60_000)
    free, barred = (
        Depot(sunny(busbar_ma), charger(), charger(), charger())
        for busbar_ma in (None, (50_000, 45_000, 99_000))
    )
    free.live(60, sun)
    barred.live(60, sun)
    assert free.orders() == [32_000] * 3
    assert barred.orders() == [15_000] * 3
    assert barred.whys() == {(Rule.CAP, 1, BY_BUSBAR)}


def test_a_bus_bar_that_carries_nothing_gives_nothing() -> None:
    one = Depot(sunny(flat(0)), charger())
    one.live(60, flat(-60_000))
    assert one.orders() == [0]


def test_chargers_come_down_at_once_for_one_that_leaves_the_bus_bar_too_little() -> None:
    """It falls silent, and may be at its maximum now."""
    one = Depot(sunny(flat(60_000)), charger(), charger(), charger(power_on_ma=32_000))
    one.live(60, flat(-90_000))
    assert one.orders() == [20_000] * 3
    one.silent = {2}
    one.live(2.1, flat(-90_000))
    assert one.orders()[:2] == [14_000] * 2
    why = one.door.output(0).cause
    assert (why.rule, why.slot) == (Rule.CAP, BY_BUSBAR)


def test_a_bus_bar_is_freed_of_who_does_not_obey() -> None:
    """No meter shows what a bus bar carries: it counts by what the chargers may draw."""
    one = Depot(sunny(flat(24_000)), charger(), charger(), contactors=(Contactor((1,)),))
    one.live(60, flat(-90_000))
    assert one.orders() == [12_000] * 2
    one.stuck[1] = 32_000
    one.live(40, flat(-90_000))
    why = one.door.contactor(0).why
    assert (why.rule, why.phase, why.slot) == (Rule.OPENED, 0, BY_BUSBAR)
    one.live(40, flat(-90_000))
    assert one.drawn(0) == flat(24_000)


def barred(*, ma: int = 200_000, worst_ma: int = 50_000) -> Depot:
    row = Circuit(-1, flat(400_000), flat(worst_ma), busbar_ma=flat(ma))
    return Depot(row, *[charger(fallback_ma=32_000)] * 8)


def test_the_worst_base_load_is_taken_off_the_bus_bar() -> None:
    one = barred()
    assert sum(one.door.failsafe_ma(i) for i in range(8)) <= 150_000
    one.live(60, flat(10_000))
    assert sum(map(int, filter(None, one.orders()))) in range(149_300, 150_001)


def test_a_worst_case_that_was_proved_is_taken_off_the_bus_bar_too() -> None:
    """50 A are declared, 90 A flow. The bar knows at the first reading that shows it; once all
    upper ends have followed, three readings prove it for good."""
    one = barred()
    one.live(60, flat(10_000))
    one.live(0.1, flat(90_000))
    assert sum(map(int, filter(None, one.orders()))) <= 110_000
    one.live(3, flat(90_000))
    assert one.door.circuit(0).worst_base_ma == flat(90_000)
    assert sum(one.door.failsafe_ma(i) for i in range(8)) <= 110_000
    one.live(60, flat(90_000))
    assert 104_000 <= sum(map(int, filter(None, one.orders()))) <= 110_000
    why = one.door.output(0).why
    assert (why.rule, why.slot) == (Rule.CAP, BY_BUSBAR)


def test_a_worst_case_that_was_saved_is_taken_off_the_bus_bar_too() -> None:
    one = barred()
    one.door.kernel.restore_worst(0, flat(90_000))
    assert sum(one.door.failsafe_ma(i) for i in range(8)) <= 110_000
    one.live(60, flat(0))
    assert sum(map(int, filter(None, one.orders()))) <= 110_000


def test_a_bus_bar_that_its_base_load_alone_fills_leaves_nothing() -> None:
    one = barred(ma=40_000)
    one.live(30, flat(45_000))
    assert one.orders() == [0] * 8


def test_a_fresh_limit_has_its_own_time_to_clear() -> None:
    """L1 is over its rating for two minutes, and nobody can help that. A limit comes for L2,
    to be clear within a minute: its contactor does not open before 5 s at 0 A."""
    one = Depot(
        Circuit(-1, flat(60_000), flat(0)),
        charger((1, -1, -1)),
        contactors=(Contactor((0,)),),
        slots=(Slot(0, flat(60_000), clear_within_ns=60 * S),),
    )
    one.door.limit(0, None, 10**17, 10**17)
    one.live(30, flat(0))
    one.stuck[0] = 32_000
    one.live(120, (70_000, 0, 0))
    assert one.door.contactor(0).closed
    one.door.limit(0, (60_000, 20_000, 60_000), 10**17, 10**17)
    paused_ns = opened_ns = 0
    for _ in range(400):
        one.live(0.1, (70_000, 0, 0))
        paused_ns = paused_ns or (one.orders() == [0]) * one.now_ns
        opened_ns = opened_ns or (not one.door.contactor(0).closed) * one.now_ns
    assert 0 < paused_ns <= opened_ns - 5 * S


# -- apparent power -----------------------------------------------------------------------------


def summed(sum_ma: int, worst_ma: int = 0, export: bool = False) -> Circuit:
    return Circuit(-1, flat(60_000), flat(worst_ma), credit_export=export, sum_ma=sum_ma)


def test_three_phases_share_what_they_may_carry_together() -> None:
    one = Depot(summed(90_000), charger(), charger())
    one.live(60, flat(0))
    assert one.orders() == [15_000] * 2
    assert one.whys() == {(Rule.CAP, ALL_PHASES, BY_RATING)}


def test_one_phase_charger_counts_once() -> None:
    one = Depot(summed(80_000), charger(), charger((1, -1, -1)))
    one.live(60, flat(0))
    assert one.orders() == [20_000] * 2


def test_base_load_of_every_phase_counts_in_the_sum() -> None:
    one = Depot(summed(90_000, worst_ma=30_000), charger(), charger())
    one.live(60, (30_000, 0, 0))
    assert one.orders() == [10_000] * 2


@pytest.mark.parametrize(("export", "each"), [(False, 15_000), (True, 20_000)])
def test_an_exporting_phase_takes_off_only_what_is_credited(export: bool, each: int) -> None:
    """The chargers draw on phase 1 only where nothing is fed in."""
    one = Depot(summed(30_000, export=export), charger((1, -1, -1)), charger((1, -1, -1)))
    one.live(60, (0, 0, -10_000))
    assert one.orders() == [each] * 2


def test_an_excess_of_the_sum_is_shed_in_its_tick() -> None:
    one = Depot(summed(90_000, worst_ma=40_000), charger(), charger((0, -1, -1)))
    one.live(60, flat(0))
    assert one.orders() == [22_500] * 2
    one.live(0.2, (0, 30_000, 0))
    assert sum(one.load((0, 30_000, 0))) <= 90_000
    why = one.door.output(0).cause
    assert (why.rule, why.phase, why.slot) == (Rule.SHED, ALL_PHASES, BY_RATING)


def test_what_is_shed_where_a_phase_exports_helps_the_sum_nothing() -> None:
    """Both draw 20 A; L1 exports so much that lowering there takes nothing off."""
    rows = [charger((0, -1, -1), max_ma=20_000), charger((1, -1, -1), max_ma=20_000)]
    one = Depot(summed(30_000, worst_ma=20_000), *rows)
    one.live(60, (-50_000, 0, 0))
    assert one.orders() == [15_000] * 2
    one.live(0.2, (-50_000, 0, 16_000))
    assert sum(max(0, ma) for ma in one.load((-50_000, 0, 16_000))) <= 30_000


def test_blind_it_counts_every_phase_at_its_worst() -> None:
    one = Depot(summed(90_000, worst_ma=10_000), charger(), charger())
    one.live(60, flat(0))
    assert one.orders() == [15_000] * 2
    one.live(2, flat(0), read=False)
    assert one.orders() == [10_000] * 2


def test_fail_safe_setpoints_fit_what_the_phases_carry_together() -> None:
    rows = [charger(fallback_ma=32_000), charger(fallback_ma=32_000)]
    one = Depot(summed(90_000, worst_ma=10_000), *rows)
    assert [one.door.failsafe_ma(i) for i in range(2)] == [10_000] * 2
    two = Depot(sunny(flat(22_000)), *rows)
    assert [two.door.failsafe_ma(i) for i in range(2)] == [11_000] * 2


def test_a_sum_that_is_exceeded_for_good_ends_with_a_contactor() -> None:
    rows = [charger(), charger(fallback_ma=6000)]
    one = Depot(summed(45_000), *rows, contactors=(Contactor((1,)),))
    one.live(60, flat(0))
    assert one.orders() == [7500] * 2
    one.stuck[1] = 30_000
    one.live(30, flat(0))
    why = one.door.contactor(0).why
    assert (why.rule, why.phase) == (Rule.OPENED, ALL_PHASES)


def test_a_contactor_waits_until_what_wakes_fits_the_sum() -> None:
    rows = [charger(max_ma=10_000), charger(power_on_ma=16_000, fallback_ma=16_000)]
    one = Depot(summed(60_000), *rows, contactors=(Contactor((1,)),))
    one.silent = {1}
    one.live(60, flat(5000))
    assert not one.door.contactor(0).closed
    why = one.door.contactor(0).why
    assert (why.rule, why.phase) == (Rule.RECLOSING, ALL_PHASES)


def test_without_chargers_or_a_sum_of_zero() -> None:
    empty = Depot(summed(0))
    empty.live(2, flat(5000))
    state = empty.door.circuit(0).together
    assert state is not None
    assert (state.cap_ma, state.reading_ma, state.excess_ma) == (0, 15_000, 15_000)
    none = Depot(summed(0), charger())
    none.live(60, flat(0))
    assert none.orders() == [0]


# -- whatever happens ---------------------------------------------------------------------------

SUNNY = (*PEACE, "sun", "sun", "sun")


@depots(12)
@given(seed=st.integers(0, 2**32), chargers=st.integers(1, 8), circuits=st.integers(1, 5))
def test_any_depot_with_bounds(seed: int, chargers: int, circuits: int) -> None:
    tell(Door, seed, SUNNY, chargers, circuits, bounded=True)


@depots(8)
@given(seed=st.integers(0, 2**32), chargers=st.integers(1, 8), circuits=st.integers(1, 5))
def test_any_depot_with_bounds_in_trouble(seed: int, chargers: int, circuits: int) -> None:
    tell(Door, seed, (*TROUBLE, "sun"), chargers, circuits, bounded=True)


@depots(12)
@given(seed=st.integers(0, 2**32), chargers=st.integers(1, 8), circuits=st.integers(1, 3))
def test_any_depot_with_bounds_and_more_base_load_than_was_declared(
    seed: int, chargers: int, circuits: int
) -> None:
    tell(Door, seed, (*PEACE, "worse", "worse"), chargers, circuits, bounded=True)


@pytest.mark.parametrize("bound", [{"busbar_ma": flat(45_000)}, {"sum_ma": 200_000}])
def test_the_watch_notices_a_bound_that_is_not_kept(bound: dict[str, Any]) -> None:
    """The controller under test has not heard of it."""

    def deaf(site: Site) -> Door:
        plain = [row._replace(busbar_ma=None, sum_ma=None) for row in site.circuits]
        return Door(site._replace(circuits=plain))

    row = Circuit(-1, flat(120_000), flat(0), credit_export=True, **bound)
    chargers = [charger(fallback_ma=0)] * 3
    world = World(Site([row], [Meter(0, 0, 200 * MS, S, 200 * MS)], chargers), deaf, 1)
    for index in range(3):
        world.plug(index, Car(32_000, 3, S, 1_000_000))
    with pytest.raises(BrokenPromiseError, match=r"bus bar of 0|sum of 0"):
        world.run(60)
