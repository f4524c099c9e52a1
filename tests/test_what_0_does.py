"""A setpoint or a fallback that reads 0: none, the most, or unknown, by what its profile says."""

from dataclasses import replace
from typing import Any

import pytest

from controller.units import NS_PER_S
from drivers.chargerprofile import ChargerProfile
from drivers.library import parse
from drivers.report import in_force_ma, proven, told_fallback_ma
from drivers.watts import seated
from tests.driven import charger
from tests.test_charger_format import COIL, made, merged, sample


@pytest.mark.parametrize("zero", ["ignored", "refused"])
@pytest.mark.parametrize("read_ma", [0, 1_000, 5_000])
def test_one_that_0_does_not_stop_may_draw_its_most_while_it_reads_0_and_is_enabled(
    zero: str, read_ma: int
) -> None:
    """Whatever is less than it can be told is no current of its, and no pause either."""
    profile = made(setpoint={"zero": zero}, enable=COIL)
    assert in_force_ma(profile, sample(setpoint=read_ma)) == 32_000
    assert in_force_ma(profile, sample(setpoint=read_ma, coil=None)) == 32_000
    assert in_force_ma(profile, sample(setpoint=read_ma, coil=0)) == 0
    assert in_force_ma(profile, sample(setpoint=6_000)) == 6_000


@pytest.mark.parametrize("zero", ["pauses", "ends_session"])
def test_one_that_0_stops_is_believed_when_it_reads_0(zero: str) -> None:
    profile = made(setpoint={"zero": zero})
    assert in_force_ma(profile, sample(setpoint=0)) == 0
    assert in_force_ma(profile, sample(setpoint=5_000)) == 5_000


def test_no_limit_is_its_most_unless_it_is_stopped() -> None:
    profile = made(setpoint={"zero": "unlimited", "unlimited": [0]}, enable=COIL)
    assert in_force_ma(profile, sample(setpoint=0)) == 32_000
    assert in_force_ma(profile, sample(setpoint=0, coil=0)) == 0


def test_what_it_applies_in_a_register_of_its_own_is_believed_whatever_0_does() -> None:
    enable = {"register": "command", "fc": 6, "on": 5, "off": 4, "command": True}
    profile = made(setpoint={"zero": "refused", "applied": "granted"}, enable=enable)
    assert in_force_ma(profile, sample(granted=0)) == 0


def test_the_most_that_its_profile_does_not_know_is_what_the_site_says_of_it() -> None:
    data = merged({"setpoint": {"zero": "ignored"}, "enable": COIL})
    del data["setpoint"]["max_a"]
    plain = parse(data, "it")
    assert isinstance(plain, ChargerProfile)
    assert in_force_ma(seated(plain), sample(setpoint=0)) is None  # unknown, and not 0
    its = replace(charger(502, profile="it", facts=plain.facts), max_ma=25_000)
    assert in_force_ma(seated(plain, its), sample(setpoint=0)) == 25_000


def test_a_fallback_of_0_is_believed_where_0_stops_it_and_nowhere_else() -> None:
    falls = {"kind": "any_traffic", "timeout_s": 20, "timeout": "timeout", "fallback": "fallback"}
    its = replace(charger(502), fallback_ma=0, fallback_delay_ns=20 * NS_PER_S)

    def found(**setpoint: Any) -> tuple[int | None, bool | None]:
        stops = {key: setpoint.pop(key) for key in ("fallback_stops",) if key in setpoint}
        profile = made(setpoint=setpoint, watchdog=falls | stops, enable=COIL)
        shown = sample(fallback=0)
        return told_fallback_ma(profile, shown), proven(its, profile, shown)

    assert found() == (0, True)
    assert found(zero="ends_session") == (0, True)
    assert found(zero="ignored") == (32_000, False)
    assert found(zero="unlimited", unlimited=[0]) == (32_000, False)
    assert found(zero="refused", fallback_stops=True) == (0, True)
