"""What is wrong with a site document, and with which words an installer is told."""

from collections.abc import Mapping
from math import inf, nan
from typing import Any

import pytest

from controller.document.problems import PROBLEMS_MAX
from controller.document.text import read_json, read_toml
from controller.site import DocumentError, parse
from tests.documents import (
    GRID,
    METER_ENTRY,
    ROW,
    SHELF,
    charger,
    circuit,
    clamp,
    document,
    problems,
    source,
)

KEY = "A" * 43 + "="
ENTRY = {"id": "a", "role": "installer", "ed25519": KEY}
SERIAL = "rtu:///dev/ttyUSB0?parity=E&baud=19200&stop=1"

REFUSED: list[tuple[Mapping[str, Any], str, str]] = [
    # quantities
    ({"charger": [charger(max_a=32000)]}, "charger[0].max_a (bay)", "in A, did you mean 32?"),
    ({"charger": [charger(max_a="32")]}, "charger[0].max_a (bay)", 'a number A, found "32"'),
    ({"charger": [charger(max_a=True)]}, "charger[0].max_a (bay)", "a number A, found true"),
    ({"charger": [charger(poll_s=200)]}, "charger[0].poll_s (bay)", "in s, did you mean 0.2?"),
    ({"circuit": [circuit("row", rating_a=nan)]}, "circuit[0].rating_a (row)", "found nan"),
    ({"circuit": [circuit("row", rating_a=inf)]}, "circuit[0].rating_a (row)", "found inf"),
    ({"circuit": [circuit("row", rating_a=-1)]}, "circuit[0].rating_a (row)", "between 0 and"),
    ({"circuit": [circuit("row", rating_a=[1, 2])]}, "circuit[0].rating_a (row)", "list of 2"),
    ({"circuit": [circuit("row", rating_a=10**400)]}, "circuit[0].rating_a (row)", "absurd size"),
    ({"circuit": [{"id": "row", "rating_a": 1}]}, "circuit[0].worst_base_a (row)", "is missing"),
    ({"control": {"tick_s": 0.5, "dead_man_s": 1}}, "control.dead_man_s", "three ticks"),
    # keys
    ({"charger": [charger(max_ma=1)]}, "charger[0].max_ma (bay)", '"max_a" (amperes)'),
    ({"charger": [charger(fallbck_a=1)]}, "charger[0].fallbck_a (bay)", '"fallback_a" (amperes)'),
    ({"circuit": [circuit("row", rating=1)]}, "circuit[0].rating (row)", '"rating_a" (amperes)'),
    ({"clmp": []}, "clmp", 'did you mean "clamp"?'),
    ({"sheep": []}, "sheep", "unknown key; known here: schema, mode"),
    ({"charger": [charger(**{"a b": 1})]}, 'charger[0]."a b" (bay)', "unknown key"),
    ({"schema": 2}, "schema", "must be 1, found 2"),
    ({"schema": None}, "schema", "is missing"),
    ({"site": {}}, "site.id", "is missing"),
    ({"site": []}, "site", "must be a table"),
    ({"charger": {}}, "charger", "must be a list"),
    ({"charger": ["bay"]}, "charger[0]", "must be a table"),
    ({"mode": "off"}, "mode", "must be 'control' or 'observe', found \"off\""),
    ({"site": {"id": "Depot 1"}}, "site.id", "small letters, digits and -"),
    ({"site": {"id": "d", "timezone": "Mars/Base"}}, "site.timezone", "Europe/Berlin"),
    ({"site": {"id": "d", "timezone": "../etc"}}, "site.timezone", "Europe/Berlin"),
    ({"site": {"id": "d", "name": "\x1b[31m"}}, "site.name", r'found "\x1b[31m"'),
    # clamps
    ({"clamp": [clamp(format="rpict")]}, "clamp[0].format (ct)", "'rpict7v1', 'rpict3v1'"),
    ({"clamp": [clamp(circuit="attic")]}, "clamp[0].circuit (ct)", "no [[circuit]] has the id"),
    ({"clamp": [clamp(port="COM3")]}, "clamp[0].port (ct)", "the path of a port in /dev"),
    ({"clamp": [clamp(port="/dev/../etc/x")]}, "clamp[0].port (ct)", "the path of a port"),
    ({"clamp": [clamp(id="main")]}, "clamp[0].id (main)", "meter[0] has the id"),
    ({"clamp": [clamp(), clamp(id="other")]}, "clamp[1].port (other)", 'is the port of "ct", too'),
    (
        {"clamp": [clamp(port="/dev/ttyUSB0")], "bus": [{"id": "rs485", "url": SERIAL}]},
        "clamp[0].port (ct)",
        'is the port of bus "rs485"',
    ),
    (
        {"clamp": [clamp(port="/dev/ttyUSB0")], "charger": [charger(bus=SERIAL)]},
        "clamp[0].port (ct)",
        "is the port of bus",
    ),
    ({"clamp": [clamp(baud=True)]}, "clamp[0].baud (ct)", "a whole number"),
    ({"clamp": [clamp(format="emontx4", node=5)]}, "clamp[0].node (ct)", "must be left out"),
    ({"clamp": [clamp(assumed_v=230)]}, "clamp[0].assumed_v (ct)", "must be left out"),
    ({"clamp": [clamp(period_s=9, max_age_s=9)]}, "clamp[0].max_age_s (ct)", "longer than"),
    ({"clamp": [clamp(ct={"channels": "1 2"})]}, "clamp[0].ct.channels (ct)", "three CTs"),
    ({"clamp": [clamp(ct={"channels": "1 2 2"})]}, "clamp[0].ct.channels (ct)", "each once"),
    (
        {"clamp": [clamp(format="rpict3v1", ct={"channels": "1 2 4"})]},
        "clamp[0].ct.channels (ct)",
        "from 1 to 3",
    ),
    ({"clamp": [clamp(ct={"reversed": True})]}, "clamp[0].ct.reversed (ct)", "unknown key"),
    ({"clamp": [clamp(power_factor=0.1)]}, "clamp[0].power_factor (ct)", "between 0.5 and 1"),
    # the tree
    ({"circuit": []}, "circuit", "one circuit must have no parent"),
    ({"circuit": [GRID, circuit("row")]}, "circuit[1].parent (row)", "only the root has no"),
    ({"circuit": [GRID, ROW, ROW]}, "circuit[2].id (row)", "circuit[1] has this id"),
    (
        {"circuit": [GRID, ROW | {"parent": "gird"}]},
        "circuit[1].parent (row)",
        'no [[circuit]] has the id "gird"; did you mean "grid"?',
    ),
    (
        {"circuit": [GRID, ROW | {"parent": "a"}, circuit("a", parent="row", worst_base_a=0)]},
        "circuit[1].parent (row)",
        'is its own ancestor: "row" → "a" → "row"',
    ),
    ({"circuit": [circuit("row", parent="row")]}, "circuit[0].parent (row)", "its own ancestor"),
    (
        {"circuit": [GRID, ROW | {"worst_base_a": [0, 0, 21]}]},
        "circuit[0].worst_base_a (grid)",
        "together 21 A on L3; found 20",
    ),
    (
        {"circuit": [circuit("row", protection={"kind": "fuse", "in_a": 63})]},
        "circuit[0].rating_a (row)",
        "its protection carries, 63 A; found 100",
    ),
    (
        {"circuit": [circuit("row", protection={"kind": "wood"})]},
        "circuit[0].protection (row)",
        'one of "fuse", "mcb", "mccb", "electronic", found "wood"',
    ),
    (
        {"circuit": [circuit("row", protection={"kind": "mcb", "in_a": 100})]},
        "circuit[0].protection.curve (row)",
        "is missing",
    ),
    (
        {"circuit": [GRID, ROW | {"nominal_v": 480}]},
        "circuit[1].nominal_v (row)",
        "must be the parent's, 400 V",
    ),
    # devices
    ({"charger": [charger(circuit="rwo")]}, "charger[0].circuit (bay)", 'did you mean "row"?'),
    ({"charger": [charger(profile="x")]}, "charger[0].profile (bay)", "there is no profile x"),
    ({"charger": [charger(profile="broken")]}, "charger[0].profile (bay)", "contradicts itself"),
    ({"charger": [charger(bus="gate")]}, "charger[0].bus (bay)", "no [[bus]] has the id"),
    ({"charger": [charger(bus="rtu:///dev/x")]}, "charger[0].bus (bay)", "each of baud, parity"),
    ({"charger": [charger(bus=SERIAL, unit=0)]}, "charger[0].unit (bay)", "from 1 to 247"),
    ({"charger": [charger(bus=SERIAL, unit=248)]}, "charger[0].unit (bay)", "from 1 to 247"),
    (
        {"bus": [{"id": "a", "url": SERIAL}], "charger": [charger(bus=SERIAL.replace("=E", "=N"))]},
        "charger[0].bus (bay)",
        "one port is one line",
    ),
    (
        {"bus": [{"id": "a", "url": SERIAL}, {"id": "b", "url": SERIAL.replace("=E", "=N")}]},
        "bus[1].url (b)",
        'is the same connection as bus "a"',
    ),
    ({"bus": [{"id": "a", "url": SERIAL + "0"}]}, "bus[0].url (a)", "stop bits 1 or 2"),
    ({"bus": [{"id": "a", "url": SERIAL + "&stop=1"}]}, "bus[0].url (a)", "stop once"),
    ({"bus": [{"id": "a", "url": SERIAL.replace("19", "20")}]}, "bus[0].url (a)", "a baud of"),
    ({"bus": [{"id": "a", "url": SERIAL.replace("=E", "=M")}]}, "bus[0].url (a)", "a parity of"),
    ({"bus": [{"id": "a", "url": SERIAL.replace("dev", "etc")}]}, "bus[0].url (a)", "in /dev"),
    ({"bus": [{"id": "a", "url": "rtu://h/dev/x?baud"}]}, "bus[0].url (a)", "must look like rtu"),
    ({"charger": [charger(bus="tcp://h:0")]}, "charger[0].bus (bay)", "must look like tcp://"),
    ({"charger": [charger(bus="tcp://1.2.3.256")]}, "charger[0].bus (bay)", "must look like"),
    ({"charger": [charger(bus="tcp://u:p@h")]}, "charger[0].bus (bay)", "without user and pass"),
    ({"charger": [charger(), charger(bus="tcp://h")]}, "charger[1].id (bay)", "charger[0] has the"),
    ({"charger": [charger(id="main")]}, "charger[0].id (main)", "meter[0] has the id"),
    (
        {"charger": [charger(bus="tcp://192.0.2.1")]},
        "charger[0].bus (bay)",
        '"bay" has the address of "main": unit 1 at tcp://192.0.2.1:502',
    ),
    ({"charger": [charger(phases="L1 L1")]}, "charger[0].phases (bay)", "each once"),
    ({"charger": [charger(phases="L4")]}, "charger[0].phases (bay)", "one to three of L1 L2 L3"),
    ({"charger": [charger(unit=256)]}, "charger[0].unit (bay)", "from 0 to 255"),
    ({"charger": [charger(weight=0)]}, "charger[0].weight (bay)", "must be at least 1, found 0"),
    ({"charger": [charger(max_age_s=0.5)]}, "charger[0].max_age_s (bay)", "longer than poll_s"),
    (
        {"meter": [METER_ENTRY | {"profile": "single"}]},
        "meter[0].ct (main)",
        "measures one phase: write on which",
    ),
    (
        {"meter": [METER_ENTRY | {"ct": {"phases": "L1"}}]},
        "meter[0].ct.phases (main)",
        "all of L1 L2 L3",
    ),
    ({"meter": [METER_ENTRY | {"ct": {"ratio": 0}}]}, "meter[0].ct.ratio (main)", "between 0.001"),
    # currents of a charger
    ({"charger": [charger(max_a=None)]}, "charger[0].max_a (bay)", "is missing"),
    ({"charger": [charger(max_a=5)]}, "charger[0].max_a (bay)", "at least the minimum, 6 A"),
    ({"charger": [charger(min_a=5)]}, "charger[0].min_a (bay)", "no less than 6 A; found 5"),
    ({"charger": [charger(fallback_a=33)]}, "charger[0].fallback_a (bay)", "max_a, 32 A; found 33"),
    ({"charger": [charger(power_on_a=33)]}, "charger[0].power_on_a (bay)", "max_a, 32 A; found 33"),
    ({"charger": [charger(step_a=0.25)]}, "charger[0].step_a (bay)", "a multiple of 0.1 A"),
    (
        {"charger": [charger(profile="coarse", max_a=32)]},
        "charger[0].max_a (bay)",
        "at most 20 A in coarse; found 32",
    ),
    (
        {"charger": [charger(profile="stubborn")]},
        "charger[0].fallback_a (bay)",
        "must be left out: stubborn has no fallback",
    ),
    (
        {"charger": [charger(profile="vague")]},
        "charger[0].fallback_delay_s (bay)",
        "without it there is no fallback",
    ),
    # rows
    ({"charger": [charger(count=2, id="bay")]}, "charger[0].id (bay)", 'such as "bay-{n:02}"'),
    ({"charger": [charger(id="bay-{n}")]}, "charger[0].id (bay-{n})", "without a count"),
    ({"charger": [charger(count=2, id="{n}{m}")]}, "charger[0].id ({n}{m})", "in braces only"),
    ({"charger": [charger(count=2, id="B{n}")]}, "charger[0].id (B{n})", 'found "B1"'),
    (
        {"charger": [charger(count=250)]},
        "charger[0].bus (bay-{n})",
        'found "tcp://192.0.2.256"',
    ),
    (
        {"charger": [charger(count=2, unit="{n+254}")]},
        "charger[0].unit (bay-{n})",
        'found "256" for "bay-2"',
    ),
    ({"charger": [charger(count=1000)] * 6}, "charger", "must be 5000 at most"),
    # buses, limit sources, link
    (
        {"bus": [{"id": "a", "url": "tcp://h"}, {"id": "b", "url": "tcp://H:502"}]},
        "bus[1].url (b)",
        'the same connection as bus "a"',
    ),
    ({"limit_source": [source(circuit="x")]}, "limit_source[0].circuit (cloud)", "no [[circuit]]"),
    ({"limit_source": [source(id="rating")]}, "limit_source[0].id (rating)", "cannot be"),
    ({"limit_source": [source(), source()]}, "limit_source[1].id (cloud)", "has this id, too"),
    (
        {"limit_source": [source(failsafe_a=[100, 101, 0])]},
        "limit_source[0].failsafe_a (cloud)",
        'the rating of "grid", 100 A on L2; found 101',
    ),
    ({"link": {"broker": "mqtts://h:0"}}, "link.broker", "mqtts://192.0.2.10:8883"),
    ({"link": {"broker": "mqtt://h", "tls": {"ca": "ca.pem"}}}, "link.tls", "mqtts://"),
    ({"link": {"broker": "mqtts://h", "tls": {"cert": "c"}}}, "link.tls", "both cert and key"),
    ({"key": [{"id": "a", "role": "installer", "ed25519": "AAAA"}]}, "key[0].ed25519 (a)", "32"),
    ({"key": [{"id": "a", "role": "guest", "ed25519": KEY}]}, "key[0].role (a)", "installer"),
    ({"key": [ENTRY, ENTRY]}, "key[1].id (a)", "has this id, too"),
    ({"link": {"broker": "h:1883"}}, "link.broker", "must look like mqtt://"),
    ({"link": {"broker": "mqtt://h", "username": "u"}}, "link", "both username and password_file"),
]


@pytest.mark.parametrize(("sections", "path", "words"), REFUSED)
def test_refused(sections: Mapping[str, Any], path: str, words: str) -> None:
    told = problems(**sections)
    assert words in told.get(path, f"only {told}")


def test_a_password_in_a_url_is_not_repeated() -> None:
    told = problems(
        link={"broker": "mqtts://u:hunter2@h"}, charger=[charger(bus="tcp://u:hunter2@h")]
    )
    assert told
    assert "hunter2" not in str(told)


def test_every_problem_is_told_at_once() -> None:
    """The model's and the cross-checks' alike, and nobody is blamed for another's mistake."""
    told = problems(
        site={"id": "depot", "timezone": "Mars", "colour": 1},
        circuit=[circuit("grid", rating_a="much"), circuit("row", parent="grid", rating_a=10)],
        charger=[
            charger(id="a", max_ma=32, fallback_a=40, bus="tcp://h:99999"),
            charger(id="b", circuit="shed", profile="unheard"),
        ],
        limit_source=[source(kind="hard")],
    )
    assert set(told) == {
        "site.colour",
        "site.timezone",
        "circuit[0].rating_a (grid)",
        "charger[0].max_ma (a)",
        "charger[0].fallback_a (a)",
        "charger[0].bus (a)",
        "charger[1].circuit (b)",
        "charger[1].profile (b)",
        "limit_source[0].kind (cloud)",
    }


def test_problems_are_bounded() -> None:
    entries = [charger(id=f"bay-{n}", circuit=f"x{n}", bus="tcp://h") for n in range(2000)]
    with pytest.raises(DocumentError) as caught:
        parse(document(charger=entries), SHELF)
    assert len(caught.value.problems) == PROBLEMS_MAX + 1
    assert "more than" in caught.value.problems[-1].message


# --- text --------------------------------------------------------------------------------------

TOML = [
    (b"a = 1\nb = = 2\n", "line 2, column 5", "invalid value"),
    (b"a = 1\na = 2\n", "line 2, column 6", "stands twice"),
    (b"a = '\xff'\n", "line 1", "not UTF-8"),
    (b"a = " + b"[" * 5000, "document", "nested too deeply"),
    (b"a = " + b"9" * 5000, "document", "exceeds the limit"),
    (b"#" * (1024 * 1024 + 1), "document", "more than 1048576"),
]


def test_references_of_an_unreadable_entry_are_checked_with_all_the_rest() -> None:
    told = problems(
        circuit=[GRID, {"id": "row", "parent": "gird"}],
        charger=[charger(max_a="32", circuit="rwo")],
    )
    assert {"circuit[1].rating_a (row)", "circuit[1].parent (row)"} <= told.keys()
    assert {"charger[0].max_a (bay)", "charger[0].circuit (bay)"} <= told.keys()


@pytest.mark.parametrize(("raw", "path", "words"), TOML, ids=[words for _, _, words in TOML])
def test_toml_that_cannot_be_read(raw: bytes, path: str, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_toml(raw)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert words in problem.message


JSON = [
    (b'{"a": 1,}', "line 1"),
    (b'{"a": 1, "a": 2}', "twice"),
    (b'{"a": NaN}', "NaN is not a number"),
    (b'{"a": "\xff"}', "not UTF-8"),
    (b'{"a":' * 40 + b"1" + b"}" * 40, "nested"),
    (b"[" * 100_000, "nested"),
    (b'{"a": ' + b"9" * 5000 + b"}", "absurd size"),
    (b" " * (1024 * 1024 + 1), "more than"),
    (b"[]", "must be a JSON object"),
    (b"", "not JSON"),
]


@pytest.mark.parametrize(("raw", "words"), JSON, ids=[words for _, words in JSON])
def test_json_that_cannot_be_read(raw: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        read_json(raw)
