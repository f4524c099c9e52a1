"""Where a charger hangs, concluded from what followed its steps. And what may be varied at all."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from controller.commands.identify import UnableError, permitted_ma
from controller.commands.identify import _step_of as step_of
from controller.proof import prove
from controller.site import Site, parse
from drivers.chargerprofile import ChargerProfile
from drivers.finding import Finding, Weight
from drivers.library import library
from drivers.pattern import CODE
from drivers.reader import Sample
from drivers.survey import Grid, profile_of
from drivers.variation import Course
from drivers.whereabouts import answer_of, conclusions
from hil.premises import SITE

STEP_MA = 4_000
BASE: dict[str, Grid] = {
    "main-meter": (29_000, 20_000, 32_000),
    "row-a-meter": (12_000, 6_000, 6_000),
    "row-b-meter": (6_000, 6_000, 12_000),
    "clamp": (29_000, 20_000, 32_000),
}
ON_L1 = (1.0, 0.0, 0.0)
SEEN_BY_A2 = {"main-meter": ON_L1, "clamp": ON_L1, "row-a-meter": ON_L1}


def site(**changes: Any) -> Site:
    document = tomllib.loads(Path(SITE).read_text())
    for key, value in changes.items():
        document["circuit"][0][key] = value
    return parse(document, library(), "site")


def found(
    charger: str,
    shows: dict[str, tuple[float, float, float]],
    own: tuple[float, float, float] | None = ON_L1,
    noise_ma: int = 0,
) -> dict[str, Finding]:
    """What is concluded when sources show these parts of each step, and its terminals draw them."""
    there = site()
    course = Course(shown={source: [] for source in there.source_ids})
    for k, stepped in enumerate(CODE):
        step = STEP_MA if stepped else 0
        course.stepped.append(stepped)
        course.own.append(
            (None,) * 3 if own is None else tuple(6_000 + round(part * step) for part in own)
        )
        for source, base in BASE.items():
            parts = shows.get(source, (0.0, 0.0, 0.0))
            rest = noise_ma * (k * k % 5) if source == "main-meter" else 0
            l1, l2, l3 = (
                (each or 0) + round(part * step) + rest
                for each, part in zip(base, parts, strict=True)
            )
            course.shown[source].append((l1, l2, l3))
    its = next(each for each in there.chargers if each.id == charger)
    answer = answer_of(there, its, course, STEP_MA)
    return {f"{each.about}: {each.code}": each for each in conclusions(there, its, answer)}


def wrong(every: dict[str, Finding]) -> set[str]:
    return {key for key, each in every.items() if each.weight is Weight.WRONG}


def test_as_documented() -> None:
    every = found("a2", SEEN_BY_A2)
    assert wrong(every) == set()
    assert every["a2: circuit"].weight is every["a2: phases"].weight is Weight.FINE


def test_on_another_circuit() -> None:
    every = found("a2", {"main-meter": ON_L1, "clamp": ON_L1, "row-b-meter": ON_L1})
    assert wrong(every) == {"a2: circuit"}
    assert 'write circuit = "row-b"' in every["a2: circuit"].mend
    assert "b1, b2" in every["a2: circuit"].mend


def test_rotated_where_all_meters_say_so() -> None:
    on_l2 = (0.0, 1.0, 0.0)
    every = found("a2", dict.fromkeys(SEEN_BY_A2, on_l2))
    assert wrong(every) == {"a2: phases"}
    assert 'phases = "L2 L3 L1"' in every["a2: phases"].mend


def test_a_meter_on_other_phases_where_the_others_agree() -> None:
    every = found("a2", {**SEEN_BY_A2, "row-a-meter": (0.0, 0.0, 1.0)})
    assert wrong(every) == {"row-a-meter: ct_phases"}


def test_a_meter_the_wrong_way_round_and_one_with_other_transformers() -> None:
    assert wrong(found("a2", {**SEEN_BY_A2, "row-a-meter": (-1.0, 0.0, 0.0)})) == {
        "row-a-meter: ct_reversed"
    }
    every = found("a2", {**SEEN_BY_A2, "row-a-meter": (0.5, 0.0, 0.0)})
    assert wrong(every) == {"row-a-meter: ct_ratio"}
    assert "ratio = 2" in every["row-a-meter: ct_ratio"].mend


def test_a_clamp_that_does_not_see_it() -> None:
    every = found("a2", {"main-meter": ON_L1, "row-a-meter": ON_L1})
    assert wrong(every) == {"clamp: missed"}


def test_a_charger_that_no_meter_sees() -> None:
    assert wrong(found("a2", {})) == {"a2: circuit"}


def test_three_phases_alike_tell_the_circuit_and_not_the_rotation() -> None:
    whole = (1.0, 1.0, 1.0)
    every = found("a2", dict.fromkeys(SEEN_BY_A2, whole), own=whole)
    assert wrong(every) == set()
    assert every["a2: rotation"].weight is Weight.UNSEEN
    assert every["a2: circuit"].weight is Weight.FINE


def test_a_vehicle_that_does_not_follow_tells_nothing() -> None:
    every = found("a2", {}, own=(0.0, 0.0, 0.0))
    assert set(every) == {"a2: follows"}
    assert every["a2: follows"].weight is Weight.UNSEEN


def test_an_unmetered_charger_is_told_by_what_it_was_told() -> None:
    every = found("a2", SEEN_BY_A2, own=None)
    assert every["a2: circuit"].weight is Weight.FINE


def test_what_the_base_load_hides_is_said_with_its_reason() -> None:
    every = found("a2", SEEN_BY_A2, noise_ma=9_000)
    assert "other loads there moved" in every["main-meter: unknown"].what
    assert wrong(every) == set()


# What may be varied.


def asked(there: Site, charger: str, step_ma: int = STEP_MA, **values: Any) -> tuple[int, int]:
    its = next(each for each in there.chargers if each.id == charger)
    profile = profile_of(its)
    assert isinstance(profile, ChargerProfile)
    sample: dict[str, Any] = {
        **{f"current_l{n}": 16_000 for n in (1, 2, 3)},
        **{"state": "C2", "applied_current": 16_000, "setpoint": 16_000, "safe_current": 6_000},
        **{"setpoint_valid_for": 30_000},
    }
    return step_of(step_ma, there, its, profile, Sample(0, {**sample, **values}), prove(there))


def test_it_goes_down_from_what_is_in_force() -> None:
    assert asked(site(), "a1") == (16_000, 12_000)


def test_a_vehicle_that_draws_less_is_varied_below_that() -> None:
    drawn = {f"current_l{n}": 12_500 for n in (1, 2, 3)}
    assert asked(site(), "a1", **drawn) == (16_000, 8_500)


def lapsed(there: Site, **values: Any) -> tuple[int, int]:
    low = {f"current_l{n}": 6_000 for n in (1, 2, 3)}
    shown = {"applied_current": 6_000, "setpoint_valid_for": 0}
    return asked(there, "a1", **{**low, **shown, **values})


def test_from_its_least_it_goes_up_by_what_the_proof_leaves_free() -> None:
    assert lapsed(site()) == (6_000, 10_000)


def test_it_never_goes_above_what_the_proof_leaves_free() -> None:
    """The sums of the proof: 65.12 A of the transformer's when all are on their own."""
    there = site(rating_a=68, protection={"kind": "electronic", "ir_a": 68, "tr_s": 16})
    its = there.chargers[0]
    most_ma = permitted_ma(there, its, prove(there))
    assert its.alone_ma < most_ma < 10_000
    sums = [each for each in prove(there).findings if each.circuit == "transformer"]
    free_ma = min(each.allowed_ma - each.sum_ma for each in sums)
    assert (most_ma - its.alone_ma) * (1_000_000 + its.tolerance_ppm) <= free_ma * 1_000_000
    with pytest.raises(UnableError, match="no more than"):
        lapsed(there)


def test_where_the_proof_fails_nothing_goes_up() -> None:
    there = site(rating_a=63, protection={"kind": "electronic", "ir_a": 63, "tr_s": 16})
    assert permitted_ma(there, there.chargers[0], prove(there)) == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"state": "B2"}, "no vehicle charges"),
        ({f"current_l{n}": 500 for n in (1, 2, 3)}, "draws 0.5 A only"),
    ],
)
def test_without_a_vehicle_that_draws_nothing_is_varied(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UnableError, match=words):
        asked(site(), "a1", **values)
