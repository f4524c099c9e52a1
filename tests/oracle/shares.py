"""Weighted lexicographic max-min fair shares on a circuit tree: what the answer must be.

Two independent ways to it, slow and plain: exact rational filling, and a sequence of
linear programs (tests/oracle/programs.py). `unproven` checks an answer by its certificate,
whoever computed it.
Currents in mA, one value per phase; negative caps count as 0.

Who is early gets its minimum before all others. Then class after class: its minima as far as they
fit, then its floors, then its shares, each max-min fair; nobody gives back what he has.
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
    rank: int = 0  # of its class; a lower one has all its shares before
    floor_ma: int = 0  # met before others of its class grow above theirs
    early: bool = False


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


def classes(wants: Sequence[Want]) -> list[tuple[int, list[int]]]:
    """Each class by its rank, the first first, and who of it is not early."""
    return [
        (rank, [i for i, want in enumerate(wants) if want.rank == rank and not want.early])
        for rank in sorted({want.rank for want in wants})
    ]


def let_in(
    standing: Sequence[Wall], wants: Sequence[Want], group: Sequence[int], share: list[Fraction]
) -> set[int]:
    """Those whose minima fit beside all that is shared out, in order; they have it then."""
    inside: set[int] = set()
    for i in group:
        want = wants[i]
        if want.max_ma < want.min_ma:
            continue
        share[i] = Fraction(want.min_ma)
        if any(
            sum(share[j] for j in wall.members) > wall.cap_ma
            for wall in standing
            if i in wall.members
        ):
            share[i] = Fraction(0)
        else:
            inside.add(i)
    return inside


def exact_shares(
    parents: Sequence[int], caps: Sequence[Triple], wants: Sequence[Want]
) -> list[Fraction]:
    """The optimum in rationals: a level rises, and whoever meets a wall stays where it is."""
    standing = walls(parents, caps, wants)
    share = [Fraction(0)] * len(wants)
    early = [i for i, want in enumerate(wants) if want.early]
    inside = let_in(standing, wants, early, share)
    for rank, group in classes(wants):
        inside |= let_in(standing, wants, group, share)
        members = {i for i in inside if wants[i].rank == rank}
        fill(standing, wants, members, share, [min(w.floor_ma, w.max_ma) for w in wants])
        fill(standing, wants, members, share, [w.max_ma for w in wants])
    return share


def fill(
    standing: Sequence[Wall],
    wants: Sequence[Want],
    members: set[int],
    share: list[Fraction],
    goals: Sequence[int],
) -> None:
    """Grows the members' shares from where they stand, none beyond its goal."""
    live = {i for i in members if share[i] < goals[i]}
    level = Fraction(0)
    while live:
        for wall in standing:
            if sum(share[i] for i in wall.members) == wall.cap_ma:
                live -= wall.members
        live -= {i for i in live if share[i] >= goals[i]}
        rising = {i for i in live if share[i] == level * wants[i].weight}
        events = [Fraction(goals[i], wants[i].weight) - level for i in rising]
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
    """Those that could have more. Empty exactly when the feasible shares are the optimum, where
    the right ones are admitted.

    The certificate: whoever stays below its maximum has a full wall on which nobody of its class
    above its own minimum or floor stands at a higher level (below its own floor: on which nobody
    has more than a minimum or a floor), and nobody of a later class has anything but an early
    minimum. Raising it would then lower somebody who has no more, or goes before it (Bertsekas
    and Gallager, Data Networks, 6.5.2).
    """
    standing = walls(parents, caps, wants)
    inside = {i for i, w in enumerate(wants) if shares[i] > 0 or (w.min_ma == 0 and w.max_ma >= 0)}
    full = [wall for wall in standing if sum(shares[i] for i in wall.members) == wall.cap_ma]

    def keeps(i: int, j: int) -> bool:
        """Whether `i` may not have more at the cost of `j`."""
        if wants[j].rank != wants[i].rank:
            least_ma = wants[j].min_ma if wants[j].early else 0
            return wants[j].rank < wants[i].rank or shares[j] == least_ma
        no_higher = shares[j] / wants[j].weight <= shares[i] / wants[i].weight
        if shares[i] < wants[i].floor_ma:
            return shares[j] == wants[j].min_ma or (no_higher and shares[j] <= wants[j].floor_ma)
        return no_higher or shares[j] <= max(wants[j].min_ma, wants[j].floor_ma)

    def held(i: int) -> bool:
        return any(
            all(keeps(i, j) for j in wall.members & inside) for wall in full if i in wall.members
        )

    return [i for i in inside if shares[i] < wants[i].max_ma and not held(i)]
