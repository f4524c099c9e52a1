"""`loadkeeper simulate`: a day on the virtual depot, made up or read from tables."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cext.plantrows import Over
from controller.__main__ import main
from controller.document.problems import DocumentError
from controller.reaction import answer_ns, reactions
from controller.simulation.chart import clock, row
from controller.simulation.course import Course, Minute
from controller.simulation.day import (
    DAY_S,
    HOUR_S,
    BaseLoad,
    Day,
    made_up_base,
    made_up_fleet,
    share_at,
)
from controller.simulation.steps import Steps
from controller.simulation.tables import read_base, read_vehicles, time_of_day
from controller.simulation.verdict import held
from controller.site import Site, load
from drivers.library import library

EXAMPLE = Path(__file__).parents[1] / "docs/examples/north-depot.toml"


@pytest.fixture(scope="module")
def site() -> Site:
    return load(EXAMPLE, library())


def written(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str, site: Site, reader: Any) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        reader(written(folder, text), site, 0.0, float(DAY_S))
    return [str(each).removeprefix(f"{folder}/table.csv: ") for each in caught.value.problems]


# -- what a day brings --------------------------------------------------------------------------


def test_made_up_base_keeps_to_the_declared_worst_case(site: Site) -> None:
    base = made_up_base(site, 12 * HOUR_S, DAY_S, 3)
    own_ma = {0: (110_000, 120_000, 120_000), 2: (10_000, 0, 0)}  # row-b's heater is not the grid's
    assert {each.circuit for each in base} == set(own_ma)
    for each in base:
        for load_ma, worst_ma in zip(each.load_ma, own_ma[each.circuit], strict=True):
            assert 0 <= load_ma <= worst_ma
    steps = {each.load_ma[0] for each in base if each.circuit == 0}
    assert len(steps) > 20, "machines start and stop all day"


def test_the_shape_of_a_day_has_no_gap() -> None:
    shares = [share_at(minute / 60) for minute in range(49 * 60)]
    assert all(0 < share < 1 for share in shares)
    assert max(abs(a - b) for a, b in pairwise(shares)) < 0.01


def test_one_vehicle_at_a_charger_at_a_time(site: Site) -> None:
    stays = made_up_fleet(site, 12 * HOUR_S, 3 * DAY_S, 5)
    for charger in range(len(site.chargers)):
        there = [stay for stay in stays if stay.charger == charger]
        assert len(there) >= 3
        for before, after in pairwise(there):
            assert before.leaves_s <= after.arrives_s


def test_a_table_of_loads(tmp_path: Path, site: Site) -> None:
    path = written(tmp_path, "time,grid,row-b.L1\n06:00,20,1\n18:30,40.5,0\n")
    base = read_base(path, site, 12 * HOUR_S, float(DAY_S))
    assert [(each.at_s / HOUR_S, each.circuit, each.load_ma) for each in base] == [
        (12, 0, (20_000, 20_000, 20_000)),
        (12, 2, (1_000, 0, 0)),
        (18.5, 0, (40_500, 40_500, 40_500)),
        (18.5, 2, (0, 0, 0)),
        (30, 0, (20_000, 20_000, 20_000)),
        (30, 2, (1_000, 0, 0)),
    ]


def test_a_table_of_vehicles(tmp_path: Path, site: Site) -> None:
    text = (
        "charger,arrives,leaves,energy_kwh,max_a,phases\n"
        "bay-01,17:00,06:30,40,,\n"
        "bay-02,08:00,09:00:30,5,16,1\n"
    )
    stays = read_vehicles(written(tmp_path, text), site, 0.0, float(DAY_S))
    assert [
        (each.charger, each.arrives_s / HOUR_S, each.leaves_s, each.car.max_ma, each.car.phases)
        for each in stays
    ] == [
        (0, -7, 6.5 * HOUR_S, 32_000, 3),  # it came the evening before
        (1, 8, 9 * HOUR_S + 30, 16_000, 1),
        (0, 17, 30.5 * HOUR_S, 32_000, 3),
    ]


def test_everything_wrong_with_a_table_of_loads_is_told(tmp_path: Path, site: Site) -> None:
    text = "time,grid,attic,grid.L2\n06:00,1,2,3\n6 pm,x,2,3\n05:00,-1,nan,3\n07:00,1\n"
    assert problems(tmp_path, text, site, read_base) == [
        'line 1: there is no circuit "attic"; there are grid, row-a, row-b',
        "line 1: grid.L2: a column before it says the same",
        'line 3: time: must be a time of day as 18:30 or 18:30:15; found "6 pm"',
        'line 3: grid: must be a number; found "x"',
        "line 4: time: must come after the line before; found 05:00",
        'line 4: grid: must be between 0 and 100000; found "-1"',
        "line 5: has 2 values, and 4 names",
    ]


def test_everything_wrong_with_a_table_of_vehicles_is_told(tmp_path: Path, site: Site) -> None:
    text = (
        "charger,arrives,leaves,energy_kwh,phases\n"
        "bay-99,17:00,06:30,40,3\n"
        "bay-01,17:00,06:30,lots,4\n"
        "bay-02,17:00,06:30,40,\n"
        "bay-02,05:00,07:00,40,\n"
    )
    assert problems(tmp_path, text, site, read_vehicles) == [
        'line 2: there is no charger "bay-99"',
        'line 3: energy_kwh: must be a number; found "lots"',
        'line 3: phases: must be from 1 to 3, as many as are wired; found "4"',
        "line 5: bay-02 is taken then, by the vehicle of line 4",
    ]


@pytest.mark.parametrize("text", ["", "time,grid\n", "charger\nbay-01\n"])
def test_a_table_without_what_it_needs(tmp_path: Path, site: Site, text: str) -> None:
    for reader in (read_base, read_vehicles):
        assert problems(tmp_path, text, site, reader)


@pytest.mark.parametrize("text", ["24:00", "7", "7:5", "", "07:00:60", "-1:00"])
def test_what_is_no_time_of_day(text: str) -> None:
    with pytest.raises(ValueError, match="time of day"):
        time_of_day(text)


# -- the command --------------------------------------------------------------------------------


def simulated(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    status = main(["simulate", str(EXAMPLE), "--json", *words])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return status, answer


def test_two_hours_of_an_evening(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plot = tmp_path / "day.svg"
    words = ("--from", "16:30", "--hours", "1.5", "--plot", str(plot))
    status, answer = simulated(capsys, *words)
    assert status == 0 and answer["held"] is True
    assert answer["energy_kwh"] > 50
    assert [each["circuit"] for each in answer["circuits"]] == ["grid", "row-a", "row-b"]
    assert all(each["highest_a"] <= each["cap_a"] for each in answer["circuits"])
    worst = answer["worst_minute"]
    assert len(worst["flow_a"]) == 60
    assert worst["cap_a"] + worst["over_a"] == pytest.approx(max(worst["flow_a"]))
    drawing = ElementTree.parse(plot).getroot()
    assert len(drawing.findall("{*}polyline")) == 3 * 3
    again = simulated(capsys, "--from", "16:30", "--hours", "1.5")
    assert again == (status, answer), "the same seed, the same day"


def test_a_day_without_meter_and_cloud(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--from", "17:00", "--hours", "0.5")
    _, usual = simulated(capsys, *words)
    lacking = ("--silent", "transformer", "--silent", "clamp", "--lost", "cloud")
    status, answer = simulated(capsys, *words, *lacking)
    assert status == 0
    grid = answer["circuits"][0]
    assert grid["cap_a"] == 280 and grid["highest_a"] < 280 - 60, "all base load is kept free"
    assert answer["energy_kwh"] < usual["energy_kwh"]
    assert "transformer never answers" in answer["remarks"]


def test_a_table_that_disproves_the_document(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    base = written(tmp_path, "time,row-a\n00:00,170\n")
    status, answer = simulated(capsys, "--hours", "0.1", "--base", str(base))
    assert status == 1 and answer["held"] is False, "more than its fuse carries, chargers or not"
    assert any("more than the 0 A that its worst_base_a leaves it" in x for x in answer["remarks"])


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--silent", "bay-77"), 2, 'no meter, clamp or charger "bay-77"'),
        (("--lost", "sun"), 2, 'no limit source "sun"; there is cloud'),
        (("--base", "/nowhere.csv"), 2, "/nowhere.csv"),
        (("--hours", "0"), 2, "from a minute to 168 hours"),
        (("--from", "noon"), 2, "time of day"),
        (("--hours", "0.02", "--plot", "/nowhere/x.svg"), 2, "/nowhere/x.svg"),
    ],
)
def test_used_wrongly(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int, said: str
) -> None:
    assert main(["simulate", str(EXAMPLE), *words]) == status
    assert said in capsys.readouterr().err


def test_people_are_told_the_worst_minute(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(EXAMPLE), "--from", "17:30", "--hours", "0.2"]) == 0
    told = capsys.readouterr().out
    assert "The worst minute: 17:" in told and "vehicles made up (seed 1)" in told
    assert told.endswith("Held.\n")


# -- pictures -----------------------------------------------------------------------------------


def test_one_second_that_nothing_explains_is_not_held(site: Site) -> None:
    """However short each excess is, and however much else happened in the day."""
    day = Day(12 * HOUR_S, DAY_S, (), made_up_base(site, 12 * HOUR_S, DAY_S, 1))
    short_ns = answer_ns(site, "grid") - 1
    minute = Minute(0.0, 1, 401_000, 400_000)
    over = [Over(1_000, short_ns, 0), Over(1_000, 1, 0), Over(0, 0, 0)]
    course = Course(day, [[minute]] * 3, over, [100, 1, 0], [0, 1, 0])
    grid, row_a, row_b = held(site, course)
    assert grid.passed and row_b.passed
    assert not row_a.passed


def test_the_time_to_answer_is_line_five_of_the_proof(site: Site) -> None:
    """Also where a meter below is slower: what is over is seen by the circuit's own."""
    slow = replace(site.meters[0], id="slow", circuit="row-a", poll_ns=60 * 10**9)
    for of in (site, replace(site, meters=(*site.meters, slow))):
        by_setpoints = [each for each in reactions(of) if each.contactor is None]
        assert {each.circuit for each in by_setpoints} >= {"grid"}
        for each in by_setpoints:
            assert answer_ns(of, each.circuit) == each.takes_ns


def test_an_excess_is_explained_by_steps_just_before_it_and_no_higher(site: Site) -> None:
    steps = Steps(site)
    ids = [circuit.id for circuit in site.circuits]
    grid, row_a, row_b = map(ids.index, ("grid", "row-a", "row-b"))
    answer_s = answer_ns(site, "grid") / 1e9
    steps.take(BaseLoad(0.0, row_a, (5_000, 0, 0)), 0.0)
    steps.take(BaseLoad(0.0, row_a, (25_000, 4_000, 0)), 100.0)
    assert steps.explain(grid, (20_000, 4_000, -9_000), 101.0)
    assert not steps.explain(grid, (20_001, 0, 0), 101.0), "more than it rose by"
    assert not steps.explain(grid, (0, 0, 1), 101.0), "another phase"
    assert not steps.explain(row_b, (1, 0, 0), 101.0), "beside it, not below"
    steps.take(BaseLoad(0.0, row_a, (20_000, 0, 0), noise_ma=300), 102.0)
    assert steps.explain(grid, (15_600, 0, 0), 102.0), "it fell by 5 A, and is noisy"
    assert not steps.explain(grid, (15_601, 0, 0), 102.0)
    assert steps.explain(grid, (15_600, 0, 0), 100.0 + answer_s)
    assert not steps.explain(grid, (601, 0, 0), 100.1 + answer_s), "to be answered by then"
    for second in range(103, 300):
        swings = (20_000 + 5_000 * (second % 2), 0, 0)
        steps.take(BaseLoad(0.0, row_a, swings, noise_ma=300), second)
    assert steps.explain(grid, (5_600, 0, 0), 300.0)
    assert not steps.explain(grid, (5_601, 0, 0), 300.0), "its height, not the sum of its steps"


def test_a_row_of_letters() -> None:
    def minute(most_ma: int) -> Minute:
        return Minute(0.0, 0, most_ma, 100_000)

    loads = [minute(ma) for ma in (0, 1, 49_000, 100_000, 100_001, -5)]
    assert row(loads) == " ▁▄█! "
    assert clock(26 * HOUR_S + 61, seconds=True) == "02:01:01"
