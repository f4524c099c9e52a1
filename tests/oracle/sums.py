"""Fair shares where a wall may count a charger as often as it has phases, in exact rationals.

As tests/oracle/shares.py, but with a number for each charger at each wall.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from tests.oracle.shares import Triple, Want


class Counted(NamedTuple):
    """One bound of one circuit, and how often each charger below counts there."""

    cap_ma: int
    times: Mapping[int, int]


def bounds(
    parents: Sequence[int],
    caps: Sequence[Triple],
    sums: Sequence[int | None],
    wants: Sequence[Want],
) -> list[Counted]:
    """Every phase of every circuit, and the sum of its phases where that is bounded."""
    found = []
    for circuit in range(len(parents)):
        below = [i for i, want in enumerate(wants) if circuit in _path(parents, want.circuit)]
        for phase in range(3):
            times = {i: 1 for i in below if phase in wants[i].phases}
            found.append(Counted(max(0, caps[circuit][phase]), times))
        together = sums[circuit]
        if together is not None:
            times = {i: len(set(wants[i].phases) - {-1}) for i in below}
            found.append(Counted(max(0, together), times))
    return found


def _path(parents: Sequence[int], circuit: int) -> list[int]:
    path = []
    while circuit >= 0:
        path.append(circuit)
        circuit = parents[circuit]
    return path


def carried(bound: Counted, amounts: Sequence[Fraction] | Sequence[int]) -> Fraction:
    return sum((Fraction(amounts[i]) * times for i, times in bound.times.items()), Fraction(0))


def let_in(standing: Sequence[Counted], wants: Sequence[Want]) -> set[int]:
    """Those whose minimum fits beside the minima admitted before them, in the order given."""
    inside: set[int] = set()
    for index, want in enumerate(wants):
        if want.max_ma < want.min_ma or want.max_ma == 0:
            continue
        minima = [w.min_ma if i in inside or i == index else 0 for i, w in enumerate(wants)]
        mine = [bound for bound in standing if index in bound.times]
        if all(carried(bound, minima) <= bound.cap_ma for bound in mine):
            inside.add(index)
    return inside


def best_shares(standing: Sequence[Counted], wants: Sequence[Want]) -> list[Fraction]:
    """A level rises from event to event; whoever meets a bound or his maximum stays there."""
    live = let_in(standing, wants)
    share = [Fraction(want.min_ma if i in live else 0) for i, want in enumerate(wants)]
    level = Fraction(0)
    while True:
        for bound in standing:
            if carried(bound, share) >= bound.cap_ma:
                live -= set(bound.times)
        live -= {i for i in live if share[i] >= wants[i].max_ma}
        if not live:
            return share
        rising = {i for i in live if share[i] <= level * wants[i].weight}
        steps = [Fraction(wants[i].max_ma, wants[i].weight) - level for i in rising]
        steps += [share[i] / wants[i].weight - level for i in live - rising]
        for bound in standing:
            rate = sum(wants[i].weight * n for i, n in bound.times.items() if i in rising)
            if rate:
                steps.append((bound.cap_ma - carried(bound, share)) / rate)
        level += min(steps)
        for i in rising:
            share[i] = level * wants[i].weight
