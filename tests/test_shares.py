"""The product's fair shares against the oracle's, to 1 mA; never above a cap, to the mA."""

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.rows import Demand
from cext.shares import fair_shares
from tests.oracle.shares import Triple, Want, exact_shares, overloaded, unproven
from tests.oracle.trees import ROTATIONS, SUBSETS, Case, graded, random_depot

INT32_MAX = 2**31 - 1
THREE = (0, 1, 2)
Programs = Callable[[list[int], list[Triple], list[Want]], list[float]]


@pytest.fixture
def lp_shares() -> Any:
    """By SciPy, which need not be wherever the kernel is tested."""
    return pytest.importorskip("tests.oracle.programs", reason="no SciPy here").lp_shares


def flat(ma: int) -> Triple:
    return ma, ma, ma


def check(parents: list[int], caps: list[Triple], wants: list[Want]) -> list[int]:
    """What the product answers, after it was held against the oracle."""
    shares = fair_shares(parents, caps, [Demand(*want) for want in wants])
    best = exact_shares(parents, caps, wants)
    assert unproven(parents, caps, wants, best) == []
    assert overloaded(parents, caps, wants, shares) == []
    assert all(type(share) is int for share in shares)
    for want, share in zip(wants, shares, strict=True):
        assert share == 0 or want.min_ma <= share <= want.max_ma
    gaps = [abs(share - right) for share, right in zip(shares, best, strict=True)]
    assert max(gaps, default=Fraction(0)) <= 1, [
        (i, shares[i], float(best[i])) for i, gap in enumerate(gaps) if gap > 1
    ]
    return shares


# -- the oracle itself, against what a person calculates ------------------------------------

BY_HAND: list[tuple[str, list[int], list[Triple], list[Want], list[Fraction]]] = [
    ("nobody", [-1], [flat(100)], [], []),
    (
        "a third each",
        [-1],
        [flat(100)],
        [Want(0, THREE, 0, 100)] * 3,
        [Fraction(100, 3)] * 3,
    ),
    (
        "weights 1 and 3",
        [-1],
        [flat(40_000)],
        [Want(0, THREE, 0, 99_000, 1), Want(0, THREE, 0, 99_000, 3)],
        [Fraction(10_000), Fraction(30_000)],
    ),
    (
        "what one cannot use the others take",
        [-1],
        [flat(60_000)],
        [Want(0, THREE, 6000, 10_000), *[Want(0, THREE, 6000, 32_000)] * 2],
        [Fraction(10_000), Fraction(25_000), Fraction(25_000)],
    ),
    (
        "a minimum above its fair share is paid by the others",
        [-1],
        [flat(30_000)],
        [Want(0, THREE, 16_000, 32_000), *[Want(0, THREE, 6000, 32_000)] * 2],
        [Fraction(16_000), Fraction(7000), Fraction(7000)],
    ),
    (
        "the narrow child first, the rest to its neighbour",
        [-1, 0, 0],
        [flat(50_000), flat(20_000), flat(99_000)],
        [Want(1, THREE, 6000, 32_000), Want(1, THREE, 6000, 32_000), Want(2, THREE, 6000, 32_000)],
        [Fraction(10_000), Fraction(10_000), Fraction(30_000)],
    ),
    (
        "the third minimum does not fit, the smaller fourth does",
        [-1],
        [flat(20_000)],
        [*[Want(0, THREE, 7000, 32_000)] * 3, Want(0, THREE, 6000, 32_000)],
        [Fraction(7000), Fraction(7000), Fraction(0), Fraction(6000)],
    ),
    (
        "one phase full does not hold the others down",
        [-1],
        [(10_000, 30_000, 30_000)],
        [Want(0, (0, -1, -1), 6000, 32_000), Want(0, (1, -1, -1), 6000, 32_000)],
        [Fraction(10_000), Fraction(30_000)],
    ),
    (
        "a three-phase charger is held by its fullest phase",
        [-1],
        [flat(32_000)],
        [Want(0, (2, 0, 1), 6000, 32_000), Want(0, (1, -1, -1), 6000, 32_000)],
        [Fraction(16_000), Fraction(16_000)],
    ),
    (
        "a maximum below the minimum gets nothing",
        [-1],
        [flat(32_000)],
        [Want(0, THREE, 6000, 5999), Want(0, THREE, 6000, 32_000)],
        [Fraction(0), Fraction(32_000)],
    ),
    (
        "strict: the first class has all it can use, the next one what is left",
        [-1],
        [flat(49_000)],
        [
            *[Want(0, THREE, 6000, 32_000, rank=1)] * 3,
            Want(0, THREE, 6000, 32_000),
        ],
        [Fraction(8500), Fraction(8500), Fraction(0), Fraction(32_000)],
    ),
    (
        "who is early has its minimum before the first class, and no more",
        [-1],
        [flat(40_000)],
        [Want(0, THREE, 6000, 32_000, rank=1, early=True), *[Want(0, THREE, 6000, 32_000)] * 2],
        [Fraction(6000), Fraction(17_000), Fraction(17_000)],
    ),
    (
        "a floor is met before the others grow, but not before they have their minima",
        [-1],
        [flat(30_000)],
        [Want(0, THREE, 6000, 32_000, floor_ma=20_000), *[Want(0, THREE, 6000, 32_000)] * 2],
        [Fraction(18_000), Fraction(6000), Fraction(6000)],
    ),
    (
        "once a floor is met the others grow up to it",
        [-1],
        [flat(60_000)],
        [Want(0, THREE, 6000, 32_000, floor_ma=24_000), *[Want(0, THREE, 6000, 32_000)] * 2],
        [Fraction(24_000), Fraction(18_000), Fraction(18_000)],
    ),
    (
        "two floors that do not both fit are met alike",
        [-1],
        [flat(40_000)],
        [
            *[Want(0, THREE, 6000, 32_000, floor_ma=20_000)] * 2,
            Want(0, THREE, 6000, 32_000),
        ],
        [Fraction(17_000), Fraction(17_000), Fraction(6000)],
    ),
    (
        "a floor counts in its own class only",
        [-1],
        [flat(40_000)],
        [Want(0, THREE, 6000, 32_000, 1, 1, 16_000), Want(0, THREE, 6000, 32_000)],
        [Fraction(8000), Fraction(32_000)],
    ),
    (
        "a negative cap is no room",
        [-1],
        [flat(-5)],
        [Want(0, THREE, 0, 10), Want(0, THREE, 1, 10)],
        [Fraction(0), Fraction(0)],
    ),
]


@pytest.mark.parametrize(
    ("parents", "caps", "wants", "expected"),
    [row[1:] for row in BY_HAND],
    ids=[r[0] for r in BY_HAND],
)
def test_oracle_agrees_with_hand_calculation(
    parents: list[int], caps: list[Triple], wants: list[Want], expected: list[Fraction]
) -> None:
    assert exact_shares(parents, caps, wants) == expected
    assert unproven(parents, caps, wants, expected) == []


@pytest.mark.parametrize("row", BY_HAND, ids=[r[0] for r in BY_HAND])
def test_product_agrees_with_hand_calculation(row: Any) -> None:
    *depot, expected = row[1:]
    shares = check(*depot)
    assert all(0 <= right - share < 1 for share, right in zip(shares, expected, strict=True))


@pytest.mark.parametrize("row", BY_HAND, ids=[r[0] for r in BY_HAND])
def test_linear_programs_agree_with_hand_calculation(row: Any, lp_shares: Programs) -> None:
    *depot, expected = row[1:]
    assert lp_shares(*depot) == pytest.approx([float(e) for e in expected], abs=1e-3)


def test_certificate_finds_a_share_that_could_be_higher() -> None:
    wants = [Want(0, THREE, 6000, 32_000)] * 2
    unfair = [Fraction(12_000), Fraction(18_000)]
    assert unproven([-1], [flat(30_000)], wants, unfair) == [0]
    idle = [Fraction(12_000), Fraction(12_000)]
    assert unproven([-1], [flat(30_000)], wants, idle) == [0, 1]
    assert overloaded([-1], [flat(30_000)], wants, [15_000, 15_001])


# -- random depots -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(400))
def test_random_depots(seed: int) -> None:
    rng = random.Random(seed)
    check(*random_depot(rng, rng.randrange(1, 41), rng.randrange(1, 13)))


@pytest.mark.parametrize("seed", range(400))
def test_random_depots_with_classes_and_advice(seed: int) -> None:
    rng = random.Random(10_000 + seed)
    check(*graded(rng, random_depot(rng, rng.randrange(1, 31), rng.randrange(1, 9))))


@st.composite
def depots(draw: st.DrawFn) -> Case:
    circuits = draw(st.integers(1, 6))
    parents = [-1] + [draw(st.integers(0, i - 1)) for i in range(1, circuits)]
    one_cap = st.one_of(st.integers(-10, 100), st.integers(0, 200_000))
    caps = [draw(st.tuples(one_cap, one_cap, one_cap)) for _ in range(circuits)]
    wants = draw(
        st.lists(
            st.builds(
                Want,
                st.integers(0, circuits - 1),
                st.sampled_from(ROTATIONS + SUBSETS),
                st.one_of(st.just(6000), st.integers(0, 40)),
                st.one_of(st.just(32_000), st.integers(0, 80_000)),
                st.one_of(st.just(1), st.integers(1, 1000)),
                st.sampled_from([0, 0, 1, 100]),
                st.sampled_from([0, 0, 10, 20_000]),
                st.sampled_from([False, False, True]),
            ),
            max_size=10,
        )
    )
    return parents, caps, wants


@settings(max_examples=300, deadline=None, derandomize=True)
@given(depots())
def test_any_depot(depot: Case) -> None:
    check(*depot)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(depots(), st.randoms(use_true_random=False))
def test_order_matters_only_for_admission(depot: Case, rng: random.Random) -> None:
    parents, caps, wants = depot
    small = [want._replace(min_ma=0, early=False) for want in wants]
    order = list(range(len(small)))
    rng.shuffle(order)
    straight = check(parents, caps, small)
    shuffled = check(parents, caps, [small[i] for i in order])
    assert all(abs(straight[i] - share) <= 1 for i, share in zip(order, shuffled, strict=True))


@pytest.mark.parametrize("cap_ma", [70_000, 200_000, 500_000])
def test_many_between_two_that_want_the_same(cap_ma: int) -> None:
    """Levels are sorted digit by digit: the first and the last do not say where they differ."""
    middle = [Want(0, THREE, 0, 30_000 - 613 * i) for i in range(40)]
    same = Want(0, THREE, 0, 17_000)
    check([-1], [flat(cap_ma)], [same, *middle, same])


# -- edges ------------------------------------------------------------------------------------


def test_no_chargers() -> None:
    assert fair_shares([-1], [flat(1000)], []) == []


def test_no_room() -> None:
    assert check([-1], [flat(0)], [Want(0, THREE, 6000, 32_000)] * 5) == [0] * 5


def test_minimum_that_fits_exactly() -> None:
    assert check([-1], [flat(12_000)], [Want(0, THREE, 6000, 32_000)] * 2) == [6000, 6000]
    assert check([-1], [flat(11_999)], [Want(0, THREE, 6000, 32_000)] * 2) == [11_999, 0]


@pytest.mark.parametrize("spare", range(-3, 4))
@pytest.mark.parametrize("full", [0, 1, 2])
def test_maxima_that_nearly_fill_a_circuit(spare: int, full: int) -> None:
    """To the milliamp: a circuit that can never be full is left out."""
    parents, caps = [-1, 0, 1], [flat(99_000)] * 3
    caps[full] = (99_000, 64_000 + spare, 99_000)
    check(parents, caps, [Want(2, THREE, 6000, 32_000), Want(2, THREE, 0, 32_000, 3)])


@pytest.mark.parametrize("narrow", range(10))
def test_one_charger_under_ten_levels(narrow: int) -> None:
    caps = [flat(50_000)] * 10
    caps[narrow] = (40_000, 7001, 40_000)
    parents = list(range(-1, 9))
    assert check(parents, caps, [Want(9, (2, 0, 1), 6000, 32_000)]) == [7001]
    assert check(parents, caps, [Want(9, (2, -1, 0), 6000, 32_000)]) == [32_000]


def test_equal_wants_get_equal_shares() -> None:
    shares = check([-1], [flat(100_000)], [Want(0, THREE, 6000, 32_000)] * 7)
    assert max(shares) - min(shares) <= 1


def test_weights_from_one_to_a_thousand() -> None:
    wants = [Want(0, THREE, 0, 500_000, weight) for weight in (1, 10, 100, 1000)]
    assert check([-1], [flat(1111 * 250)], wants) == [250, 2500, 25_000, 250_000]


def test_values_at_the_edge_of_int32() -> None:
    huge = [Want(0, THREE, 0, INT32_MAX, weight) for weight in (1, 1000, 1, 999)]
    check([-1], [flat(INT32_MAX)], huge)
    check([-1, 0], [flat(INT32_MAX)] * 2, [Want(1, THREE, INT32_MAX, INT32_MAX)] * 3)
    check([-1], [flat(INT32_MAX)], [Want(0, THREE, 6000, INT32_MAX, 1000)] * 40)
    check([-1], [flat(-INT32_MAX - 1)], [Want(0, THREE, 0, INT32_MAX)] * 2)


def test_every_circuit_is_a_wall_even_without_its_own_chargers() -> None:
    parents, caps = [-1, 0, 1], [flat(99_000), flat(20_000), flat(99_000)]
    assert check(parents, caps, [Want(2, THREE, 6000, 32_000)] * 2) == [10_000, 10_000]


@pytest.mark.parametrize(
    ("parents", "caps", "demand"),
    [
        ([-1], [flat(1)], Demand(1, THREE, 0, 1)),  # no such circuit
        ([-1], [flat(1)], Demand(-1, THREE, 0, 1)),
        ([-1], [flat(1)], Demand(0, (0, 1, 3), 0, 1)),  # no such phase
        ([-1], [flat(1)], Demand(0, (0, 0, 1), 0, 1)),  # one phase twice
        ([-1], [flat(1)], Demand(0, THREE, 0, 1, 0)),  # no weight
        ([-1], [flat(1)], Demand(0, THREE, -1, 1)),
        ([-1], [flat(1)], Demand(0, THREE, 0, 1, 1, -1)),  # no such class
        ([-1], [flat(1)], Demand(0, THREE, 0, 1, 1, 101)),
        ([-1], [flat(1)], Demand(0, THREE, 0, 1, 1, 0, -1)),  # a floor below nothing
        ([0], [flat(1)], Demand(0, THREE, 0, 1)),  # its own parent
        ([-1, 2, 1], [flat(1)] * 3, Demand(0, THREE, 0, 1)),  # a cycle
        ([-1, 0], [flat(1)], Demand(0, THREE, 0, 1)),  # a circuit without caps
    ],
)
def test_what_makes_no_sense_is_refused(
    parents: list[int], caps: list[Triple], demand: Demand
) -> None:
    with pytest.raises(ValueError):
        fair_shares(parents, caps, [demand])
