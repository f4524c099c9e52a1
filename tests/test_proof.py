"""The commissioning proof: sums, what is unknown, and remedies that would really help."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.proof import Finding, Line, Proof, Watchdogs, prove
from controller.remedies import Cost, Group, Setting
from controller.site import Site
from tests.documents import charger, circuit, site, source


def found(proof: Proof, line: Line, where: str, phase: int = 0) -> Finding:
    (finding,) = (
        each
        for each in proof.findings
        if (each.line, each.circuit, each.phase) == (line, where, phase)
    )
    return finding


def row(**keys: Any) -> Site:
    """Two circuits, `grid` with 20 A base load and `row` with 63 A and such chargers."""
    return site(charger=[charger(**({"count": 4} | keys))])


# --- sums --------------------------------------------------------------------------------------


def test_a_good_site_passes_every_line_on_every_circuit_and_phase() -> None:
    proof = prove(site())
    assert proof.passed
    assert [(each.line, each.circuit, each.phase) for each in proof.findings] == [
        *((Line.UNATTENDED, where, phase) for where in ("grid", "row") for phase in range(3)),
        *((Line.POWER_CUT, where, phase) for where in ("grid", "row") for phase in range(3)),
        *((Line.FAILSAFE_CAP, "grid", phase) for phase in range(3)),
    ]
    assert not any(each.remedies for each in proof.findings)


@pytest.mark.parametrize(
    ("keys", "alone_ma", "after_cut_ma"),
    [
        ({}, 24_000, 24_000),  # 4 x 6 A
        ({"fallback_a": None}, 128_000, 128_000),  # unknown counts as the maximum
        ({"fallback_a": 0}, 0, 0),  # zero means zero
        ({"profile": "hungry"}, 25_120, 25_120),  # 3 % tolerance and 0.1 A standby each
        ({"profile": "hungry", "fallback_a": 0}, 400, 400),  # standby goes on
        ({"profile": "stubborn", "fallback_a": None}, 128_000, 128_000),  # has no fallback
        ({"profile": "forgetful"}, 24_000, 128_000),  # power-on current unknown
        ({"profile": "forgetful", "power_on_a": 10}, 24_000, 40_000),
        ({"profile": "forgetful", "power_on_a": 0}, 24_000, 24_000),  # but then it falls back
    ],
)
def test_what_chargers_do_alone(keys: Mapping[str, Any], alone_ma: int, after_cut_ma: int) -> None:
    proof = prove(row(**keys))
    assert found(proof, Line.UNATTENDED, "row").sum_ma == alone_ma
    assert found(proof, Line.UNATTENDED, "grid").sum_ma == alone_ma + 20_000
    assert found(proof, Line.POWER_CUT, "row").sum_ma == after_cut_ma
    assert found(proof, Line.FAILSAFE_CAP, "grid").sum_ma == alone_ma + 20_000
    assert found(proof, Line.FAILSAFE_CAP, "grid").allowed_ma == 80_000


def test_every_phase_has_its_own_sum() -> None:
    depot = site(
        circuit=[
            circuit("grid", worst_base_a=[20, 10, 0]),
            circuit("row", parent="grid", worst_base_a=[0, 5, 0]),
        ],
        charger=[
            charger(id="one", phases="L2", bus="tcp://h1"),
            charger(id="three", phases="L3 L1 L2", bus="tcp://h2", fallback_a=7),
            charger(id="two", phases="L3 L2", bus="tcp://h3", circuit="grid", fallback_a=9),
        ],
    )
    proof = prove(depot)
    sums = [found(proof, Line.UNATTENDED, "row", phase).sum_ma for phase in range(3)]
    assert sums == [7_000, 5_000 + 13_000, 7_000]  # the parent's base holds the child's already
    sums = [found(proof, Line.UNATTENDED, "grid", phase).sum_ma for phase in range(3)]
    assert sums == [27_000, 10_000 + 13_000 + 9_000, 16_000]


def test_a_sum_equal_to_the_rating_passes_and_a_milliampere_more_does_not() -> None:
    def proof(base_a: float) -> Finding:
        depot = site(
            circuit=[circuit("row", rating_a=100, worst_base_a=base_a)],
            meter=None,
            limit_source=None,
            charger=[charger(count=4)],
        )
        return found(prove(depot), Line.UNATTENDED, "row", 2)

    assert proof(76).passed
    assert not proof(76.001).passed


def test_a_base_load_above_the_rating_is_refused_by_the_proof() -> None:
    grid = [circuit("grid", worst_base_a=101), circuit("row", parent="grid", worst_base_a=0)]
    finding = found(prove(site(circuit=grid, charger=None)), Line.UNATTENDED, "grid")
    assert (finding.sum_ma, finding.allowed_ma, finding.passed) == (101_000, 100_000, False)


def test_the_terms_make_up_the_sum() -> None:
    entries = [
        charger(count=3),
        charger(id="odd", bus="tcp://odd", fallback_a=None, profile="hungry"),
        charger(id="out", bus="tcp://out", circuit="grid"),
    ]
    for finding in prove(site(charger=entries)).findings:
        assert finding.sum_ma == sum(term.count * term.each_ma for term in finding.terms)
        assert finding.terms[0].what == "base load"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["grid", "row", "leaf"]),
            st.sampled_from(["L1", "L2 L3", "L3 L1 L2"]),
            st.sampled_from([None, 0, 6, 13]),
            st.sampled_from(["plain", "hungry", "forgetful"]),
        ),
        max_size=12,
    )
)
def test_sums_against_plain_adding_up(rows: list[tuple[str, str, int | None, str]]) -> None:
    tree = {"grid": None, "row": "grid", "leaf": "row"}
    depot = site(
        circuit=[circuit(name, parent=up, worst_base_a=0) for name, up in tree.items()],
        charger=[
            charger(id=f"c{i}", bus=f"tcp://c{i}", circuit=c, phases=p, fallback_a=f, profile=q)
            for i, (c, p, f, q) in enumerate(rows)
        ],
    )
    for finding in prove(depot).findings:
        below = {"grid": "grid row leaf", "row": "row leaf", "leaf": "leaf"}[finding.circuit]
        total_ma = 0
        for where, phases, fallback_a, profile in rows:
            if where in below.split() and f"L{finding.phase + 1}" in phases:
                ma = 32_000 if fallback_a is None else fallback_a * 1000
                if finding.line is Line.POWER_CUT and profile == "forgetful":
                    ma = 32_000
                total_ma += ma * 103 // 100 + 100 if profile == "hungry" else ma
        assert finding.sum_ma == total_ma


# --- lines 2 and 4 -----------------------------------------------------------------------------


def test_line_2_says_whose_watchdog_is_armed_by_itself() -> None:
    entries = [
        charger(count=3),
        charger(id="x", bus="tcp://x", profile="stubborn", fallback_a=None, circuit="grid"),
    ]
    assert prove(site(charger=entries)).watchdogs == (
        Watchdogs("row", "plain", 3, armed=True),
        Watchdogs("grid", "stubborn", 1, armed=False),
    )


def test_line_4_holds_the_fail_safe_cap_against_what_the_depot_draws_unattended() -> None:
    caps = [source(id="low", failsafe_a=[44, 43.999, 44]), source(id="row", circuit="row")]
    caps[1]["failsafe_a"] = 24
    proof = prove(site(limit_source=caps))
    verdicts = [
        (each.source, each.phase, each.passed)
        for each in proof.findings
        if each.line is Line.FAILSAFE_CAP
    ]
    assert verdicts == [
        ("low", 0, True),
        ("low", 1, False),
        ("low", 2, True),
        *(("row", phase, True) for phase in range(3)),
    ]


# --- remedies ----------------------------------------------------------------------------------


def told(finding: Finding) -> list[tuple[Cost, str, int, int]]:
    return [(each.cost, each.action, each.saves_ma, each.lacks_ma) for each in finding.remedies]


def test_lower_the_fallback_no_further_than_needed() -> None:
    finding = found(prove(row(fallback_a=20)), Line.UNATTENDED, "row")
    assert told(finding) == [
        (Cost.SET, "lower the fallback of 4 chargers in row from 20 A to 15 A", 20_000, 0),
        (Cost.BUILD, "strengthen row to a rating of 80 A instead of 63 A", 17_000, 0),
    ]


def test_state_a_fallback_that_nobody_knows() -> None:
    finding = found(prove(row(fallback_a=None)), Line.UNATTENDED, "row")
    assert told(finding)[0] == (
        Cost.SET,
        "set and state the fallback of 4 chargers in row, 15 A (unknown, it counts as 32 A)",
        68_000,
        0,
    )


def test_let_chargers_stop_where_the_minimum_is_too_much() -> None:
    finding = found(prove(row(count=11, fallback_a=8)), Line.UNATTENDED, "row")
    assert told(finding)[:2] == [
        (Cost.SET, "lower the fallback of 11 chargers in row from 8 A to 6 A", 22_000, 3_000),
        (Cost.STOP, "let 11 chargers in row stop: fallback 0 A", 66_000, 0),
    ]


def test_the_group_that_saves_most_comes_first() -> None:
    entries = [
        charger(id="one", bus="tcp://one", circuit="grid", fallback_a=30),
        charger(count=4, fallback_a=20),
    ]
    finding = found(prove(site(charger=entries)), Line.FAILSAFE_CAP, "grid")  # 50 A over
    assert told(finding) == [
        (Cost.SET, "lower the fallback of 4 chargers in row from 20 A to 7 A", 52_000, 0),
    ], "a stronger transformer changes nothing about what was agreed with the source"


def test_a_fail_safe_cap_and_a_base_load_can_be_talked_about() -> None:
    finding = found(prove(row(fallback_a=16)), Line.FAILSAFE_CAP, "grid")  # 84 A against 80 A
    assert told(finding)[1:] == [
        (Cost.AGREE, "agree with cloud on a fail-safe cap of 84 A instead of 80 A", 4_000, 0),
        (
            Cost.MEASURE,
            "show by measurement that the base load of grid never exceeds 16 A instead of 20 A",
            4_000,
            0,
        ),
    ]


def test_chargers_without_fallback_can_only_be_limited_in_the_device() -> None:
    finding = found(prove(row(profile="stubborn", fallback_a=None)), Line.UNATTENDED, "row")
    assert [cost for cost, *_ in told(finding)] == [Cost.LIMIT, Cost.BUILD]
    assert told(finding)[0][1] == (
        "limit 4 chargers in row, without fallback, in the device itself to 15 A instead of 32 A"
    )


def test_one_charger_is_called_by_its_name() -> None:
    depot = site(
        circuit=[circuit("row", rating_a=30)],
        meter=None,
        limit_source=None,
        charger=[charger(fallback_a=16)],
    )
    finding = found(prove(depot), Line.UNATTENDED, "row")
    assert told(finding)[0][1] == "lower the fallback of bay in row from 16 A to 10 A"


@pytest.mark.parametrize(
    ("keys", "action"),
    [
        (
            {"profile": "forgetful", "power_on_a": 20},
            "lower the power-on current of 4 chargers in row from 20 A to 15 A",
        ),
        (
            {"profile": "forgetful"},
            "set and state the power-on current of 4 chargers in row, 15 A "
            "(unknown, it counts as 32 A)",
        ),
        (  # not below the fallback, which it goes to afterwards
            {"profile": "forgetful", "power_on_a": 20, "fallback_a": 18},
            "lower the power-on current of 4 chargers in row from 20 A to 18 A",
        ),
        (
            {"profile": "forgetful", "power_on_a": 20, "fallback_a": 20},
            "lower the fallback and power-on current of 4 chargers in row from 20 A to 15 A",
        ),
        ({"fallback_a": 20}, "lower the fallback of 4 chargers in row from 20 A to 15 A"),
    ],
)
def test_what_to_set_for_a_power_cut(keys: Mapping[str, Any], action: str) -> None:
    finding = found(prove(row(**keys)), Line.POWER_CUT, "row")
    assert told(finding)[0][1] == action


@given(
    count=st.integers(1, 50),
    counted_ma=st.integers(6_000, 32_000),
    needed_ma=st.integers(1, 1_600_000),
    profile=st.sampled_from(["plain", "hungry"]),
)
def test_lowered_is_the_highest_whole_ampere_that_saves_enough(
    count: int, counted_ma: int, needed_ma: int, profile: str
) -> None:
    like = site(charger=[charger(profile=profile)]).chargers[0]
    group = Group(like, count, Setting.FALLBACK, True, counted_ma, 0)
    lower = group.lowered(needed_ma)
    if lower.counted_ma > like.min_ma:
        assert group.saves_ma(lower) >= needed_ma
    higher = Group(like, count, Setting.FALLBACK, True, lower.counted_ma + 1_000, 0)
    assert higher.counted_ma > counted_ma or group.saves_ma(higher) < needed_ma
