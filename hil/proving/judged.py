"""Changes that nobody notices, and why that is borne: a committed list, each with its reason."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from drivers.library import library

JUDGED = Path(__file__).parent / "survivors.toml"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Patterns as of a shell; `*` stands for anything."""

    field: str
    why: str
    profile: str = "*"
    change: str = "*"
    kind: str = ""  # of all meters, or of all chargers, that come with the product

    def covers(self, profile: str, field: str, change: str) -> bool:
        return (
            fnmatchcase(profile, self.profile)
            and fnmatchcase(field, self.field)
            and fnmatchcase(change, self.change)
            and (not self.kind or profile in library().names(self.kind))
        )


def judgements(path: Path = JUDGED) -> list[Judgement]:
    return [Judgement(**each) for each in tomllib.loads(path.read_text("utf-8"))["survivor"]]


def judged(
    survivors: Iterable[tuple[str, str, str]], known: list[Judgement]
) -> tuple[dict[Judgement, int], list[tuple[str, str, str]]]:
    """How many survivors each judgement covers, the first that does; and those without one."""
    counts = dict.fromkeys(known, 0)
    unjudged = []
    for profile, field, change in survivors:
        its = next((each for each in known if each.covers(profile, field, change)), None)
        if its is None:
            unjudged.append((profile, field, change))
        else:
            counts[its] += 1
    return counts, unjudged
