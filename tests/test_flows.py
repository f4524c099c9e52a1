"""What an installed depot shows against its document, told from currents alone."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.site import Site, parse
from drivers.device import IllegalAddressError, NoConnectionError, NoReplyError, Request
from drivers.finding import Finding, Weight
from drivers.flows import flow_findings
from drivers.library import library
from drivers.reader import Sample
from drivers.survey import Grid, Seen, Survey, level
from drivers.wiring import device_findings
from hil.premises import SITE

Document = dict[str, Any]
AS_IT_IS: dict[str, Grid] = {
    "main-meter": (29_000, 20_000, 32_000),
    "row-a-meter": (12_000, 6_000, 6_000),
    "row-b-meter": (6_000, 6_000, 12_000),
    "clamp": (29_100, 20_100, 31_900),
    "a1": (6_000, 6_000, 6_000),
    "a2": (6_000, 0, 0),
    "b1": (6_000, 6_000, 6_000),
    "b2": (0, 0, 6_000),
}


def site(change: Callable[[Document], None] = lambda _document: None) -> Site:
    document = tomllib.loads(Path(SITE).read_text())
    change(document)
    return parse(document, library(), "site")


def survey(**shown: Grid | None) -> Survey:
    return at(site(), **shown)


def at(there: Site, **shown: Grid | None) -> Survey:
    """As it is, but for what is named (with _ for -); None: it is not heard."""
    named = {key.replace("_", "-"): grid for key, grid in shown.items()}
    seen = {}
    for device, grid in {**AS_IT_IS, **named}.items():
        made = seen[device] = Seen(device, "meter", "", "")
        made.grid = [] if grid is None else [grid] * 3
    return Survey(there, seen)


def wrong(of: Survey, weight: Weight = Weight.WRONG) -> dict[str, Finding]:
    return {
        f"{each.about}: {each.code}": each for each in flow_findings(of) if each.weight is weight
    }


def test_as_it_is_all_is_fine() -> None:
    assert {each.weight for each in flow_findings(survey())} == {Weight.FINE}


@pytest.mark.parametrize(
    ("shown", "finding", "mend"),
    [
        ({"row_a_meter": (-12_000, -6_000, -6_000)}, "row-a-meter: ct_reversed", "reversed = true"),
        ({"row_a_meter": (-12_000, 6_000, 6_000)}, "row-a-meter: ct_reversed", "of L1 round"),
        ({"main_meter": (-29_000, 20_000, 32_000)}, "main-meter: ct_reversed", "of L1 round"),
        ({"row_b_meter": (1_200, 1_200, 2_400)}, "row-b-meter: ct_ratio", "ratio = 5"),
        ({"row_b_meter": (12_000, 12_000, 24_000)}, "row-b-meter: ct_ratio", "ratio = 0.5"),
        ({"row_a_meter": (6_000, 6_000, 12_000)}, "row-a-meter: ct_phases", "L3"),
        ({"row_a_meter": (23_000, 14_000, 20_000)}, "row-a-meter: below", "identify"),
        ({"main_meter": (14_000, 9_000, 8_000)}, "main-meter: below", "identify"),
        ({"clamp": (12_000, 6_000, 6_000)}, "clamp: other_feeder", "row-a"),
        ({"clamp": (20_000, 29_000, 32_000)}, "clamp: ct_phases", "change over"),
        ({"clamp": (14_500, 10_000, 16_000)}, "clamp: ct_ratio", "ratio = 2"),
        ({"clamp": (29_000, 20_000, 0)}, "clamp: disagrees", "hand-held"),
    ],
)
def test_each_mistake_has_its_own_sentence(shown: dict[str, Grid], finding: str, mend: str) -> None:
    found = wrong(survey(**shown))
    assert finding in found, found
    assert mend in found[finding].mend
    assert found[finding].where


def test_too_little_current_tells_nothing() -> None:
    idle: dict[str, Grid | None] = {
        key.replace("-", "_"): (300, 0, 0) if key in ("main-meter", "clamp") else (0, 0, 0)
        for key in AS_IT_IS
    }
    of = survey(**idle)
    assert wrong(of) == {}
    assert set(wrong(of, Weight.UNSEEN)) == {
        *("main-meter: currents", "row-a-meter: currents", "row-b-meter: currents"),
        "clamp: agrees",
    }


def test_where_a_charger_is_not_heard_a_meter_may_show_more() -> None:
    assert wrong(survey(a2=None)) == {}
    assert "row-a-meter: below" in wrong(survey(a2=None, row_a_meter=(1_000, 1_000, 1_000)))


def test_where_something_feeds_in_export_is_no_mistake() -> None:
    def fed(document: Document) -> None:
        document["circuit"][0]["credit_export"] = True

    shown: Grid = (-20_000, -25_000, -22_000)
    assert wrong(at(site(fed), main_meter=shown, clamp=(20_000, 25_000, 22_000))) == {}
    assert "main-meter: ct_reversed" in wrong(survey(main_meter=shown))


def test_a_meter_that_does_not_tell_each_phase_is_compared_with_nothing() -> None:
    of = survey(row_a_meter=(12_000, None, None))
    assert wrong(of) == {}
    assert "row-a-meter: currents" in wrong(of, Weight.UNSEEN)


def test_an_unsteady_current_is_held_against_nobody() -> None:
    of = survey()
    of.seen["row-a-meter"].grid = [(12_000, 6_000, 6_000), (4_000, 6_000, 6_000), (2_000, 6_000, 0)]
    assert wrong(of) == {}


def test_the_middle_of_what_was_seen_and_how_far_it_went() -> None:
    found = level([5, None, 1, 9, 6])
    assert found is not None
    assert (found.ma, found.spread_ma) == (6, 5)
    assert level([None]) is None


# Single devices.

EM24 = {
    **{f"voltage_l{n}": 230_000 for n in (1, 2, 3)},
    **{f"current_l{n}": 10_000 for n in (1, 2, 3)},
    **{f"power_l{n}": 2_300_000 for n in (1, 2, 3)},
    "power_total": 6_900_000,
    **{f"power_factor_l{n}": 1_000 for n in (1, 2, 3)},
}


def alone(**values: int | None) -> dict[str, Finding]:
    """What is found of the main meter when it shows these values."""
    there = site()
    seen = Seen("main-meter", "meter", "carlo_gavazzi_em24_ethernet", "tcp://x, unit 1")
    seen.samples = [Sample(0, {**EM24, **values})]
    of = Survey(there, {"main-meter": seen, "clamp": Seen("clamp", "clamp", "rpict7v1", "x")})
    found = [each for each in device_findings(of) if each.about == "main-meter"]
    return {each.code: each for each in found}


def test_a_healthy_meter_answers() -> None:
    assert set(alone()) == {"answers"}


def test_currents_beside_another_phases_voltage_are_told_by_their_power_factor() -> None:
    found = alone(power_l1=-1_150_000, power_l2=-1_150_000, power_total=0)
    assert found["phase_order"].weight is Weight.WRONG
    assert "L1 L2" in found["phase_order"].mend


def test_a_phase_without_voltage_and_one_of_another_voltage() -> None:
    assert "fuses" in alone(voltage_l3=0, power_l3=0, power_total=4_600_000)["no_voltage"].mend
    assert alone(voltage_l1=400_000)["voltage"].weight is Weight.WRONG


def test_powers_that_no_current_carries() -> None:
    assert "impossible" in alone(power_l2=9_000_000, power_total=13_600_000)
    assert alone(power_total=2_000_000)["power_sum"].weight is Weight.DOUBT
    assert alone(current_l2=None)["unknown_current"].weight is Weight.DOUBT


@pytest.mark.parametrize(
    ("error", "code", "mend"),
    [
        (NoConnectionError, "silent", "is Modbus switched on"),
        (NoReplyError, "silent", "unit id"),
        (IllegalAddressError, "wrong_profile", "loadkeeper scan"),
    ],
)
def test_why_it_is_silent_and_what_that_mostly_is(
    error: type[NoReplyError], code: str, mend: str
) -> None:
    seen = Seen("main-meter", "meter", "carlo_gavazzi_em24_ethernet", "tcp://x:502, unit 1")
    seen.error = error("why", line="x", request=Request("m", 1, 3, 0, 1))
    clamp = Seen("clamp", "clamp", "rpict7v1", "x")
    found = list(device_findings(Survey(site(), {"main-meter": seen, "clamp": clamp})))
    assert [each.code for each in found] == [code, "silent"]
    assert mend in found[0].mend
