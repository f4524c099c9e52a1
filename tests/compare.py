"""The product's fair shares against linear programs solved by HiGHS, on random trees.

`python -m tests.compare --trees 20000` (`make oracle`) says how many trees there were and the
largest difference in mA; exit status 1 when one is above 1 mA, or a share breaks a cap.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

from cext.rows import Demand
from cext.shares import fair_shares
from tests.oracle.programs import lp_shares
from tests.oracle.shares import overloaded
from tests.oracle.trees import graded, random_depot

NEAR_MA = 1.001  # a share is rounded down, and a program is as exact as its doubles
BLOCK = 50


class Compared(NamedTuple):
    """What came of some trees."""

    trees: int
    wishes: int
    unclear: int  # a minimum just fits or just does not: doubles cannot tell
    gap_ma: float  # the largest difference
    worst: int  # seed of that tree
    broken: tuple[int, ...]  # seeds of trees where a share breaks a cap

    def __str__(self) -> str:
        return (
            f"{self.trees} random trees with {self.wishes} wishes: the largest difference is "
            f"{self.gap_ma:.4f} mA (seed {self.worst}); {self.unclear} could not be told; "
            f"{len(self.broken)} broke a cap {list(self.broken[:5]) or ''}".rstrip()
        )

    @property
    def fine(self) -> bool:
        return self.gap_ma <= NEAR_MA and not self.broken


def compare(seeds: Iterable[int], chargers: int, circuits: int) -> Compared:
    """Trees of up to so many chargers and circuits, one for each seed."""
    found = Compared(0, 0, 0, 0.0, -1, ())
    for seed in seeds:
        rng = random.Random(seed)
        depot = random_depot(rng, rng.randint(1, chargers), rng.randint(1, circuits))
        if rng.random() < 0.8:
            depot = graded(rng, depot)
        parents, caps, wants = depot
        shares = fair_shares(parents, caps, [Demand(*want) for want in wants])
        gap_ma, unclear = 0.0, 0
        try:
            right = lp_shares(parents, caps, wants)
        except ArithmeticError:
            unclear = 1
        else:
            gap_ma = max(abs(share - best) for share, best in zip(shares, right, strict=True))
        broken = (seed,) if overloaded(parents, caps, wants, shares) else ()
        one = Compared(1, len(wants), unclear, gap_ma, seed, broken)
        found = _both(found, one)
    return found


def _both(one: Compared, two: Compared) -> Compared:
    worse = max(one, two, key=lambda each: each.gap_ma)
    return Compared(
        one.trees + two.trees,
        one.wishes + two.wishes,
        one.unclear + two.unclear,
        worse.gap_ma,
        worse.worst,
        one.broken + two.broken,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.compare", description=__doc__)
    parser.add_argument("--trees", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first tree")
    parser.add_argument("--chargers", type=int, default=14, help="at most, on a tree")
    parser.add_argument("--circuits", type=int, default=7)
    asked = parser.parse_args()
    last = asked.seed + asked.trees
    blocks = [range(at, min(at + BLOCK, last)) for at in range(asked.seed, last, BLOCK)]
    found = Compared(0, 0, 0, 0.0, -1, ())
    with ProcessPoolExecutor() as pool:
        work = partial(compare, chargers=asked.chargers, circuits=asked.circuits)
        for block in pool.map(work, blocks):
            found = _both(found, block)
    sys.stdout.write(f"{found}\n")
    return 0 if found.fine and found.unclear * 100 <= found.trees else 1


if __name__ == "__main__":
    sys.exit(main())
