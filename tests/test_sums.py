"""Fair shares where the three phases of a circuit are bounded together, too: to 1 mA."""

import random
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.rows import Demand
from cext.shares import fair_shares
from tests.oracle.shares import Triple, Want
from tests.oracle.sums import best_shares, bounds, carried
from tests.oracle.trees import ROTATIONS, SUBSETS, random_depot
from tests.test_shares import THREE, flat

INT32_MAX = 2**31 - 1
Sums = list[int | None]


def check(
    parents: Sequence[int], caps: Sequence[Triple], sums: Sums, wants: Sequence[Want]
) -> list[int]:
    """What the product answers, after it was held against the oracle."""
    shares = fair_shares(parents, caps, [Demand(*want) for want in wants], sums)
    standing = bounds(parents, caps, sums, wants)
    best = best_shares(standing, wants)
    assert [bound for bound in standing if carried(bound, shares) > bound.cap_ma] == []
    for want, share in zip(wants, shares, strict=True):
        assert share == 0 or want.min_ma <= share <= want.max_ma
    gaps = [abs(share - right) for share, right in zip(shares, best, strict=True)]
    assert max(gaps, default=Fraction(0)) <= 1, list(zip(shares, map(float, best), strict=True))
    return shares


BY_HAND: list[tuple[str, list[int], list[Triple], Sums, list[Want], list[int]]] = [
    (
        "one phase each: the sum is shared like a phase",
        [-1],
        [flat(99_000)],
        [30_000],
        [Want(0, (phase, -1, -1), 0, 32_000) for phase in range(3)],
        [10_000] * 3,
    ),
    (
        "three phases count three times",
        [-1],
        [flat(99_000)],
        [40_000],
        [Want(0, THREE, 0, 32_000), Want(0, (1, -1, -1), 0, 32_000)],
        [10_000, 10_000],
    ),
    (
        "who has his maximum leaves the rest to the others",
        [-1],
        [flat(99_000)],
        [40_000],
        [Want(0, THREE, 0, 8000), Want(0, (1, -1, -1), 0, 32_000)],
        [8000, 16_000],
    ),
    (
        "a phase may be full before the sum",
        [-1],
        [(10_000, 99_000, 99_000)],
        [50_000],
        [Want(0, (0, -1, -1), 0, 32_000), Want(0, (1, 2, -1), 0, 32_000)],
        [10_000, 20_000],
    ),
    (
        "a minimum counts as often as it has phases",
        [-1],
        [flat(99_000)],
        [20_000],
        [Want(0, THREE, 6000, 32_000), Want(0, (1, -1, -1), 6000, 32_000)],
        [6666, 0],
    ),
    (
        "two minima where the second has one phase only",
        [-1],
        [flat(99_000)],
        [24_000],
        [Want(0, THREE, 6000, 32_000), Want(0, (1, -1, -1), 6000, 32_000)],
        [6000, 6000],
    ),
    (
        "below a parent that bounds its phases only",
        [-1, 0, 0],
        [flat(40_000), flat(99_000), flat(99_000)],
        [None, 30_000, None],
        [Want(1, THREE, 0, 32_000), Want(2, THREE, 0, 32_000)],
        [10_000, 30_000],
    ),
    ("zero means zero", [-1], [flat(99_000)], [0], [Want(0, THREE, 0, 32_000)], [0]),
    ("a negative sum is no room", [-1], [flat(9000)], [-5], [Want(0, THREE, 0, 9000)], [0]),
]


@pytest.mark.parametrize("row", BY_HAND, ids=[row[0] for row in BY_HAND])
def test_what_a_person_calculates(
    row: tuple[str, list[int], list[Triple], Sums, list[Want], list[int]],
) -> None:
    _, parents, caps, sums, wants, expected = row
    assert check(parents, caps, sums, wants) == expected


def random_sums(rng: random.Random, caps: Sequence[Triple]) -> Sums:
    """Often none, often less than what the phases carry, sometimes more."""
    return [
        None
        if rng.random() < 0.4
        else int(sum(map(abs, cap)) * rng.choice([0, 0.2, 0.6, 1.0, 1.3]))
        for cap in caps
    ]


@pytest.mark.parametrize("seed", range(300))
def test_random_depots(seed: int) -> None:
    rng = random.Random(7_000_000 + seed)
    parents, caps, wants = random_depot(rng, rng.randrange(1, 31), rng.randrange(1, 10))
    check(parents, caps, random_sums(rng, caps), wants)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_any_depot(data: st.DataObject) -> None:
    circuits = data.draw(st.integers(1, 5))
    parents = [-1] + [data.draw(st.integers(0, i - 1)) for i in range(1, circuits)]
    one = st.one_of(st.integers(-10, 100), st.integers(0, 200_000))
    caps = [data.draw(st.tuples(one, one, one)) for _ in range(circuits)]
    some = st.one_of(st.none(), st.integers(-10, 300), st.integers(0, 600_000))
    want = st.builds(
        Want,
        st.integers(0, circuits - 1),
        st.sampled_from(ROTATIONS + SUBSETS),
        st.one_of(st.just(6000), st.integers(0, 40)),
        st.one_of(st.just(32_000), st.integers(0, 80_000)),
        st.one_of(st.just(1), st.integers(1, 1000)),
        *map(st.just, (0, 0, False)),
    )
    wants = data.draw(st.lists(want, max_size=8))
    check(parents, caps, [data.draw(some) for _ in range(circuits)], wants)


def test_a_sum_that_the_phases_cannot_reach_changes_nothing() -> None:
    for seed in range(40):
        rng = random.Random(seed)
        parents, caps, wants = random_depot(rng, 20, 6)
        demands = [Demand(*want) for want in wants]
        roomy: Sums = [sum(max(0, ma) for ma in cap) for cap in caps]
        assert fair_shares(parents, caps, demands, roomy) == fair_shares(parents, caps, demands)


def test_values_at_the_edge_of_int32() -> None:
    huge = [Want(0, THREE, 0, INT32_MAX, weight) for weight in (1, 1000, 1, 999)]
    for together in (INT32_MAX, 3 * INT32_MAX, 2**33, 0, -(2**33)):
        check([-1], [flat(INT32_MAX)], [together], huge)
    check([-1, 0], [flat(INT32_MAX)] * 2, [None, 9], [Want(1, THREE, INT32_MAX, INT32_MAX)] * 3)


@pytest.mark.parametrize("narrow", range(10))
def test_one_charger_under_ten_levels(narrow: int) -> None:
    sums: Sums = [None] * 10
    sums[narrow] = 21_005
    parents = list(range(-1, 9))
    assert check(parents, [flat(50_000)] * 10, sums, [Want(9, THREE, 6000, 32_000)]) == [7001]
    two = [Want(9, (2, -1, 0), 6000, 32_000)]
    assert check(parents, [flat(50_000)] * 10, sums, two) == [10_502]


@pytest.mark.parametrize("sums", [[], [1, 2], [2**33 + 1], [-(2**33) - 1]])
def test_what_makes_no_sense_is_refused(sums: Sums) -> None:
    with pytest.raises(ValueError, match="sum"):
        fair_shares([-1], [flat(1)], [Demand(0, THREE, 0, 1)], sums)
