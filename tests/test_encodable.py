"""What a charger could never be told as it is meant: refused when its profile is read."""

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from controller.clock import MonotonicClock
from controller.image import Order
from controller.units import NS_PER_S
from controller.watts import Watts
from drivers.chargerprofile import ChargerProfile
from drivers.library import library, parse
from drivers.telling import Telling
from drivers.watts import seated
from drivers.wear import Wear
from tests.driven import charger
from tests.test_charger_format import made, merged, told
from tests.test_profiles import said


def narrow(name: str, changes: dict[str, Any], **sections: dict[str, Any]) -> str:
    """What is said of the profile where that register is another one."""
    data = merged(sections)
    data["registers"][name] |= changes
    return said(data)


AWAKE: dict[str, Any] = {"kind": "any_traffic", "timeout_s": 20, "timeout": "timeout"}
FALLS: dict[str, Any] = AWAKE | {"fallback": "fallback", "fallback_set": "fallback"}


@pytest.mark.parametrize(
    ("name", "changes", "sections", "words"),
    [
        (
            *("setpoint", {"scale": 0.001}, {"setpoint": {"max_a": 80}}),
            "setpoint.max_a: 80 A cannot be written into setpoint: it holds at most 65.535 A",
        ),
        (
            *("setpoint_l2", {"type": "int16", "scale": 0.001}),
            {"setpoint": {"register": ["setpoint", "setpoint_l2", "setpoint_l3"], "max_a": 33}},
            "33 A cannot be written into setpoint_l2: it holds at most 32.767 A",
        ),
        ("setpoint", {"scale": 4}, {}, "setpoint.min_a: is no whole number of setpoint's steps"),
        ("setpoint", {"scale": 2}, {}, "setpoint.step_a: is no whole number of setpoint's steps"),
        (
            *("fallback", {"type": "int16", "scale": 0.001}),
            {"setpoint": {"max_a": 40}, "watchdog": FALLS},
            "watchdog.fallback_set: 40 A cannot be written into fallback: it holds at most 32.767",
        ),
        (
            *("timeout", {"scale": 0.001}),
            {"watchdog": AWAKE | {"timeout_set": "timeout", "timeout_most_s": 100}},
            "watchdog.timeout_most_s: 100 s cannot be written into timeout: it holds at most 65.5",
        ),
        (
            *("timeout", {}),
            {"watchdog": AWAKE | {"timeout_set": "timeout", "timeout_least_s": 70_000}},
            "watchdog.timeout_least_s: 70000 s cannot be written into timeout",
        ),
        (
            *("timeout", {}),
            {"watchdog": AWAKE | {"timeout_set": "timeout", "timeout_off": [300]}},
            "watchdog.timeout_off: 300 is a time that may be set, and off, too",
        ),
        (
            *("timeout", {"scale": 0.001}),
            {
                "watchdog": AWAKE
                | {"kind": "timeout_rewrite", "timeout_s": 90, "timeout_set": "timeout"}
            },
            "watchdog.timeout_s: 90 s cannot be written into timeout: it holds at most 65.535 s",
        ),
    ],
)
def test_a_time_or_a_current_that_its_register_cannot_hold_is_refused(
    name: str, changes: dict[str, Any], sections: dict[str, Any], words: str
) -> None:
    assert words in narrow(name, changes, **sections)


def test_a_fallback_in_watts_is_tried_too() -> None:
    data = tomllib.loads(library().names()["alpitronic_hyc"].read_text())
    data["registers"]["alone"] = {"addr": 900, "type": "int16", "unit": "W"}
    data["block"].append({"fc": 3, "start": 900, "count": 1})
    data["registers"]["alone"]["fc"] = 3
    data["watchdog"] |= {"fallback": "alone", "fallback_set": "alone"}
    data["watts"]["max_w"] = 400_000
    del data["connectors"]
    words = "watchdog.fallback_set: 400000 W cannot be written into alone: it holds at most 32767 W"
    assert words in said(data)
    data["registers"]["alone"]["scale"] = 100
    parse(data, "it")  # holds 3 MW


def test_a_time_that_is_written_never_means_that_the_watchdog_is_off() -> None:
    data = merged({"watchdog": AWAKE | {"timeout_set": "timeout", "timeout_off": [65535]}})
    data["registers"]["timeout"]["scale"] = 60  # in minutes
    profile = parse(data, "it")
    assert isinstance(profile, ChargerProfile)
    assert profile.facts.timeout_least_ns == 60 * NS_PER_S  # less would be written as 0
    assert profile.facts.timeout_most_ns == 65534 * 60 * NS_PER_S
    highest = merged({"watchdog": AWAKE | {"timeout_set": "timeout", "timeout_most_s": 60}})
    assert parse(highest, "it").facts.timeout_least_ns == NS_PER_S  # type: ignore[union-attr]


def test_what_takes_its_limit_away_is_never_written_whatever_the_profile_says() -> None:
    profile = made()
    unsound = profile.setpoint.model_copy(update={"unlimited": (20, 0)})
    unsound_profile = profile.model_copy(update={"setpoint": unsound})
    for ma in (20_000, 20_900, 0):
        with pytest.raises(ValueError, match="would take its limit away"):
            told(unsound_profile, ma)
    assert told(unsound_profile, 19_000) == [(6, 3, (19,))]


@pytest.mark.parametrize("name", library().names("charger"))
def test_whatever_a_site_may_declare_can_be_written(name: str) -> None:
    """What is found out when a driver is made would keep the whole enforcer from starting."""
    plain = library().charger_profile(name)
    facts, now_ns = plain.facts, MonotonicClock().now_ns
    if facts.watts is not None:
        facts = Watts.of(facts.watts).in_amperes(facts)
    most_ma = min(each for each in (facts.max_ma, facts.writable_ma, 1_000_000) if each)
    longest_ns = min(facts.timeout_most_ns or 1 << 62, 3600 * NS_PER_S)
    for fallback_ma in (facts.min_ma, most_ma):
        for delay_ns in (max(facts.timeout_least_ns, NS_PER_S), longest_ns, None):
            its = replace(
                charger(502, profile=name, facts=facts, max_ma=most_ma),
                fallback_ma=fallback_ma,
                fallback_delay_ns=delay_ns or 3600 * NS_PER_S,
                set_fallback_ma=fallback_ma,
                set_delay_ns=delay_ns,
            )
            profile = seated(plain, its)
            telling = Telling(its, profile, now_ns, Wear(now_ns))
            for ma in (0, facts.min_ma, most_ma):
                assert telling.next(Order(ma, 1, 1 << 62), 1, fresh=True, silent=False)
                telling.drop()
