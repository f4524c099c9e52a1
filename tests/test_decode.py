"""Words in, values out: every type, both word orders, and never a number out of nothing."""

import math
import struct
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decode import WordCountError, decode, encode
from drivers.register import LENGTHS, Register

WORDS = st.integers(0, 0xFFFF)
NUMERIC = sorted(LENGTHS)
SCALES = ("1", "0.1", "0.01", "0.001", "0.0001", "10", "100", "0.25", "3")


def register(kind: str, **more: Any) -> Register:
    return Register.model_validate({"addr": 0, "type": kind, **more})


def words_of(form: str, value: float) -> tuple[int, ...]:
    raw = struct.pack(form, value)
    return struct.unpack(f">{len(raw) // 2}H", raw)


@pytest.mark.parametrize(
    ("kind", "words", "value"),
    [
        ("int16", (0xFFFE,), -2),
        ("uint16", (0xFFFE,), 65534),
        ("int32", (0xFFFF, 0xFFFE), -2),
        ("uint32", (0x0001, 0x0002), 65538),
        ("float32", (0x4154, 0xCCCD), 13),  # 13.3, no unit: to the nearest whole number
        ("float64", (0xC02A, 0x9999, 0x9999, 0x999A), -13),
    ],
)
def test_each_type_and_the_reverse_word_order(
    kind: str, words: tuple[int, ...], value: int
) -> None:
    assert decode(register(kind), words) == value
    assert decode(register(kind, word_order="low_first"), words[::-1]) == value


def test_a_tie_goes_to_the_even_number() -> None:
    assert decode(register("int16", scale=0.0005, unit="A"), (1,)) == 0
    assert decode(register("int16", scale=0.0005, unit="A"), (3,)) == 2
    assert decode(register("int16", scale=0.0005, unit="A"), (0xFFFF,)) == 0
    assert decode(register("int16", scale=0.0005, unit="A"), (0xFFFD,)) == -2


@given(st.integers(-(2**31), 2**31 - 1), st.sampled_from(SCALES))
def test_integers_scale_as_decimals_do(raw: int, scale: str) -> None:
    shape = register("int32", scale=float(scale), unit="A")
    exact = Decimal(raw) * Decimal(scale) * 1000
    assert decode(shape, words_of(">i", raw)) == int(exact.to_integral_value(ROUND_HALF_EVEN))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_scale_exactly(raw: float) -> None:
    shape = register("float32", unit="A")
    assert decode(shape, words_of(">f", raw)) == round(Fraction(raw) * 1000)


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("kind", "form"), [("float32", ">f"), ("float64", ">d")])
def test_what_is_not_finite_is_no_value(raw: float, kind: str, form: str) -> None:
    assert decode(register(kind, unit="A"), words_of(form, raw)) is None


@given(st.sampled_from(["float32", "float64"]), st.data())
def test_every_pattern_of_a_non_finite_float_is_no_value(kind: str, data: st.DataObject) -> None:
    """All exponent bits set, whatever the rest."""
    words = data.draw(st.lists(WORDS, min_size=LENGTHS[kind], max_size=LENGTHS[kind]))
    words[0] |= 0x7F80 if kind == "float32" else 0x7FF0
    assert decode(register(kind, unit="A"), words) is None


@pytest.mark.parametrize(
    ("kind", "sentinel", "words"),
    [
        ("int32", 0x7FFFFFFF, (0x7FFF, 0xFFFF)),
        ("int16", -32768, (0x8000,)),
        ("uint16", 0xFFFF, (0xFFFF,)),
        ("uint32", 0xFFFFFFFF, (0xFFFF, 0xFFFF)),
    ],
)
def test_a_sentinel_is_no_value_and_its_neighbour_is_one(
    kind: str, sentinel: int, words: tuple[int, ...]
) -> None:
    shape = register(kind, sentinels=[sentinel], unit="A")
    assert decode(shape, words) is None
    assert decode(shape, (*words[:-1], words[-1] ^ 1)) is not None


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"C2" + bytes(8), "C2"),
        (b"B1        ", "B1"),
        (bytes(10), None),
        (b"\xff" * 10, None),
        (b"C\x002" + bytes(7), None),
        (b"C2\n" + bytes(7), None),
    ],
)
def test_text_is_printable_or_no_value(raw: bytes, text: str | None) -> None:
    assert decode(register("ascii", len=5), struct.unpack(">5H", raw)) == text


@given(st.sampled_from([*NUMERIC, "ascii"]), st.lists(WORDS, max_size=12), st.booleans())
def test_any_words_give_a_value_or_none_or_are_too_few(
    kind: str, words: list[int], low: bool
) -> None:
    more = {"len": 5} if kind == "ascii" else {"unit": "A"}
    shape = register(kind, word_order="low_first" if low else "high_first", **more)
    if len(words) == shape.length:
        value = decode(shape, words)
        assert value is None or isinstance(value, str if kind == "ascii" else int)
    else:
        with pytest.raises(WordCountError):
            decode(shape, words)


@pytest.mark.parametrize("word", [-1, 0x10000])
def test_what_is_no_word_is_refused(word: int) -> None:
    with pytest.raises(ValueError, match="a word outside"):
        decode(register("int32"), (0, word))


@given(st.sampled_from(NUMERIC), st.integers(0, 30_000), st.booleans())
def test_a_setpoint_reads_back_as_it_was_written(kind: str, whole: int, low: bool) -> None:
    shape = register(kind, unit="A", word_order="low_first" if low else "high_first")
    assert decode(shape, encode(shape, whole * 1000)) == whole * 1000


@given(st.integers(0, 80_000))
def test_every_milliamp_survives_a_float32_register(ma: int) -> None:
    shape = register("float32", unit="A")
    assert decode(shape, encode(shape, ma)) == ma


@given(st.integers(0, 80_000))
def test_an_integer_register_is_never_told_more(ma: int) -> None:
    shape = register("uint16", scale=0.1, unit="A")
    told_ma = decode(shape, encode(shape, ma))
    assert isinstance(told_ma, int)
    assert ma - 100 < told_ma <= ma


@pytest.mark.parametrize(("kind", "value"), [("uint16", -1000), ("uint16", 65_536_000)])
def test_what_does_not_fit_is_not_written(kind: str, value: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode(register(kind, unit="A"), value)
