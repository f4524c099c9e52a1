"""What commissioning finds: what is so, what to mend, and where the site document says it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Weight(IntEnum):
    """The heaviest first."""

    WRONG = 0  # it must be mended
    DOUBT = 1  # perhaps; somebody must look
    UNSEEN = 2  # it could not be told here and now
    FINE = 3


@dataclass(frozen=True, slots=True)
class Finding:
    about: str  # the device's id, or a line's
    code: str  # of its kind, for machines
    weight: Weight
    what: str
    mend: str = ""
    where: str = ""  # in the site document; empty where nothing there is to be changed

    def lines(self) -> list[str]:
        """In words: what, and indented below it what to do and where."""
        below = [self.mend, self.where and f"in the document: {self.where}"]
        return [f"{self.about}: {self.what}", *(f"   {each}" for each in below if each)]

    def as_json(self) -> dict[str, Any]:
        return {
            "about": self.about,
            "code": self.code,
            "weight": self.weight.name.lower(),
            "what": self.what,
            "mend": self.mend or None,
            "where": self.where or None,
        }


def entry(section: str, id_: str, key: str = "") -> str:
    """Where a device's key stands in the site document."""
    place = f'[[{section}]] "{id_}"'
    return f"{place}: {key}" if key else place
