"""`python -m hil.mutants.trial [--all]`: a few seeds of the search, with the guard beside it.

The first that is found ends it. With --all each seed is told twice, with the guard and without,
until both have found something: what one finds first may hide what the other would.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from controller.commands.output import say
from hil.search.days import draw_case
from hil.search.judge import Finding
from hil.search.world import tell

SEEDS = range(1, 50)
GUARD, SEARCH = "guard", "search"


def main(words: list[str]) -> int:
    found: dict[str, dict[str, Any]] = {}
    for seed in SEEDS:
        if GUARD not in found or not words:
            note(found, seed, tell(draw_case(seed), guarded=True), {GUARD} if words else set())
        if words and SEARCH not in found:
            note(found, seed, tell(draw_case(seed)), {SEARCH})
        if found and (not words or len(found) == 2):
            break
    say(json.dumps(found))
    return 1 if found else 0


def note(
    found: dict[str, dict[str, Any]], seed: int, finding: Finding | None, only: set[str]
) -> None:
    if finding is None:
        return
    by = GUARD if finding.kind == "guard" else SEARCH
    if not only or by in only:
        found[by] = {"seed": seed, "what": finding.what}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
