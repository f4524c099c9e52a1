"""The demo: what goes on in its depot, and that its picture fits the terminal."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from controller.hardware import build_plant, hardware
from controller.site import Site, load
from controller.status_report import (
    ChargerReport,
    CircuitReport,
    LimitReport,
    LinkReport,
    StatusReport,
)
from drivers.library import library
from hil.demo.bays import ChargerTruth
from hil.demo.life import Life
from hil.demo.view import CircuitTruth, Key, Part, Scene, picture
from hil.story.ratings import Ratings
from hil.story.script import SITES

SITE: Site = load(SITES / "demo.toml", library())
SECOND_NS = 1_000_000_000


def test_life_goes_on_and_is_the_same_each_time() -> None:
    def happened() -> list[str]:
        plant = build_plant(SITE, seed=1, chargers=hardware(SITE))
        life = Life(plant, len(SITE.chargers), root=0)
        names = [charger.id for charger in SITE.chargers]
        for tenths in range(6000):
            plant.advance(tenths * SECOND_NS // 10)
            for index in range(len(names)):
                plant.write_setpoint(index, 16_000)
            life.go_on(tenths / 10, names)
        return life.happened

    told = happened()
    assert told == happened()
    for words in ("arrives", "leaves", "compressor starts", "compressor stops"):
        assert sum(words in each for each in told) >= 3


def test_the_building_never_draws_more_than_the_site_declares() -> None:
    plant = build_plant(SITE, seed=1)
    life = Life(plant, len(SITE.chargers), root=0)
    life.step = life.machine = True
    most_ma = max(max(life.base_ma(t_s / 10)) for t_s in range(6000))
    assert most_ma + life.NOISE_MA <= min(SITE.circuits[0].worst_base_ma)


def test_ratings_count_what_stands_above_them_and_for_how_long() -> None:
    plant = build_plant(SITE, seed=1)
    ratings = Ratings(plant, [circuit.rating_ma for circuit in SITE.circuits])
    for second, load_ma in enumerate((100_000, 410_000, 405_000, 400_400, 100_000)):
        plant.advance(second * SECOND_NS)
        plant.set_base(0, (0, load_ma, 0))
        ratings.look(second * SECOND_NS)
    assert (ratings.worst_ma, ratings.longest_ns) == (10_000, 2 * SECOND_NS)


def _report() -> StatusReport:
    three = (100.0, 110.0, 120.0)
    return StatusReport(
        site="demo-depot",
        version="1",
        boot_id="b",
        installation_hash="h",
        mode="control",
        uptime_s=83.0,
        ticks=830,
        tick_age_s=0.02,
        clock_trusted=True,
        state_problem=None,
        link=LinkReport(attached=True, connected=True, since_s=4.0),
        circuits=[
            CircuitReport(
                id=circuit.id,
                parent=circuit.parent,
                rating_a=three,
                load_a=three if circuit.parent is None else None,
                cap_a=three,
                bound_by=("cloud", "rating", "rating"),
                base_hi_a=three,
                draw_hi_a=three,
                excess_a=three,
                blind=circuit.parent is not None,
                reading_age_s=0.2,
            )
            for circuit in SITE.circuits
        ],
        chargers=[
            ChargerReport(
                id=charger.id,
                circuit=charger.circuit,
                setpoint_a=16.0,
                in_force_a=16.0,
                current_a=None if charger.id == "a2" else (15.0, 16.0, 15.0),
                vehicle="C",
                online=charger.id != "a2",
                reason="a long reason that nobody can read on a narrow terminal, but starts well",
                draw_hi_a=17.0,
            )
            for charger in SITE.chargers
        ],
        limits=[
            LimitReport(
                source="cloud",
                circuit="transformer",
                kind="grid",
                state="live",
                limit_a=(160.0, 160.0, 160.0),
                left_s=12.3,
                cap_a=(160.0, 160.0, 160.0),
            )
        ],
        devices=[],
    )


def _scene() -> Scene:
    return Scene(
        site="demo-depot",
        energy_kwh=12.345,
        worst_over_a=1.25,
        longest_over_s=0.5,
        parts=[Part("enforcer", True, "42 MB"), Part("meter", False, "silent")],
        circuits=[
            CircuitTruth(
                circuit.id,
                int(circuit.parent is not None),
                (99.0, 120.0, 251.0),
                (250.0,) * 3,
                (250.0,) * 3,
                metered=circuit.id != "row-k",
            )
            for circuit in SITE.circuits
        ],
        chargers=[
            ChargerTruth(charger.id, "hybrid 4 kW", 1.0, 32.0, 31.9) for charger in SITE.chargers
        ],
        report=_report(),
        stale=False,
        events=[f"{n:7.1f} s  something happened" for n in range(99)],
        keys=[Key("c", "cut cloud"), Key("q", "quit")],
    )


def _lines(scene: Scene, width: int, height: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, height=height, force_terminal=False).print(
        picture(scene, width, height)
    )
    return out.getvalue().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (200, 60)])
@pytest.mark.parametrize("known", [True, False])
def test_the_picture_fills_the_terminal_and_no_more(width: int, height: int, known: bool) -> None:
    scene = _scene() if known else replace(_scene(), report=None, stale=True, events=())
    lines = _lines(scene, width, height)
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    assert lines[-1].split() == ["c", "cut", "cloud", "q", "quit"]


def test_a_terminal_that_is_too_small_breaks_nothing() -> None:
    assert _lines(_scene(), 30, 5)


def test_the_picture_shows_truth_and_belief_side_by_side() -> None:
    text = "\n".join(_lines(_scene(), 130, 45))
    assert "99 of 250 seen 100" in text
    assert "not seen" in text  # a meter that is silent
    assert "99 of 250 max 200" in text  # a row without a meter: base load and draw at most
    assert "limit cloud on transformer: 160 A, 12 s left" in text
    assert re.search(r"a1 +hybrid 4 kW +100% +31\.9 +32\.0 +16\.0 +16\.0 a long reason", text)
    assert re.search(r"a2 .* 16\.0 +\? offline: a long", text)
    assert "98.0 s  something happened" in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (130, 45), (200, 60)])
def test_every_charger_is_to_be_seen_with_what_it_draws_and_is_told(
    width: int, height: int
) -> None:
    text = "\n".join(_lines(_scene(), width, height))
    for charger in SITE.chargers:
        assert re.search(rf"\b{charger.id} .*?31\.9 +32\.0 +16\.0", text), charger.id


def test_what_is_not_known_now_is_not_shown_as_if_it_were() -> None:
    text = "\n".join(_lines(replace(_scene(), stale=True), 80, 24))
    assert "seen ?" in text
    assert "limit cloud" not in text
    assert "Loadkeeper does not answer" in text
    assert re.search(r"a1 .* 32\.0 +\?", text)


def test_a_lost_limit_shows_the_cap_that_replaces_it() -> None:
    report = _report()
    lost = report.limits[0].model_copy(update={"state": "lost", "left_s": None})
    scene = replace(_scene(), report=report.model_copy(update={"limits": [lost]}))
    assert "not heard in time: fail-safe cap 160 A" in "\n".join(_lines(scene, 80, 24))
