"""A few swing chargers take up the noise, so that the others stand still."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from cext.rows import Advice, ChargerRow, CircuitRow, Pause, Rule, SourceRow, Tuning, Vehicle
from cext.tick import Kernel
from tests.bays import BAY, TURN, Row, S, bays

FINE = BAY._replace(step_ma=100)


class Depot(Row):
    """Calm is a minute, as the document's default."""

    def __init__(self, cap_a: int, rows: list[ChargerRow], **circuit: Any) -> None:
        super().__init__(cap_a, rows)
        self.kernel = Kernel(
            [CircuitRow(-1, (cap_a * 1000,) * 3, (60_000,) * 3, **circuit)],
            [SourceRow(0, 0, 0, 10 * S, S)],
            rows,
            [],
            Tuning(20 * S, 15 * S, 4000, 60 * S, TURN),
        )
        self.draw = random.Random(7)
        self.cap_ma = cap_a * 1000
        self.most_ma = 10**9  # the base load wavers, and what was just ordered is credited

    def wavers(self, seconds: int, most_ma: int) -> None:
        """The base load is another one every two seconds."""
        for _ in range(seconds // 2):
            self.base_ma = self.draw.randrange(0, most_ma, 100)
            self.run(2)

    def moves(self, since: int) -> list[int]:
        """How often each setpoint changed after tick `since`."""
        return [sum(a != b for a, b in pairwise(offers[since:])) for offers in self.offers]

    def offered_in_all(self) -> int:
        return sum(map(self.offered, range(len(self.rows))))

    def ticks(self) -> int:
        return len(self.offers[0])


def full(count: int = 24, amperes_each: int = 12, **changes: Any) -> Depot:
    """Settled, with room for so much for each."""
    depot = Depot(count * amperes_each + 10, [FINE._replace(**changes)] * count)
    depot.base_ma = 10_000
    depot.run(600)
    return depot


def test_a_few_take_up_what_wavers_and_the_others_stand_still() -> None:
    depot = full()
    since = depot.ticks()
    depot.wavers(600, 20_000)
    moves = sorted(depot.moves(since))
    assert moves[len(moves) // 2] <= 10, "the others: once a minute at the most"
    assert sum(each > 10 for each in moves) <= 6, moves
    assert sum(moves[-6:]) > sum(moves[:-6]), moves


def test_nobody_moves_more_than_once_a_minute_unless_a_cap_asks_for_it() -> None:
    """Base loads that never bring the reading above the cap ask for nothing."""
    depot = full()
    depot.base_ma = 0
    depot.run(300)
    since = depot.ticks()
    chosen: set[int] = set()
    for _ in range(900 // 2):
        depot.base_ma = 0
        depot.run(2)
        chosen |= {i for i in range(24) if depot.offers[i][-1] != depot.offers[i][-2]}
    assert sum(each <= 900 // 60 for each in depot.moves(since)) >= 24 - 6
    assert all(each <= 900 // 60 * 2 for each in depot.moves(since))


def test_a_small_excess_is_theirs_to_give() -> None:
    depot = full()
    before = [offers[-1] for offers in depot.offers]
    depot.base_ma += 6000
    depot.run(2)
    gave = [a - offers[-1] for a, offers in zip(before, depot.offers, strict=True)]
    assert 0 < sum(each > 0 for each in gave) <= 2, gave
    assert sum(gave) >= 6000 - (depot.cap_ma - sum(before) - (depot.base_ma - 6000))


def test_those_that_may_never_be_paused_give_no_more_than_is_asked_for() -> None:
    gave = []
    for may_pause in (Pause.YES, Pause.NEVER):
        depot = full(24, 20, may_pause=may_pause)
        before = depot.offered_in_all()
        depot.base_ma += 3000
        depot.run(2)
        gave.append(before - depot.offered_in_all())
    assert gave[0] == gave[1], gave
    assert 2000 <= gave[1] <= 3100


def test_no_swing_charger_gives_below_its_minimum_alone() -> None:
    """What they cannot give the others do, and nobody is paused."""
    depot = full()
    depot.base_ma += 9000
    depot.run(2)
    depot.base_ma += 9000
    depot.run(2)
    depot.base_ma += 9000
    depot.run(2)
    assert min(offers[-1] for offers in depot.offers) >= 6000


@pytest.mark.parametrize(
    ("each_a", "more_a"), [(12, 48), (20, 24)], ids=["more than they have", "they could"]
)
def test_what_is_no_noise_any_more_everybody_gives(each_a: int, more_a: int) -> None:
    """Noise is a 32nd of the rating."""
    depot = full(24, each_a)
    before = [offers[-1] for offers in depot.offers]
    depot.base_ma += more_a * 1000
    depot.run(2)
    gave = [a - offers[-1] for a, offers in zip(before, depot.offers, strict=True)]
    assert sum(each > 0 for each in gave) >= 20


def test_where_few_charge_everybody_follows_its_share() -> None:
    depot = full(8)
    assert {offers[-1] for offers in depot.offers} == {12_000}
    depot.base_ma = 26_000
    depot.run(60)
    assert {offers[-1] for offers in depot.offers} == {10_000}


def test_shares_are_fair_within_an_ampere_after_a_while() -> None:
    depot = full()
    depot.base_ma = 34_000
    depot.run(400)
    offers = [each[-1] for each in depot.offers]
    assert max(offers) - min(offers) <= 3000, offers
    assert 256_000 <= sum(offers) <= 264_000


def test_none_takes_more_than_its_advised_cap_or_its_maximum() -> None:
    depot = full(24, 20, max_ma=24_000)
    for i in range(24):
        depot.kernel.advise(i, Advice(cap_ma=12_000, until_ns=10**18))
    depot.run(200)
    since = depot.ticks()
    depot.wavers(600, 20_000)
    assert max(max(offers[since:]) for offers in depot.offers) <= 12_000


def test_none_of_them_is_raised_without_slack() -> None:
    depot = full()
    for _ in range(900):
        before = depot.offered_in_all()
        depot.wavers(2, 40_000)
        if depot.offered_in_all() > before:
            assert depot.offered_in_all() + depot.base_ma <= depot.cap_ma


def test_others_take_their_turn() -> None:
    depot = full()
    seen: list[set[int]] = []
    for _ in range(3):
        since = depot.ticks()
        depot.wavers(800, 20_000)
        moves = depot.moves(since)
        seen.append({i for i, each in enumerate(moves) if each > 20})
        depot.wavers(100, 20_000)
    assert all(seen)
    assert len(set.union(*seen)) > max(len(each) for each in seen), seen


def test_one_that_just_came_need_not_wait_a_minute_for_each_step() -> None:
    depot = Depot(24 * 20, [FINE] * 24)
    depot.run(12)
    assert min(offers[-1] for offers in depot.offers) >= 17_000


def test_who_stands_still_says_so() -> None:
    depot = full()
    depot.wavers(40, 20_000)
    rules = {depot.kernel.output(i).why.rule for i in range(24)}
    assert Rule.CALM in rules


@pytest.mark.parametrize("limit", [None, 20_000], ids=["as it comes", "imbalance"])
def test_an_imbalance_limit_leaves_nobody_to_spare(limit: int | None) -> None:
    circuit = {} if limit is None else {"imbalance_ma": limit}
    depot = Depot(298, [FINE] * 24, **circuit)
    depot.base_ma = 10_000
    depot.run(600)
    before = [offers[-1] for offers in depot.offers]
    depot.base_ma += 6000
    depot.run(2)
    gave = sum(a > offers[-1] for a, offers in zip(before, depot.offers, strict=True))
    assert (gave <= 2) if limit is None else (gave > 12)


def test_a_new_document_leaves_them_as_they_are() -> None:
    depot = full()
    depot.wavers(60, 20_000)
    before = [offers[-1] for offers in depot.offers]
    after = Depot(298, [FINE] * 24)
    after.kernel.adopt(depot.kernel, {0: 0}, {0: 0}, {i: i for i in range(24)}, {})
    depot.kernel = after.kernel
    depot.base_ma = 10_000
    depot.run(4)
    moved = sum(abs(a - offers[-1]) > 0 for a, offers in zip(before, depot.offers, strict=True))
    assert moved <= 6


def test_bays_of_whole_amperes_swing_too() -> None:
    depot = Depot(298, bays(24))
    depot.base_ma = 10_000
    depot.run(600)
    since = depot.ticks()
    depot.wavers(600, 20_000)
    moves = sorted(depot.moves(since))
    assert moves[len(moves) // 2] <= 10


@pytest.mark.parametrize("late_s", [0, 3], ids=["punctual", "late now and then"])
def test_who_is_strictly_first_never_starves_behind_them(late_s: int) -> None:
    """A vehicle of the first class comes, and some of its charger's reports are late, never so late
    that they are over age. Swing chargers took what was free, and can use it."""
    rows = [FINE._replace(class_rank=1)] * 24 + [FINE._replace(class_rank=0)]
    depot = Depot(24 * 15 + 10, rows)
    depot.base_ma = 10_000
    depot.vehicle[24] = Vehicle.A
    depot.run(600)
    assert depot.offered(24) == 0
    depot.vehicle[24] = Vehicle.C
    for second in range(180):
        depot.mute = {24} if second % 12 < late_s else set()
        depot.run(1, step=1)
    assert depot.offered(24) == 32_000


@pytest.mark.parametrize(
    "falls", [False, True], ids=["obeys", "says now and then that it fell back"]
)
def test_what_slack_cut_short_goes_on(falls: bool) -> None:
    """One that is strictly first wants more, beside a base load that wavers. It takes what is free
    at once, and does not rest for the calm time on a part of its share: else swing chargers had the
    rest. For a moment, now and then, it may not rise and waits for nobody's room."""
    rows = [FINE._replace(class_rank=1)] * 24 + [FINE._replace(class_rank=0)]
    depot = Depot(24 * 15 + 10, rows)
    depot.base_ma = 10_000
    depot.kernel.advise(24, Advice(cap_ma=8000, until_ns=600 * S))
    depot.run(600)
    for second in range(180):
        depot.base_ma = depot.draw.randrange(4000, 10_000, 100)
        depot.run(1, step=1)
        if falls and second % 10 == 0:
            told = depot.offered(24)
            depot.now_ns += S // 10
            depot.kernel.post_report(
                24, depot.now_ns, told - 3000, (told,) * 3, Vehicle.C, depot.kernel.ticks
            )
            depot.kernel.tick(depot.now_ns)
    assert depot.offered(24) == 32_000


def test_they_keep_what_nobody_waits_for() -> None:
    """Their share is less; what they took beside it, and can use, stays theirs."""
    depot = full(24, 20)
    depot.base_ma += 48_000
    depot.run(2)
    depot.base_ma -= 48_000
    depot.run(40)
    since = depot.ticks()
    depot.run(16)
    before = depot.offered_in_all()
    assert before >= 24 * 20_000 - 10_000
    assert all(b >= a for offers in depot.offers for a, b in pairwise(offers[since:])), (
        "nobody fell"
    )


def test_one_that_has_all_it_may_have_above_its_share_says_so() -> None:
    """Not what moved it long ago, nor the cap that others share: nothing of that keeps it there."""
    depot, said = full(24, 28), set()
    for _ in range(150):
        depot.wavers(2, 40_000)
        said |= {
            depot.kernel.output(i).why.rule
            for i, offers in enumerate(depot.offers)
            if offers[-2:] == [32_000] * 2
        }
    assert Rule.MAXIMUM in said
    assert said <= {Rule.MAXIMUM, Rule.CALM}
