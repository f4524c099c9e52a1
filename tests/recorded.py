"""A depot on the plant that is recorded: the product's own black box around its kernel."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.blackbox import BlackBox
from controller.shelf import Shelf
from controller.tables import Tables
from controller.tap import Tap
from tests.depots import Depot

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
