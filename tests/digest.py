"""What the kernel decides in long random scenes, as one number each: `python -m tests.digest`.

Run on two machines, or under two Pythons, it must say the same, bit for bit. What went in has a
number of its own: where only the other differs, it is the kernel that differs. Prints one JSON
object: scene → {"in": …, "out": …, "ticks": …}, and where it ran.
"""

import json
import platform
import random
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import cext.tick
from cext.plant import Plant
from cext.rows import Demand
from cext.shares import fair_shares
from tests import depots
from tests.door import Door
from tests.oracle.site import Site
from tests.oracle.story import SWITCHED, TROUBLE, tell

STORIES = range(8)
DEPOTS = range(3)
DEPOT_S = 120
FILLINGS = range(30)


class Ink:
    """Takes whatever is made of whole numbers, in order."""

    def __init__(self) -> None:
        self._hash = sha256()

    def put(self, *what: Any) -> None:
        self._hash.update(json.dumps(what, separators=(",", ":")).encode())

    def dry(self) -> str:
        return self._hash.hexdigest()


class Scene:
    """What went in, what came out, and how often the kernel decided."""

    def __init__(self) -> None:
        self.went_in, self.came_out, self.ticks = Ink(), Ink(), 0

    def as_json(self) -> dict[str, Any]:
        return {"in": self.went_in.dry(), "out": self.came_out.dry(), "ticks": self.ticks}


class Noted(Door):
    """A kernel of which everything is written down: what it is told, what it tells each tick."""

    def __init__(self, site: Site, scene: Scene) -> None:
        super().__init__(site)
        self._scene = scene
        scene.went_in.put("site", site)

    def reading(self, *args: Any) -> None:
        self._scene.went_in.put("reading", args)
        super().reading(*args)

    def report(self, *args: Any) -> None:
        self._scene.went_in.put("report", args)
        super().report(*args)

    def limit(self, *args: Any) -> None:
        self._scene.went_in.put("limit", args)
        super().limit(*args)

    def contact(self, *args: Any) -> None:
        self._scene.went_in.put("contact", args)
        super().contact(*args)

    def distrust(self, *args: Any) -> None:
        self._scene.went_in.put("distrust", args)
        super().distrust(*args)

    def prove(self, *args: Any) -> None:
        self._scene.went_in.put("prove", args)
        super().prove(*args)

    def tick(self, now_ns: int) -> bool:
        self._scene.went_in.put("tick", now_ns)
        changed = super().tick(now_ns)
        self._scene.came_out.put(changed, everything(self))
        self._scene.ticks += 1
        return changed


def everything(door: Door) -> list[Any]:
    """All that a kernel tells after a tick."""
    kernel, site = door.kernel, door.site
    chargers = range(len(site.chargers))
    return [
        kernel.ticks,
        kernel.now_ns,
        [kernel.output(i) for i in chargers],
        [kernel.charger(i) for i in chargers],
        [kernel.failsafe_ma(i) for i in chargers],
        [kernel.circuit(i) for i in range(len(site.circuits))],
        [kernel.source(i) for i in range(len(site.meters))],
        [kernel.slot(i) for i in range(len(site.slots))],
        [kernel.contactor(i) for i in range(len(site.contactors))],
    ]


def stories(seeds: range) -> Scene:
    """Random depots in which all goes wrong that can: the kernel alone."""
    scene = Scene()
    for seed in seeds:
        switched = seed % 2 == 0
        tell(
            lambda site: Noted(site, scene),
            seed,
            (*TROUBLE, *SWITCHED) if switched else TROUBLE,
            chargers=2 + seed % 7,
            circuits=1 + seed % 4,
            contactors=switched,
        )
    return scene


def plants(seeds: range) -> Scene:
    """Whole depots in virtual time: the plant, and the controller that holds it."""
    scene = Scene()
    for seed in seeds:
        depot = depots.Depot(seed, depots.document(seed))
        for _ in range(DEPOT_S):
            depot.live(1)
            scene.came_out.put(*_truth(depot.plant, len(depot.site.chargers)))
            kernel = depot.enforcer.kernel
            outputs = [kernel.output(i) for i in range(len(depot.site.chargers))]
            scene.came_out.put(kernel.ticks, outputs)
        scene.ticks += kernel.ticks
        scene.went_in.put(depot.document)
    return scene


def _truth(plant: Plant, chargers: int) -> Iterator[Any]:
    yield [plant.load(circuit) for circuit in range(3)]
    yield [plant.charger(charger) for charger in range(chargers)]


def fillings(seeds: range) -> Scene:
    """Fair shares of 1000 chargers on a tree of three levels."""
    scene = Scene()
    for seed in seeds:
        draw = random.Random(seed)
        parents = [-1, *(0 for _ in range(4)), *(1 + i % 4 for i in range(20))]
        caps = [(draw.randrange(5_000_000), draw.randrange(5_000_000), 4_000_000) for _ in parents]
        wants = [
            Demand(
                draw.randrange(len(parents)),
                draw.choice([(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, -1, -1), (-1, 2, -1)]),
                draw.choice([0, 6000]),
                6000 + draw.randrange(60_000),
                1 + draw.randrange(100),
            )
            for _ in range(1000)
        ]
        scene.went_in.put(parents, caps, wants)
        scene.came_out.put(fair_shares(parents, caps, wants))
        scene.ticks += 1
    return scene


SCENES: dict[str, Callable[[], Scene]] = {
    "stories": lambda: stories(STORIES),
    "plants": lambda: plants(DEPOTS),
    "fillings": lambda: fillings(FILLINGS),
}


def main() -> int:
    told = {name: scene().as_json() for name, scene in SCENES.items()}
    where = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "kernel": cext.tick.__file__,
    }
    sys.stdout.write(json.dumps({"where": where, "scenes": told}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
