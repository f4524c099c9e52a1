"""Derogations, and line 5 of the proof: what is held against what, and who answers for the rest."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from controller.__main__ import main
from controller.commands.status import screen
from controller.limits import Limits, sources_of
from controller.proof import Line, Proof, prove
from controller.remedies import Cost
from controller.site import Site
from controller.status_report import DerogationReport
from controller.tables import Tables
from tests.documents import (
    CHARGERS,
    Table,
    charger,
    circuit,
    clamp,
    problems,
    site,
    slow_breaker,
    source,
)
from tests.test_limits import GOOD, Slots, Time
from tests.test_signed import KEY, judged, keyed, message, paths, refusal
from tests.test_wire import REPORT

S = 1_000_000_000


def derogation(**keys: Any) -> Table:
    common = {
        "line": "unattended",
        "circuit": "row",
        "reason": "never all at once",
        "excess_a": 17,
        "trips_after_s": 3600,
        "by": "J. Meier",
        "date": "2027-03-01",
    }
    return {key: value for key, value in (common | keys).items() if value is not None}


def over(*derogations: Table, **keys: Any) -> Proof:
    """Row is 17 A over in lines 1 and 2 (4 x 20 A under 63 A)."""
    chargers = [charger(**({"count": 4, "fallback_a": 20} | keys))]
    return prove(site(charger=chargers, limit_source=None, derogation=list(derogations)))


BOTH = (derogation(), derogation(line="power_cut"))


def test_a_derogation_covers_its_own_line_and_place_and_no_more() -> None:
    assert not over().passed
    assert not over(derogation()).passed  # line 2 fails, too
    assert over(*BOTH).passed
    assert over(*BOTH).derogated
    elsewhere = (derogation(circuit="grid"), derogation(line="power_cut", circuit="grid"))
    assert not over(*elsewhere).passed


def test_more_excess_than_was_derogated_fails_again() -> None:
    short = tuple({**each, "excess_a": 16.999} for each in BOTH)
    assert not over(*short).passed
    assert over(*BOTH).passed  # 17 A and no milliampere more
    assert not over(*BOTH, fallback_a=20.25).passed  # 18 A over
    assert over(*BOTH, fallback_a=19).passed


def test_the_sums_and_remedies_stay_as_they_are() -> None:
    finding = next(each for each in over(*BOTH).findings if each.circuit == "row")
    assert (finding.passed, finding.sum_ma, finding.allowed_ma) == (False, 80_000, 63_000)
    assert finding.remedies


def test_one_that_is_not_needed_is_named() -> None:
    proof = over(*BOTH, derogation(circuit="grid"))
    assert [(each.line, each.circuit) for each in proof.needless] == [(Line.UNATTENDED, "grid")]
    assert [each.circuit for each in over(*BOTH, fallback_a=6).needless] == ["row", "row"]
    assert not over(*BOTH, fallback_a=6).derogated


def test_one_that_does_not_reach_is_not_called_needless() -> None:
    assert not over(*({**each, "excess_a": 1} for each in BOTH)).needless


def test_a_limit_source_is_derogated_by_its_name() -> None:
    def proof(**keys: Any) -> Proof:
        entry = derogation(line=4, circuit=None, source="cloud", excess_a=4, **keys)
        return prove(site(limit_source=[source(failsafe_a=40)], derogation=[entry]))

    assert proof().passed  # 44 A against 40 A
    assert not prove(site(limit_source=[source(failsafe_a=40)])).passed


@pytest.mark.parametrize(
    ("entry", "path", "message"),
    [
        ({"line": 6}, "derogation[0].line", "must be a line of the commissioning proof"),
        ({"line": True}, "derogation[0].line", "must be a line of the commissioning proof"),
        ({"line": "transit"}, "derogation[0].line", "must be a line of the commissioning proof"),
        ({"circuit": "rwo"}, "derogation[0].circuit", 'did you mean "row"?'),
        ({"circuit": None}, "derogation[0].circuit", "is missing: unattended is derogated for one"),
        ({"source": "cloud"}, "derogation[0].source", "must be left out: unattended is about a"),
        ({"line": 4}, "derogation[0].circuit", "must be left out: failsafe_cap is about a limit"),
        ({"line": 4, "circuit": None}, "derogation[0].source", "is missing"),
        (
            {"line": 4, "circuit": None, "source": "x"},
            "derogation[0].source",
            "no [[limit_source]]",
        ),
        ({"line": 5, "circuit": None}, "derogation[0]", "needs a circuit or a source"),
        ({"line": 5, "source": "cloud"}, "derogation[0]", "needs a circuit or a source"),
        (
            {"line": 5, "circuit": None, "source": "cloud"},
            "derogation[0].source",
            "has no clear_within_s",
        ),
        ({"reason": ""}, "derogation[0].reason", "must not be empty"),
        ({"by": None}, "derogation[0].by", "is missing"),
        ({"excess_a": 0}, "derogation[0].excess_a", "must be between 0.001 and"),
        ({"excess_a": None}, "derogation[0].excess_a", "is missing"),
        ({"trips_after_s": "1 h"}, "derogation[0].trips_after_s", "must be a number s"),
        ({"date": "1.3.2027"}, "derogation[0].date", "must be a date such as 2027-03-01"),
        ({"date": "2027-02-30"}, "derogation[0].date", "must be a date such as 2027-03-01"),
        ({"until": "2028"}, "derogation[0].until", "unknown key"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(entry: Table, path: str, message: str) -> None:
    told = problems(derogation=[derogation(**entry)])
    assert list(told) == [path]
    assert message in told[path]


def test_one_says_it_all() -> None:
    told = problems(derogation=[derogation(), derogation(line=1, excess_a=5)])
    assert told == {
        "derogation[1]": "derogation[0] is for the same line and place; one says it all"
    }


def test_a_date_is_the_same_from_toml_and_from_json() -> None:
    text, day = (
        site(derogation=[derogation()]),
        site(derogation=[derogation(date=date(2027, 3, 1))]),
    )
    assert text.installation_hash == day.installation_hash


def test_it_is_part_of_the_installation() -> None:
    """So nobody but the installer brings one, changes one or takes one away."""
    hashes = {
        site(derogation=entries).installation_hash
        for entries in (None, [derogation()], [derogation(excess_a=18)], [derogation(by="Me")])
    }
    assert len(hashes) == 4


def test_nothing_that_may_be_changed_remotely_is_ever_covered() -> None:
    """Names, weights and classes are in no sum: the proof is the same whatever they are."""
    plain = over(*BOTH)
    changed = over(*BOTH, weight=9, name="x", **{"class": 3})
    assert [(each.sum_ma, each.allowed_ma) for each in plain.findings] == [
        (each.sum_ma, each.allowed_ma) for each in changed.findings
    ]


# --- line 5 ------------------------------------------------------------------------------------


def paced(within_s: float | None = 10, *, kind: str = "plain", **sections: Any) -> Site:
    """A meter polled each second that lags 0.2 s; chargers that follow in 6 s."""
    meter = {"id": "main", "circuit": "grid", "profile": "meter", "bus": "tcp://m", "poll_s": 1}
    common: Table = {
        "meter": [meter],
        "charger": [charger(count=4, profile=kind)],
        "limit_source": [source(clear_within_s=within_s)],
    }
    if within_s is None:
        del common["limit_source"][0]["clear_within_s"]
    return site(**(common | sections))


def test_poll_lag_tick_pacing_and_the_vehicle_add_up() -> None:
    (reaction,) = prove(paced()).reactions
    assert (reaction.circuit, reaction.source, reaction.measured_by) == ("grid", "cloud", "main")
    assert reaction.detect_ns == S + S // 5 + S // 10
    assert (reaction.write_ns, reaction.follow_ns) == (S // 2, 6 * S)
    assert reaction.takes_ns == 7 * S + 8 * S // 10
    assert reaction.passed
    assert not reaction.remedies


def test_a_charger_that_takes_no_second_write_counts_its_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(CHARGERS, "gapped", replace(CHARGERS["plain"], write_gap_ns=5 * S))
    (reaction,) = prove(paced(kind="gapped")).reactions
    assert (reaction.write_ns, reaction.takes_ns) == (5 * S + S // 2, 12 * S + 8 * S // 10)
    assert not reaction.passed


def test_a_shared_line_takes_one_exchange_after_the_other() -> None:
    """Four writes, and one exchange under way; each as long as a reply may take, half a second."""
    shared = paced(charger=[charger(id=f"bay-{n}", unit=n, bus="tcp://all") for n in (1, 2, 3, 4)])
    (reaction,) = prove(shared).reactions
    assert reaction.write_ns == 5 * S // 2


def test_an_order_that_takes_several_writes_takes_as_many_exchanges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(CHARGERS, "many", replace(CHARGERS["plain"], name="many", writes=3))
    assert prove(paced(kind="many")).reactions[0].write_ns == 4 * S // 2
    rows = [charger(id=f"bay-{n}", unit=n, bus="tcp://all", profile="many") for n in (1, 2)]
    assert prove(paced(charger=rows)).reactions[0].write_ns == 7 * S // 2


def test_a_meter_on_the_line_may_have_every_second_exchange() -> None:
    """One that has waited goes before a reduction; and one more exchange is under way."""
    with_meter = paced(charger=[charger(bus="tcp://m", unit=2)])
    assert prove(with_meter).reactions[0].write_ns == 3 * S // 2
    row = [charger(id=f"bay-{n}", unit=n, bus="tcp://m") for n in (2, 3, 4, 5)]
    assert prove(paced(charger=row)).reactions[0].write_ns == 9 * S // 2


def test_to_the_nanosecond() -> None:
    assert prove(paced(7.8)).reactions[0].passed
    assert not prove(paced(7.799)).passed


def test_no_time_stated_or_no_charger_below_is_no_reaction() -> None:
    assert not prove(paced(None)).reactions
    assert not prove(paced(charger=None)).reactions


def test_only_what_lies_below_counts() -> None:
    slow = charger(id="slow", circuit="other", bus="tcp://slow", settle_s=30)
    grid = circuit("grid", rating_a=200)
    tree = [grid, circuit("row", parent="grid", worst_base_a=0, clear_within_s=10)]
    tree.append(circuit("other", parent="grid", worst_base_a=0))
    depot = paced(None, circuit=tree, charger=[charger(count=4), slow])
    (reaction,) = prove(depot).reactions
    assert (reaction.circuit, reaction.source, reaction.follow_ns) == ("row", None, 6 * S)


def test_remedies_would_really_help() -> None:
    proof = prove(paced(7.5))
    assert not proof.passed
    told = [(each.cost, each.action) for each in proof.reactions[0].remedies]
    assert told == [
        (Cost.SET, "poll main every 0.7 s instead of 1 s"),
        (Cost.AGREE, "agree with cloud on clear_within_s = 7.8 for grid instead of 7.5"),
        (Cost.LIMIT, "keep the largest step of base load free on grid for ever: reserve_a = 20"),
        (
            Cost.BUILD,
            "put a contactor before the 4 chargers that are too slow "
            "(bay-1, bay-2, bay-3, bay-4) on grid",
        ),
    ]
    faster = {"id": "main", "circuit": "grid", "profile": "meter", "bus": "tcp://m", "poll_s": 0.7}
    assert prove(paced(7.5, meter=[faster])).passed
    assert prove(paced(7.8)).passed
    row = circuit("row", parent="grid", worst_base_a=0)
    assert prove(paced(7.5, circuit=[circuit("grid", reserve_a=20), row])).passed
    assert not prove(paced(7.5, circuit=[circuit("grid", reserve_a=19), row])).passed


def test_chargers_too_slow_for_any_meter_want_a_contactor() -> None:
    (reaction,) = prove(paced(5)).reactions
    assert [each.cost for each in reaction.remedies] == [Cost.AGREE, Cost.LIMIT, Cost.BUILD]
    assert reaction.remedies[-1].action == (
        "put a contactor before the 4 chargers that are too slow "
        "(bay-1, bay-2, bay-3, bay-4) on grid"
    )


def test_the_largest_step_of_base_load_is_what_is_reserved() -> None:
    row = circuit("row", parent="grid", worst_base_a=0)
    grid = circuit("grid", base_step_a=8, protection=slow_breaker())
    (cloud,) = (each for each in prove(paced(5, circuit=[grid, row])).reactions if each.source)
    assert cloud.step_ma == (8_000, 8_000, 8_000)
    assert prove(paced(5, circuit=[grid | {"reserve_a": 8}, row])).passed
    assert not prove(paced(5, circuit=[grid | {"reserve_a": 7.9}, row])).passed


def test_where_nothing_measures_all_base_load_is_reserved() -> None:
    (reaction,) = prove(paced(5, meter=None)).reactions
    assert (reaction.measured_by, reaction.in_time, reaction.passed) == (None, False, True)
    assert reaction.detect_ns == S // 10


def test_a_clamp_measures_as_late_as_it_writes() -> None:
    """An RPICT as delivered: a line each 5 s, 2 s old."""
    (reaction,) = prove(paced(10, meter=None, clamp=[clamp()])).reactions
    assert (reaction.measured_by, reaction.detect_ns) == ("ct", 7 * S + S // 10)
    assert not reaction.passed, "what a clamp shows is handed out: nothing is reserved"
    assert reaction.remedies[0].action == "have ct write a line every 1.4 s instead of 5 s"
    assert prove(paced(10, meter=None, clamp=[clamp(period_s=1.4)])).passed


def test_a_clamp_that_may_be_left_alone_counts_beside_its_meter() -> None:
    (reaction,) = prove(paced(10, clamp=[clamp()])).reactions
    assert (reaction.measured_by, reaction.passed) == ("ct", False)
    (reaction,) = prove(paced(10, clamp=[clamp(period_s=1, lag_s=0.1)])).reactions
    assert (reaction.measured_by, reaction.passed) == ("main", True)


def test_a_reaction_is_derogated_by_step_and_time() -> None:
    def proof(**keys: Any) -> Proof:
        entry = derogation(**({"line": 5, "circuit": None, "source": "cloud"} | keys))
        return prove(paced(5, derogation=[entry]))

    assert proof(excess_a=20, trips_after_s=7.8).passed
    assert not proof(excess_a=19, trips_after_s=7.8).passed  # the step is 20 A
    assert not proof(excess_a=20, trips_after_s=7.7).passed  # and flows for 7.8 s


# --- what is kept free -------------------------------------------------------------------------


def test_the_reserve_stays_free_below_every_cap() -> None:
    row = circuit("row", parent="grid", worst_base_a=0)
    depot = paced(circuit=[circuit("grid", reserve_a=[20, 0, 30]), row])
    tables = Tables.of(depot)
    assert tables.circuits[0].rating_ma == (80_000, 100_000, 70_000)
    assert tables.circuits[1].rating_ma == (100_000, 100_000, 100_000)
    assert tables.slots[0].failsafe_ma == (60_000, 80_000, 50_000)


def test_limits_leave_the_reserve_free_too() -> None:
    row = circuit("row", parent="grid", worst_base_a=0)
    depot = paced(circuit=[circuit("grid", reserve_a=20), row])
    slots, time = Slots(), Time()
    limits = Limits(sources_of(depot, Tables.of(depot)), slots, time, time)
    limits.open_session("now")
    limits.receive("cloud", json.dumps({**GOOD, "amps": [50, 10, 30]}))
    assert slots.told[-1][1] == (30_000, 0, 10_000)
    assert limits.leases["cloud"].limit_ma == (50_000, 10_000, 30_000)  # as it was said


def test_more_than_the_rating_cannot_be_kept_free() -> None:
    told = problems(circuit=[circuit("grid", reserve_a=101)], charger=None)
    assert told == {
        "circuit[0].reserve_a (grid)": "must not exceed the rating, 100 A on L1; found 101"
    }


# --- check -------------------------------------------------------------------------------------

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "north-depot.toml"
ENTRY = """
[[derogation]]
line = "{line}"
circuit = "row-a"
reason = "six of ten bays are in use until the cable is laid"
excess_a = {excess}
trips_after_s = 5400
by = "J. Meier, Meier Elektro"
date = 2027-02-11
"""


def derogated(folder: Path, excess_a: float) -> str:
    """The example with a fallback of 16 A: row-a is 5.8 A over in lines 1 and 2."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("fallback_a = 6", "fallback_a = 16", 1)
    text += "".join(
        ENTRY.format(line=line, excess=excess_a) for line in ("unattended", "power_cut")
    )
    path = folder / "site.toml"
    path.write_text(text.replace("failsafe_a = 2", "failsafe_a = 3"), encoding="utf-8")
    return str(path)


def test_check_passes_by_derogation_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = derogated(tmp_path, 6)
    assert main(["check", path]) == 0
    out = capsys.readouterr().out
    assert out.endswith("Passed, by derogation.\n")
    assert "FAILS" not in out
    assert "-5.8  derogated" in out
    assert "derogated by J. Meier, Meier Elektro on 2027-02-11: six of ten bays" in out
    assert main(["check", "--json", path]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["derogated"]
    assert [each["needed"] for each in told["derogations"]] == [True, True]


def test_check_says_when_a_derogation_does_not_reach(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", derogated(tmp_path, 5)]) == 1
    out = capsys.readouterr().out
    assert "up to 5 A above what is allowed, which trips after 5400 s: NOT ENOUGH" in out
    assert out.endswith("Failed: this site must not be left to itself.\n")


def test_check_names_what_is_not_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.toml"
    text = EXAMPLE.read_text(encoding="utf-8") + ENTRY.format(line="unattended", excess=6)
    path.write_text(text, encoding="utf-8")
    assert main(["check", str(path)]) == 0
    out = capsys.readouterr().out
    assert "not needed: the derogation of unattended on row-a by J. Meier, Meier Elektro" in out
    assert out.endswith("Passed.\n")


def test_a_bad_time_zone_is_told_beside_all_the_rest() -> None:
    told = problems(site={"id": "Depot", "timezone": "Mars/North"})
    assert set(told) == {"site.id", "site.timezone"}


def test_status_shows_it_for_ever() -> None:
    each = site(derogation=[derogation()]).derogations[0]
    report = REPORT.model_copy(update={"derogations": [DerogationReport(**each.terms())]})
    (line,) = (line for line in screen(report) if "DEROGATED" in line)
    assert line == (
        "DEROGATED: unattended on row up to 17 A above what is allowed, which trips after 60 min, "
        "by J. Meier on 2027-03-01: never all at once"
    )
    assert each.sentence.startswith("unattended on row is derogated up to 17 A above what")


def behind(kind: str, within_s: float) -> Proof:
    """The row of 6 s chargers hangs on a contactor that opens within 0.5 s."""
    output = {"id": "k1", "pin": 17, "drops": "row"}
    return prove(
        paced(
            limit_source=[source(kind=kind, clear_within_s=within_s)],
            gpio={"factory": "lgpio", "pins_fall": True},
            output=[output],
        )
    )


def test_a_contactor_opens_before_slow_chargers_answer_but_never_for_an_economic_limit() -> None:
    (reaction,) = behind("grid", 5).reactions
    assert (reaction.contactor, reaction.follow_ns, reaction.passed) == ("k1", S // 2, True)
    (reaction,) = behind("economic", 5).reactions
    assert (reaction.contactor, reaction.follow_ns, reaction.passed) == (None, 6 * S, False)


def test_no_contactor_where_the_chargers_answer_in_time() -> None:
    (reaction,) = behind("grid", 10).reactions
    assert (reaction.contactor, reaction.follow_ns) == (None, 6 * S)


# --- over MQTT ---------------------------------------------------------------------------------


def test_only_the_installer_derogates_over_mqtt() -> None:
    entries = [derogation()]
    assert "derogation" in "".join(
        map(str, refusal(message(operation={"derogation": entries})).problems)
    )
    unsigned = refusal(message(installation=keyed(KEY, derogation=entries)))
    assert (unsigned.step, paths(unsigned)) == ("signature", ["signature"])
    signed = judged(message(installation=keyed(KEY, derogation=entries), key=KEY))
    assert [each.by for each in signed.site.derogations] == ["J. Meier"]


def test_a_document_that_fails_is_taken_as_far_as_it_is_derogated() -> None:
    failing = keyed(KEY, charger=[charger(count=4, fallback_a=20)], limit_source=None)
    assert paths(refusal(message(installation=failing, key=KEY)))[0] == "proof.unattended.row.L1"
    covered = failing | {"derogation": list(BOTH)}
    assert judged(message(installation=covered, key=KEY)).site.derogations
    short = failing | {"derogation": [{**each, "excess_a": 16} for each in BOTH]}
    assert len(paths(refusal(message(installation=short, key=KEY)))) == 6  # two lines, three phases


def test_a_reaction_that_is_too_slow_is_refused_with_its_remedy() -> None:
    slow = keyed(KEY, limit_source=[source(clear_within_s=5)])
    (problem,) = refusal(message(installation=slow, key=KEY)).problems
    assert problem.path == "proof.reaction.cloud"
    assert (
        "until an excess is gone, where 5 s are allowed; the cheapest remedy: " in problem.message
    )
