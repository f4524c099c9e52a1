from collections.abc import Sequence

from cext.rows import Demand, Phases

def fair_shares(
    parents: Sequence[int],
    caps_ma: Sequence[Phases],
    demands: Sequence[Demand],
    sums_ma: Sequence[int | None] | None = None,
) -> list[int]:
    """Exact weighted max-min fair shares in mA, each 0 or within [min, max].

    The minima of those that are `early` go first; then class after class, the lowest rank first:
    its minima, its floors, its shares. Where not all minima fit, demands are admitted in the order
    given. Among those of a class that are admitted, the vector of share / weight is
    lexicographically max-min (first of the floors, then of all) under what every cap on the path
    to the root leaves, on every phase a demand uses. `sums_ma` caps what the three phases of a
    circuit carry together; None: nothing does.
    """

class ShareRun:
    """The same, laid out once and run as often as wanted: what a tick pays for it."""

    def __init__(
        self,
        parents: Sequence[int],
        caps_ma: Sequence[Phases],
        demands: Sequence[Demand],
        sums_ma: Sequence[int | None] | None = None,
    ) -> None: ...
    def run(self) -> None: ...
    def shares_ma(self) -> list[int]:
        """The answers of the last run."""
