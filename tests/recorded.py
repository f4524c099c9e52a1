"""A depot on the plant that is recorded: the product's own black box around its kernel.

`python -m tests.recorded DIRECTORY` records three of them, with all that can go into a kernel, says
for each what `loadkeeper replay --json` would, and leaves the recordings there: for a replay on
another machine.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cext.rows import NEVER_NS
from controller.__main__ import main
from controller.blackbox.recorder import BlackBox
from controller.blackbox.shelf import Shelf
from controller.tables import Tables
from controller.tap import Tap
from tests.depots import Depot, document

BOOT = "6f0b5a52-0000-4000-8000-000000000001"
S = 1_000_000_000


@dataclass
class Recorded:
    """`live()` as a depot does, and its journal goes into `directory`."""

    depot: Depot
    directory: Path
    shelf: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        enforcer = self.depot.enforcer
        self.tap = Tap(enforcer.kernel)
        self.shelved = Shelf(self.directory, **self.shelf)
        clock = enforcer.clock
        self.box = BlackBox(self.shelved, clock, clock, BOOT, write_every_s=0.01)
        self.tap.follow_bytes(self.box.take)
        self.begin("the test began")

    def begin(self, why: str) -> None:
        depot = self.depot
        tables = Tables.of(depot.site)
        self.box.begin(depot.site, tables, depot.enforcer.kernel, self.tap, "control", why)

    def live(self, seconds: float, step_s: float = 1) -> None:
        for _ in range(round(seconds / step_s)):
            self.depot.live(step_s)
            self.tap.drain()
            if why := self.box.wanted():
                self.begin(why)

    def close(self) -> None:
        self.tap.drain()
        self.box.close(within_s=30)


LIMITED = {"id": "cloud", "circuit": "grid", "kind": "grid", "lease_s": 20, "failsafe_a": 40}
SEEDS = range(3)


def eventful(seed: int, directory: Path) -> None:
    """Six minutes: limits that end and are lost, doubts, a latch, several segments."""
    draw = random.Random(seed)
    box = Recorded(Depot(seed, document(seed) | {"limit_source": [LIMITED]}), directory)
    kernel = box.depot.enforcer.kernel
    for turn in range(12):
        box.live(draw.randrange(10, 50))
        now_ns = box.depot.now_ns
        asked = (draw.randrange(100_000),) * 3 if draw.random() < 0.7 else None
        kernel.set_limit(0, asked, draw.choice([now_ns + 5 * S, NEVER_NS]), now_ns + 20 * S)
        kernel.distrust(0, draw.random() < 0.3)
        kernel.prove(draw.randrange(6), draw.choice([None, True, False]))
        kernel.set_fallback(draw.randrange(6), draw.choice([0, 6000, 16_000]))
        kernel.latch(turn in (7, 8))
        if turn % 5 == 4:
            box.begin("the test wants it")
    kernel.leave()
    box.live(10)
    box.close()


if __name__ == "__main__":
    for each in SEEDS:
        here = Path(sys.argv[1]) / str(each)
        here.mkdir(parents=True)
        eventful(each, here)
        if main(["replay", "--json", str(here)]):
            sys.exit(1)
