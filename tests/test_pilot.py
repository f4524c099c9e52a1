"""Duty cycles of the pilot against the formulas of IEC 61851-1, and never more than was asked."""

from fractions import Fraction

import pytest

from drivers.pilot import DUTY_MAX_MA, duty_pct, permitted_ma


@pytest.mark.parametrize(
    ("ma", "pct"),
    [
        (6_000, "10"),
        (16_000, "80/3"),
        (32_000, "160/3"),
        (51_000, "85"),
        (63_000, "446/5"),
        (80_000, "96"),
        (100_000, "96"),
        (0, "100"),
        (5_999, "100"),
    ],
)
def test_a_current_is_this_duty_cycle(ma: int, pct: str) -> None:
    assert duty_pct(ma) == Fraction(pct)


@pytest.mark.parametrize(
    ("pct", "ma"),
    [
        ("5", DUTY_MAX_MA),  # digital communication: any current
        ("8", 6_000),
        ("10", 6_000),
        ("80/3", 16_000),
        ("85", 51_000),
        ("90", 65_000),
        ("96", 80_000),
        ("97", 80_000),
        ("98", 0),
        ("100", 0),
    ],
)
def test_a_duty_cycle_permits_this_current(pct: str, ma: int) -> None:
    assert permitted_ma(Fraction(pct)) == ma


def test_what_is_written_in_whole_steps_never_permits_more() -> None:
    for step in (Fraction(1), Fraction(1, 10), Fraction(1, 100)):
        for ma in range(0, 80_001, 50):
            steps = duty_pct(ma) / step
            written = steps.numerator // steps.denominator * step
            permitted = permitted_ma(written)
            assert permitted is not None
            assert permitted <= ma
