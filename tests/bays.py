"""A row of bays that obey at once, on one circuit that is too small for all of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from cext.rows import ChargerRow, CircuitRow, SourceRow, Tuning, Vehicle
from cext.tick import Kernel
from tests.plainrow import PLAIN

S = 1_000_000_000
TURN = 900 * S
BAY = PLAIN._replace(step_ma=1000, fallback_ma=0, power_on_ma=0, max_age_ns=10 * S)


class Row:
    """Chargers on one circuit that obey at once; each tick is a second, or `step` seconds."""

    def __init__(
        self,
        cap_a: int,
        rows: list[ChargerRow],
        turn_ns: int = TURN,
        base_step_ma: int | None = None,
        below: int = 0,
        together_ma: int | None = None,
    ) -> None:
        """`below`: so many wide circuits between the one with that cap and the chargers."""
        step = None if base_step_ma is None else (base_step_ma,) * 3
        root = CircuitRow(
            -1, (cap_a * 1000,) * 3, (20_000,) * 3, base_step_ma=step, sum_ma=together_ma
        )
        wide = [CircuitRow(i, (200_000,) * 3, (0,) * 3) for i in range(below)]
        self.kernel = Kernel(
            [root, *wide],
            [SourceRow(0, 0, 0, 10 * S, S)],
            [row._replace(circuit=below) for row in rows],
            [],
            Tuning(20 * S, 0, 100_000, 10 * S, turn_ns),
        )
        self.rows = rows
        self.now_ns = 0
        self.wants_ma = [32_000] * len(rows)
        self.vehicle = [Vehicle.C] * len(rows)
        self.mute: set[int] = set()  # whose reports do not come
        self.offers = [[0] for _ in rows]
        self.base_ma = 0
        self.most_ma = max(cap_a * 1000, 0)

    def offered(self, charger: int) -> int:
        return self.kernel.output(charger).setpoint_ma or 0

    def run(self, seconds: float, step: float = 2) -> None:
        for _ in range(round(seconds / step)):
            self.now_ns += round(step * S)
            load = [self.base_ma] * 3
            for i, row in enumerate(self.rows):
                plugged = self.vehicle[i] is not Vehicle.A
                drawn = min(self.offered(i), self.wants_ma[i]) if plugged else 0
                drawn -= drawn > 0 and self.kernel.ticks % 100 == 99  # what never moves is probed
                first, second, third = (drawn * (phase in row.phases) for phase in range(3))
                load = [load[0] + first, load[1] + second, load[2] + third]
                if i in self.mute:
                    continue
                self.kernel.post_report(
                    i,
                    self.now_ns,
                    self.offered(i),
                    (first, second, third),
                    self.vehicle[i],
                    self.kernel.ticks,
                )
            self.kernel.post_reading(0, self.now_ns, (load[0], load[1], load[2]))
            self.kernel.tick(self.now_ns)
            for i, offers in enumerate(self.offers):
                offers.append(self.offered(i))
            assert sum(map(self.offered, range(len(self.rows)))) + self.base_ma <= self.most_ma

    def on(self) -> list[int]:
        return [i for i in range(len(self.rows)) if self.offered(i)]

    def switched(self, charger: int) -> int:
        """How often it was switched on or off."""
        return sum((a > 0) != (b > 0) for a, b in pairwise(self.offers[charger]))

    def times_on(self, charger: int, step: float = 2) -> float:
        return sum(offer > 0 for offer in self.offers[charger]) * step


def bays(count: int, **changes: Any) -> list[ChargerRow]:
    return [BAY._replace(**changes)] * count
