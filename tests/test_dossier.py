"""The commissioning report: it goes on with the one before, and with nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.commands.dossier import (
    Author,
    ReportError,
    compose,
    earlier,
    identity_findings,
    places_of,
    write,
)
from controller.document.contacts import Feedback
from controller.document.gpio import Contactor
from controller.proof import prove
from drivers.finding import Finding, Weight
from drivers.survey import Seen, Survey
from drivers.switching import _busy as busy
from drivers.switching import _judged as judged
from tests.test_flows import site

FITTER = Author("A. Fitter", "gateway", "2026-03-01T09:00:00+00:00")
LATER = Author("B. Fitter", "gateway", "2027-03-01T09:00:00+00:00")


def survey(**serials: str | None) -> Survey:
    """Devices that tell these serial numbers; None: it tells none."""
    seen = {}
    for number, (id_, serial) in enumerate(serials.items()):
        made = seen[id_] = Seen(id_, "charger", "keba_p40", f"tcp://192.0.2.{number}:502, unit 1")
        made.who = {} if serial is None else {"serial": serial}
        made.grid = [(0, 0, 0)]
    return Survey(site(), seen)


def composed(of: Survey, before: dict[str, Any], author: Author = LATER) -> dict[str, Any]:
    found = [Finding("a1", "ct", Weight.WRONG, "a | b", "mend\nit", "[[x]]")]
    return compose(of, prove(of.site), found, author, before)


FIRST = composed(survey(a1="11", a2="22", b1=None), {}, FITTER)


def kinds(of: Survey, before: dict[str, Any] = FIRST) -> dict[str, str]:
    return {each.about: each.code for each in identity_findings(of, before)}


def test_the_same_devices_are_no_finding() -> None:
    assert kinds(survey(a1="11", a2="22", b1=None)) == {}
    assert kinds(survey(a1="11", a2="22"), {}) == {}


def test_a_replaced_one_two_exchanged_ones_and_one_reached_twice() -> None:
    assert kinds(survey(a1="33", a2="22")) == {"a1": "replaced"}
    assert kinds(survey(a1="22", a2="11")) == {"a1": "exchanged", "a2": "exchanged"}
    assert kinds(survey(a1="11", a2="11"))["a2"] in ("one_device", "exchanged")
    assert "one_device" in {each.code for each in identity_findings(survey(a1="11", a2="11"), {})}


def test_a_replaced_one_keeps_its_place_and_history() -> None:
    second = composed(survey(a1="33", a2=None, b1="55"), FIRST)
    devices = second["devices"]
    assert devices["a1"]["serial"] == "33"
    assert devices["a1"]["since"] == LATER.at
    was = devices["a1"]["before"][0]
    assert (was["serial"], was["since"], was["until"]) == ("11", FITTER.at, LATER.at)
    assert (devices["a2"]["serial"], devices["a2"]["since"]) == ("22", FITTER.at)  # not told now
    assert (devices["b1"]["serial"], devices["b1"]["since"]) == ("55", FITTER.at)  # told at last
    assert [each["by"] for each in second["history"]] == ["B. Fitter", "A. Fitter"]
    third = composed(survey(a2="22"), second)
    assert third["devices"]["a1"]["before"] == devices["a1"]["before"]  # gone, and not forgotten
    assert third["present"] == ["a2"]


def test_what_was_written_is_gone_on_with(tmp_path: Path) -> None:
    name = tmp_path / "report.md"
    there = site()
    assert earlier(name, there) == {}
    write(name, FIRST)
    assert earlier(name, there) == json.loads(json.dumps(FIRST))
    assert [path.name for path in places_of(name)] == ["report.md", "report.json"]
    text = name.read_text()
    assert "- **a1**: a / b. *mend it* (`[[x]]`)" in text


@pytest.mark.parametrize(
    "spoilt",
    [
        "",
        "[]",
        "{",
        '{"site": {"id": "commissioning"}}',
        '{"site": {"id": "commissioning"}, "devices": {"a1": {}}, "history": []}',
        '{"site": {"id": "commissioning"}, "devices": {}, "history": 3}',
        '{"site": {"id": "elsewhere"}, "devices": {}, "history": []}',
    ],
)
def test_what_is_no_report_of_this_site_is_never_written_over(tmp_path: Path, spoilt: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(spoilt)
    with pytest.raises(ReportError, match=r"report\.json"):
        earlier(tmp_path / "report", site())


def test_a_report_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="nowhere"):
        write(tmp_path / "nowhere" / "report", FIRST)


# What an auxiliary contact said before, while, and after it was told to close.


@pytest.mark.parametrize(
    ("said", "weight", "words"),
    [
        ((False, True, False), Weight.FINE, ""),
        ((True, False, True), Weight.WRONG, 'feedback = "normally_open"'),
        ((True, True, True), Weight.WRONG, "welded"),
        ((False, False, False), Weight.WRONG, "its coil"),
        ((False, True, True), Weight.WRONG, "hangs"),
        ((None, None, None), Weight.UNSEEN, "hear it click"),
    ],
)
def test_what_a_contactor_did(said: tuple[bool | None, ...], weight: Weight, words: str) -> None:
    feedback = Feedback(12, normally_closed=True)
    contactor = Contactor("k1", "", 17, True, True, None, ("a1",), feedback, 1)
    before, closed, after = said
    finding = judged(contactor, before, closed, after)
    assert finding.weight is weight
    assert words in finding.mend


@pytest.mark.parametrize("closed", [True, None])
@pytest.mark.parametrize("seen", [{}, {"a1": None}], ids=["on a pin", "does not answer"])
def test_who_does_not_answer_may_be_charging(seen: dict[str, None], closed: bool | None) -> None:
    """Only a contact that says open tells that it is without supply."""
    there = survey(**seen)
    for each in there.seen.values():
        each.grid = []
    contactor = Contactor("k1", "", 17, True, True, None, ("a1",), None, 1)
    finding = busy(there, contactor, closed)
    assert finding is not None
    assert finding.weight is (Weight.WRONG if closed else Weight.UNSEEN), "at rest it must be open"
    assert "a1" in finding.what and "may be charging" in finding.what
    assert busy(there, contactor, False) is None
