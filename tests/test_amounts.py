"""Amperes and seconds into whole milliamps and nanoseconds."""

from decimal import Decimal
from fractions import Fraction
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.units import (
    MA_MAX,
    NS_MAX,
    amperes_text,
    milliamps,
    nanoseconds,
    seconds_text,
)


@pytest.mark.parametrize(
    ("amperes", "ma"),
    [
        (0, 0),  # zero means zero
        (16, 16_000),
        (0.1, 100),  # as written, not its nearest binary fraction
        (6.3, 6_300),
        (0.0005, 0),  # half-even
        (0.0015, 2),
        (0.0025, 2),
        (-0.0015, -2),
        (2_147_483, 2_147_483_000),  # the largest whole ampere in an int32
    ],
)
def test_amperes(amperes: float, ma: int) -> None:
    assert milliamps(amperes) == ma


@pytest.mark.parametrize(
    ("seconds", "ns"), [(0.2, 200_000_000), (1e-9, 1), (15, 15_000_000_000), (0.1, 100_000_000)]
)
def test_seconds(seconds: float, ns: int) -> None:
    assert nanoseconds(seconds) == ns


@pytest.mark.parametrize("value", [nan, inf, -inf, 1e30, -1e30, 10**400, MA_MAX])
def test_no_number_beyond_the_core_gets_in(value: float) -> None:
    with pytest.raises(ValueError, match="not a number between"):
        milliamps(value)


@given(st.floats(-2_000_000, 2_000_000))
def test_rounding_is_that_of_exact_arithmetic(amperes: float) -> None:
    exact = Fraction(Decimal(repr(amperes))) * 1000
    assert milliamps(amperes) == round(exact)  # Fraction rounds half-even
    assert abs(milliamps(amperes)) <= MA_MAX


@given(st.integers(-MA_MAX, MA_MAX))
def test_text_of_amperes_is_exact(ma: int) -> None:
    assert Decimal(amperes_text(ma)) * 1000 == ma


@given(st.integers(0, NS_MAX))
def test_text_of_seconds_is_exact(ns: int) -> None:
    assert Decimal(seconds_text(ns)) * 10**9 == ns


@pytest.mark.parametrize(("ma", "text"), [(16_000, "16"), (12_500, "12.5"), (1, "0.001"), (0, "0")])
def test_text_is_short(ma: int, text: str) -> None:
    assert amperes_text(ma) == text
