"""Every story goes as expected in virtual time, and the bench does what stories say."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from controller.site import DocumentError
from hil.__main__ import main
from hil.bench_plant import run
from hil.profiles import StoryProfiles
from hil.stage import Outcome, Stage
from hil.story.expect import excesses
from hil.story.report import markdown
from hil.story.script import STORIES, Story, StoryError, find, load, parse


def tell(*events: dict[str, Any], **changes: Any) -> Outcome:
    """A short story on the stories' site."""
    story = {
        "schema": 1,
        "name": "short",
        "about": "a test",
        "duration_s": 20,
        "site": "story.toml",
        "base": [{"circuit": "transformer", "load_a": 30}],
        "vehicle": [{"charger": "*"}],
        "at": list(events),
        "expect": [{"kind": "energy", "at_least_kwh": 0.001, "why": "w"}],
    }
    return run(parse(story | changes), StoryProfiles())


def caps(outcome: Outcome, instants_s: Iterable[float]) -> list[float]:
    """The root's true cap on L1."""
    samples = [outcome.trace.between(t_s, None)[0] for t_s in instants_s]
    return [sample.cap_ma[0][0] / 1000 for sample in samples]


def offered(outcome: Outcome, t_s: float) -> list[float]:
    return [ma / 1000 for ma in outcome.trace.between(t_s, None)[0].offered_ma]


PATHS = [path for path in find([]) if "plant" in load(path).benches]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_story_goes_as_expected(path: Path) -> None:
    outcome = run(load(path), StoryProfiles())
    assert [failure.as_json() for failure in outcome.failures] == []
    assert outcome.trace.samples[-1].t_s == pytest.approx(load(path).duration_s)


def test_a_story_is_told_alike_each_time() -> None:
    story = load(STORIES / "base_step.toml")
    one, other = run(story, StoryProfiles()), run(story, StoryProfiles())
    assert one.trace == other.trace
    assert run(story.model_copy(update={"seed": 2}), StoryProfiles()).trace != one.trace


def test_a_story_fails_where_nobody_controls() -> None:
    story = load(STORIES / "base_step.toml")
    data = story.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {"schema": 1}
    data["at"] = [{"t_s": 12, "do": "kill", "process": "enforcer"}, data["at"][-1]]
    data["charger"] = [{"charger": "*", "watchdog_s": 0}]  # nor falls back
    outcome = run(parse(data), StoryProfiles())
    kinds = {failure.as_json()["kind"] for failure in outcome.failures}
    assert not outcome.passed
    assert {"over", "settles"} <= kinds


def test_limits_are_published_renewed_and_lost_with_the_cloud() -> None:
    outcome = tell(
        {"t_s": 2, "do": "limit", "source": "cloud", "limit_a": 90, "ttl_s": 3, "every_s": 1},
        {"t_s": 10, "do": "cloud_cut"},
        {"t_s": 11, "do": "limit", "source": "cloud", "limit_a": 80, "ttl_s": 99},
        {"t_s": 16, "do": "cloud_back"},
    )
    # The last renewal is at 9 s; what waited for a session is published with it.
    assert caps(outcome, (1, 3, 9.9, 11.8, 12.2, 16.2, 16.5)) == [110, 90, 90, 90, 110, 110, 80]
    assert excesses(outcome.trace, 5)[0].longest_s <= 2


def test_a_planned_end_ends_a_limit() -> None:
    limit = {"t_s": 1, "do": "limit", "source": "cloud", "limit_a": 90, "ttl_s": 8, "until_s": 4}
    assert caps(tell(limit), (2, 4.8, 5.2, 8.8, 9.2)) == [90, 90, 125, 125, 110]


def test_a_restarted_enforcer_goes_on_with_saved_limits() -> None:
    outcome = tell(
        {"t_s": 1, "do": "limit", "source": "cloud", "limit_a": 70, "ttl_s": 99},
        {"t_s": 4, "do": "kill", "process": "enforcer", "restart_after_s": 0},
        duration_s=9,
        charger=[{"charger": "*", "watchdog_s": 0}],
    )
    assert caps(outcome, (3, 5, 8)) == [70, 70, 70]
    assert excesses(outcome.trace, 4)[0].worst_a == 0


def test_the_hardware_may_differ_from_its_document() -> None:
    outcome = tell(
        {"t_s": 10, "do": "charger_silent", "charger": "a1"},
        charger=[{"charger": "a*", "fallback_a": 9, "watchdog_s": 2, "max_a": 11}],
    )
    assert offered(outcome, 9)[0] <= 11
    assert offered(outcome, 15)[0] == 9


def test_cars_come_go_and_change_their_minds() -> None:
    outcome = tell(
        {"t_s": 8, "do": "unplug", "charger": "a1"},
        {"t_s": 12, "do": "plug", "charger": "a1", "max_a": 7, "reaction_s": 0.5},
        {"t_s": 12, "do": "car_max", "charger": "b*", "max_a": 6.5},
        duration_s=30,
    )
    drawn = [outcome.trace.between(t_s, None)[0].drawn_ma for t_s in (7.9, 8.1, 29.9)]
    assert [ma[0] > 0 for ma in drawn] == [True, False, True]
    assert drawn[2][0] <= 7_000
    assert set(drawn[2][3:]) == {6_500}


def test_a_disobedient_charger_and_one_without_power() -> None:
    outcome = tell(
        {"t_s": 9, "do": "disobey", "charger": "a1"},
        {"t_s": 10, "do": "base", "circuit": "transformer", "load_a": 60},
        {"t_s": 12, "do": "power_cycle", "charger": "a2"},
        {"t_s": 16, "do": "obey", "charger": "a1"},
    )
    told, drawn = offered(outcome, 15.5)[0], outcome.trace.between(15.5, None)[0].drawn_ma[0] / 1000
    assert told < drawn
    assert outcome.trace.between(12.1, None)[0].drawn_ma[1] == 0
    assert outcome.trace.between(19, None)[0].drawn_ma[0] / 1000 == offered(outcome, 19)[0]


def test_names_and_sites_are_checked_before_anything_happens() -> None:
    with pytest.raises(StoryError, match="has no meter"):
        tell({"t_s": 1, "do": "meter_silent", "meter": "nobody"})
    with pytest.raises(DocumentError):
        tell(site={"schema": 1})
    with pytest.raises(StoryError, match="no-such-site"):
        tell(site="no-such-site.toml")


def story_file(folder: Path, worst_a: float) -> Path:
    path = folder / "told.toml"
    path.write_text(
        'schema = 1\nname = "told"\nabout = "A test."\nduration_s = 3\nsite = "story.toml"\n'
        '[[base]]\ncircuit = "transformer"\nload_a = 130\n'
        f'[[expect]]\nkind = "over"\nworst_a = {worst_a}\nlongest_s = 3\nwhy = "so"\n'
    )
    return path


def test_the_command_prints_one_line_a_story(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(story_file(tmp_path, worst_a=20))
    assert main(["run", path, "charger_silent", "--bench", "plant", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["story"] for line in lines] == ["told", "charger_silent"]
    expected = {
        "story": "told",
        "bench": "plant",
        "passed": True,
        "worst_over_a": 20.0,
        "longest_over_s": 3.0,
        "energy_kwh": 0.0,
        "failed": [],
    }
    assert expected.items() <= lines[0].items()


def test_the_command_fails_with_its_story(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.md"
    arguments = ["run", str(story_file(tmp_path, worst_a=19)), "--json", "--report", str(report)]
    assert main(arguments) == 1
    line = json.loads(capsys.readouterr().out)
    assert not line["passed"]
    assert line["failed"][0]["measured"]["worst_a"] == 20
    assert "**so**: expected kind over, worst_a 19.0" in report.read_text()
    assert main(arguments[:2]) == 1
    assert "FAILED  told" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no_such_story"], "No such file"),
        (["trap_wake", "--bench", "rig"], "not told on rig"),
    ],
)
def test_what_cannot_be_told_is_misuse(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_report_shows_every_circuit() -> None:
    story: Story = load(STORIES / "base_step.toml")
    outcome = run(story, StoryProfiles())
    outcome.remarks.append("the machine was busy")
    text = markdown([(story, outcome)])
    assert "1 of 1 went as expected" in text
    assert all(circuit in text for circuit in Stage(story, StoryProfiles()).circuits)
    assert "!!" in text
    assert "*the machine was busy*" in text


def test_a_bench_that_breaks_fails_its_story() -> None:
    story = load(STORIES / "base_step.toml")
    outcome = run(story, StoryProfiles())
    outcome.broken = "no broker"
    assert not outcome.passed
    assert outcome.as_json()["failed"] == [
        {"kind": "bench", "why": "told to its end", "measured": "no broker"}
    ]
    assert "The bench broke: no broker" in markdown([(story, outcome)])
