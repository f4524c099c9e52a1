"""What came over the air and was in force before, as this version would take it up.

Asked before one version gives way to another: the answer is known before anything is switched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from controller.configuration import Ground, NotTakenUpError, taken_up
from controller.revisions import DamagedError, fingerprint, stored

Standing = Literal["none", "outdated", "good", "refused", "unreadable"]


@dataclass(frozen=True, slots=True)
class Saved:
    """`none`: the installer's file is in force; `outdated`: it has changed, and is again."""

    standing: Standing
    revision: int | None = None
    why: str | None = None

    @property
    def usable(self) -> bool:
        return self.standing in {"none", "outdated", "good"}


def saved(path: Path, ground: Ground) -> Saved:
    """`path`: the file of the documents. Changes nothing."""
    try:
        memory = stored(path)
    except DamagedError as error:
        return Saved("unreadable", why=str(error))
    if memory is None or memory.active is None:
        return Saved("none")
    revision = memory.active.revision
    if memory.installer != fingerprint(ground.installation):
        return Saved("outdated", revision)
    try:
        taken_up(ground, memory.active)
    except NotTakenUpError as error:
        return Saved("refused", revision, str(error))
    return Saved("good", revision)
