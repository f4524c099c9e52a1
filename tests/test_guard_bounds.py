"""The guard knows what a circuit bears beside its cap on each phase."""

import pytest

from controller.guard.account import Maps
from tests.guardbench import (
    GRID,
    Bench,
    at_work,
    rows,
)


def test_a_bus_bar_bounds_what_chargers_may_draw_whatever_is_read() -> None:
    for ma, fits in ((14_000, True), (14_100, False)):
        it = at_work(circuits=[GRID._replace(busbar_ma=(60_000,) * 3)])
        it.shows(0, 0)  # as much is fed in on the roof
        it.live(3)
        if fits:
            it.passes({0: ma})
        else:
            rule, verdict = it.disputed({0: ma})
            assert (rule, verdict.disputes[0].phase) == ("no_slack", 0)
            assert "of the bus bar" in verdict.disputes[0].why


def test_a_bus_bar_that_is_ordered_too_much_must_be_relieved() -> None:
    """Another document with a smaller bar: nobody rises, and what is there is too much."""
    for lowered in (False, True):
        it = at_work()
        after = Bench(rows(circuits=[GRID._replace(busbar_ma=(49_000,) * 3)]))
        after.guard.adopt(it.guard, Maps({0: 0}, {0: 0}, {0: 0, 1: 1}, {}, {}))
        after.now_ns, after.ticks, after.written = it.now_ns, it.ticks, it.written
        after.shown, after.reports = it.shown, it.reports
        if lowered:
            after.passes({0: 0})
        else:
            _, verdict = after.disputed({1: 6500})
            assert {each.rule for each in verdict.disputes} == {"no_slack", "not_shed"}
            assert all("of the bus bar" in each.why for each in verdict.disputes)
            assert verdict.bound_ma == (0, 0)


@pytest.mark.parametrize(("ma", "fits"), [(14_000, True), (14_100, False)])
def test_apparent_power_bounds_the_three_phases_together(ma: int, fits: bool) -> None:
    """30 A of base load, 3 times 14 and 3 times 6 of chargers."""
    it = at_work(circuits=[GRID._replace(sum_ma=90_000)])
    if fits:
        it.passes({0: ma})
    else:
        rule, verdict = it.disputed({0: ma})
        assert (rule, verdict.disputes[0].phase) == ("no_slack", -1)
        assert "of the three phases together" in verdict.disputes[0].why


def test_apparent_power_beyond_its_rating_must_be_shed() -> None:
    for lowered in (False, True):
        it = at_work(circuits=[GRID._replace(sum_ma=90_000)])
        it.shows(0, 30_000)
        it.live(2)
        it.shows(0, 36_000)  # 108 A together, 18 too many: 36 are ordered
        if lowered:
            it.passes({0: 0})
        else:
            rule, verdict = it.disputed({})
            assert rule == "not_shed"
            assert verdict.bound_ma == (0, 0)  # 3 A each: less than their minimum is nothing


@pytest.mark.parametrize("credited", [False, True])
def test_a_phase_that_exports_takes_something_off_the_sum_only_where_credited(
    credited: bool,
) -> None:
    it = at_work(circuits=[GRID._replace(sum_ma=90_000, credit_export=credited)])
    it.shows(0, (-10_000, 36_000, 36_000))
    it.live(3)
    if credited:  # -16 + 30 + 30 of base load, and 18 + 27 of chargers
        it.passes({0: 9000})
    else:
        assert it.disputed({0: 9000})[0] == "no_slack"
