"""Who does not do as told, and what is done about it: pause, contactor, group; and when not."""

import pytest

from cext.rows import NEVER_NS, ContactorRow, Kind, Rule, SlotRow
from tests.switched import CHARGER, MS, OWN, Depot, S

GROUP = ContactorRow((0, 1, 2), group=True, feedback=True, opens_ns=100 * MS)
GRID = SlotRow(0, Kind.GRID, (90_000,) * 3, 0, clear_within_ns=10 * S)
ECONOMIC = GRID._replace(kind=Kind.ECONOMIC)


def charging(depot: Depot, seconds: float = 40) -> Depot:
    """Everything closed, every charger at work."""
    for slot in range(len(depot.slots)):
        depot.kernel.set_limit(slot, None, NEVER_NS, NEVER_NS)
    depot.run(seconds)
    assert all((depot.order(i) or 0) > 0 for i in range(len(depot.offered_ma)))
    return depot


def limit(depot: Depot, ma: int) -> None:
    depot.kernel.set_limit(0, (ma,) * 3, NEVER_NS, NEVER_NS)


def until(depot: Depot, contactor: int, closed: bool, within_s: float) -> float:
    """Steps until the contactor is ordered so; how long that took."""
    for step in range(round(within_s * 10)):
        if depot.contactor(contactor).closed == closed:
            return step / 10
        depot.step()
    raise AssertionError(f"contactor {contactor} is not ordered so within {within_s} s")


# -- stubborn -----------------------------------------------------------------------------------


def test_stubborn_after_seven_seconds_above_what_it_may_draw() -> None:
    depot = charging(Depot(count=2, slots=[GRID]))
    depot.stuck_ma[0] = depot.drawn(0)
    limit(depot, 40_000)
    depot.run(6.8)
    assert not depot.kernel.charger(0).stubborn
    depot.run(1)
    state = depot.kernel.charger(0)
    assert (state.stubborn, state.suspect) == (True, True)
    assert state.draw_hi_ma >= depot.drawn(0)
    assert depot.kernel.output(0).why.rule == Rule.STUBBORN
    assert not depot.kernel.charger(1).stubborn


def test_it_is_counted_at_what_it_draws_and_never_raised_and_forgiven_after_seven_seconds() -> None:
    depot = charging(Depot(count=2, slots=[GRID]))
    depot.stuck_ma[0] = 20_000
    limit(depot, 40_000)
    depot.run(10)
    limit(depot, 90_000)
    before = depot.order(0)
    depot.run(20)
    assert depot.order(0) == before
    assert depot.kernel.charger(0).draw_hi_ma == 20_000
    del depot.stuck_ma[0]
    depot.run(6.9)
    assert depot.kernel.charger(0).stubborn
    depot.run(10)
    assert not depot.kernel.charger(0).stubborn
    assert (depot.order(0) or 0) > (before or 0)


def test_a_stubborn_one_that_falls_silent_counts_at_its_maximum() -> None:
    depot = charging(Depot(count=2, slots=[GRID]))
    depot.stuck_ma[0] = 20_000
    limit(depot, 40_000)
    depot.run(10)
    assert depot.kernel.charger(0).stubborn
    depot.silent.add(0)
    depot.run(3)
    assert depot.kernel.charger(0).draw_hi_ma == CHARGER.max_ma


def test_one_that_comes_down_step_by_step_is_not_stubborn() -> None:
    """Always a little above its newest order, never above what it was told seconds ago."""
    depot = charging(Depot(count=1, slots=[GRID]))
    for ma in range(32_000, 8_000, -1500):
        limit(depot, ma)
        depot.stuck_ma[0] = min(32_000, ma + 4000)
        depot.run(1)
        assert not depot.kernel.charger(0).stubborn


# -- the steps ----------------------------------------------------------------------------------


def test_it_is_paused_and_then_cut_off_in_time() -> None:
    """10 s to clear: told less, told 0 A, and its contactor open so that the 10 s are kept."""
    depot = charging(Depot([OWN], count=2, slots=[GRID]))
    depot.stuck_ma[0] = depot.drawn(0)
    limit(depot, 20_000)
    begin_ns = depot.now_ns
    until(depot, 0, closed=False, within_s=11)
    assert depot.now_ns - begin_ns <= 10 * S - OWN.opens_ns
    depot.run(0.5)
    assert depot.load() <= 20_000
    assert depot.now_ns - begin_ns <= 10 * S
    state = depot.contactor()
    assert state.verified_open
    assert (state.why.rule, state.why.circuit, state.why.slot) == (Rule.OPENED, 0, 0)
    assert depot.order(0) == 0
    assert depot.kernel.charger(0).cut_off
    depot.run(5)
    assert depot.kernel.charger(0).draw_hi_ma == 0
    assert not depot.kernel.circuit(0).beyond_control


def test_without_a_time_to_clear_it_waits_for_five_seconds_of_pause() -> None:
    depot = charging(Depot([OWN], count=1, slots=[GRID._replace(clear_within_ns=None)]))
    depot.stuck_ma[0] = depot.drawn(0)
    limit(depot, 20_000)
    paused_ns = 0
    for _ in range(400):
        depot.step()
        if depot.order(0) == 0 and not paused_ns:
            paused_ns = depot.now_ns
        if not depot.contactor().closed:
            break
    assert paused_ns
    assert 5 * S <= depot.now_ns - paused_ns <= 8 * S


def test_an_economic_limit_never_goes_beyond_the_pause() -> None:
    depot = charging(Depot([OWN, GROUP], count=3, slots=[ECONOMIC]))
    depot.stuck_ma[0] = depot.drawn(0)
    limit(depot, 10_000)
    depot.run(60)
    assert [depot.contactor(i).closed for i in range(2)] == [True, True]
    assert depot.order(0) == 0
    assert depot.kernel.output(0).cause.rule in (Rule.PAUSED, Rule.SHED)
    assert depot.kernel.circuit(0).beyond_control


def test_a_welded_contactor_costs_the_group_and_its_obedient_members_last() -> None:
    depot = charging(Depot([OWN, GROUP], count=4, slots=[GRID._replace(clear_within_ns=15 * S)]))
    depot.stuck_ma[0] = depot.drawn(0)
    depot.welded = {0}
    limit(depot, 10_000)
    begin_ns = depot.now_ns
    until(depot, 0, closed=False, within_s=15)
    assert depot.contactor(1).closed
    until(depot, 1, closed=False, within_s=15)
    assert not depot.contactor(0).verified_open
    assert depot.contactor(0).contact is True
    depot.run(0.3)
    assert depot.load() <= 10_000
    assert depot.now_ns - begin_ns <= 15 * S
    assert depot.kernel.charger(0).cut_off, "by the group"


def test_the_group_that_does_the_least_harm_is_dropped() -> None:
    small = GROUP._replace(chargers=(0, 1))
    depot = charging(Depot([GROUP._replace(chargers=(0, 2, 3)), small], count=4, slots=[GRID]))
    depot.stuck_ma[0] = depot.drawn(0)
    limit(depot, 10_000)
    depot.run(20)
    assert [depot.contactor(i).closed for i in range(2)] == [True, False]


def test_only_as_many_as_are_needed() -> None:
    rows = [OWN._replace(chargers=(i,)) for i in range(3)]
    depot = charging(Depot(rows, count=3, slots=[GRID]))
    depot.stuck_ma = {0: 8000, 1: 24_000, 2: 16_000}
    limit(depot, 36_000)  # 12 A too much: charger 2 alone is enough, and waited for its turn first
    depot.run(20)
    assert [depot.contactor(i).closed for i in range(3)] == [True, True, False]
    assert depot.load() <= 36_000


def test_only_as_many_as_are_needed_of_all_that_were_told_to_stop() -> None:
    rows = [OWN._replace(chargers=(i,)) for i in range(3)]
    depot = charging(Depot(rows, count=3, slots=[GRID]))
    depot.stuck_ma = dict.fromkeys(range(3), 16_000)
    limit(depot, 10_000)
    for _ in range(100):
        depot.step()
        if not any(depot.order(i) for i in range(3)):
            break
    limit(depot, 36_000)  # 12 A too much is left of 38 A: one of them is enough
    depot.run(20)
    assert sum(depot.contactor(i).closed for i in range(3)) == 2
    assert depot.load() <= 36_000


def test_a_silent_charger_is_cut_off_where_that_is_needed() -> None:
    depot = charging(Depot([OWN], count=2, slots=[GRID]))
    depot.silent = {0}
    depot.stuck_ma[0] = depot.drawn(0)
    depot.run(10)
    assert depot.contactor().closed, "the others make room"
    limit(depot, 10_000)
    until(depot, 0, closed=False, within_s=11)
    depot.run(1)
    assert depot.load() <= 10_000


def test_an_obedient_charger_keeps_its_contactor_whatever_the_base_load_does() -> None:
    depot = charging(Depot([OWN, GROUP._replace(chargers=(0,))], slots=[GRID]))
    depot.base_ma = 120_000
    depot.run(60)
    assert [depot.contactor(i).closed for i in range(2)] == [True, True]
    assert depot.order() == 0
    assert depot.kernel.circuit(0).beyond_control


def test_beyond_control_ends_with_the_excess() -> None:
    depot = charging(Depot(slots=[GRID]))
    depot.base_ma = 120_000
    depot.run(1)
    assert not depot.kernel.circuit(0).beyond_control, "there was something to shed"
    depot.run(10)
    assert depot.kernel.circuit(0).beyond_control
    depot.base_ma = 10_000
    depot.run(0.3)
    assert not depot.kernel.circuit(0).beyond_control


def test_an_excess_within_the_margin_opens_nothing() -> None:
    depot = charging(Depot([OWN], slots=[GRID]))
    depot.stuck_ma[0] = 20_000
    limit(depot, 18_100)
    depot.run(60)
    assert depot.contactor().closed


def test_it_is_closed_again_with_room_and_stays_open_longer_each_time() -> None:
    depot = charging(Depot([OWN], count=2, slots=[GRID]))
    times = []
    depot.stuck_ma[0] = depot.drawn(0)
    limit(depot, 20_000)
    for _ in range(2):
        until(depot, 0, closed=False, within_s=60)
        limit(depot, 90_000)
        times.append(until(depot, 0, closed=True, within_s=200))
        depot.run(10)
        limit(depot, 20_000)
    assert times[0] == pytest.approx(30, abs=2)
    assert times[1] == pytest.approx(60, abs=2)


def test_it_is_not_closed_while_the_cause_lasts() -> None:
    depot = charging(Depot([OWN], count=2, slots=[GRID]))
    depot.stuck_ma[0] = depot.drawn(0)
    limit(depot, 15_000)
    until(depot, 0, closed=False, within_s=60)
    depot.run(300)
    assert not depot.contactor().closed, "16 A at power-on do not fit 15 A"
    assert depot.contactor().why.rule == Rule.RECLOSING


# -- without an auxiliary contact ---------------------------------------------------------------


def test_a_drop_in_its_own_reports_proves_a_contactor_open() -> None:
    """Its electronics keep their power: it goes on reporting, and reports nothing drawn."""
    depot = charging(Depot([OWN._replace(feedback=False)], count=2, slots=[GRID]))
    depot.keeps_power = True
    depot.stuck_ma[0] = depot.drawn(0)
    limit(depot, 10_000)
    until(depot, 0, closed=False, within_s=11)
    depot.run(0.5)
    assert depot.contactor().verified_open
    assert depot.kernel.charger(0).draw_hi_ma == 0
    depot.silent = {0}
    depot.run(3)
    assert not depot.contactor().verified_open, "nobody says any more that it draws nothing"
    assert depot.kernel.charger(0).draw_hi_ma > 0


def test_an_order_alone_proves_nothing() -> None:
    depot = charging(Depot([OWN._replace(feedback=False)], count=2, slots=[GRID]))
    depot.stuck_ma[0] = depot.drawn(0)
    limit(depot, 10_000)
    until(depot, 0, closed=False, within_s=11)
    depot.run(3)
    assert not depot.contactor().verified_open
    assert not depot.kernel.charger(0).cut_off
    assert depot.kernel.charger(0).draw_hi_ma >= 16_000


# -- whose time runs ----------------------------------------------------------------------------


def test_an_economic_limit_s_time_to_clear_brings_the_pause_forward_and_nothing_else() -> None:
    """What a charger does takes half a minute to show, and the limit is to be clear within 34 s."""
    slow = CHARGER._replace(settle_ns=30 * S)
    slots = [ECONOMIC._replace(clear_within_ns=34 * S)]
    depot = charging(Depot([OWN], count=1, charger=slow, slots=slots), 90)
    limit(depot, 20_000)
    for tick in range(350):
        depot.stuck_ma[0] = 32_000 - tick % 7 * 50  # what never moves counts as frozen
        depot.step()
        assert tick > 320 or (depot.order() or 0) > 0
    assert depot.order() == 0
    assert depot.kernel.output(0).cause.rule is Rule.PAUSED
    depot.run(60)
    assert depot.contactor().closed
