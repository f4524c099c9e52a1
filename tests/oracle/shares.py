"""Weighted lexicographic max-min fair shares on a circuit tree: what the answer must be.

Two independent ways to it, slow and plain: exact rational filling, and a sequence of
linear programs (tests/oracle/programs.py). `unproven` checks an answer by its certificate,
whoever computed it.
Currents in mA, one value per phase; negative caps count as 0.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

Triple = tuple[int, int, int]


class Want(NamedTuple):
    """What one charger asks for; -1 stands for a terminal that is not wired."""

    circuit: int
    phases: Triple
    min_ma: int
    max_ma: int
    weight: int = 1


class Wall(NamedTuple):
    """One circuit on one phase: the members' shares together must not exceed its cap."""

    cap_ma: int
    members: frozenset[int]


def walls(parents: Sequence[int], caps: Sequence[Triple], wants: Sequence[Want]) -> list[Wall]:
    """Every wall that stands before at least one of the wants."""
    members: dict[tuple[int, int], set[int]] = {}
    for index, want in enumerate(wants):
        circuit = want.circuit
        while circuit >= 0:
            for phase in set(want.phases) - {-1}:
                members.setdefault((circuit, phase), set()).add(index)
            circuit = parents[circuit]
    return [
        Wall(max(0, caps[circuit][phase]), frozenset(inside))
        for (circuit, phase), inside in members.items()
    ]


def admitted(
    parents: Sequence[int], caps: Sequence[Triple], wants: Sequence[Want]
) -> frozenset[int]:
    """Those whose minimum fits beside the minima admitted before them, in the order given."""
    standing = walls(parents, caps, wants)
    inside: set[int] = set()
    for index, want in enumerate(wants):
        if want.max_ma < want.min_ma:
            continue
        inside.add(index)
        if any(
            sum(wants[i].min_ma for i in wall.members & inside) > wall.cap_ma
            for wall in standing
            if index in wall.members
        ):
            inside.remove(index)
    return frozenset(inside)


def exact_shares(
    parents: Sequence[int], caps: Sequence[Triple], wants: Sequence[Want]
) -> list[Fraction]:
    """The optimum in rationals: a level rises, and whoever meets a wall stays where it is."""
    standing = walls(parents, caps, wants)
    live = set(admitted(parents, caps, wants))
    share = [Fraction(want.min_ma if i in live else 0) for i, want in enumerate(wants)]
    level = Fraction(0)
    while live:
        for wall in standing:
            if sum(share[i] for i in wall.members) == wall.cap_ma:
                live -= wall.members
        live -= {i for i in live if share[i] == wants[i].max_ma}
        rising = {i for i in live if share[i] == level * wants[i].weight}
        events = [Fraction(wants[i].max_ma, wants[i].weight) - level for i in rising]
        events += [share[i] / wants[i].weight - level for i in live - rising]
        for wall in standing:
            rate = sum(wants[i].weight for i in wall.members & rising)
            if rate:
                slack = wall.cap_ma - sum(share[i] for i in wall.members)
                events.append(slack / Fraction(rate))
        if events:
            level += min(events)
            for i in rising:
                share[i] = level * wants[i].weight
    return share


def overloaded(
    parents: Sequence[int], caps: Sequence[Triple], wants: Sequence[Want], shares: Sequence[int]
) -> list[Wall]:
    """The walls that the shares break through, exactly."""
    standing = walls(parents, caps, wants)
    return [wall for wall in standing if sum(shares[i] for i in wall.members) > wall.cap_ma]


def unproven(
    parents: Sequence[int],
    caps: Sequence[Triple],
    wants: Sequence[Want],
    shares: Sequence[Fraction],
) -> list[int]:
    """Those that could have more. Empty exactly when the feasible shares are the optimum.

    The certificate: whoever stays below its maximum has a full wall on which nobody
    above its own minimum stands at a higher level. Raising it would then lower
    somebody who has no more (Bertsekas and Gallager, Data Networks, 6.5.2).
    """
    standing = walls(parents, caps, wants)
    inside = admitted(parents, caps, wants)
    full = [wall for wall in standing if sum(shares[i] for i in wall.members) == wall.cap_ma]

    def held(i: int) -> bool:
        level = shares[i] / wants[i].weight
        return any(
            all(
                shares[j] / wants[j].weight <= level or shares[j] == wants[j].min_ma
                for j in wall.members & inside
            )
            for wall in full
            if i in wall.members
        )

    return [i for i in inside if shares[i] < wants[i].max_ma and not held(i)]
