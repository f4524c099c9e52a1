"""The faults: what of the kernel's source becomes what, and which tests are the room's own."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAULTS = Path(__file__).parent / "faults.toml"


class UnfitError(ValueError):
    """A fault that the kernel is not made for any more; says which, and why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`old` becomes `new` in a file of cext/; `tests` are asked first."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()

    def patched(self, text: str) -> str:
        """Raises UnfitError where the kernel is no longer what this fault was made for."""
        count = text.count(self.old)
        if count != 1:
            raise UnfitError(f"{self.file}: what {self.name!r} changes is there {count} times")
        return text.replace(self.old, self.new)

    def patched_source(self) -> str:
        """Raises UnfitError."""
        source = ROOT / "cext" / self.file
        if not source.exists():
            raise UnfitError(f"{self.name!r} is in {self.file}, and there is no such room")
        return self.patched(source.read_text(encoding="utf-8"))


def faults() -> list[Fault]:
    """In the order of the file; what its [rooms] say, their own tests are."""
    whole = tomllib.loads(FAULTS.read_text(encoding="utf-8"))
    rooms: dict[str, list[str]] = whole["rooms"]
    return [
        Fault(**(each | {"tests": tuple(each.get("tests", rooms.get(each["file"], ())))}))
        for each in whole["fault"]
    ]


def unfit(every: list[Fault]) -> list[str]:
    """What cannot be tried as it stands, a sentence each."""
    found = []
    for each in every:
        try:
            each.patched_source()
        except UnfitError as error:
            found.append(str(error))
    return found
