"""What comes from outside, fed with whatever a fuzzer finds: `make fuzz RUNS=…`.

A target is a module in here with `SEEDS`, good inputs to begin with, `WORDS`, what is worth trying
inside them, and `execute(data) -> str`: one word for what the product made of these bytes. It
raises when a promise is broken. Hypothesis feeds the same targets in tests/test_fuzz.py, a little
of everything each time; atheris, which sees which branches an input reaches, for as long as asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

NAMES = ("register", "reply", "frames", "clamp", "profile", "site")


class Target(Protocol):
    SEEDS: Sequence[bytes]
    WORDS: Sequence[bytes]

    def execute(self, data: bytes) -> str: ...


def target(name: str) -> Target:
    return cast(Target, import_module(f"{__name__}.{name}"))
