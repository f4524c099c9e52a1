"""The most that anybody could have charged in the congested hours, who knew all beforehand.

A linear program over slots of five minutes, by HiGHS. It is an upper bound for every way to share
that keeps each cap at each instant:

- its caps are the means over a slot of what the true base load leaves, and means of currents that
  hold at each instant hold for the means;
- a vehicle draws at most what it and its charger can, for as much of the slot as it is there, in
  any current down to 0, and follows at once; its taper is left out;
- it wants all that it came with, even if some of it was charged before the congested hours.

SciPy is needed here only, in the development extra.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from hil.energy.day import BEGIN_S, Day, Visit

SLOT_S = 300
_MWH = 3_600_000  # milliwatt-seconds in one milliwatt-hour


def optimum_mwh(day: Day) -> float:
    """Over the congested hours, all vehicles together."""
    from scipy.optimize import linprog  # noqa: PLC0415 - the workshop's, and slow to load
    from scipy.sparse import csr_matrix  # noqa: PLC0415

    program = _Program(day)
    shape = (len(program.limits), len(program.gains))
    rows, columns, values = zip(*program.entries, strict=True)
    answer = linprog(
        [-gain for gain in program.gains],
        A_ub=csr_matrix((values, (rows, columns)), shape=shape),
        b_ub=program.limits,
        bounds=[(0, most) for most in program.most],
        method="highs",
    )
    if answer.status != 0:
        raise ArithmeticError(f"HiGHS found no optimum: {answer.message}")
    return float(-answer.fun)


class _Program:
    """Variables: the mean current in A of a visit in a slot. Its gain is in mWh."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self._v = day.site.circuits[0].phase_mv / 1000
        self.gains: list[float] = []
        self.most: list[float] = []
        self.limits: list[float] = []
        self.entries: list[tuple[int, int, float]] = []
        self._paths = paths_of(day)
        self._caps: dict[tuple[int, int, int], int] = {}  # row of circuit, phase and slot
        for visit in day.visits:
            self._add(visit)

    def _add(self, visit: Visit) -> None:
        row = self._day.site.chargers[visit.charger]
        need = len(self.limits)
        self.limits.append(float(visit.need_mwh))
        for slot_s in range(*self._day.congested_s, SLOT_S):
            there_s = min(visit.until_s, slot_s + SLOT_S) - max(visit.from_s, slot_s)
            if there_s <= 0:
                continue
            column = len(self.gains)
            gain = visit.car.phases * self._v * SLOT_S * 1e6 / _MWH
            self.gains.append(gain)
            self.most.append(min(row.max_ma, visit.car.max_ma) / 1000 * there_s / SLOT_S)
            self.entries.append((need, column, gain))
            for circuit in self._paths[visit.charger]:
                for phase in row.phases[: visit.car.phases]:
                    self.entries.append((self._cap(circuit, phase, slot_s), column, 1.0))

    def _cap(self, circuit: int, phase: int, slot_s: int) -> int:
        place = (circuit, phase, slot_s)
        if place not in self._caps:
            self._caps[place] = len(self.limits)
            self.limits.append(max(0.0, self._mean_room_a(circuit, phase, slot_s)))
        return self._caps[place]

    def _mean_room_a(self, circuit: int, phase: int, slot_s: int) -> float:
        seconds = range(slot_s - BEGIN_S, slot_s - BEGIN_S + SLOT_S)
        base_ma = sum(self._day.below_ma(circuit, second)[phase] for second in seconds)
        rating_ma = self._day.site.circuits[circuit].rating_ma[phase]
        return (rating_ma - base_ma / SLOT_S) / 1000


@cache
def paths_of(day: Day) -> list[tuple[int, ...]]:
    """Circuits above each charger, the nearest first."""
    index = {circuit.id: i for i, circuit in enumerate(day.site.circuits)}
    parents = {circuit.id: circuit.parent for circuit in day.site.circuits}

    def up(id_: str | None) -> Iterator[int]:
        while id_ is not None:
            yield index[id_]
            id_ = parents[id_]

    return [tuple(up(charger.circuit)) for charger in day.site.chargers]
