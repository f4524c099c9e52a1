"""Who gets what when not all can have it: turns, minimum times, classes, waiting, advice."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from cext.rows import Advice, ChargerRow, CircuitRow, Rule, SourceRow, Tuning, Vehicle
from cext.tick import Kernel
from tests.plainrow import PLAIN

S = 1_000_000_000
MINUTE = 60 * S
TURN = 900 * S
BAY = PLAIN._replace(step_ma=1000, fallback_ma=0, power_on_ma=0, max_age_ns=10 * S)


class Row:
    """Chargers on one circuit that obey at once; each tick is a second, or `step` seconds."""

    def __init__(
        self,
        cap_a: int,
        rows: list[ChargerRow],
        turn_ns: int = TURN,
        base_step_ma: int | None = None,
    ) -> None:
        step = None if base_step_ma is None else (base_step_ma,) * 3
        self.kernel = Kernel(
            [CircuitRow(-1, (cap_a * 1000,) * 3, (20_000,) * 3, base_step_ma=step)],
            [SourceRow(0, 0, 0, 10 * S, S)],
            rows,
            [],
            Tuning(20 * S, 0, 100_000, 10 * S, turn_ns),
        )
        self.rows = rows
        self.now_ns = 0
        self.wants_ma = [32_000] * len(rows)
        self.vehicle = [Vehicle.C] * len(rows)
        self.mute: set[int] = set()  # whose reports do not come
        self.offers = [[0] for _ in rows]
        self.base_ma = 0
        self.most_ma = max(cap_a * 1000, 0)

    def offered(self, charger: int) -> int:
        return self.kernel.output(charger).setpoint_ma or 0

    def run(self, seconds: float, step: float = 2) -> None:
        for _ in range(round(seconds / step)):
            self.now_ns += round(step * S)
            load = [self.base_ma] * 3
            for i, row in enumerate(self.rows):
                plugged = self.vehicle[i] is not Vehicle.A
                drawn = min(self.offered(i), self.wants_ma[i]) if plugged else 0
                drawn -= drawn > 0 and self.kernel.ticks % 100 == 99  # what never moves is probed
                first, second, third = (drawn * (phase in row.phases) for phase in range(3))
                load = [load[0] + first, load[1] + second, load[2] + third]
                if i in self.mute:
                    continue
                self.kernel.post_report(
                    i,
                    self.now_ns,
                    self.offered(i),
                    (first, second, third),
                    self.vehicle[i],
                    self.kernel.ticks,
                )
            self.kernel.post_reading(0, self.now_ns, (load[0], load[1], load[2]))
            self.kernel.tick(self.now_ns)
            for i, offers in enumerate(self.offers):
                offers.append(self.offered(i))
            assert sum(map(self.offered, range(len(self.rows)))) + self.base_ma <= self.most_ma

    def on(self) -> list[int]:
        return [i for i in range(len(self.rows)) if self.offered(i)]

    def switched(self, charger: int) -> int:
        """How often it was switched on or off."""
        return sum((a > 0) != (b > 0) for a, b in pairwise(self.offers[charger]))

    def times_on(self, charger: int, step: float = 2) -> float:
        return sum(offer > 0 for offer in self.offers[charger]) * step


def bays(count: int, **changes: Any) -> list[ChargerRow]:
    return [BAY._replace(**changes)] * count


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


# -- advice ------------------------------------------------------------------------------------


def test_an_advised_weight_shares_and_expires() -> None:
    row = Row(40, bays(2))
    row.kernel.advise(0, Advice(weight=3, until_ns=60 * S))
    row.run(50)
    assert [row.offered(0), row.offered(1)] == [30_000, 10_000]
    assert row.kernel.charger(0).advice == Advice(3, None, None, 60 * S)
    assert row.kernel.charger(0).advice == Advice(3, None, None, 60 * S)
    row.run(200)
    assert [row.offered(0), row.offered(1)] == [20_000, 20_000]
    assert row.kernel.charger(0).advice is None


def test_an_advised_floor_goes_first_in_its_class_only() -> None:
    row = Row(7, [BAY, BAY, BAY._replace(class_rank=1)])
    for charger in (1, 2):
        row.kernel.advise(charger, Advice(floor_ma=6000, until_ns=300 * S))
    row.run(60)
    assert row.on() == [1]


def test_who_has_no_floor_overtakes_when_it_has_waited() -> None:
    row = Row(7, bays(2, class_wait_ns=600 * S))
    row.kernel.advise(1, Advice(floor_ma=6000, until_ns=10**18))
    row.run(590)
    assert row.on() == [1]
    row.run(60)
    assert row.on() == [0]


def test_an_advised_floor_is_a_share() -> None:
    row = Row(36, bays(3))
    row.kernel.advise(2, Advice(floor_ma=20_000, until_ns=10**18))
    row.run(60)
    assert [row.offered(i) for i in range(3)] == [8000, 8000, 20_000]


def test_an_advised_cap_lowers_calmly_and_is_the_reason() -> None:
    row = Row(60, bays(2))
    row.run(60)
    assert [row.offered(0), row.offered(1)] == [30_000, 30_000]
    row.kernel.advise(0, Advice(cap_ma=10_000, until_ns=row.now_ns + 120 * S))
    row.run(4)
    assert row.offered(0) == 30_000
    row.run(30)
    assert [row.offered(0), row.offered(1)] == [10_000, 32_000]
    assert row.kernel.output(0).why.rule is Rule.ADVICE
    row.run(120)
    assert row.offered(0) >= 28_000


@pytest.mark.parametrize("cap_ma", [0, 5999])
def test_a_cap_below_the_minimum_is_a_pause_once_the_time_on_is_over(cap_ma: int) -> None:
    row = Row(60, bays(1, min_on_ns=100 * S))
    row.run(50)
    row.kernel.advise(0, Advice(cap_ma=cap_ma, until_ns=10**18))
    row.run(30)
    assert row.offered(0) == 6000
    row.run(60)
    assert row.offered(0) == 0
    assert row.kernel.output(0).why.rule is Rule.ADVICE


@pytest.mark.parametrize(
    "advice",
    [
        Advice(1000, 2**27, 2**27, 2**63 - 1),
        Advice(floor_ma=32_000, until_ns=2**63 - 1),
        Advice(weight=1000, cap_ma=2**27, until_ns=2**63 - 1),
    ],
)
def test_no_advice_lifts_a_cap_or_a_maximum(advice: Advice) -> None:
    row = Row(20, bays(2, ceiling_ma=12_000))
    for i in range(2):
        row.kernel.advise(i, advice)
    row.run(60)
    assert [row.offered(i) for i in range(2)] == [10_000, 10_000]
    row.vehicle[1] = Vehicle.A
    row.run(60)
    assert row.offered(0) == 12_000


def test_a_floor_above_the_cap_that_is_advised_with_it_is_no_more_than_the_cap() -> None:
    """The base load steps up before the cap was followed: both come down alike."""
    row = Row(60, bays(2))
    row.run(60)
    row.kernel.advise(0, Advice(floor_ma=25_000, cap_ma=10_000, until_ns=10**18))
    row.base_ma = 30_000
    row.run(2)
    assert [row.offered(0), row.offered(1)] == [15_000, 15_000]


def test_advice_of_zero_is_a_cap_and_none_is_none() -> None:
    row = Row(20, bays(1))
    row.kernel.advise(0, Advice(until_ns=10**18))
    row.run(30)
    assert row.offered(0) == 20_000
    row.kernel.advise(0, Advice(cap_ma=0, until_ns=10**18))
    row.run(30)
    assert row.offered(0) == 0


# -- left-over steps -----------------------------------------------------------------------------


def test_left_over_steps_are_used_and_go_round() -> None:
    row = Row(44, bays(4, step_ma=4000, min_ma=8000))
    row.run(60)
    first = [row.offered(i) for i in range(4)]
    assert sorted(first) == [8000, 12_000, 12_000, 12_000]
    seen = {first.index(8000)}
    for _ in range(4):
        row.run(900)
        now = [row.offered(i) for i in range(4)]
        assert sorted(now) == [8000, 12_000, 12_000, 12_000]
        seen.add(now.index(8000))
    assert len(seen) >= 3, seen
    changes = [sum(a != b for a, b in pairwise(offers)) for offers in row.offers]
    assert max(changes) <= 3 + 2 * 4, "a step changes hands once in a turn"


def test_left_over_steps_break_no_cap() -> None:
    for cap_a in range(12, 60, 5):
        row = Row(cap_a, bays(4, step_ma=3000))
        row.run(60)
        assert sum(row.offered(i) for i in range(4)) <= cap_a * 1000
        if all(12_000 <= row.offered(i) < 30_000 for i in range(4)):
            assert sum(row.offered(i) for i in range(4)) > cap_a * 1000 - 3000


def test_left_over_steps_go_to_who_takes_them() -> None:
    """A paced one writes for 2 A and more. The step of 1 A that is left is another's."""
    slow = BAY._replace(write_gap_ns=5 * S)
    row = Row(33, [slow, slow, BAY, BAY], base_step_ma=0)
    row.base_ma = 1000
    row.run(200)
    assert [row.offered(i) for i in range(4)] == [8000] * 4
    row.base_ma = 0
    row.run(200)
    assert sorted(row.offered(i) for i in range(4)) == [8000, 8000, 8000, 9000]


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


def test_left_over_steps_stay_where_they_are_over_a_new_document() -> None:
    row = Row(44, bays(4, step_ma=4000, min_ma=8000))
    row.run(960)
    had = [row.offered(i) for i in range(4)]
    assert had.index(8000) != 3, "they went round once"
    after = Row(44, bays(4, step_ma=4000, min_ma=8000))
    after.kernel.adopt(row.kernel, {0: 0}, {0: 0}, {i: i for i in range(4)}, {})
    after.now_ns = row.now_ns
    after.run(60)
    assert [after.offered(i) for i in range(4)] == had


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
