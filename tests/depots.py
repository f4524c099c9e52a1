"""Depots that live: random sites with meters, a clamp and sub-meters, and what goes on in them.

Cars of all kinds come and go, the building's load wanders, steps and cycles, generation lies on
the roof of some. All by seed, in virtual time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from cext.plant import Car, Plant
from cext.rows import Phases
from controller.hardware import build_plant
from controller.plant import VirtualEnforcer
from controller.plausibility import Suspicion
from controller.site import Site, parse
from hil.profiles import StoryProfiles

S = 1_000_000_000
STEP_NS = S // 2
WIRINGS = ("L1 L2 L3", "L2 L3 L1", "L3 L1 L2")
Picked = TypeVar("Picked")
View = Callable[[Phases], Phases]


def document(seed: int) -> dict[str, Any]:
    """A transformer with two rows; which of them are measured, and how, is the seed's."""
    draw = random.Random(seed)
    meters = [meter("main", "grid", draw)]
    rows = [row for row in ("row-a", "row-b") if draw.random() < 0.5]
    meters += [meter(f"{row}-meter", row, draw) for row in rows]
    form = draw.choice(["rpict7v1", "rpict3v1", "emontx4"])
    clamp: dict[str, Any] = {
        "id": "clamp",
        "circuit": "grid",
        "format": form,
        "port": "/dev/ttyAMA0",
    }
    clamp |= {"period_s": draw.choice([0.5, 1, 2, 5]), "power_factor": 1}
    chargers = [
        {
            "id": f"{row}-{{n}}",
            "count": 3,
            "circuit": row,
            "profile": draw.choice(["alfen_eve", "alfen_eve", "unmetered"]),
            "bus": f"tcp://192.0.2.{{n+{10 * index}}}:502",
            "phases": draw.choice(WIRINGS),
            "max_a": draw.choice([16, 32]),
            "fallback_a": 6,
            "fallback_delay_s": 10,
            "poll_s": draw.choice([0.5, 1, 2]),
            "settle_s": 5,
        }
        for index, row in enumerate(("row-a", "row-b"), 1)
    ]
    return {
        "schema": 1,
        "site": {"id": "depot"},
        "control": {"dwell_s": 4, "calm_s": 5, "turn_s": 30},
        "circuit": [
            {"id": "grid", "rating_a": draw.choice([80, 125, 200]), "worst_base_a": 60},
            {"id": "row-a", "parent": "grid", "rating_a": 63, "worst_base_a": 0},
            {"id": "row-b", "parent": "grid", "rating_a": 50, "worst_base_a": draw.choice([0, 8])},
        ],
        "meter": meters,
        "clamp": [clamp] if draw.random() < 0.7 else [],
        "charger": chargers,
    }


class Draw(Protocol):
    """Picks; the least random of them always the first."""

    def choice(self, of: Sequence[Picked], /) -> Picked: ...


def meter(name: str, circuit: str, draw: Draw) -> dict[str, Any]:
    return {
        "id": name,
        "circuit": circuit,
        "profile": "carlo_gavazzi_em24_ethernet",
        "bus": f"tcp://{name}:502",
        "poll_s": draw.choice([0.2, 0.5, 1]),
    }


@dataclass
class Depot:
    """One of them, from its first second; `doubts` is what was suspected, and when."""

    seed: int
    document: dict[str, Any]
    noise_ma: int = 300
    base_ma: int | None = None  # None: it wanders, steps and cycles
    comings: bool = True  # cars come and go by themselves
    shows: dict[str, View] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    doubts: list[tuple[int, str, Suspicion | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.site: Site = parse(self.document, StoryProfiles())
        self.draw = random.Random(self.seed)
        self.plant: Plant = build_plant(self.site, self.seed)
        for index, circuit in enumerate(self.site.circuits):
            if any(each.circuit == circuit.id for each in self.site.meters):
                lag_ns = self.draw.randrange(S // 10, S // 2)
                self.plant.set_meter(index, lag_ns, S // 10)
        self.plant.advance(0)
        self.enforcer = VirtualEnforcer(self.site, self.plant, 0, self.silent, shows=self.shows)
        self.enforcer.image.on_doubt(
            lambda source, suspicion: self.doubts.append((self.now_ns, source, suspicion))
        )
        self.now_ns = 0
        self._busy = [False] * len(self.site.chargers)
        self._machine = False
        self._own = [0] * len(self.site.circuits)

    def live(self, seconds: float) -> None:
        ends_ns = self.now_ns + round(seconds * S)
        while self.now_ns < ends_ns:
            self._happens()
            self.now_ns += STEP_NS
            self.enforcer.run_until(self.now_ns)

    @property
    def suspected(self) -> dict[str, str]:
        """The kinds of the present suspicions."""
        ids = self.site.source_ids
        found = {source: self.enforcer.image.suspicion(source) for source in ids}
        return {source: each.kind for source, each in found.items() if each is not None}

    def _happens(self) -> None:
        draw, plant = self.draw, self.plant
        for index, busy in enumerate(self._busy if self.comings else ()):
            if draw.random() < (0.01 if busy else 0.03):
                self._busy[index] = not busy
                if busy:
                    plant.unplug(index)
                else:
                    plant.plug(index, self._car())
            elif busy and draw.random() < 0.005:
                plant.set_car_max(index, draw.choice([0, 8_000, 16_000, 32_000]))
        if draw.random() < 0.05:
            self._machine = not self._machine
        if self.base_ma is not None:
            first, second, third = (self.base_ma + 900 * p for p in range(3))
        else:
            self._own[0] = min(40_000, max(-25_000, self._own[0] + draw.randrange(-900, 901)))
            more = 15_000 if self._machine else 0
            first, second, third = (self._own[0] + more + 2_000 * p for p in range(3))
        plant.set_base(0, (first, second, third), self.noise_ma)
        if any(self.site.circuits[2].worst_base_ma):
            plant.set_base(2, (2_000, 4_000 if self._machine else 0, 0), min(self.noise_ma, 300))

    def _car(self) -> Car:
        draw = self.draw
        return Car(
            max_ma=draw.choice([10_000, 16_000, 20_000, 32_000]),
            phases=draw.choice([1, 1, 2, 3, 3]),
            reaction_ns=draw.randrange(S // 2, 5 * S),
            energy_wh=draw.randrange(100, 3_000),
            taper_wh=draw.randrange(0, 200),
        )
