"""Chargers that are commanded in watts: document, tables, what truly flows and is told."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.plant import Car
from controller.__main__ import main
from controller.blackbox.explain import explain
from controller.blackbox.explained import lines
from controller.blackbox.replay import find
from controller.commands.status import _charger
from controller.document.devices import Charger
from controller.hardware import build_plant, hardware
from controller.plant import VirtualEnforcer
from controller.site import DocumentError, Site, parse
from controller.status_report import ChargerReport
from controller.tables import Tables
from controller.units import PPM
from controller.watts import Watts
from hil.story.script import SITES
from tests.depots import Depot
from tests.documents import PLAIN, S, charger, circuit, document
from tests.inwatts import FAST, HYC, WALL, Shelf
from tests.recorded import Recorded


def site(**keys: Any) -> Site:
    usual = {"profile": "fast", "max_a": 145, "fallback_a": 0, "circuit": "grid"}
    entry = charger(**usual | keys)
    grid = circuit("grid", rating_a=400, worst_base_a=100)
    return parse(document(circuit=[grid], charger=[entry], limit_source=None), Shelf())


def one(**keys: Any) -> Charger:
    return site(**keys).chargers[0]


def problems(**keys: Any) -> dict[str, str]:
    try:
        site(**keys)
    except DocumentError as error:
        return {problem.path: problem.message for problem in error.problems}
    return {}


# The conversion.


def test_a_power_is_shared_by_the_phases_that_share_it() -> None:
    assert Watts.of(FAST).mv == 3 * 230_940
    assert Watts.of(FAST, phases=1).mv == 230_940
    assert Watts.of(replace(FAST, per_phase=True)).mv == 230_940
    assert Watts.of(WALL).mv == 230_940, "a vehicle may draw all of it on one phase"


def test_a_minimum_is_rounded_up_and_a_maximum_down() -> None:
    facts = Watts.of(WALL).in_amperes(replace(PLAIN, watts=WALL))
    assert (facts.min_ma, facts.max_ma, facts.step_ma) == (18_187, 95_262, 434)


def test_the_tolerance_is_of_the_lowest_voltage_and_the_worst_losses() -> None:
    """1.03 / (0.9 · 0.95) and, where the DC side is commanded, / 0.92."""
    assert Watts.of(FAST).tolerance_ppm(30_000) == 204_679
    assert Watts.of(replace(FAST, commands_dc=True)).tolerance_ppm(30_000) == 309_434
    assert Watts.of(FAST, power_factor_ppm=PPM).tolerance_ppm(0) == 111_112
    worst = replace(FAST, commands_dc=True, efficiency_ppm=500_000, power_factor_ppm=500_000)
    assert Watts.of(worst).tolerance_ppm(500_000) <= 6_000_000, "the kernel takes any of them"


@given(
    setpoint=st.integers(0, 1_000_000),
    voltage_pct=st.integers(90, 110),
    efficiency_ppm=st.integers(500_000, PPM),
    power_factor_ppm=st.integers(500_000, PPM),
    own_ppm=st.integers(0, 100_000),
    dc=st.booleans(),
)
def test_no_current_of_the_written_power_is_above_the_worst_draw(
    setpoint: int, voltage_pct: int, efficiency_ppm: int, power_factor_ppm: int, own_ppm: int,
    dc: bool,
) -> None:  # fmt: skip
    facts = replace(WALL, commands_dc=dc, efficiency_ppm=efficiency_ppm)
    watts = Watts.of(replace(facts, power_factor_ppm=power_factor_ppm), evenly_mv())
    written_mw = watts.mw(setpoint) * (PPM + own_ppm) / PPM
    losses = power_factor_ppm / PPM * (efficiency_ppm / PPM if dc else 1)
    drawn_ma = written_mw / (watts.mv / 1000 * voltage_pct / 100 * losses)
    assert drawn_ma <= setpoint * (PPM + watts.tolerance_ppm(own_ppm)) / PPM + 1e-6
    assert setpoint - 5 <= watts.up_ma(watts.mw(setpoint)) <= setpoint


def evenly_mv() -> int:
    return 230_940


# The document and the tables.


def test_an_entry_becomes_amperes_at_nominal_voltage() -> None:
    fast = one()
    assert (fast.min_ma, fast.max_ma, fast.step_ma) == (7_217, 145_000, 145)
    assert (fast.tolerance_ppm, fast.own_tolerance_ppm) == (169_591, 0)
    paused_ma = 2_233 * 1_169_591 // PPM + 1
    assert fast.standby_ma == 500 + paused_ma, "a pause is a small power, and may be drawn"
    assert fast.may_pause == "yes"
    row = Tables.of(site()).chargers[0]
    assert (row.tolerance_ppm, row.error_ppm) == (169_591, 163_637)


def test_losses_of_the_device_itself_go_before_the_profiles() -> None:
    better = one(power_factor=0.99, efficiency_pct=95)
    assert better.tolerance_ppm == 122_335
    assert better.watts is not None
    assert better.watts.error_ppm == 136_364


def test_what_belongs_to_watts_is_refused_elsewhere_and_the_other_way_round() -> None:
    assert problems(profile="plain", power_factor=0.9, efficiency_pct=90).keys() == {
        "charger[0].power_factor (bay)",
        "charger[0].efficiency_pct (bay)",
    }
    assert "between 50 and 100" in problems(efficiency_pct=30)["charger[0].efficiency_pct (bay)"]
    assert "between 0.5 and 1" in problems(power_factor=1.1)["charger[0].power_factor (bay)"]
    assert "no less than 7.217" in problems(min_a=6)["charger[0].min_a (bay)"]
    assert "at most 95.262" in problems(profile="wall", max_a=96)["charger[0].max_a (bay)"]


def test_where_zero_ends_the_session_it_is_no_pause() -> None:
    assert one(profile="abrupt").may_pause == "replug"
    assert one(profile="abrupt", may_pause="never").may_pause == "never"
    words = problems(profile="abrupt", may_pause="yes")["charger[0].may_pause (bay)"]
    assert "0 W ends the vehicle's session" in words


def test_connectors_of_one_device_have_one_address() -> None:
    entries = [
        charger(id=f"c{n}", profile="fast", max_a=145, fallback_a=0, circuit="grid", connector=n)
        for n in (1, 2)
    ]
    grid = circuit("grid", rating_a=600, worst_base_a=100)
    depot = parse(document(circuit=[grid], charger=entries, limit_source=None), Shelf())
    assert [each.connector for each in depot.chargers] == [1, 2]
    assert "at most 2" in problems(connector=3)["charger[0].connector (bay)"]
    with pytest.raises(DocumentError, match="has the address of"):
        parse(document(circuit=[grid], charger=[entries[0], entries[0] | {"id": "x"}]), Shelf())


# What truly flows.


def truth(depot: Site, tables_of: Site, seconds: int = 400) -> int:
    """The most above its rating in a depot whose voltage falls to 0.9 at its fullest; the
    controller goes by `tables_of`."""
    plant = build_plant(depot, 1, hardware(depot))
    for index in range(len(depot.chargers)):
        plant.plug(index, Car(300_000, 3, S, energy_wh=500_000, taper_wh=0, gain_ppm=30_000))
    plant.set_base(0, (20_000, 20_000, 20_000))
    enforcer = VirtualEnforcer(tables_of, plant, 0)
    for now_s in range(1, seconds):
        enforcer.run_until(now_s * S)
        plant.advance(now_s * S)
        if now_s == seconds // 2:
            assert max(plant.load(0)) > 240_000, "the depot is full"
            plant.mark()
            plant.set_voltage(900_000)
    return max(plant.above(0))


def depot_of(**keys: Any) -> Site:
    grid = circuit("grid", rating_a=300, worst_base_a=21)
    rows = charger(
        count=4, circuit="grid", profile=HYC, max_a=145, fallback_a=0, fallback_delay_s=10, **keys
    )
    return parse(document(circuit=[grid], charger=[rows], limit_source=None), Shelf())


def test_the_cap_holds_when_the_voltage_falls_and_would_not_with_the_plain_tolerance() -> None:
    depot = depot_of()
    assert truth(depot, depot) <= 0
    plain = [replace(each, tolerance_ppm=each.own_tolerance_ppm) for each in depot.chargers]
    assert truth(depot, replace(depot, chargers=tuple(plain))) > 10_000


def test_nor_would_it_without_the_power_factor() -> None:
    ideal = depot_of(power_factor=1)
    assert truth(depot_of(), ideal) > 300


# What people are told.


def test_check_says_what_watts_mean_and_what_they_count_at(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = SITES / "watts.toml"
    assert main(["check", str(path)]) == 0
    said_rows = capsys.readouterr().out
    row = next(line for line in said_rows.splitlines() if line.strip().startswith("dc1"))
    assert row.split()[4:] == ["145", "100458", "100", "0.95", "3", "177.87", "1547", "3.191"]
    assert "0.9 of nominal voltage" in said_rows
    assert main(["check", str(path), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out.splitlines()[-1])["watts"]
    assert told["chargers"] == ["dc1", "dc2"]
    assert (told["max_w"], told["counts_at_a"], told["paused_a"]) == (100_458, 177.87, 3.191)


def test_status_and_explanation_say_watts_beside_amperes(tmp_path: Path) -> None:
    document = tomllib.loads((SITES / "watts.toml").read_text())
    row = {"parent": "transformer", "rating_a": 250, "worst_base_a": 0}
    document["circuit"] += [row | {"id": "row-a"}, row | {"id": "row-b"}]
    box = Recorded(Depot(3, document), tmp_path)
    box.live(90)
    box.close()
    answer = explain(find(tmp_path), "80", "dc1")
    assert answer.setpoint_ma
    watts = answer.setpoint_ma * 692_820 // 10**8 * 100
    assert answer.setpoint_w == watts
    assert f" A ({watts} W)" in next(iter(lines(answer)))
    assert explain(find(tmp_path), "80", "ac1").setpoint_w is None
    report = ChargerReport(
        id="dc1", circuit="grid", setpoint_a=0, setpoint_w=1547, in_force_a=0, current_a=None,
        vehicle="B", online=True, reason="", draw_hi_a=3.2,
    )  # fmt: skip
    assert _charger(report)[1] == "0 (1547 W)"
