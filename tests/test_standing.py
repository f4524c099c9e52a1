"""When a charger must be told again, and when what feeds its watchdog is due: by instants alone."""

from dataclasses import replace
from typing import Any

import pytest

from controller.image import Order
from controller.units import NS_PER_S
from drivers.chargerprofile import ChargerProfile
from drivers.library import parse
from drivers.reader import Sample
from drivers.standing import Standing
from tests.driven import charger
from tests.test_profiles import change, load

ORDER = Order(tick=1, ma=10_000, expires_ns=10**18)
T_S = 20


def s(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def fed_apart(kind: str, **changes: Any) -> ChargerProfile:
    """A Heidelberg whose watchdog were another one."""
    data = load("heidelberg_energy_control")
    data = change(change(data, "watchdog.kind", kind), "endurance", None)
    del data["conf"]["endurance"]
    if kind in ("life_bit", "token"):
        data["registers"]["life"] = {"addr": 263, "fc": 3, "type": "uint16"}
        data["block"][2]["count"] = 3
        data["watchdog"] |= {"feed": "life", "feed_value": 1}
    data["watchdog"] |= changes
    profile = parse(data, "it")
    assert isinstance(profile, ChargerProfile)
    return profile


def standing(profile: ChargerProfile) -> Standing:
    its = charger(502, profile=profile.name, facts=profile.facts)
    bus = replace(its.bus, timeout_ns=s(0.5))
    its = replace(its, bus=bus, fallback_delay_ns=s(T_S), settle_ns=s(6), poll_ns=s(1))
    return Standing(its, profile)


def doubted(one: Standing) -> bool:
    """Whether its fallback counts, too."""
    return one.lapse.possible


def sample(at_s: float, **shown: int) -> Sample:
    values = {"watchdog_time": T_S * 1000, "failsafe_current": 6_000, "setpoint": 10_000, "life": 0}
    return Sample(s(at_s), {**values, **shown})


@pytest.mark.parametrize("kind", ["life_bit", "token", "timeout_rewrite"])
def test_it_is_told_then_fed_and_told_once_more_before_it_is_believed(kind: str) -> None:
    """Nobody knows which of the two takes it out of its fallback, and to what."""
    one = standing(fed_apart(kind))
    assert one.due(ORDER, s(0), fresh=True)
    assert not one.feed_due(s(0))  # it would bring back what nobody knows
    one.took(ORDER, s(0), s(0))
    assert one.feed_due(s(0))
    one.fed(s(0.1))
    assert doubted(one)
    assert not one.due(ORDER, s(0.5), fresh=True)
    assert one.due(ORDER, s(1), fresh=True)
    one.took(ORDER, s(1), s(1))
    assert not doubted(one)
    assert not one.due(ORDER, s(3), fresh=True)


@pytest.mark.parametrize("kind", ["life_bit", "token", "timeout_rewrite"])
def test_its_setpoint_does_not_feed_it_and_what_feeds_it_comes_each_quarter(kind: str) -> None:
    one = fresh(kind)
    for at_s in (4.9, 9.8, 14.7):
        assert not one.feed_due(s(at_s))
        one.took(ORDER, s(at_s), s(at_s))
        assert one.feed_due(s(at_s + 0.2))
        assert not one.due(ORDER, s(at_s + 0.2), fresh=True)
        one.fed(s(at_s + 0.1))


def fresh(kind: str, **changes: Any) -> Standing:
    one = standing(fed_apart(kind, **changes))
    one.report(sample(-3))
    one.took(ORDER, s(-2), s(-2))
    one.fed(s(-1.5))
    one.took(ORDER, s(-0.5), s(-0.5))
    one.fed(s(0))
    one.report(sample(0.1))
    return one


def test_after_a_pause_as_long_as_its_watchdog_it_is_told_first() -> None:
    one = fresh("life_bit")
    assert not one.due(ORDER, s(T_S - 0.1), fresh=True)
    assert one.due(ORDER, s(T_S), fresh=True)
    one.took(ORDER, s(T_S), s(T_S))
    assert not one.due(ORDER, s(T_S + 2), fresh=True)
    assert one.feed_due(s(T_S + 0.1))
    one.fed(s(T_S + 0.2))
    assert doubted(one)
    assert one.due(ORDER, s(T_S + 1), fresh=True)


def test_a_report_after_so_long_counts_both_currents() -> None:
    one = fresh("token")
    one.report(sample(10))
    assert not doubted(one)
    one.report(sample(T_S))
    assert doubted(one)


def test_a_watchdog_that_shows_that_it_is_off_is_not_fed() -> None:
    one = fresh("life_bit", feed_off=[2])
    one.report(sample(1, life=2))
    assert one.off
    assert not one.feed_due(s(19))
    one.report(sample(2, life=0))
    assert one.feed_due(s(19))


def test_one_of_which_nobody_knows_the_time_is_fed_as_often_as_its_profile_says() -> None:
    profile = fed_apart("life_bit", timeout_s=0, feed_every_s=2)
    one = Standing(charger(502, facts=profile.facts, fallback_delay_ns=None), profile)
    one.took(ORDER, s(0), s(0))
    one.fed(s(0))
    assert not one.feed_due(s(1.9))
    assert one.feed_due(s(2))


def test_orders_that_keep_coming_do_not_starve_it() -> None:
    one = fresh("life_bit")
    assert not one.feed_overdue(s(9.9))
    assert one.feed_overdue(s(10))


def test_a_setpoint_that_feeds_and_shows_no_time_left_is_told_again_in_thirds() -> None:
    one = standing(fed_apart("setpoint_rewrite"))
    one.report(sample(-1))
    one.took(ORDER, s(0), s(0))
    one.report(sample(0.1))
    assert not doubted(one)
    assert not one.due(ORDER, s(6.6), fresh=True)
    assert one.due(ORDER, s(6.7), fresh=True)
    assert not one.due(ORDER, s(6.7), fresh=False)  # the same again only feeds
    assert not one.due(ORDER, s(T_S), fresh=False)
    one.report(sample(T_S))
    assert doubted(one)
