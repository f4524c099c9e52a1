from collections.abc import Sequence
from typing import NamedTuple

from cext.rows import Phases

class Demand(NamedTuple):
    circuit: int
    phases: Phases  # grid phases used, NO_PHASE where none
    min_ma: int
    max_ma: int
    weight: int = 1

def fair_shares(
    parents: Sequence[int], caps_ma: Sequence[Phases], demands: Sequence[Demand]
) -> list[int]:
    """Exact weighted max-min fair shares in mA, each 0 or within [min, max].

    Where not all minima fit, demands are admitted in the order given. Among those
    admitted, the vector of share / weight is lexicographically max-min under every cap
    on the path to the root, on every phase a demand uses.
    """
