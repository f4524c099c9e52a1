"""Stories are read whole or refused with every problem and its place."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hil.__main__ import main
from hil.story.happenings import Limit
from hil.story.script import Names, StoryError, check_names, chosen, find, json_schema, load, parse

GOOD: dict[str, Any] = {
    "schema": 1,
    "name": "good",
    "about": "shows something",
    "duration_s": 10,
    "site": {"schema": 1},
    "base": [{"circuit": "grid", "load_a": 10}],
    "vehicle": [{"charger": "bay-*"}],
    "at": [
        {"t_s": 5, "do": "unplug", "charger": ["bay-1"]},
        {"t_s": 2, "do": "limit", "source": "cloud", "limit_a": [1, 2.5, 3], "ttl_s": 9},
        {"t_s": 3, "do": "limit", "source": "cloud", "limit_a": "unlimited", "ttl_s": 9},
    ],
    "expect": [{"kind": "energy", "at_least_kwh": 1, "why": "cars charge"}],
}
SITE = Names(["grid"], ["meter"], ["bay-1", "bay-2"], ["cloud"])


def problems(**changes: Any) -> list[str]:
    with pytest.raises(StoryError) as caught:
        parse(GOOD | changes)
    return [str(problem) for problem in caught.value.problems]


def test_a_good_story_is_read() -> None:
    story = parse(GOOD)
    check_names(story, SITE)
    assert [event.t_s for event in story.events()] == [2.0, 3.0, 5.0]
    assert story.base[0].load_a == (10.0, 10.0, 10.0)
    assert story.vehicle[0].charger == ("bay-*",)
    limits = [event.limit_a for event in story.events() if isinstance(event, Limit)]
    assert limits == [(1, 2.5, 3), None]


def test_the_published_schema_takes_it_and_refuses_others() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert validator.is_valid(GOOD)
    assert not validator.is_valid(GOOD | {"at": [{"t_s": 1, "do": "nothing"}]})
    assert not validator.is_valid(GOOD | {"weather": "fine"})


def test_all_problems_come_at_once_with_their_paths() -> None:
    found = problems(
        weather="fine",
        seed=-1,
        base=[{"circuit": "grid", "load_a": "4"}],
        at=[
            {"t_s": -1, "do": "base", "circuit": "grid", "load_a": [1, float("nan"), 3]},
            {"t_s": 1, "do": "limit", "source": "cloud", "limit_a": None, "ttl_s": 3},
            {"t_s": 1, "do": "dance"},
            {"t_s": True, "do": "cloud_cut"},
        ],
        expect=[{"kind": "energy", "at_least_kwh": 1}],
    )
    assert {problem.split(":")[0] for problem in found} == {
        "weather",
        "seed",
        "base[0].load_a",
        "at[0].t_s",
        "at[0].load_a[1]",
        "at[1].limit_a",
        "at[2]",
        "at[3].t_s",
        "expect[0].why",
    }


@pytest.mark.parametrize(
    ("field", "parts", "place"),
    [
        ("at", [{"t_s": 11, "do": "cloud_cut"}], "at[0].t_s"),
        ("expect", [{"kind": "offered", "at_s": 10.5, "why": "w"}], "expect[0].at_s"),
        ("expect", [{"kind": "not_rising", "from_s": 3, "to_s": 3, "why": "w"}], "expect[0]"),
        ("expect", [], "expect"),
        (
            "at",
            [{"t_s": 1, "do": "limit", "source": "s", "limit_a": 0, "ttl_s": 3, "every_s": 3}],
            "at[0]",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(field: str, parts: list[Any], place: str) -> None:
    assert [problem.split(":")[0] for problem in problems(**{field: parts})] == [place]


def test_names_that_the_site_does_not_know() -> None:
    story = parse(
        GOOD
        | {
            "base": [{"circuit": "grit", "load_a": 1}],
            "meter": [{"id": "metre"}],
            "vehicle": [{"charger": ["bay-1", "bey-*"]}],
            "at": [{"t_s": 1, "do": "meter_silent", "meter": "mater"}],
        }
    )
    with pytest.raises(StoryError) as caught:
        check_names(story, SITE)
    assert [problem.path for problem in caught.value.problems] == [
        "base[0].circuit",
        "vehicle[0].charger",
        "at[0].meter",
        "meter[0].id",
    ]


def test_patterns_choose_chargers() -> None:
    assert chosen(["*"], SITE.chargers) == [0, 1]
    assert chosen(["bay-2", "x"], SITE.chargers) == [1]


def test_a_file_is_named_like_its_story(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text(
        'schema = 1\nname = "good"\nabout = "a"\nduration_s = 1\nsite = {}\n'
        '[[expect]]\nkind = "energy"\nat_least_kwh = 1\nwhy = "w"\n'
    )
    with pytest.raises(StoryError, match=r"name: the file is called other"):
        load(file)
    file.write_text("schema = ")
    with pytest.raises(StoryError, match=r"at end of document"):
        load(file)
    with pytest.raises(StoryError, match=r"No such file"):
        load(tmp_path / "missing.toml")


def test_stories_are_found_by_name_or_path() -> None:
    assert [path.stem for path in find(["a", "b/c.toml"])] == ["a", "c"]


def test_the_schema_in_the_documents_is_this_one() -> None:
    published = Path(__file__).parents[1] / "docs" / "story.schema.json"
    assert json.loads(published.read_text()) == json_schema()


@pytest.mark.parametrize("bench", ["plant", "rig"])
def test_a_site_that_is_not_there_is_told_before_any_bench_begins(
    bench: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ['schema = 1\nname = "lost"\nabout = "x"\nduration_s = 1\nsite = "nowhere.toml"']
    lines.append('[[expect]]\nkind = "over"\nworst_a = 1\nlongest_s = 0\nwhy = "x"\n')
    path = tmp_path / "lost.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert main(["run", str(path), "--bench", bench]) == 2
    assert "nowhere.toml" in capsys.readouterr().err
