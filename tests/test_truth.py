"""The true caps, by the rules for limits, one rule a test."""

from typing import Any

import pytest

from cext.rows import Phases
from controller.site import Site, parse
from hil.profiles import StoryProfiles
from hil.story.truth import Truth

S = 1_000_000_000
RATING = (100_000, 90_000, 100_000)


def three(ma: int) -> Phases:
    return ma, ma, ma


def site(**source: Any) -> Site:
    usual = {"id": "cloud", "circuit": "grid", "kind": "grid", "lease_s": 10, "failsafe_a": 60}
    document = {
        "schema": 1,
        "site": {"id": "truth"},
        "circuit": [
            {"id": "grid", "rating_a": [100, 90, 100], "worst_base_a": 0},
            {"id": "row", "parent": "grid", "rating_a": 50, "worst_base_a": 0},
        ],
        "limit_source": [usual | source],
    }
    return parse(document, StoryProfiles())


def cap(truth: Truth, t_s: float) -> Phases:
    return truth.caps_ma(round(t_s * S))[0]


def test_a_source_never_heard_is_lost() -> None:
    assert Truth(site()).caps_ma(0) == [three(60_000), three(50_000)]


def test_a_live_limit_binds_until_its_lease_is_over() -> None:
    truth = Truth(site())
    truth.publish(5 * S, "cloud", three(30_000), ttl_ns=4 * S)
    assert cap(truth, 5) == cap(truth, 8.9) == three(30_000)
    assert cap(truth, 9) == three(60_000)


def test_the_lease_is_the_sites_where_that_is_shorter() -> None:
    truth = Truth(site())
    truth.publish(0, "cloud", three(30_000), ttl_ns=99 * S)
    assert cap(truth, 9.9) == three(30_000)
    assert cap(truth, 10) == three(60_000)


def test_unlimited_and_high_limits_leave_the_rating() -> None:
    truth = Truth(site())
    truth.publish(0, "cloud", None, ttl_ns=4 * S)
    assert cap(truth, 1) == RATING
    truth.publish(2 * S, "cloud", three(95_000), ttl_ns=4 * S)
    assert cap(truth, 2) == (95_000, 90_000, 95_000)


def test_zero_is_a_limit() -> None:
    truth = Truth(site())
    truth.publish(0, "cloud", three(0), ttl_ns=4 * S)
    assert cap(truth, 1) == three(0)


def test_ended_as_planned_is_no_limit_while_the_source_lives() -> None:
    truth = Truth(site())
    truth.publish(0, "cloud", three(30_000), ttl_ns=8 * S, until_ns=3 * S)
    assert [cap(truth, t) for t in (2.9, 3, 7.9, 8)] == [
        three(30_000),
        RATING,
        RATING,
        three(60_000),
    ]


def test_a_lost_source_holds_its_last_limit_if_that_is_lower() -> None:
    truth = Truth(site(hold_s=5))
    truth.publish(0, "cloud", (30_000, 70_000, 30_000), ttl_ns=4 * S)
    assert cap(truth, 5) == (30_000, 60_000, 30_000)
    assert cap(truth, 9) == three(60_000)


def test_the_last_limit_counts() -> None:
    truth = Truth(site())
    truth.publish(0, "cloud", three(30_000), ttl_ns=9 * S)
    truth.publish(2 * S, "cloud", three(70_000), ttl_ns=4 * S)
    assert cap(truth, 3) == three(70_000)
    assert cap(truth, 6) == three(60_000)


def test_another_source_is_an_error() -> None:
    with pytest.raises(KeyError):
        Truth(site()).publish(0, "clod", None, S)
