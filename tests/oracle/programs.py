"""Fair shares by linear programs: the other way to what the answer must be. Needs SciPy."""

from collections.abc import Sequence

from scipy.optimize import linprog

from tests.oracle.shares import Triple, Want, admitted, walls


def lp_shares(parents: Sequence[int], caps: Sequence[Triple], wants: Sequence[Want]) -> list[float]:
    """The optimum by linear programs: raise the lowest level, fix what its duals hold down."""
    standing = walls(parents, caps, wants)
    inside = sorted(admitted(parents, caps, wants))
    low = {i: float(wants[i].min_ma) for i in inside}
    high = {i: float(wants[i].max_ma) for i in inside}
    live = list(inside)
    while live:
        rows = [[float(i in wall.members) for i in inside] + [0.0] for wall in standing]
        rows += [[-float(i == j) for j in inside] + [float(wants[i].weight)] for i in live]
        found = linprog(
            [0.0] * len(inside) + [-1.0],
            A_ub=rows,
            b_ub=[float(wall.cap_ma) for wall in standing] + [0.0] * len(live),
            bounds=[(low[i], high[i]) for i in inside] + [(0.0, None)],
            method="highs",
        )
        if not found.success:
            raise ArithmeticError(f"no optimum: {found.message}")
        held = [-float(dual) for dual in found.ineqlin.marginals[len(standing) :]]
        for i, dual in zip(list(live), held, strict=True):
            if dual * wants[i].weight > max(held) * 1e-6:
                value = float(found.x[inside.index(i)])
                low[i] = high[i] = min(max(value - 1e-7, low[i]), high[i])
                live.remove(i)
    return [low.get(i, 0.0) for i in range(len(wants))]
