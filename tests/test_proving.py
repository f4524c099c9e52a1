"""Changed profiles: which changes are tried, who notices them; every survivor is judged."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from drivers.library import library
from hil.__main__ import main
from hil.proving.captures import captures, marks
from hil.proving.changes import changes
from hil.proving.judged import JUDGED, Judgement, judged, judgements
from hil.proving.mutate import mutated, noticed_by

EM340 = "carlo_gavazzi_em340_em530"


def data(name: str) -> dict[str, Any]:
    return tomllib.loads(library().names()[name].read_text())


def shown(name: str) -> list[Any]:
    return [(each, marks(library().find(name), each)) for each in captures(name)]


def test_every_number_and_name_of_a_register_is_changed() -> None:
    fields = {each.field for each in changes(data(EM340)) if "current_l1" in each.field}
    names = ("addr", "type", "scale", "unit", "word_order", "fc")
    assert fields == {f"registers.current_l1.{name}" for name in names}
    steps = {each.new for each in changes(data(EM340)) if each.field == "registers.current_l1.addr"}
    assert steps == {10, 11, 13, 14}


def test_a_change_changes_one_field_and_nothing_else() -> None:
    before = data(EM340)
    for change in changes(before):
        after = change.applied(before)
        assert after != before, change.name
    assert before == data(EM340)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (EM340, "registers.energy_import.scale"),
        (EM340, "registers.voltage_l2.type"),
        (EM340, "registers.power_l3.word_order"),
        (EM340, "sentinels.int32.0"),
        (EM340, "block.1.count"),
        (EM340, "word_order"),
        ("sunspec_201_204", "registers.energy_import.sentinels.0"),
        ("sunspec_201_204", "registers.power_l1.scale_factor"),
        ("sunspec_201_204", "sunspec.models.0"),
        ("eastron_sdm72d_m_v1", "computed.power_net.difference"),
        ("socomec_diris_a10", "check.0.addr"),
        ("socomec_diris_a10", "identify.0.addr"),
        ("keba_p40", "registers.setpoint.scale"),
        ("alfen_eve", "status.iec.B2"),
    ],
)
def test_each_change_of_it_is_noticed(name: str, field: str) -> None:
    tried = [each for each in changes(data(name)) if each.field == field]
    assert tried
    for change in tried:
        assert noticed_by(change.applied(data(name)), name, shown(name)), change.name


def test_nothing_is_noticed_where_nothing_is_wrong() -> None:
    for name in (EM340, "sunspec_211_214", "keba_p40"):
        assert noticed_by(data(name), name, shown(name)) == ""


def test_what_no_capture_can_show_survives() -> None:
    _, left = mutated("orno_or_we_516_517")
    fields = {field for field, _ in left}
    assert {"lag_s", "error_a"} <= fields
    assert not any(field.startswith(("registers", "block")) for field in fields)


def test_a_survivor_needs_a_judgement_that_fits() -> None:
    known = [Judgement("lag_s", "why"), Judgement("x.*", "why", profile="one", change="+1")]
    survivors = [
        ("one", "lag_s", "+1"),
        ("one", "x.y", "+1"),
        ("two", "x.y", "+1"),
        ("one", "z", ""),
    ]
    counts, unjudged = judged(survivors, known)
    assert list(counts.values()) == [1, 1]
    assert unjudged == survivors[2:]


def test_every_judgement_has_a_reason() -> None:
    assert all(len(each.why) > 20 for each in judgements())
    assert Path(main.__code__.co_filename).parent / "proving" / "survivors.toml" == JUDGED


def test_an_unjudged_survivor_ends_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil.proving.mutate.judgements", lambda: [Judgement("lag_s", "why")])
    assert main(["mutate-profiles", "acrel_adw300", "--jobs", "1"]) == 1
    assert "acrel_adw300: error_a: x 10: nobody notices" in capsys.readouterr().err


def test_an_unknown_profile_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mutate-profiles", "no_such"]) == 2
    assert "no such profile: no_such" in capsys.readouterr().err


@pytest.mark.slow
def test_every_change_of_every_profile_is_noticed_or_judged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = main(["mutate-profiles"])
    told = capsys.readouterr()
    assert status == 0, told.err
