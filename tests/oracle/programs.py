"""Fair shares by linear programs: the other way to what the answer must be. Needs SciPy."""

from collections.abc import Sequence

from scipy.optimize import linprog

from tests.oracle.shares import Triple, Wall, Want, classes, walls

NEAR_MA = 1e-3  # so far off a program's answer may be


def lp_shares(parents: Sequence[int], caps: Sequence[Triple], wants: Sequence[Want]) -> list[float]:
    """The optimum by linear programs: raise the lowest level, fix what its duals hold down.

    Raises ArithmeticError where a minimum fits or does not by less than a program can tell.
    """
    standing = walls(parents, caps, wants)
    share = [0.0] * len(wants)
    early = [i for i, want in enumerate(wants) if want.early]
    inside = _let_in(standing, wants, early, share)
    for rank, group in classes(wants):
        inside |= _let_in(standing, wants, group, share)
        members = sorted(i for i in inside if wants[i].rank == rank)
        if any(wants[i].floor_ma for i in members):
            _raise(standing, wants, members, share, [min(w.floor_ma, w.max_ma) for w in wants])
        _raise(standing, wants, members, share, [w.max_ma for w in wants])
    return share


def _let_in(
    standing: Sequence[Wall], wants: Sequence[Want], group: Sequence[int], share: list[float]
) -> set[int]:
    inside = set()
    for i in group:
        want = wants[i]
        rooms = [
            wall.cap_ma - sum(share[j] for j in wall.members)
            for wall in standing
            if i in wall.members
        ]
        spare = min(rooms, default=0.0) - want.min_ma
        if want.max_ma < want.min_ma or spare < -0.5:
            continue
        if spare < -NEAR_MA:
            raise ArithmeticError(f"{spare} mA are left beside a minimum: nobody can tell")
        share[i] = float(want.min_ma)
        inside.add(i)
    return inside


def _raise(
    standing: Sequence[Wall],
    wants: Sequence[Want],
    members: Sequence[int],
    share: list[float],
    goals: Sequence[int],
) -> None:
    """Grows the members' shares from where they stand; the others' stay."""
    rooms = [
        max(0.0, wall.cap_ma - sum(share[i] for i in wall.members if i not in members))
        for wall in standing
    ]
    low = {i: share[i] for i in members}
    high = {i: max(share[i], float(goals[i])) for i in members}
    live = [i for i in members if low[i] < high[i]]
    while live:
        rows = [[float(i in wall.members) for i in members] + [0.0] for wall in standing]
        rows += [[-float(i == j) for j in members] + [float(wants[i].weight)] for i in live]
        found = linprog(
            [0.0] * len(members) + [-1.0],
            A_ub=rows,
            b_ub=rooms + [0.0] * len(live),
            bounds=[(low[i], high[i]) for i in members] + [(0.0, None)],
            method="highs",
        )
        if not found.success:
            raise ArithmeticError(f"no optimum: {found.message}")
        held = [-float(dual) for dual in found.ineqlin.marginals[len(standing) :]]
        for i, dual in zip(list(live), held, strict=True):
            if dual * wants[i].weight > max(held) * 1e-6:
                value = float(found.x[members.index(i)])
                low[i] = high[i] = min(max(value - 1e-7, low[i]), high[i])
                live.remove(i)
    for i in members:
        share[i] = low[i]
