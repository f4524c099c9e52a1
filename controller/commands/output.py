"""What commands print, and the exit status they end with."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

FINE = 0
NO = 1  # the answer is no
MISUSED = 2  # used wrongly


@dataclass(slots=True)
class Said:
    """What one command has said so far."""

    complaints: list[str] = field(default_factory=list)
    answered: bool = False  # in JSON


_said: ContextVar[Said] = ContextVar("said", default=Said())  # noqa: B039


@contextmanager
def speaking() -> Iterator[Said]:
    """Around one command: remembers what it says."""
    said = Said()
    token = _said.set(said)
    try:
        yield said
    finally:
        _said.reset(token)


def say(text: str = "") -> None:
    """Writes lines for people to standard output."""
    sys.stdout.write(f"{text}\n")


def complain(text: str) -> None:
    """Writes lines for people to standard error."""
    _said.get().complaints.append(text)
    sys.stderr.write(f"{text}\n")


def answer_json(answer: object) -> None:
    """Writes the answer as one object on one line; call it last.

    Raises ValueError for NaN and infinities, which are not JSON.
    """
    _said.get().answered = True
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, allow_nan=False) + "\n")


def add_json_option(parser: ArgumentParser) -> None:
    """Every command has `--json`."""
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Aligns rows of equal length; columns whose index is in `right` end flush."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
