"""The site document: what is taken from it, and what is refused with which words."""

import json
from collections.abc import Mapping
from math import inf, nan
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.rows import NO_PHASE
from controller.document_text import read_json, read_toml
from controller.problems import PROBLEMS_MAX
from controller.site import Charger, DocumentError, Site, json_schema, load, parse
from drivers.profile import library
from tests.documents import (
    CHARGERS,
    SHELF,
    S,
    charger,
    circuit,
    document,
    problems,
    site,
    source,
)

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLE = DOCS / "examples" / "north-depot.toml"

GRID, ROW = circuit("grid"), circuit("row", parent="grid", worst_base_a=0)
METER = document()["meter"][0]


def one(**keys: Any) -> Charger:
    """The charger that such an entry describes."""
    return site(charger=[charger(**keys)]).chargers[0]


# --- what is taken -----------------------------------------------------------------------------


def test_a_whole_site() -> None:
    depot = site()
    assert (depot.id, depot.mode, depot.timezone) == ("depot", "control", "UTC")
    assert depot.control.tick_ns == S // 10
    assert depot.control.ramp_ma_per_s == 4_000
    assert depot.circuits[0].rating_ma == (100_000, 100_000, 100_000)
    assert depot.circuits[1].parent == "grid"
    assert depot.circuits[0].phase_mv == 230_940
    assert depot.meters[0].bus.url == "tcp://192.0.2.1:502"
    assert depot.limit_sources[0].failsafe_ma == (80_000, 80_000, 80_000)
    assert depot.link is None


def test_phases_of_a_circuit_may_differ() -> None:
    depot = site(circuit=[GRID, ROW | {"rating_a": [80, 90.5, 100]}])
    assert depot.circuits[1].rating_ma == (80_000, 90_500, 100_000)


def test_parents_stand_before_their_children() -> None:
    tree = {"c": "b", "row": "c", "a": None, "grid": "a", "b": "a"}
    entries = [circuit(name, parent=parent, worst_base_a=0) for name, parent in tree.items()]
    order = [each.id for each in site(circuit=entries).circuits]
    assert order[0] == "a"
    assert all(order.index(name) > order.index(up) for name, up in tree.items() if up is not None)


def test_a_row_is_counted_out() -> None:
    row = charger(count=3, first=9, id="bay-{n:02}", name="Bay {n}", unit="{n+1}", weight=2)
    chargers = site(charger=[row | {"bus": "tcp://gate-{n+20:03}"}]).chargers
    assert [each.id for each in chargers] == ["bay-09", "bay-10", "bay-11"]
    assert [each.name for each in chargers] == ["Bay 9", "Bay 10", "Bay 11"]
    assert [each.bus.host for each in chargers] == ["gate-029", "gate-030", "gate-031"]
    assert [each.unit for each in chargers] == [10, 11, 12]
    assert {each.weight for each in chargers} == {2}


def test_what_is_left_out_comes_from_the_profile() -> None:
    plain = one(fallback_a=None, profile="hungry")
    facts = CHARGERS["hungry"]
    assert plain.facts == facts
    assert (plain.min_ma, plain.step_ma, plain.settle_ns) == (6_000, 100, 6 * S)
    assert (plain.tolerance_ppm, plain.standby_ma) == (30_000, 100)
    assert plain.fallback_delay_ns == 60 * S
    stated = one(tolerance_pct=1.5, standby_a=0, settle_s=3, step_a=1, fallback_delay_s=30)
    assert (stated.tolerance_ppm, stated.standby_ma, stated.settle_ns) == (15_000, 0, 3 * S)
    assert (stated.step_ma, stated.fallback_delay_ns) == (1_000, 30 * S)
    assert one(profile="coarse", max_a=None).max_ma == 20_000
    assert one(profile="coarse", max_a=None).min_ma == 8_000


@pytest.mark.parametrize(
    ("keys", "alone_ma", "restart_ma"),
    [
        ({"fallback_a": 6}, 6_000, 6_000),  # the profile says that it starts with its fallback
        ({"fallback_a": 0}, 0, 0),  # zero means zero
        ({"fallback_a": None}, 32_000, 32_000),  # unknown is never zero
        ({"profile": "forgetful"}, 6_000, 32_000),  # nobody knows what it starts with
        ({"profile": "forgetful", "power_on_a": 10}, 6_000, 10_000),
        ({"profile": "forgetful", "power_on_a": 0}, 6_000, 0),
        ({"profile": "stubborn", "fallback_a": None}, 32_000, 32_000),
    ],
)
def test_unknown_currents_count_as_the_maximum(
    keys: Mapping[str, Any], alone_ma: int, restart_ma: int
) -> None:
    counted = one(**keys)
    assert (counted.alone_ma, counted.restart_ma) == (alone_ma, restart_ma)


def test_draw_counts_tolerance_and_standby_rounded_up() -> None:
    hungry = one(profile="hungry")
    assert hungry.draw_ma(0) == 100
    assert hungry.draw_ma(6_000) == 6_280
    assert hungry.draw_ma(1) == 102


def test_wiring() -> None:
    assert one(phases="L2 L3 L1").phases == (1, 2, 0)
    assert one(phases="L3").phases == (2, NO_PHASE, NO_PHASE)


@pytest.mark.parametrize(
    ("keys", "max_age_ns"),
    [
        ({}, 3 * S),  # 3 polls
        ({"poll_s": 0.1}, 11 * S // 10),  # 2 time-outs + 1 poll
        ({"poll_s": 0.1, "bus": "quick"}, S),
        ({"max_age_s": 7}, 7 * S),
    ],
)
def test_maximum_age_of_a_report(keys: Mapping[str, Any], max_age_ns: int) -> None:
    bus = {"id": "quick", "url": "tcp://192.0.2.200:5020", "timeout_s": 0.1}
    depot = site(bus=[bus], charger=[charger(**keys)])
    assert depot.chargers[0].max_age_ns == max_age_ns


def test_one_bus_is_one_bus_however_it_is_named() -> None:
    bus = {"id": "gate", "url": "tcp://gate.example:1502", "timeout_s": 2}
    entries = [
        charger(id="a", bus="gate", unit=1),
        charger(id="b", bus="tcp://gate.example:1502", unit=2),
    ]
    depot = site(bus=[bus], charger=entries)
    assert depot.chargers[0].bus == depot.chargers[1].bus
    assert depot.chargers[0].bus.timeout_ns == 2 * S
    assert len(depot.buses) == 2  # the meter's, too


def test_a_meters_error_grows_with_its_ratio() -> None:
    ct = {"ratio": 40.5, "phases": "L3 L1 L2"}
    meter = site(meter=[METER | {"ct": ct, "lag_s": 1}]).meters[0]
    assert (meter.ratio_ppm, meter.error_ma, meter.phases) == (40_500_000, 4_050, (2, 0, 1))
    assert (meter.lag_ns, meter.max_age_ns) == (S, 12 * S // 10)


def test_link(tmp_path: Path) -> None:
    link = {"broker": "mqtt://[::1]", "username": "u", "password_file": "secret"}
    path = tmp_path / "site.json"
    path.write_text(json.dumps(document(link=link)), encoding="utf-8")
    read = load(path, SHELF).link
    assert read is not None
    assert (read.host, read.port, read.username) == ("::1", 1883, "u")
    assert read.password_file == tmp_path / "secret"


def test_toml_and_json_mean_the_same(tmp_path: Path) -> None:
    path = tmp_path / "site.JSON"
    path.write_text(json.dumps(read_toml(EXAMPLE.read_bytes())), encoding="utf-8")
    assert load(path, library()) == load(EXAMPLE, library())


# --- the installation hash ---------------------------------------------------------------------


def test_only_the_installation_changes_the_hash() -> None:
    before = site().installation_hash()
    assert site(site={"id": "depot", "name": "North"}).installation_hash() == before
    assert site(charger=[charger(count=4, weight=5, name="x")]).installation_hash() == before
    assert site(charger=[charger(count=4, **{"class": 1})]).installation_hash() == before
    assert site(control={"tick_s": 0.1}).installation_hash() == before  # a default, spelt out
    assert site(charger=[charger(count=4, fallback_a=7)]).installation_hash() != before
    assert site(mode="observe").installation_hash() != before
    assert site(limit_source=[source(hold_s=5)]).installation_hash() != before


# --- what is refused ---------------------------------------------------------------------------

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
    ({"clamp": []}, "clamp", "unknown key; known here: schema, mode"),
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
    ({"charger": [charger(bus="rtu:///dev/x")]}, "charger[0].bus (bay)", "not supported yet"),
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
    ({"meter": [METER | {"profile": "single"}]}, "meter[0].profile (main)", "all three phases"),
    ({"meter": [METER | {"ct": {"phases": "L1"}}]}, "meter[0].ct.phases (main)", "all of L1 L2 L3"),
    ({"meter": [METER | {"ct": {"ratio": 0}}]}, "meter[0].ct.ratio (main)", "between 0.001"),
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
    ({"link": {"broker": "mqtts://h"}}, "link.broker", "not supported yet"),
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


# --- the published schema ----------------------------------------------------------------------


def test_the_published_schema_is_up_to_date() -> None:
    """`make schemas` writes it."""
    published = json.loads((DOCS / "site.schema.json").read_text(encoding="utf-8"))
    assert published == json_schema()


def test_the_schema_accepts_the_example() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(read_toml(EXAMPLE.read_bytes()), json_schema())


@pytest.mark.parametrize(
    "sections",
    [
        {"clamp": []},
        {"charger": [charger(max_ma=32)]},
        {"charger": [charger(max_a=32000)]},
        {"charger": [charger(phases="L1 L4")]},
        {"circuit": [{"id": "grid", "rating_a": 100}]},
        {"circuit": []},
        {"limit_source": [source(kind="hard")]},
    ],
)
def test_the_schema_refuses_what_the_model_refuses(sections: Mapping[str, Any]) -> None:
    jsonschema.validate(document(), json_schema())
    assert problems(**sections)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document(**sections), json_schema())


def test_the_example_names_real_profiles() -> None:
    depot = load(EXAMPLE, library())
    assert len(depot.chargers) == 20
    assert len({each.bus for each in depot.chargers}) == 20


# --- whatever comes ----------------------------------------------------------------------------

SCHEMA = json_schema()
KEYS = {key for part in (SCHEMA, *SCHEMA["$defs"].values()) for key in part["properties"]}
WORDS = st.sampled_from([*sorted(KEYS), "grid", "row", "plain", "fuse", "bay-{n}", "tcp://h"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=8),
    WORDS,
    st.dates(),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(WORDS, st.text()), inner, max_size=6)
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(WORDS, ANYTHING, max_size=8))
def test_no_data_but_raises_document_error(data: dict[str, Any]) -> None:
    try:
        parse(data, SHELF)
    except DocumentError as error:
        assert error.problems
        assert all(problem.message.isprintable() for problem in error.problems)


def places(data: Any, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """All keys and positions in a document."""
    found: list[tuple[str | int, ...]] = []
    keyed = dict(enumerate(data)) if isinstance(data, list) else data
    for key, value in keyed.items() if isinstance(keyed, dict) else ():
        found += [(*here, key), *places(value, (*here, key))]
    return found


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_good_document_with_anything_anywhere_is_taken_or_refused(data: st.DataObject) -> None:
    """Whatever replaces whatever in it, nothing but DocumentError comes of it."""
    changed = json.loads(
        json.dumps(
            document(
                control={"tick_s": 0.1},
                bus=[{"id": "gate", "url": "tcp://h"}],
                link={"broker": "mqtt://h"},
            )
        )
    )
    for _ in range(data.draw(st.integers(1, 2))):
        *way, last = data.draw(st.sampled_from(places(changed)))
        table = changed
        for key in way:
            table = table[key]
        table[last] = data.draw(ANYTHING)
    try:
        taken: Site = parse(changed, SHELF)
    except DocumentError as error:
        assert error.problems
    else:
        assert taken.circuits[0].parent is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_but_raise_document_error(raw: bytes) -> None:
    for read in (read_toml, read_json):
        try:
            read(raw)
        except DocumentError as error:
            assert len(error.problems) == 1
