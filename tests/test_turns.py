"""Who gets what when not all can have it: turns, minimum times, classes, waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cext.rows import Advice, Rule, Vehicle
from tests.bays import BAY, Row, S, bays

# -- turns -------------------------------------------------------------------------------------


def test_turns_go_round_and_everybody_has_as_much_time() -> None:
    row = Row(13, bays(5, min_on_ns=300 * S, min_off_ns=60 * S))
    row.run(5 * 900 * 2, step=3)
    times = [row.times_on(i, 3) for i in range(5)]
    assert len(row.on()) == 2
    assert all(abs(each - 2 * 900 * 2) <= 960 for each in times), "more or less than one turn off"
    assert max(row.switched(i) for i in range(5)) <= 9, "once on and once off for each turn"


def test_absent_neighbours_take_no_turns() -> None:
    """Three of twenty bays are in use, and two can charge: the others' turns are nobody's."""
    row = Row(13, bays(20))
    row.vehicle = [Vehicle.C if i in (3, 9, 10) else Vehicle.A for i in range(20)]
    row.run(6 * 900, step=3)
    times = [row.times_on(i, 3) for i in (3, 9, 10)]
    assert max(times) - min(times) <= 930, times


def test_who_came_late_in_a_turn_has_the_next_one_whole() -> None:
    row = Row(7, bays(2))
    row.vehicle = [Vehicle.A] * 2
    row.run(600)
    row.vehicle = [Vehicle.C] * 2
    row.run(600)
    assert row.on() == [0] and row.switched(0) == 1
    row.run(900)
    assert row.on() == [1]


def test_where_all_fit_nobody_is_switched() -> None:
    row = Row(20, bays(3, min_on_ns=300 * S))
    row.run(3 * 900, step=3)
    assert [row.switched(i) for i in range(3)] == [1, 1, 1]


def test_a_turn_passes_after_a_minute_without_draw_and_is_offered_again_a_few_times() -> None:
    row = Row(7, bays(2, min_on_ns=300 * S))
    row.wants_ma[0] = 0
    row.run(130)
    assert row.on() == [1], "charger 0 had its minute"
    assert row.kernel.charger(0).idle
    assert row.kernel.charger(0).waits_since_ns == 0
    row.run(10 * 900, step=3)
    begun = row.switched(0) // 2
    assert 2 <= begun <= 4, begun
    before = row.switched(0)
    row.run(4 * 900, step=3)
    assert row.switched(0) == before, "no more offers until something changes"
    row.vehicle[0] = Vehicle.B
    row.wants_ma[0] = 32_000
    row.run(2 * 900, step=3)
    assert row.switched(0) > before, "its vehicle did something: it is asked again"


def test_an_idle_one_with_room_for_all_stays_on() -> None:
    row = Row(44, bays(2))
    row.wants_ma[0] = 0
    row.run(600)
    assert row.on() == [0, 1]
    assert row.offered(1) == 32_000, "what it does not use went to the other"


# -- minimum times -----------------------------------------------------------------------------


def test_a_minimum_time_on_holds_against_a_class_that_goes_first() -> None:
    late, first = BAY._replace(class_rank=1, min_on_ns=300 * S), BAY
    row = Row(7, [late, first])
    row.vehicle[1] = Vehicle.A
    row.run(60)
    assert row.on() == [0]
    row.vehicle[1] = Vehicle.C
    row.run(200)
    assert row.on() == [0]
    row.run(100)
    assert row.on() == [1]


def test_no_minimum_time_delays_a_reduction() -> None:
    row = Row(14, bays(2, min_on_ns=3600 * S))
    row.run(30)
    assert row.on() == [0, 1]
    row.base_ma = 12_000
    row.run(2)
    assert row.on() == []


def test_off_for_its_minimum_time() -> None:
    row = Row(14, bays(2, min_off_ns=60 * S))
    row.run(30)
    row.base_ma = 12_000
    row.run(2)
    row.base_ma = 0
    row.run(50)
    assert row.on() == []
    assert row.kernel.output(0).why.rule is Rule.OFF_TIME
    row.run(20)
    assert row.on() == [0, 1]


def test_another_vehicle_does_not_wait_for_the_time_off() -> None:
    row = Row(14, bays(1, min_off_ns=3600 * S))
    row.run(30)
    row.vehicle[0] = Vehicle.A
    row.run(10)
    assert row.on() == []
    row.vehicle[0] = Vehicle.C
    row.run(10)
    assert row.on() == [0]


# -- classes -----------------------------------------------------------------------------------


def test_classes_are_strict() -> None:
    row = Row(40, [BAY._replace(class_rank=3), BAY, BAY._replace(class_rank=100)])
    row.run(60)
    assert [row.offered(i) for i in range(3)] == [8000, 32_000, 0]


def test_a_class_is_overtaken_after_its_waiting_time_for_a_turn() -> None:
    late = BAY._replace(class_rank=1, class_wait_ns=1200 * S, min_on_ns=300 * S)
    row = Row(7, [late, BAY._replace(min_on_ns=300 * S)])
    row.run(1190)
    assert row.on() == [1]
    assert row.now_ns - row.kernel.charger(0).waits_since_ns >= 1180 * S
    row.run(60)
    assert row.on() == [0]
    row.run(800)
    assert row.times_on(0) >= 449, "it has its turn, or what is left of one but half"
    row.run(900)
    assert row.on() == [1], "and then it waits again"


def test_nobody_is_overtaken_where_no_time_is_stated() -> None:
    row = Row(7, [BAY._replace(class_rank=1), BAY])
    row.run(4 * 3600, step=9)
    assert row.times_on(0) == 0


# -- a new document ----------------------------------------------------------------------------


def test_places_waiting_times_and_advice_survive_a_new_document() -> None:
    late = BAY._replace(class_rank=1, class_wait_ns=1200 * S)
    row = Row(7, [late, BAY])
    row.kernel.advise(1, Advice(weight=5, until_ns=10**18))
    row.run(1000)
    waits_ns = row.kernel.charger(0).waits_since_ns
    after = Row(7, [late, BAY])
    after.kernel.adopt(row.kernel, {0: 0}, {0: 0}, {0: 0, 1: 1}, {})
    after.now_ns = row.now_ns
    after.run(2)
    assert after.kernel.charger(0).waits_since_ns == waits_ns > 0
    assert after.kernel.charger(1).advice == Advice(5, None, None, 10**18)
    after.run(240)
    assert after.on() == [0]


def refused(**changes: Any) -> Callable[[], Row]:
    return lambda: Row(7, bays(1, **changes))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (refused(class_rank=101), "class_rank 101"),
        (refused(class_wait_ns=-1), "class_wait_ns -1"),
        (refused(min_on_ns=2**60), "min_on_ns"),
        (refused(min_off_ns=-5), "min_off_ns -5"),
    ],
)
def test_tables_that_make_no_sense(make: Callable[[], Row], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        make()
