"""Steps that rounding leaves: used, within every cap, and going round by turn."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.bays import BAY, Row, S, bays


@pytest.mark.parametrize(
    ("cap_a", "keys"),
    [(44, {}), (44, {"below": 2}), (100, {"together_ma": 3 * 44_000})],
    ids=["one circuit", "two circuits above", "three phases together"],
)
def test_left_over_steps_are_used_and_go_round(cap_a: int, keys: dict[str, int]) -> None:
    row = Row(cap_a, bays(4, step_ma=4000, min_ma=8000), **keys)
    row.run(60)
    first = [row.offered(i) for i in range(4)]
    assert sorted(first) == [8000, 12_000, 12_000, 12_000]
    seen = {first.index(8000)}
    for _ in range(4):
        row.run(900)
        now = [row.offered(i) for i in range(4)]
        assert sorted(now) == [8000, 12_000, 12_000, 12_000]
        seen.add(now.index(8000))
    assert len(seen) >= 3, seen
    changes = [sum(a != b for a, b in pairwise(offers)) for offers in row.offers]
    assert max(changes) <= 3 + 2 * 4, "a step changes hands once in a turn"


def test_left_over_steps_break_no_cap() -> None:
    for cap_a in range(12, 60, 5):
        row = Row(cap_a, bays(4, step_ma=3000))
        row.run(60)
        assert sum(row.offered(i) for i in range(4)) <= cap_a * 1000
        if all(12_000 <= row.offered(i) < 30_000 for i in range(4)):
            assert sum(row.offered(i) for i in range(4)) > cap_a * 1000 - 3000


def test_left_over_steps_go_to_who_takes_them() -> None:
    """A paced one writes for 2 A and more. The step of 1 A that is left is another's."""
    slow = BAY._replace(write_gap_ns=5 * S)
    row = Row(33, [slow, slow, BAY, BAY], base_step_ma=0)
    row.base_ma = 1000
    row.run(200)
    assert [row.offered(i) for i in range(4)] == [8000] * 4
    row.base_ma = 0
    row.run(200)
    assert sorted(row.offered(i) for i in range(4)) == [8000, 8000, 8000, 9000]


def test_left_over_steps_stay_where_they_are_over_a_new_document() -> None:
    row = Row(44, bays(4, step_ma=4000, min_ma=8000))
    row.run(960)
    had = [row.offered(i) for i in range(4)]
    assert had.index(8000) != 3, "they went round once"
    after = Row(44, bays(4, step_ma=4000, min_ma=8000))
    after.kernel.adopt(row.kernel, {0: 0}, {0: 0}, {i: i for i in range(4)}, {})
    after.now_ns = row.now_ns
    after.run(60)
    assert [after.offered(i) for i in range(4)] == had
