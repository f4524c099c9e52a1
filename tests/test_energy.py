"""The fleet day: its meters, its optimum, its plain policies, its account, and what voids it."""

from dataclasses import replace
from pathlib import Path
from statistics import mean, pstdev

import pytest

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT
from hil.energy import policies
from hil.energy.account import Account
from hil.energy.course import Course, plant_of
from hil.energy.day import BEGIN_S, GRID, HARD, USUAL, Day, S, Visit
from hil.energy.optimum import optimum_mwh
from hil.energy.ours import loadkeeper
from hil.energy.picture import draw
from hil.energy.report import OURS, Told, table
from hil.figures import CannotMeasureError, energy

QUIET = replace(USUAL, congested_s=(BEGIN_S, BEGIN_S + 600))  # there is room for everybody


def metered(sigma_ma: int, step_ma: int, seed: int = 1) -> list[int]:
    """What a meter at a steady 100 A shows, look by look."""
    plant = Plant([ROOT], [], 230_000, seed)
    plant.set_base(0, (100_000, 100_000, 100_000))
    plant.set_meter(0, 0, S // 5, sigma_ma, step_ma)
    plant.advance(0)
    shown: list[int] = []
    for look in range(1, 1001):
        plant.advance(look * S // 5)
        shown.extend(plant.meter(0))
    return shown


def test_a_meters_noise_is_normal_and_repeatable() -> None:
    shown = metered(2000, 1)
    assert mean(shown) == pytest.approx(100_000, abs=150)
    assert pstdev(shown) == pytest.approx(2000, rel=0.05)
    within = sum(abs(ma - 100_000) <= 2000 for ma in shown) / len(shown)
    assert within == pytest.approx(0.683, abs=0.03)
    assert shown == metered(2000, 1)
    assert shown != metered(2000, 1, seed=2)


def test_a_meter_without_noise_shows_what_there_is() -> None:
    assert set(metered(0, 1)) == {100_000}


def test_a_meter_shows_whole_steps() -> None:
    shown = metered(2000, 1000)
    assert all(ma % 1000 == 0 for ma in shown)
    assert mean(shown) == pytest.approx(100_000, abs=150)


def test_a_meter_rounds_exports_like_imports() -> None:
    plant = Plant([ROOT], [], 230_000, 1)
    plant.set_base(0, (-1500, 1400, -1400))
    plant.set_meter(0, 0, 0, 0, 1000)
    plant.advance(0)
    plant.advance(S)
    assert plant.meter(0) == (-2000, 1000, -1000)


def test_the_plant_counts_changed_setpoints_and_what_is_wanted() -> None:
    charger = PlantCharger(0, (0, 1, 2), 32_000, 6_000, 6_000, 0)
    plant = Plant([ROOT], [charger], 230_000, 1)
    plant.advance(0)
    for ma in (16_000, 16_000, 10_000):
        plant.write_setpoint(0, ma)
    assert plant.changes() == (2,)
    assert plant.wanted_mwh(0) == 0
    plant.plug(0, Car(16_000, 3, S, energy_wh=1000, taper_wh=0))
    assert plant.wanted_mwh(0) == 1_000_000 - 1
    plant.advance(100 * S)
    delivered = plant.charger(0).energy_mwh
    assert delivered > 0
    assert plant.wanted_mwh(0) + delivered == pytest.approx(1_000_000, abs=2)


# The optimum ------------------------------------------------------------------------------


def test_with_room_for_all_the_optimum_is_what_all_can_take() -> None:
    begin_s, end_s = QUIET.congested_s
    site = QUIET.site
    expected = 0.0
    for visit in QUIET.visits:
        there_s = min(visit.until_s, end_s) - max(visit.from_s, begin_s)
        most_ma = min(visit.car.max_ma, site.chargers[visit.charger].max_ma)
        taken = most_ma * visit.car.phases * max(0, there_s) / 3600 * site.circuits[0].phase_mv
        expected += min(taken / 1000, visit.need_mwh)
    assert optimum_mwh(QUIET) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("day", [USUAL, HARD], ids=lambda day: day.name)
def test_the_optimum_is_the_headroom_where_many_want_more(day: Day) -> None:
    an_hour = replace(day, congested_s=(16 * 3600, 17 * 3600))
    seconds = range(16 * 3600 - BEGIN_S, 17 * 3600 - BEGIN_S)
    rating_ma = sum(day.site.circuits[GRID].rating_ma)
    free_mas = sum(rating_ma - sum(day.below_ma(GRID, second)) for second in seconds)
    headroom_mwh = free_mas * day.site.circuits[0].phase_mv / 3600 / 1000
    assert optimum_mwh(an_hour) == pytest.approx(headroom_mwh, rel=1e-6)


def test_both_days_are_the_same_but_for_meters_and_steps() -> None:
    assert USUAL.visits == HARD.visits
    assert USUAL.base_ma == HARD.base_ma
    assert len(USUAL.site.chargers) >= 100


# Under the product and under plain policies ------------------------------------------------


def test_the_account_adds_up() -> None:
    course, account = loadkeeper(QUIET)
    seconds = range(QUIET.congested_s[1] - BEGIN_S)
    rating_ma = sum(QUIET.site.circuits[GRID].rating_ma)
    base_mas = sum(sum(QUIET.below_ma(GRID, second)) for second in seconds)
    load_mas = sum(sum(load) for load in course.load_ma)
    assert account.seconds == len(course.load_ma) == len(seconds)
    assert account.headroom == rating_ma * len(seconds) - base_mas
    assert account.drawn == load_mas - base_mas
    charged_mwh = account.drawn * QUIET.site.circuits[0].phase_mv / 3600 / 1000
    assert course.energy_mwh == pytest.approx(charged_mwh, rel=0.02)
    assert 0 < course.energy_mwh < optimum_mwh(QUIET)


def policy_room(day: Day, ma: int) -> list[list[int]]:
    return [[ma] * 3 for _ in day.site.circuits]


def test_plain_policies_share_what_there_is() -> None:
    depot = policies.Depot(USUAL)
    present = {0: 32_000, 1: 32_000, 2: 10_000}
    assert set(policies.equal_split(depot, policy_room(USUAL, 45_000), present).values()) == {
        15_000,
        10_000,
    }
    first = policies.first_come(depot, policy_room(USUAL, 45_000), present)
    assert first == {0: 32_000, 1: 13_000, 2: 0}
    fixed = policies.fixed_cap(depot, policy_room(USUAL, 0), present)
    assert set(fixed.values()) == {9_500}  # (1400 - 560) A for the 88 on each phase
    assert policies.equal_split(depot, policy_room(USUAL, 17_000), present) == dict.fromkeys(
        present, 0
    )


def test_a_plain_policy_runs_on_the_same_plant() -> None:
    course = policies.follow(QUIET, policies.first_come)
    assert 0 < course.energy_mwh < optimum_mwh(QUIET)
    assert max(course.longest_s) == 0


def test_what_a_vehicle_shows_that_it_can_use() -> None:
    plant = plant_of(USUAL)
    ability = policies.Ability(USUAL, plant)
    visit = Visit(0, 0, 10_000, Car(16_000, 3, S, 500, 0))
    plant.advance(0)
    plant.plug(0, visit.car)
    seen = {}
    for t_s in range(0, 200, 5):
        seen[t_s] = ability.of({0: visit}, t_s)
        plant.write_setpoint(0, 32_000)
        plant.advance((t_s + 5) * S)
    assert seen[10] == {0: 32_000}
    assert seen[40] == {0: 18_000}
    assert seen[195] == {}  # full


# What voids a day --------------------------------------------------------------------------


def told(day: Day = USUAL) -> Told:
    """A day on which half was charged and everything was held."""
    site = day.site
    courses = {}
    for name in (OURS, *policies.POLICIES):
        course = Course(day, plant_of(day))
        course.load_ma = [(900_000, 900_000, 900_000)] * 180
        course.worst_ma = [0] * len(site.circuits)
        course.longest_s = [0.0] * len(site.circuits)
        course.moves = [0, 1, 2]
        course.energy_mwh = 500_000
        courses[name] = course
    account = Account(free=10, meter=30, waits=5, margin=15, undrawn=40, drawn=400, seconds=180)
    return Told(day, 1e6, account, courses)


def test_a_day_that_was_held() -> None:
    day = told()
    assert day.wrong() == ""
    assert day.percent(OURS) == 50
    assert sum(percent for _, percent in day.rest()) == pytest.approx(20)
    lines = "\n".join(table([day]))
    assert "50.00 %" in lines and "3.00  margin" in lines


@pytest.mark.parametrize(
    ("what", "value", "said"),
    [
        ("longest_s", [5.0] * 8, "grid was over its cap for 5 s"),
        ("moves", [1, 2, 3], "a setpoint moved 2 times a minute"),
        ("flaps", 1, "1 vehicles that wanted to charge were paused"),
        ("short_s", 60, "room for everybody"),
    ],
)
def test_what_voids_a_day(
    what: str, value: object, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    day = told()
    setattr(day.courses[OURS], what, value)
    assert said in day.wrong()
    monkeypatch.setattr(energy, "tell", lambda: [day])
    monkeypatch.setattr(energy, "PICTURE", tmp_path / "void.png")
    with pytest.raises(CannotMeasureError, match="the usual day is void"):
        energy.percents()


def test_the_figure_and_its_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(energy, "tell", lambda: [told(), told(HARD)])
    monkeypatch.setattr(energy, "PICTURE", tmp_path / "days.png")
    found = energy.percents()
    assert found == {"usual": 50, "hard": 50}
    assert not energy.FIGURES[0].must.met_by(found)
    assert energy.FIGURES[0].must.met_by({"usual": 95.0, "hard": 85.0})
    assert (tmp_path / "days.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_a_day(tmp_path: Path) -> None:
    draw([told()], tmp_path / "new" / "day.png")
    assert (tmp_path / "new" / "day.png").stat().st_size > 10_000
