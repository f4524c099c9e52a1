"""What the kernel's fair shares are measured against computes the same shares."""

import random

import pytest

from cext.rows import Demand
from tests.oracle.shares import Want, exact_shares

np = pytest.importorskip("numpy")
filling = pytest.importorskip("hil.figures.filling", reason="no SciPy here")


def depot(rng: random.Random) -> tuple[list[int], list[tuple[int, int, int]], list[Want]]:
    """A tree in which all minima fit."""
    parents = [-1, *(rng.randrange(i) for i in range(1, rng.randrange(2, 6)))]
    wants = []
    for _ in range(rng.randrange(1, 9)):
        phases = rng.choice([(0, 1, 2), (1, 2, 0), (rng.randrange(3), -1, -1)])
        least = rng.choice([0, 6_000])
        most = least + rng.randrange(1, 26_000)
        wants.append(Want(rng.randrange(len(parents)), phases, least, most, rng.randrange(1, 4)))
    caps = [tuple(rng.randrange(48_000, 200_000) for _ in range(3)) for _ in parents]
    return parents, caps, wants  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(60))
def test_both_ways_lead_to_the_optimum(seed: int) -> None:
    parents, caps, wants = depot(random.Random(seed))
    best = [float(share) for share in exact_shares(parents, caps, wants)]
    laid = filling.Depot.of(parents, caps, [Demand(*want) for want in wants])
    assert filling.filled(laid) == pytest.approx(best, abs=0.01)
    assert filling.Programs(laid).shares() == pytest.approx(best, abs=0.01)


def test_minima_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="not all minima fit"):
        filling.Depot.of([-1], [(5_000,) * 3], [Demand(0, (0, 1, 2), 6_000, 9_000)])
