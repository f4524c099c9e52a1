"""What goes on in the demo's depot: vehicles come and go, the building's load moves.

Deterministic by seed. Everything is scaled to be watched: a charge takes minutes.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import ClassVar

from cext.plant import Car, Plant
from cext.rows import Phases, Vehicle

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of vehicle."""

    name: str
    max_ma: int
    phases: int
    reaction_ns: int
    wants_wh: tuple[int, int]  # from, to


KINDS = (
    Kind("van 22 kW", 32_000, 3, 1_500_000_000, (300, 600)),
    Kind("truck 22 kW", 32_000, 3, 2_500_000_000, (400, 800)),
    Kind("van 11 kW", 16_000, 3, 1_000_000_000, (200, 450)),
    Kind("car 11 kW", 16_000, 3, 700_000_000, (150, 400)),
    Kind("car 7 kW", 32_000, 1, 1_200_000_000, (80, 200)),
    Kind("hybrid 4 kW", 16_000, 1, 900_000_000, (50, 120)),
)
_TAPER_WH = 60
_BASE_MA = 38_000
_SWING_MA = 9_000
_MACHINE_MA = 14_000  # a compressor that starts and stops
_STEP_MA = 30_000  # the viewer's own


@dataclass(slots=True)
class Bay:
    """A charger's place and what stands on it."""

    kind: Kind | None = None
    wants_wh: int = 0
    before_mwh: int = 0  # the charger's counter when the vehicle came
    next_s: float = 0.0  # when somebody comes, or the full vehicle leaves


class Life:
    """Moves the plant along; `happened` holds what is worth telling, oldest first."""

    NOISE_MA: ClassVar = 800

    def __init__(self, plant: Plant, bays: int, root: int, seed: int = 7) -> None:
        self.bays = [Bay() for _ in range(bays)]
        self.step = False
        self.happened: list[str] = []
        self._plant = plant
        self._root = root
        self._random = random.Random(seed)
        self.machine = False
        self._machine_ends_s = 12.0
        for index, bay in enumerate(self.bays):  # most are there when the viewer comes
            bay.next_s = 0.4 * index if index < bays - 2 else 15.0 + 12.0 * (index % 2)

    def go_on(self, t_s: float, names: list[str]) -> None:
        """Brings the depot to `t_s` seconds after its begin; called some times a second."""
        if t_s >= self._machine_ends_s:
            self.machine = not self.machine
            self._machine_ends_s = t_s + self._random.uniform(8, 25)
            self._tell(f"the building's compressor {'starts' if self.machine else 'stops'}")
        self._plant.set_base(self._root, self.base_ma(t_s), self.NOISE_MA)
        for index, bay in enumerate(self.bays):
            if bay.kind is None:
                if t_s >= bay.next_s:
                    self._arrive(index, bay, names[index])
            elif self._full(index, bay):
                if bay.next_s == 0.0:
                    bay.next_s = t_s + self._random.uniform(6, 20)
                elif t_s >= bay.next_s:
                    self._leave(index, bay, names[index], t_s)

    def base_ma(self, t_s: float) -> Phases:
        """The building's load per phase."""
        more = (_MACHINE_MA if self.machine else 0) + (_STEP_MA if self.step else 0)
        waves = (math.sin(t_s / 17 + phase * 2.1) for phase in range(3))
        first, second, third = (_BASE_MA + more + int(_SWING_MA * wave) for wave in waves)
        return first, second, third

    def charged(self, index: int) -> float | None:
        """How much of its wish the vehicle has, 0 to 1; None without a vehicle."""
        bay = self.bays[index]
        if bay.kind is None:
            return None
        had_wh = (self._plant.charger(index).energy_mwh - bay.before_mwh) / 1000
        return min(1.0, had_wh / bay.wants_wh)

    def _arrive(self, index: int, bay: Bay, name: str) -> None:
        kind = self._random.choice(KINDS[:4] if index % 4 else KINDS)
        bay.kind, bay.wants_wh, bay.next_s = kind, self._random.randint(*kind.wants_wh), 0.0
        bay.before_mwh = self._plant.charger(index).energy_mwh
        self._plant.plug(
            index, Car(kind.max_ma, kind.phases, kind.reaction_ns, bay.wants_wh, _TAPER_WH)
        )
        self._tell(f"{name}: {kind.name} arrives, wants {bay.wants_wh / 1000:.1f} kWh")

    def _leave(self, index: int, bay: Bay, name: str, t_s: float) -> None:
        assert bay.kind is not None
        self._plant.unplug(index)
        self._tell(f"{name}: {bay.kind.name} is full and leaves")
        bay.kind, bay.next_s = None, t_s + self._random.uniform(5, 20)

    def _full(self, index: int, bay: Bay) -> bool:
        return self._plant.charger(index).vehicle is Vehicle.B and (self.charged(index) or 0) > 0.9

    def _tell(self, what: str) -> None:
        self.happened.append(what)
