"""Who draws nothing gives its whole share back while others are short, and is asked again."""

from itertools import pairwise
from typing import Any

import pytest

from cext.rows import Advice, ChargerRow, Pause, Rule, Vehicle
from tests.bays import BAY, TURN, Row, S, bays

FULL, OTHER = 0, 1


def short(rows: list[ChargerRow] | None = None, **changes: Any) -> Row:
    """Room for both minima and not for all: the first vehicle is full."""
    row = Row(24, rows or bays(2, **changes))
    row.wants_ma[FULL] = 0
    return row


def why(row: Row, charger: int = FULL) -> Rule:
    return row.kernel.output(charger).why.rule


def test_a_full_vehicle_gives_its_whole_share_back() -> None:
    row = short()
    row.run(60)
    assert row.on() == [FULL, OTHER], "a minute is its own"
    row.run(80)
    assert row.on() == [OTHER]
    assert why(row) == Rule.IDLE
    assert row.offered(OTHER) == 24_000, "the six amperes of its minimum, too"


def test_it_is_asked_again_each_turn_and_offered_no_more_than_its_minimum() -> None:
    row = short()
    row.run(140)
    row.run(TURN // S)
    again = row.offers[FULL][-TURN // S // 2 :]
    assert max(again) == 6000
    assert row.switched(FULL) == 4, "on and off at first, on and off once more"


def test_after_a_few_turns_it_is_asked_once_an_hour_and_never_flaps() -> None:
    row = short()
    row.run(5 * TURN // S, step=3)
    before = row.switched(FULL)
    row.run(4 * 3600, step=3)
    assert 6 <= row.switched(FULL) - before <= 8, "four times on and off in four hours"
    begun = [i for i, (a, b) in enumerate(pairwise(row.offers[FULL])) if a == 0 < b]
    assert min(b - a for a, b in pairwise(begun[-3:])) * 3 >= 3600


def test_one_that_draws_when_it_is_asked_has_its_share_again() -> None:
    row = short()
    row.run(140)
    row.wants_ma[FULL] = 32_000
    row.run(TURN // S + 60)
    assert row.offered(FULL) == row.offered(OTHER) == 12_000


def test_one_whose_vehicle_does_something_is_asked_at_once() -> None:
    row = short()
    row.run(140)
    row.vehicle[FULL] = Vehicle.B
    row.wants_ma[FULL] = 32_000
    row.run(30)
    assert row.offered(FULL) == row.offered(OTHER) == 12_000


def test_an_echo_of_its_pause_is_no_sign_of_another_wish() -> None:
    """Its vehicle goes back from C to B because nothing is offered any more."""
    row = short()
    for _ in range(10 * TURN // S // 2):
        row.vehicle[FULL] = Vehicle.C if row.offered(FULL) else Vehicle.B
        row.run(2)
    assert row.switched(FULL) <= 2 + 2 * 3 + 2 * 3, "first, three turns, each hour"


@pytest.mark.parametrize("may", [Pause.REPLUG, Pause.NEVER])
def test_who_may_not_be_paused_keeps_its_minimum(may: Pause) -> None:
    row = short(may_pause=may)
    row.run(2 * TURN // S)
    assert min(row.offers[FULL][-100:]) >= 6000
    assert row.offered(OTHER) == 18_000
    assert row.switched(FULL) == 1


def test_who_draws_now_and_then_is_not_taken_for_full() -> None:
    """Six seconds of every fourteen: its share is its own."""
    row = short()
    for second in range(0, 400, 2):
        row.wants_ma[FULL] = 32_000 if second % 14 < 6 else 0
        row.run(2)
        assert not row.kernel.charger(FULL).idle
    assert row.offered(FULL) >= 11_000


def test_where_nobody_is_short_nobody_is_parked() -> None:
    row = Row(70, bays(2))
    row.wants_ma[FULL] = 0
    row.run(2 * TURN // S)
    assert row.on() == [FULL, OTHER]
    assert row.switched(FULL) == 1


def test_a_moment_in_which_somebody_is_short_parks_nobody() -> None:
    """Where noise makes shares end below what can be used now and then."""
    row = Row(70, bays(2))
    row.wants_ma[FULL] = 0
    row.run(200)
    for _ in range(10):
        row.base_ma = 20_000
        row.run(4)
        row.base_ma = 0
        row.run(30)
    assert row.switched(FULL) == 1


def test_its_minimum_time_on_comes_first() -> None:
    row = short(min_on_ns=600 * S)
    row.run(500)
    assert row.on() == [FULL, OTHER]
    row.run(120)
    assert row.on() == [OTHER]


def test_one_on_another_phase_stands_in_nobodys_way() -> None:
    lone = [BAY._replace(phases=(0, -1, -1)), BAY._replace(phases=(1, -1, -1))]
    row = Row(12, lone)
    row.wants_ma[FULL] = 0
    row.most_ma = 24_000  # each on a phase of its own
    row.run(600)
    assert row.offered(FULL) >= 6000
    assert row.offered(OTHER) == 12_000


def test_a_vehicle_that_is_paused_is_not_asked_when_it_leaves() -> None:
    row = short()
    row.run(140)
    row.vehicle[FULL] = Vehicle.A
    row.run(10)
    assert why(row) == Rule.NO_VEHICLE


def test_advice_that_pauses_it_is_the_reason_then() -> None:
    row = short()
    row.kernel.advise(FULL, Advice(cap_ma=0, until_ns=10**18))
    row.run(60)
    assert why(row) == Rule.ADVICE


def test_a_parked_one_stays_so_over_a_new_document() -> None:
    row = short()
    row.run(140)
    after = short()
    after.kernel.adopt(row.kernel, {0: 0}, {0: 0}, {0: 0, 1: 1}, {})
    after.now_ns, row.kernel = row.now_ns, after.kernel
    row.run(60)
    assert row.offered(FULL) == 0
    assert why(row) == Rule.IDLE
