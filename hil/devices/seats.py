"""Where simulated devices stand in the plant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cext.plant import Plant, PlantCharger, PlantChargerState
from cext.rows import NO_PHASE, Phases
from hil.faults.view import View, truly


@dataclass(eq=False)
class MeterSeat:
    """On one circuit; `present` brings the plant up to now, in ns.

    Its terminals see the grid phases `phases`, through transformers of `ratio` (primary to
    secondary; negative where they sit the wrong way round).
    """

    plant: Plant
    circuit: int
    present: Callable[[], int]
    phases: Phases = (0, 1, 2)
    ratio: float = 1.0
    unit: int = 1
    voltage_v: float = field(default=230.0, init=False)
    view: View = field(default_factory=lambda: truly, init=False)

    def seen_ma(self) -> list[float]:
        """At its terminals, signed, as the plant was last; nothing where none is connected."""
        grid_ma = self.view(self.plant.meter(self.circuit))
        return [0.0 if phase == NO_PHASE else grid_ma[phase] / self.ratio for phase in self.phases]


@dataclass(eq=False)
class ChargerSeat:
    """One of the plant's chargers; `present` brings the plant up to now and returns now in ns."""

    plant: Plant
    index: int
    row: PlantCharger
    present: Callable[[], int]
    unit: int = 1
    writes: int = field(default=0, init=False)  # setpoints that it took

    def feel(self, voltage: float) -> None:
        """The voltage is so much of nominal: of no concern to one that measures currents."""

    @property
    def wired(self) -> list[bool]:
        """By terminal."""
        return [phase != NO_PHASE for phase in self.row.phases]

    @property
    def state(self) -> PlantChargerState:
        """As the plant was last."""
        return self.plant.charger(self.index)
