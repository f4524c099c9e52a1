"""The site document: what is taken from it, and its published schema."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cext.rows import NO_PHASE
from controller.document.text import read_toml
from controller.site import Charger, json_schema, load
from controller.tables import Tables
from drivers.library import library
from tests.documents import (
    CHARGERS,
    GRID,
    METER_ENTRY,
    ROW,
    SHELF,
    S,
    charger,
    circuit,
    clamp,
    document,
    problems,
    site,
    source,
)

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLE = DOCS / "examples" / "north-depot.toml"


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
    assert [each.bus.url for each in chargers] == [f"tcp://gate-0{n}:502" for n in (29, 30, 31)]
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
    meter = site(meter=[METER_ENTRY | {"ct": ct, "lag_s": 1}]).meters[0]
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
    before = site().installation_hash
    assert site(site={"id": "depot", "name": "North"}).installation_hash == before
    assert site(charger=[charger(count=4, weight=5, name="x")]).installation_hash == before
    assert site(charger=[charger(count=4, **{"class": 1})]).installation_hash == before
    assert site(control={"tick_s": 0.1}).installation_hash == before  # a default, spelt out
    assert site(charger=[charger(count=4, fallback_a=7)]).installation_hash != before
    assert site(mode="observe").installation_hash != before
    assert site(limit_source=[source(hold_s=5)]).installation_hash != before


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
        {"clmp": []},
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


def test_a_clamp_knows_what_its_format_implies() -> None:
    (rpict,) = site(clamp=[clamp()]).clamps
    assert (rpict.address.baud, rpict.node, rpict.channels) == (38_400, 11, (1, 2, 3))
    assert rpict.max_age_ns == 3 * rpict.period_ns
    (emontx,) = site(clamp=[clamp(format="emontx4", period_s=2)]).clamps
    assert (emontx.address.baud, emontx.node) == (115_200, None)
    assert emontx.lag_ns == emontx.period_ns == 2 * S  # it averages over its period


def test_what_a_document_says_of_a_clamp_goes_before_its_format() -> None:
    written = clamp(baud=9600, node=3, period_s=1, lag_s=0.5, max_age_s=4, error_a=0.5)
    (made,) = site(clamp=[written | {"ct": {"channels": "7 2 3", "phases": "L3 L1 L2"}}]).clamps
    assert made.address.url == "rtu:///dev/ttyAMA0?baud=9600&parity=N&stop=1"
    assert (made.node, made.period_ns, made.lag_ns) == (3, S, S // 2)
    assert (made.max_age_ns, made.error_ma) == (4 * S, 500)
    assert (made.channels, made.phases) == ((7, 2, 3), (2, 0, 1))


def test_the_error_grows_with_the_ratio_but_a_unit_is_no_ratio() -> None:
    (big,) = site(clamp=[clamp(ct={"ratio": 5})]).clamps
    (thousandths,) = site(clamp=[clamp(ct={"ratio": 0.001})]).clamps
    (plain,) = site(clamp=[clamp()]).clamps
    assert big.error_ma == 5 * plain.error_ma
    assert thousandths.error_ma == plain.error_ma


def test_clamps_are_sources_after_the_meters() -> None:
    tables = Tables.of(site(clamp=[clamp(ct={"phases": "L3 L1 L2", "ratio": 2})]))
    assert tables.source_index == {"main": 0, "ct": 1}
    assert tables.source_wiring[1].to_grid((1000, 2000, 3000)) == (4000, 6000, 2000)
