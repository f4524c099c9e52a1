"""The guard's rules, one by one: what is disputed, and what is sent instead."""

from collections.abc import Callable

import pytest

from cext.rows import CircuitRow, Kind, SlotRow
from controller.records import Latch, Leave, Limit, Proven
from tests.guardbench import (
    CHARGER,
    FOR_EVER,
    GRID,
    Bench,
    S,
    at_work,
)

# --- up, on proof ------------------------------------------------------------------------------


def test_what_fits_passes() -> None:
    it = at_work()
    verdict = it.passes({0: 32_000})  # 10 + 32 + 6 of 50
    assert verdict.bound_ma == (32_000, 6000)


def test_what_does_not_fit_is_held_where_it_was() -> None:
    it = at_work()
    rule, verdict = it.disputed({0: 32_000, 1: 8100})  # 10 + 32 + 8.1
    assert rule == "no_slack"
    assert verdict.bound_ma == (6000, 6000)
    assert "do not fit 50 A" in verdict.disputes[0].why
    assert it.disputed({})[0] == "no_slack"  # and as long as it is ordered
    assert it.disputed({1: 6000})[0] == "no_slack"  # which may still be in force
    for _ in range(40):
        last = it.step()
        if last is not None and not last.disputes:
            break
    assert last is not None
    assert last.bound_ma == (32_000, 6000)


def test_upper_ends_count_tolerance_and_standby() -> None:
    for tolerance_ppm, fits in ((0, True), (30_000, False)):
        row = CHARGER._replace(tolerance_ppm=tolerance_ppm, standby_ma=100)
        it = at_work(chargers=[row] * 2)
        it.shows(0, 23_000)
        it.live(3)
        if fits:
            it.passes({0: 32_000})  # 11 + 32.1 + 6.1
        else:
            assert it.disputed({0: 32_000})[0] == "no_slack"  # 11 + 33.06 + 6.28


def test_what_was_higher_counts_until_it_settled() -> None:
    it = at_work()
    it.passes({0: 32_000})
    it.reports_of(0, 32_000, 32_000)
    it.shows(0, 48_000)
    it.live(4)
    it.passes({0: 6000})
    assert it.disputed({1: 32_000})[0] == "no_slack"  # not even read back
    it.passes({1: 6000})
    it.reports_of(0, 6000, 6000)
    it.shows(0, 22_000)
    it.live(1.5)
    assert it.disputed({1: 32_000})[0] == "no_slack"  # its vehicle may still follow
    it.passes({1: 6000})
    it.live(4)
    it.passes({1: 32_000})


def test_an_acknowledged_order_that_is_not_in_force_counts() -> None:
    it = at_work()
    it.passes({0: 32_000})
    it.live(0.5)  # written and acknowledged; 6 A stay in force
    assert it.disputed({1: 20_000})[0] == "no_slack"  # 10 + 32 + 20
    it.passes({0: 6000, 1: 6000})
    it.live(4)  # now 6 A are confirmed
    it.passes({1: 32_000})


def test_the_window_reaches_back_by_the_meter_s_lag_and_the_reports() -> None:
    it = at_work()
    it.shows(0, 40_000)  # a compressor of 18 A, for a moment
    it.step()
    it.shows(0, 22_000)
    it.live(0.4)
    assert it.disputed({0: 20_000})[0] == "no_slack"
    it.passes({0: 6000})
    it.live(3)
    it.passes({0: 20_000})


def test_the_least_that_was_reported_counts_against_the_reading() -> None:
    it = at_work()
    it.reports_of(0, 6000, 0)
    it.step()
    it.reports_of(0, 6000, 6000)
    it.step()
    assert it.disputed({1: 32_000})[0] == "no_slack"  # of the 22 A it may have drawn none
    it.passes({1: 6000})
    it.live(3)
    it.passes({1: 32_000})


def test_a_parent_s_slack_counts_as_the_circuit_s_own() -> None:
    row = CircuitRow(0, (100_000,) * 3, (0,) * 3)
    it = at_work(circuits=[GRID, row], chargers=[CHARGER._replace(circuit=1)] * 2)
    assert it.disputed({0: 32_000, 1: 10_000})[0] == "no_slack"


def test_blind_counts_at_the_declared_worst_case() -> None:
    for ma, fits in ((14_000, True), (14_100, False)):
        it = at_work(circuits=[GRID._replace(worst_base_ma=(30_000,) * 3)])
        it.shown.clear()
        it.live(2)
        if fits:
            it.passes({0: ma})  # 30 + 14 + 6
        else:
            assert it.disputed({0: ma})[0] == "no_slack"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda it: it.reports.pop(0), "silent"),
        (lambda it: it.tell(Proven(0, False)), "unproven"),
        (lambda it: it.tell(Latch(True)), "held"),
        (lambda it: it.tell(Leave()), "held"),
        (lambda it: it.reports_of(0, 6000, 12_000), "stubborn"),
    ],
)
def test_who_may_not_rise(change: Callable[[Bench], object], rule: str) -> None:
    it = at_work()
    change(it)
    it.shows(0, 28_000)
    it.live(9)
    found, verdict = it.disputed({0: 6500})
    assert found == rule
    assert verdict.bound_ma[0] == 6000
    assert it.disputed({1: 6500})[0]  # what is disputed stays so, whatever else is right


def test_nothing_rises_after_a_gap_nor_where_nothing_was_ever_read() -> None:
    it = at_work()
    it.now_ns += 2 * S
    assert it.disputed({0: 6500})[0] == "lapsed"
    unread = Bench()
    unread.reports_of(0, 6000, 6000)
    unread.passes({0: 6000})
    unread.live(3)
    assert unread.disputed({0: 6100})[0] == "unread"


# --- the first order, and the range ------------------------------------------------------------


def test_a_first_order_is_not_above_what_is_in_force_nor_above_the_fallback() -> None:
    it = Bench()
    it.shows(0, 0)
    it.reports_of(0, 8000, 0)
    it.reports_of(1, 32_000, 0)
    assert it.disputed({0: 8100})[0] == "first_order"
    rule, verdict = it.disputed({0: 8000, 1: 10_100})
    assert (rule, verdict.disputes[0].charger) == ("first_order", 1)
    assert verdict.bound_ma == (8000, 10_000)
    it.passes({1: 10_000})


def test_nobody_is_told_before_he_has_told() -> None:
    it = Bench()
    it.shows(0, 0)
    rule, verdict = it.disputed({0: 6000})
    assert rule == "first_order"
    assert verdict.bound_ma[0] is None


@pytest.mark.parametrize("ma", [5900, 1, 32_100, -6000])
def test_an_order_is_0_or_within_the_range(ma: int) -> None:
    it = at_work()
    rule, verdict = it.disputed({0: ma})
    assert rule == "off_range"
    assert verdict.bound_ma[0] in (0, 6000)
    it.passes({0: 0})


def test_a_lowered_maximum_is_the_range_s_end() -> None:
    it = at_work(chargers=[CHARGER._replace(ceiling_ma=16_000)] * 2)
    assert it.disputed({0: 16_100})[0] == "off_range"
    it.passes({0: 16_000})


# --- down, at once -----------------------------------------------------------------------------


def over() -> Bench:
    """Both at 20 A; the base load goes up, and 70 A are read of 50 A."""
    it = at_work()
    it.passes({0: 20_000, 1: 20_000})
    for charger in range(2):
        it.reports_of(charger, 20_000, 20_000)
    it.shows(0, 50_000)
    it.live(5)
    it.shows(0, 70_000)
    return it


def test_an_excess_must_be_shed_in_the_same_tick() -> None:
    it = over()
    rule, verdict = it.disputed({})
    assert rule == "not_shed"
    assert verdict.disputes[0].phase == 0
    assert verdict.bound_ma == (10_000, 10_000)


def test_shedding_too_little_is_no_shedding() -> None:
    rule, verdict = over().disputed({0: 10_000, 1: 15_000})
    assert rule == "not_shed"
    assert verdict.bound_ma == (8000, 12_000)
    over().passes({0: 10_000, 1: 10_000})
    over().passes({0: 0, 1: 20_000})


def test_an_order_on_its_way_is_credited_but_not_for_ever() -> None:
    it = over()
    it.passes({1: 0})
    it.live(3)  # it does not obey yet
    for _ in range(40):
        verdict = it.step()
        if verdict is not None and verdict.disputes:
            break
    else:
        raise AssertionError("credited for ever")
    assert verdict.disputes[0].rule == "not_shed"
    assert verdict.bound_ma[0] is not None
    assert verdict.bound_ma[0] < 20_000  # the other one is lowered in its place


def test_nothing_rises_below_a_circuit_that_is_over() -> None:
    it = over()
    assert it.disputed({0: 0, 1: 20_100})[0] == "over"


def test_who_cannot_be_lowered_is_not_asked_to() -> None:
    it = over()
    it.passes({0: 0, 1: 0})
    it.live(10)  # they draw on, all of it is somebody else's fault


def test_a_cap_that_falls_is_kept_at_once() -> None:
    slot = SlotRow(0, Kind.GRID, (40_000,) * 3, 0)
    it = at_work(Limit(0, None, FOR_EVER, FOR_EVER), slots=[slot])
    it.passes({0: 20_000, 1: 12_000})
    it.tell(Limit(0, (20_000,) * 3, FOR_EVER, FOR_EVER))
    rule, verdict = it.disputed({})
    assert rule == "not_shed"
    assert verdict.bound_ma[0] is not None
    assert verdict.bound_ma[0] < 20_000
    it.passes({0: 6000, 1: 0})


def test_blind_must_fit_as_ordered() -> None:
    for lowered in (False, True):
        it = at_work()
        it.shown.clear()
        it.live(1)
        if lowered:
            it.passes({0: 0})
        else:
            assert it.disputed({})[0] == "not_shed"  # 40 + 12 of 50


def test_who_does_not_obey_is_escalated_against_and_no_decision_is_wrong_for_it() -> None:
    """Nobody knows that it would help to lower him further: that has its own steps and times."""
    it = over()
    it.passes({0: 0, 1: 10_000})
    it.reports_of(0, 0, 0)
    it.shows(0, 60_000)  # the other one draws its 20 A, and 40 A are somebody else's
    it.live(10)
