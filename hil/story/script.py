"""Stories: what happens in a depot when, and what is expected of it.

One TOML file per story, the same for every bench. People write amperes, seconds and
kilowatt-hours; times count from the start of the run. Chargers are named by id or by a
pattern such as ``"row-a-*"``. The JSON Schema of this model is docs/story.schema.json.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, JsonValue, ValidationError

from hil.story.expectations import Expectation
from hil.story.happenings import BaseLoad, ChargerTruth, Happening, MeterTruth, Plugged
from hil.story.words import Number, Part, Positive

STORIES = Path(__file__).parents[1] / "stories"
SITES = Path(__file__).parents[1] / "sites"

Bench = Literal["plant", "rig", "gateway"]


class Story(Part):
    """A run of a depot, from its first second to its last."""

    schema_version: Literal[1] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
    about: Annotated[str, Field(min_length=1, description="what it shows, in one sentence")]
    benches: Annotated[tuple[Bench, ...], Field(min_length=1)] = ("plant", "rig")
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 1
    duration_s: Annotated[Number, Field(gt=0, le=7 * 86_400)]
    site: str | dict[str, JsonValue] = Field(
        description="a site document beside the stories by file name, or the document itself; "
        "bus addresses in it are placeholders"
    )
    watchdog_s: Positive | None = Field(
        None, description="systemd's WatchdogSec of the enforcer; absent: nobody starts it anew"
    )
    base: tuple[BaseLoad, ...] = ()
    meter: tuple[MeterTruth, ...] = ()
    charger: tuple[ChargerTruth, ...] = ()
    vehicle: tuple[Plugged, ...] = Field((), description="plugged in when the run begins")
    at: tuple[Happening, ...] = ()
    expect: Annotated[tuple[Expectation, ...], Field(min_length=1)]

    def site_document(self) -> dict[str, Any]:
        """The site document as written. Raises StoryError."""
        if isinstance(self.site, dict):
            return dict(self.site)
        try:
            return tomllib.loads((SITES / self.site).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise StoryError(self.name, [Problem("site", str(error))]) from error

    def events(self) -> list[Happening]:
        """In the order in which they happen."""
        return sorted(self.at, key=lambda event: event.t_s)


class Names(NamedTuple):
    """What a site calls its things."""

    circuits: Sequence[str]
    meters: Sequence[str]
    chargers: Sequence[str]
    sources: Sequence[str]
    contactors: Sequence[str] = ()
    inputs: Sequence[str] = ()
    clamps: Sequence[str] = ()
    buses: Sequence[str] = ()
    wires: Sequence[str] = ()  # of inputs


class Problem(NamedTuple):
    """What is wrong, and where in the document."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class StoryError(ValueError):
    """A story that cannot be told, with every problem found in it."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        super().__init__(f"{source}: " + "; ".join(map(str, problems)))
        self.problems = list(problems)


def load(path: Path) -> Story:
    """Reads one story. Raises StoryError with all problems of form at once."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StoryError(path.name, [Problem("", str(error))]) from error
    story = parse(data, path.name)
    if story.name != path.stem:
        raise StoryError(path.name, [Problem("name", f"the file is called {path.stem}")])
    return story


def parse(data: Mapping[str, Any], source: str = "story") -> Story:
    """Raises StoryError with all problems of form at once."""
    try:
        story = Story.model_validate(data)
    except ValidationError as error:
        raise StoryError(source, _of_form(error)) from error
    if problems := [*_too_late(story)]:
        raise StoryError(source, problems)
    return story


def check_names(story: Story, site: Names) -> None:
    """Raises StoryError with every name that the site does not know."""
    devices = (*site.meters, *site.chargers)
    known = {
        "circuit": site.circuits,
        "meter": site.meters,
        "clamp": site.clamps,
        "source": site.sources,
        "contactor": site.contactors,
        "input": site.inputs,
        "pin": [*site.contactors, *site.wires],
        "bus": site.buses,
        "device": devices,
        "by": devices,
    }
    problems: list[Problem] = []
    for path, part in _parts(story):
        for field, ids in known.items():
            name = getattr(part, field, None)
            if isinstance(name, str) and name not in ids:
                problems.append(Problem(f"{path}.{field}", f"the site has no {field} {name!r}"))
        for pattern in getattr(part, "charger", ()):
            if not chosen([pattern], site.chargers):
                problems.append(Problem(f"{path}.charger", f"no charger fits {pattern!r}"))
    problems += [
        Problem(f"meter[{i}].id", f"the site has no meter {truth.id!r}")
        for i, truth in enumerate(story.meter)
        if truth.id not in site.meters
    ]
    if problems:
        raise StoryError(story.name, problems)


def chosen(patterns: Sequence[str], ids: Sequence[str]) -> list[int]:
    """Positions of the ids that one of the patterns fits."""
    return [i for i, id_ in enumerate(ids) if any(fnmatchcase(id_, p) for p in patterns)]


def find(names: Sequence[str]) -> list[Path]:
    """Story files by name or path; all of them where nothing is named."""
    if not names:
        return sorted(STORIES.glob("*.toml"))
    return [Path(name) if name.endswith(".toml") else STORIES / f"{name}.toml" for name in names]


def json_schema() -> dict[str, Any]:
    """JSON Schema of a story file."""
    return Story.model_json_schema()


def _parts(story: Story) -> Iterator[tuple[str, Part]]:
    for field in ("base", "charger", "vehicle", "at", "expect"):
        for i, part in enumerate(getattr(story, field)):
            yield f"{field}[{i}]", part


def _too_late(story: Story) -> Iterator[Problem]:
    for path, part in _parts(story):
        for field in ("t_s", "from_s", "to_s", "after_s", "at_s"):
            instant = getattr(part, field, None)
            if instant is not None and instant > story.duration_s:
                yield Problem(f"{path}.{field}", f"comes after the end at {story.duration_s:g} s")


def _of_form(error: ValidationError) -> list[Problem]:
    """Pydantic's errors; the tag it puts behind the index of an event is no part of a path."""
    problems = []
    for found in error.errors(include_url=False, include_context=False):
        steps = list(found["loc"])
        if steps[:1] in (["at"], ["expect"]):
            del steps[2:3]
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
        problems.append(Problem(path.lstrip("."), found["msg"]))
    # A list whose parts are wrong is called too short as well.
    return [p for p in problems if not any(q.path.startswith(f"{p.path}[") for q in problems)]
