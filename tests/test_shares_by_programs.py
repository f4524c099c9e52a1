"""The product's fair shares against HiGHS, on thousands of small trees; `make oracle`: more."""

import pytest

compare = pytest.importorskip("tests.compare", reason="no SciPy here").compare

TREES = 1000


@pytest.mark.parametrize("block", range(4))
def test_small_trees(block: int) -> None:
    found = compare(range(block * TREES, (block + 1) * TREES), chargers=6, circuits=4)
    assert found.trees == TREES
    assert found.fine, found
    assert found.unclear * 100 <= TREES, found


def test_some_that_are_larger() -> None:
    found = compare(range(100_000, 100_150), chargers=14, circuits=7)
    assert found.fine, found


def test_a_wrong_share_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def two_ma_less(*asked: object) -> list[int]:
        shares: list[int] = right(*asked)
        at = shares.index(max(shares))
        return [share - 2 * (i == at) for i, share in enumerate(shares)]

    right = __import__("tests.compare", fromlist=["fair_shares"]).fair_shares
    monkeypatch.setattr("tests.compare.fair_shares", two_ma_less)
    assert not compare(range(20), chargers=6, circuits=4).fine
