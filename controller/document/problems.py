"""What is wrong with a document: each problem with its place and a sentence for the installer."""

from collections.abc import Iterable
from dataclasses import dataclass

PROBLEMS_MAX = 500


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` looks like `charger[3].min_a (bay-04)`, or `line 7, column 3`."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class DocumentError(ValueError):
    """A document that cannot be used, with every problem found (at most PROBLEMS_MAX)."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        every = list(dict.fromkeys(problems))
        self.problems = every[:PROBLEMS_MAX]
        if len(every) > PROBLEMS_MAX:
            self.problems.append(Problem("document", f"more than {PROBLEMS_MAX} problems"))
        super().__init__("\n".join(map(str, self.problems)))


def found(value: object) -> str:
    """A short picture of what was written."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f'"{printable(value)}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number of absurd size"
    if isinstance(value, int | float):
        return str(value)
    return "a list" if isinstance(value, list | tuple) else "a table"


def printable(text: str, longest: int = 60) -> str:
    """The text, shortened, without what can disturb a terminal."""
    shown = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in shown)
