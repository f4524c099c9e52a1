"""One target under atheris, as a process of its own: python -m tests.fuzz.under TARGET COUNTS …

The rest are libFuzzer's own words. Before anything of ours is imported, what is to be fuzzed is
told to count its branches. What came of the inputs goes to the file COUNTS now and then, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import atheris

COUNTED = ("drivers", "controller")  # not the parsers of TOML and JSON: they are not ours
TELL_EVERY = 10_000


def main(name: str, counts: Path, words: list[str]) -> None:
    with atheris.instrument_imports(include=[*COUNTED, f"tests.fuzz.{name}"]):
        from tests.fuzz import target  # noqa: PLC0415 - what it imports is instrumented here

        execute = target(name).execute
    made: Counter[str] = Counter()

    def once(data: bytes) -> None:
        made[execute(data)] += 1
        if made.total() % TELL_EVERY == 0:
            counts.write_text(json.dumps(made))

    atheris.Setup([sys.argv[0], *words], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
