"""Bus bars, apparent power and imbalance limits: from the document to the proof and the status."""

from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from cext.rows import ALL_PHASES, BY_BUSBAR, BY_RATING, Rule, Together, Why
from controller.commands.status import screen
from controller.proof import Line, prove
from controller.reasons import Reasons
from controller.site import Site, load
from controller.status_report import CircuitReport, TogetherReport
from controller.tables import Tables
from drivers.library import library
from tests.documents import charger, circuit, problems, site
from tests.test_proof import found
from tests.test_wire import REPORT

ROOF = Path(__file__).parents[1] / "docs" / "examples" / "roof-depot.toml"


def with_row(**keys: Any) -> Site:
    """The row of four chargers with such a circuit."""
    row = circuit("row", parent="grid", **({"rating_a": 63, "worst_base_a": 0} | keys))
    return site(circuit=[circuit("grid"), row])


# -- the document -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kva", "volts", "sum_ma"),
    [
        (0, 400, 0),  # zero means zero
        (277.128, 400, 1_199_999),  # three times 400 A, rounded down
        (22, 400, 95_262),
        (630, 400, 2_727_980),
        (4.6, 400, 19_918),
        (10_000, 100, 173_205_080),
        (0.001, 1000, 1),
    ],
)
def test_apparent_power_is_a_sum_of_currents_at_nominal_voltage(
    kva: float, volts: int, sum_ma: int
) -> None:
    one = site(
        circuit=[circuit("grid", apparent_kva=kva, nominal_v=volts), circuit("row", parent="grid")]
    )
    found_ma = one.circuits[0].sum_ma
    assert found_ma == sum_ma
    assert abs(found_ma - kva * 1e6 / (volts / sqrt(3))) < 1
    assert one.circuits[1].sum_ma is None


def test_kernel_rows_of_what_a_circuit_bears() -> None:
    keys: dict[str, Any] = {"worst_base_a": [10, 0, 20], "reserve_a": [1, 2, 3]}
    keys |= {"busbar_a": [63, 80, 125], "apparent_kva": 22, "imbalance_a": 20}
    grid, row = Tables.of(
        site(
            circuit=[
                circuit("grid", worst_base_a=20),
                circuit("row", parent="grid", rating_a=63, **keys),
            ]
        )
    ).circuits
    assert (grid.busbar_ma, grid.sum_ma, grid.imbalance_ma) == (None, None, None)
    assert row.busbar_ma == (63_000, 80_000, 125_000)  # the kernel takes the worst base load off
    assert row.sum_ma == 95_262 - 6_000  # less what is kept free
    assert row.imbalance_ma == 20_000


def test_zero_is_a_bound() -> None:
    row = Tables.of(with_row(rating_a=0, busbar_a=0, apparent_kva=0, imbalance_a=0)).circuits[1]
    assert (row.busbar_ma, row.sum_ma, row.imbalance_ma) == ((0, 0, 0), 0, 0)


def test_a_bus_bar_below_its_rating_is_refused_with_the_reason() -> None:
    said = problems(
        circuit=[circuit("grid", busbar_a=[100, 99.5, 100]), circuit("row", parent="grid")]
    )
    assert list(said) == ["circuit[0].busbar_a (grid)"]
    assert "at least what feeds it from one side, the rating, 100 A on L2" in next(
        iter(said.values())
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("apparent_kva", -1),
        ("apparent_kva", 277_000),  # in volt-amperes
        ("apparent_kva", [1, 2, 3]),
        ("imbalance_a", -1),
        ("imbalance_a", [20, 20, 20]),
        ("busbar_a", [100, 100]),
        ("busbar_a", -1),
    ],
)
def test_what_makes_no_sense_is_refused(key: str, value: object) -> None:
    rows = [circuit("grid", **{key: value}), circuit("row", parent="grid")]
    assert list(problems(circuit=rows)) == [f"circuit[0].{key} (grid)"]


# -- the commissioning proof --------------------------------------------------------------------


def test_three_phases_together_are_summed_too() -> None:
    """4 x 6 A on three phases each: 72 A, where 16.5 kVA are 71.4 A."""
    proof = prove(with_row(apparent_kva=16.5))
    for line in (Line.UNATTENDED, Line.POWER_CUT):
        finding = found(proof, line, "row", ALL_PHASES)
        assert (finding.sum_ma, finding.allowed_ma) == (72_000, 71_447)
        assert not finding.passed
        assert any("17 kVA" in remedy.action for remedy in finding.remedies)
        assert found(proof, line, "row").passed
    assert not proof.passed
    assert prove(with_row(apparent_kva=16.7)).passed


def test_one_phase_chargers_count_once_in_the_sum() -> None:
    chargers = [charger(count=3, phases="L1", fallback_a=6), charger(id="three", fallback_a=6)]
    row = circuit("row", parent="grid", rating_a=63, worst_base_a=1, apparent_kva=20)
    proof = prove(site(circuit=[circuit("grid"), row], charger=chargers))
    finding = found(proof, Line.UNATTENDED, "row", ALL_PHASES)
    assert finding.sum_ma == 3 * 6_000 + 3 * 6_000 + 3 * 1_000
    assert {term.count for term in finding.terms} == {1, 3}


@pytest.mark.parametrize("kva", [9, 12, 14, 16])
def test_the_cheapest_remedy_for_the_sum_is_enough(kva: float) -> None:
    finding = found(prove(with_row(apparent_kva=kva)), Line.UNATTENDED, "row", ALL_PHASES)
    best = finding.remedies[0]
    assert finding.sum_ma - best.saves_ma - best.lacks_ma <= finding.allowed_ma


def test_what_fits_the_rating_fits_a_bus_bar() -> None:
    proof = prove(with_row(busbar_a=63))
    assert proof.passed
    assert all(finding.allowed_ma <= 100_000 for finding in proof.findings)


# -- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (Why(Rule.CAP, 0, 1, BY_BUSBAR), "row L2 at its bus-bar rating"),
        (Why(Rule.CAP, 0, ALL_PHASES, BY_RATING), "row L1+L2+L3 at its apparent-power rating"),
        (
            Why(Rule.SLACK, 0, ALL_PHASES, BY_RATING),
            "may not rise: no proven slack on row L1+L2+L3",
        ),
        (
            Why(Rule.SHED, 0, ALL_PHASES, BY_RATING),
            "lowered: row L1+L2+L3 is over its cap (row L1+L2+L3 at its apparent-power rating)",
        ),
    ],
)
def test_reasons_say_what_bound(why: Why, words: str) -> None:
    reasons = Reasons(["row"], ["cloud"])
    assert reasons.words(why) == words
    fields = reasons.fields(why)
    assert fields["source"] == (
        "bus-bar rating" if why.slot == BY_BUSBAR else "apparent-power rating"
    )
    assert fields["phase"] == ("L2" if why.phase == 1 else "L1+L2+L3")


def test_status_shows_what_a_circuit_bears() -> None:
    flat = (20.0, 20.0, 20.0)
    row = CircuitReport(
        id="row",
        parent=None,
        rating_a=flat,
        load_a=flat,
        cap_a=flat,
        bound_by=("rating", "rating", "rating"),
        base_hi_a=flat,
        draw_hi_a=flat,
        excess_a=(0.0, 0.0, 0.0),
        blind=False,
        reading_age_s=0.1,
        together=TogetherReport(cap_a=95, load_a=97.5, base_hi_a=20, draw_hi_a=80, excess_a=2.5),
        busbar_a=(50.0, 50.0, 50.0),
    )
    lines = list(screen(REPORT.model_copy(update={"circuits": [row]})))
    (told,) = [line for line in lines if "bus bar" in line]
    assert "together 97.5 of 95 A, OVER by 2.5 A" in told


def test_the_reporter_reads_it_from_the_kernel() -> None:
    tables = Tables.of(with_row(apparent_kva=22))
    kernel = tables.build_kernel()
    kernel.tick(1)
    grid, row = (kernel.circuit(i).together for i in range(2))
    assert grid is None
    assert row == Together(95_262, None, 0, 3 * 4 * 32_000, 0)


def test_the_example_with_a_roof_is_a_site_that_may_be_left_to_itself() -> None:
    roof = load(ROOF, library())
    assert [row.sum_ma for row in roof.circuits] == [346_410, None, None]
    assert prove(roof).passed
