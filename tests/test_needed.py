"""An explanation says of each reason what would have been needed, with the sum that was wanting."""

from dataclasses import replace
from pathlib import Path

import pytest

from cext.rows import (
    ALL_PHASES,
    BY_BUSBAR,
    BY_RATING,
    Advice,
    ChargerRow,
    Rule,
    Together,
    Tuning,
    Why,
)
from controller.blackbox.explain import explain
from controller.blackbox.explained import lines
from controller.blackbox.needed import Place, needed
from controller.blackbox.replay import find
from controller.reasons import Reasons
from controller.tables import Tables
from tests.depots import Depot, document
from tests.recorded import Recorded

S = 1_000_000_000
OF_CONTACTORS = {Rule.CLOSED}  # no charger's order has it
TUNING = Tuning(4 * S, 5 * S, 2000, 5 * S, 60 * S)
PLACE = Place(
    "grid", (80_000,) * 3, ("rating",) * 3, None, None, (30_000,) * 3, (45_000, 50_000, 46_000),
    (5000, 0, 4000), (0, 0, 0), False,
)  # fmt: skip


def row() -> ChargerRow:
    return Tables.of(Depot(2, document(2)).site).chargers[0]


def said(why: Why, place: Place | None = PLACE, advice: Advice | None = None) -> str:
    return needed(why, place, row(), TUNING, advice, 100 * S)


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name)
def test_every_reason_says_what_was_needed(rule: Rule) -> None:
    """One that is new must be told, too: it fails here until it is."""
    whole = replace(PLACE, together=Together(90_000, None, 0, 0, 0), bar_ma=(1, 2, 3))
    for place in (None, PLACE, whole):
        for phase in (-1, 0, 2, ALL_PHASES):
            for slot in (0, BY_RATING, BY_BUSBAR):
                words = said(Why(rule, -1 if place is None else 0, phase, slot), place)
                if rule in OF_CONTACTORS:
                    assert words == ""
                else:
                    assert words.endswith(".") and not {"{", "}"} & set(words)


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name)
def test_every_reason_has_its_own_words(rule: Rule) -> None:
    reasons = Reasons(["grid"], ["cloud"])
    for why in (Why(rule, -1, -1, -1), Why(rule, 0, ALL_PHASES, BY_BUSBAR), Why(rule, 0, 2, 0)):
        words = reasons.words(why)
        assert words and not {"{", "}"} & set(words)
        others = [reasons.words(why._replace(rule=each)) for each in Rule if each is not rule]
        assert words not in others


def test_the_sum_is_that_of_what_was_to_blame() -> None:
    both = Together(200_000, 150_000, 90_000, 120_000, 0)
    place = replace(PLACE, together=both, bar_ma=(45_000, 48_000, 50_000), imbalance_ma=20_000)
    assert "grid L2 (cap 80 A - base load up to 30 A - chargers up to 50 A = 0 A)" in said(
        Why(Rule.SLACK, 0, 1, BY_RATING), place
    )
    assert (
        "grid L1+L2+L3 (cap 200 A - base load up to 90 A - chargers up to 120 A = -10 A)"
        in said(Why(Rule.CAP, 0, ALL_PHASES, BY_RATING), place)
    )
    assert "grid L2 (left by its bus bar 48 A - chargers up to 50 A = -2 A)" in said(
        Why(Rule.CAP, 0, 1, BY_BUSBAR), place
    )
    assert "other phases than L1 of grid, whose imbalance limit is 20 A" in said(
        Why(Rule.IMBALANCE, 0, 0, BY_RATING), place
    )


def test_advice_is_told_with_its_cap_and_its_end() -> None:
    why = Why(Rule.ADVICE, -1, -1, -1)
    assert "a cap of 16 A, or its end (another 20 s)" in said(
        why, None, Advice(cap_ma=16_000, until_ns=120 * S)
    )
    assert "other advice, or its end (another 20 s)" in said(
        why, None, Advice(weight=3, until_ns=120 * S)
    )


def test_one_that_apparent_power_bound_is_explained(tmp_path: Path) -> None:
    """The three phases together are no phase: that was once looked for among them."""
    site = document(5)
    site["circuit"][1] |= {"apparent_kva": 12}
    box = Recorded(Depot(5, site), tmp_path)
    box.live(120)
    box.close()
    answers = [explain(find(tmp_path), "110", f"row-a-{n}") for n in (1, 2, 3)]
    assert any("row-a L1+L2+L3 (cap 51.9" in answer.needed for answer in answers)
    assert any("three phases together: cap 51.9" in line for line in lines(answers[0]))
