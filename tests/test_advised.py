"""What advice does to shares: weights, floors, caps, and nothing beyond a cap or maximum."""

from __future__ import annotations

import pytest

from cext.rows import Advice, Rule, Vehicle
from tests.bays import BAY, Row, S, bays


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
