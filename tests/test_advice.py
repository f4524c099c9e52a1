"""Advice, classes and minimum times in documents, and advice on its way into the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from cext.rows import Advice
from controller.advice import DocumentAdvice
from controller.site import DocumentError, operated, parse
from controller.tables import Tables
from tests.documents import SHELF, document

S = 1_000_000_000
UNTIL = "2027-01-10T06:00:00Z"
UNTIL_NS = 1_799_560_800 * S


def laid(operation: Mapping[str, Any], **sections: Any) -> Any:
    return operated(parse(document(**sections), SHELF), operation)


def problems(operation: Mapping[str, Any]) -> list[str]:
    with pytest.raises(DocumentError) as refused:
        laid(operation)
    return [str(each) for each in refused.value.problems]


def bay(**advice: Any) -> dict[str, Any]:
    id_ = laid({}).chargers[0].id
    return {"charger": [{"id": id_, "advice": advice}]}


def test_what_is_stated_is_in_the_tables() -> None:
    first = laid({}).chargers[0]
    site = laid(
        {"class": [{"rank": 0, "wait_s": 60}], **bay(weight=5, floor_a=8, cap_a=10.5, until=UNTIL)}
    )
    row = Tables.of(site).chargers[0]
    assert row.class_wait_ns == 60 * S
    assert (row.min_on_ns, row.min_off_ns) == (300 * S, 0)
    assert Tables.of(laid({})).chargers[0].class_wait_ns == 1800 * S
    assert site.chargers[0].advice == Advice(5, 8000, 10_500, UNTIL_NS)
    assert first.advice is None


def test_classes_may_stand_in_the_installers_file_and_are_no_part_of_the_hash() -> None:
    site = laid({}, **{"class": [{"rank": 0, "wait_s": 120}]})
    assert Tables.of(site).chargers[0].class_wait_ns == 120 * S
    assert site.installation_hash == laid({}).installation_hash


@pytest.mark.parametrize(
    ("operation", "where", "why"),
    [
        (bay(weight=1), "advice.until", "is missing"),
        (bay(weight=0, until=UNTIL), "advice.weight", "1"),
        (bay(floor_a=-1, until=UNTIL), "advice.floor_a", "between 0"),
        (bay(cap_a=1, until="tomorrow"), "advice.until", "offset from UTC"),
        (bay(cap_a=1, until="2027-01-10T06:00:00"), "advice.until", "offset from UTC"),
        (bay(until=UNTIL), "advice", "at least one"),
        (bay(floor_a=12, cap_a=8, until=UNTIL), "advice", "floor_a must not exceed cap_a"),
        (bay(cap_a=8, until=UNTIL, why="x"), "advice.why", ""),
        ({"class": [{"rank": 101}]}, "class[0].rank", "100"),
        ({"class": [{"rank": 1, "wait_s": 0}]}, "class[0].wait_s", "between 1"),
        ({"class": [{"rank": 1}, {"rank": 1}]}, "class[1].rank", "twice"),
    ],
)
def test_bad_input_is_refused_with_its_place(operation: Any, where: str, why: str) -> None:
    found = problems(operation)
    assert any(where in each and why in each for each in found), found


def test_all_problems_at_once() -> None:
    both = bay(weight=0, until="x") | {"class": [{"rank": -1}]}
    assert len(problems(both)) == 3


@dataclass
class Wall:
    now_ns: int = UNTIL_NS - 100 * S
    known: bool = True

    def utc_ns(self) -> int:
        return self.now_ns

    def trusted(self) -> bool:
        return self.known


@dataclass
class Told:
    said: list[tuple[str, Advice]] = field(default_factory=list)

    def __call__(self, charger: str, advice: Advice) -> None:
        self.said.append((charger, advice))

    def new(self) -> list[tuple[str, Advice]]:
        said, self.said = self.said, []
        return said


def test_advice_counts_only_while_the_clock_is_trusted() -> None:
    site, wall, told = laid(bay(cap_a=8, until=UNTIL)), Wall(known=False), Told()
    id_ = site.chargers[0].id
    advice = DocumentAdvice(site.chargers, told, wall)
    advice.look(5 * S)
    assert told.new() == []
    wall.known = True
    advice.look(6 * S)
    assert told.new() == [(id_, Advice(None, None, 8000, 106 * S))]
    wall.now_ns += S
    advice.look(7 * S)
    assert told.new() == [], "nothing has changed"
    wall.now_ns += 50 * S
    advice.look(8 * S)
    assert told.new() == [(id_, Advice(None, None, 8000, 57 * S))], "the clock was set"
    wall.known = False
    advice.look(9 * S)
    assert told.new() == [(id_, Advice())]


def test_advice_that_is_over_is_taken_back_and_stays_so() -> None:
    site, wall, told = laid(bay(weight=3, until=UNTIL)), Wall(), Told()
    advice = DocumentAdvice(site.chargers, told, wall)
    advice.look(0)
    told.new()
    wall.now_ns = UNTIL_NS
    advice.look(100 * S)
    advice.look(101 * S)
    assert told.new() == [(site.chargers[0].id, Advice())]


def test_a_document_without_the_advice_ends_it() -> None:
    site, wall, told = laid(bay(weight=3, until=UNTIL)), Wall(), Told()
    advice = DocumentAdvice(site.chargers, told, wall)
    advice.look(0)
    told.new()
    DocumentAdvice(laid({}).chargers, told, wall, advice).look(S)
    assert told.new() == [(site.chargers[0].id, Advice())]
