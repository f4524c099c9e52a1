from collections.abc import Sequence

from cext.rows import Demand as Demand
from cext.rows import Phases

def fair_shares(
    parents: Sequence[int], caps_ma: Sequence[Phases], demands: Sequence[Demand]
) -> list[int]:
    """Exact weighted max-min fair shares in mA, each 0 or within [min, max].

    Where not all minima fit, demands are admitted in the order given. Among those
    admitted, the vector of share / weight is lexicographically max-min under every cap
    on the path to the root, on every phase a demand uses.
    """
