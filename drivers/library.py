"""Profiles by name: where they lie, how one is read, and what makes it refused.

A profile is refused as a whole, with every problem found.
"""

import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from controller.document.problems import DocumentError, Problem
from controller.facts import ChargerFacts, MeterFacts
from drivers.chargerprofile import ChargerProfile
from drivers.meterprofile import MeterProfile
from drivers.places import Places

FOLDERS = {"meter": "meters", "charger": "chargers"}
HOME = Path(__file__).parent / "profiles"
SIZE_MAX = 256 * 1024


class ProfileError(DocumentError):
    """A profile that cannot be used, with every problem found."""


AnyProfile = MeterProfile | ChargerProfile
Wanted = TypeVar("Wanted", MeterProfile, ChargerProfile)


class Library:
    """Profiles by name, or by path: with a slash in it, or ending in .toml. Each is read once.

    Everything here raises KeyError for a profile that is not there, ProfileError for a bad one.
    """

    def __init__(self, home: Path = HOME) -> None:
        self._home = home
        self._read: dict[Path, AnyProfile] = {}
        self._meters: dict[str, MeterFacts] = {}  # the same for all of a kind
        self._chargers: dict[str, ChargerFacts] = {}

    def meter(self, name: str) -> MeterFacts:
        if name not in self._meters:
            self._meters[name] = self.meter_profile(name).facts
        return self._meters[name]

    def charger(self, name: str) -> ChargerFacts:
        if name not in self._chargers:
            self._chargers[name] = self.charger_profile(name).facts
        return self._chargers[name]

    def meter_profile(self, name: str) -> MeterProfile:
        return self._typed(self.find(name, "meter"), MeterProfile)

    def charger_profile(self, name: str) -> ChargerProfile:
        return self._typed(self.find(name, "charger"), ChargerProfile)

    def find(self, name: str, *kinds: str) -> AnyProfile:
        """A profile of one of these kinds; of any kind where none is named."""
        path = Path(name) if "/" in name or name.endswith(".toml") else self._home_of(name, kinds)
        if path not in self._read:
            self._read[path] = read(path)
        return self._read[path]

    def names(self, *kinds: str) -> dict[str, Path]:
        """All profiles that come with the product."""
        folders = [self._home / FOLDERS[kind] for kind in kinds or FOLDERS]
        return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}

    def _home_of(self, name: str, kinds: tuple[str, ...]) -> Path:
        known = self.names(*kinds)
        if name in known:
            return known[name]
        close = get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
        what = " or ".join(kinds or FOLDERS)
        raise KeyError(f'there is no {what} profile "{name}"; did you mean {", ".join(close)}?')

    def _typed(self, profile: AnyProfile, kind: type[Wanted]) -> Wanted:
        if not isinstance(profile, kind):
            raise ProfileError([Problem(profile.name, f"is the profile of a {profile.kind}")])
        return profile


@cache
def library() -> Library:
    """The profiles that come with the product."""
    return Library()


def read(path: Path) -> AnyProfile:
    """Reads one profile. KeyError when there is no such file, ProfileError when it is bad."""
    try:
        with path.open("rb") as file:
            text = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise KeyError(f"cannot read the profile {path}: {error.strerror}") from error
    return of_bytes(text, path.stem, str(path))


def of_bytes(text: bytes, name: str, place: str = "") -> AnyProfile:
    """The profile that is written there, in TOML. Raises ProfileError with every problem found."""
    try:
        if len(text) > SIZE_MAX:
            raise ValueError(f"is larger than {SIZE_MAX} bytes")
        data = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # TOML and UTF-8 errors say line or byte
        raise ProfileError([Problem(place or name, str(error))]) from error
    try:
        return parse(data, name)
    except ProfileError as error:
        places = Places(text.decode())
        raise ProfileError(_with_line(each, name, places) for each in error.problems) from error


def _with_line(problem: Problem, name: str, places: Places) -> Problem:
    line = places.line(problem.path.removeprefix(f"{name}: "))
    where = problem.path if line is None else f"{problem.path} (line {line})"
    return Problem(where, problem.message)


def parse(data: Mapping[str, Any], name: str) -> AnyProfile:
    """Raises ProfileError with every problem found."""
    kinds: dict[str, type[AnyProfile]] = {"meter": MeterProfile, "charger": ChargerProfile}
    kind = kinds.get(str(data.get("kind")))
    if kind is None:
        raise ProfileError([Problem(f"{name}: kind", 'must be "meter" or "charger"')])
    try:
        profile = kind.model_validate({**data, "name": name})
    except ValidationError as error:
        raise ProfileError(
            Problem(f"{name}: {'.'.join(map(str, each['loc']))}", each["msg"])
            for each in error.errors(include_url=False, include_context=False)
        ) from error
    problems = [*profile.problems(), *_strange_conf(data)]
    if problems:
        raise ProfileError(Problem(f"{name}: {each.path}", each.message) for each in problems)
    return profile


def _strange_conf(data: Mapping[str, Any]) -> Iterator[Problem]:
    """A confidence stated of what is not there."""
    for dotted in data.get("conf", {}):
        place: Any = data
        for key in dotted.split("."):
            place = place.get(key) if isinstance(place, Mapping) else None
        if place is None:
            yield Problem(f"conf.{dotted}", "names nothing in this profile")
