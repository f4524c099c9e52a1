"""Fair shares as others would compute them: progressive filling in NumPy, programs in HiGHS.

The depot is the one that `loadkeeper bench` measures with. Walls are circuits on one phase; a
wish stands before each wall on its path. Currents in mA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, hstack, identity, vstack

from cext.rows import Demand, Phases

GRID_PHASES = 3
FULL_MA = 1e-6  # what is left of a full wall
HELD = 1e-6  # of the largest dual: what is less holds nobody down

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Depot:
    """A depot in which all minima fit: nobody has to be left out."""

    cap_ma: Floats  # by wall
    before: Any  # walls by wishes, 1 where a wish stands before a wall (scipy.sparse)
    min_ma: Floats
    max_ma: Floats
    weight: Floats

    @classmethod
    def of(
        cls, parents: Sequence[int], caps_ma: Sequence[Phases], demands: Sequence[Demand]
    ) -> Depot:
        """Raises ValueError where the minima do not all fit."""
        rows, columns = [], []
        for column, demand in enumerate(demands):
            circuit = demand.circuit
            while circuit >= 0:
                rows += [circuit * GRID_PHASES + phase for phase in demand.phases if phase >= 0]
                columns += [column for phase in demand.phases if phase >= 0]
                circuit = parents[circuit]
        shape = (len(parents) * GRID_PHASES, len(demands))
        before = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
        depot = cls(
            np.array(caps_ma, dtype=np.float64).ravel(),
            before,
            np.array([demand.min_ma for demand in demands], dtype=np.float64),
            np.array([demand.max_ma for demand in demands], dtype=np.float64),
            np.array([demand.weight for demand in demands], dtype=np.float64),
        )
        if (before @ depot.min_ma > depot.cap_ma).any():
            raise ValueError("not all minima fit")
        return depot

    @cached_property
    def behind(self) -> Any:
        """Wishes by walls."""
        return self.before.T.tocsr()


def filled(depot: Depot) -> Floats:
    """The shares by a level that rises from event to event: somebody leaves its minimum, has its
    maximum, or a wall is full and all before it stop."""
    share = depot.min_ma.copy()
    floor, top = depot.min_ma / depot.weight, depot.max_ma / depot.weight
    live = np.ones(len(share), dtype=bool)
    level = 0.0
    while live.any():
        rising = live & (floor <= level)
        rate = depot.before @ np.where(rising, depot.weight, 0.0)
        slack = depot.cap_ma - depot.before @ share
        with np.errstate(divide="ignore", invalid="ignore"):
            until_full = np.where(rate > 0, slack / rate, np.inf).min(initial=np.inf)
        until_top = (top[rising] - level).min(initial=np.inf)
        until_floor = (floor[live & ~rising] - level).min(initial=np.inf)
        level += max(0.0, min(until_full, until_top, until_floor))
        share[rising] = np.minimum(level * depot.weight[rising], depot.max_ma[rising])
        full = depot.cap_ma - depot.before @ share <= FULL_MA * (1 + level)
        live &= ~((depot.behind @ full.astype(np.float64)) > 0)
        live &= share < depot.max_ma - FULL_MA
    return share


class Programs:
    """Linear programs: each raises the lowest level; who is held down by it is fixed there."""

    def __init__(self, depot: Depot) -> None:
        self._depot = depot
        count = len(depot.min_ma)
        self._low, self._high = depot.min_ma.copy(), depot.max_ma.copy()
        self._live = np.ones(count, dtype=bool)
        self._walls = hstack([depot.before, csr_matrix((len(depot.cap_ma), 1))], format="csr")
        self._levels = hstack(
            [-identity(count), csr_matrix(depot.weight.reshape(-1, 1))], format="csr"
        )
        self._cost = np.append(np.zeros(count), -1.0)

    def one(self) -> Any:
        """The first program. Raises ArithmeticError where there is no optimum."""
        return self._solve(np.flatnonzero(self._live))

    def shares(self) -> Floats:
        """The lexicographic optimum, program by program."""
        share = self._low.copy()
        while self._live.any():
            live = np.flatnonzero(self._live)
            found = self._solve(live)
            held = -found.ineqlin.marginals[len(self._depot.cap_ma) :]
            held = held * self._depot.weight[live]
            stopped = live[held > held.max() * HELD]
            share[stopped] = np.clip(found.x[stopped], self._low[stopped], self._high[stopped])
            self._low[stopped] = np.maximum(self._low[stopped], share[stopped] - FULL_MA / 10)
            self._low[stopped] = np.minimum(self._low[stopped], share[stopped])
            self._high[stopped] = share[stopped]
            self._live[stopped] = False
        return share

    def _solve(self, live: NDArray[np.intp]) -> Any:
        found = linprog(
            self._cost,
            A_ub=vstack([self._walls, self._levels[live]], format="csr"),
            b_ub=np.append(self._depot.cap_ma, np.zeros(len(live))),
            bounds=[*zip(self._low, self._high, strict=True), (0.0, None)],
            method="highs",
        )
        if not found.success:
            raise ArithmeticError(f"no optimum: {found.message}")
        return found
