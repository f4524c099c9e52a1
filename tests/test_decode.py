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
NUMERIC = sorted(set(LENGTHS) - {"bool"})
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
        ("int64", (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE), -2),
        ("uint64", (0x8000, 0, 0x0001, 0x0002), 2**63 + 65538),
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
        ("int16", 0x8000, (0x8000,)),
        ("int32", 0x80000000, (0x8000, 0)),
        ("int64", 0x8000000000000000, (0x8000, 0, 0, 0)),
        ("int64", -1, (0xFFFF,) * 4),
        ("uint64", 2**64 - 1, (0xFFFF,) * 4),
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


@pytest.mark.parametrize(
    ("mask", "word", "value"),
    [
        (0x00FF, 0x1234, 0x34),
        (0xFF00, 0x1234, 0x12),
        (0x0040, 0x0040, 1),
        (0x0040, 0xFFBF, 0),
        (0x8001, 0x8001, 0x8001),
    ],
)
def test_a_mask_takes_its_bits_alone(mask: int, word: int, value: int) -> None:
    assert decode(register("uint16", mask=mask), (word,)) == value


def test_a_sentinel_is_looked_for_before_the_mask() -> None:
    shape = register("uint16", mask=0x00FF, sentinels=[0xFFFF])
    assert decode(shape, (0xFFFF,)) is None
    assert decode(shape, (0x00FF,)) == 0xFF


@pytest.mark.parametrize(
    ("half", "word", "text"),
    [("high", 0x4200, "B"), ("low", 0x0042, "B"), ("high", 0x0042, None), ("low", 0x42FF, None)],
)
def test_half_a_word_is_one_character(half: str, word: int, text: str | None) -> None:
    assert decode(register("ascii", len=1, half=half), (word,)) == text


@pytest.mark.parametrize(
    ("exponent", "value"),
    [(0, -7_000), (-2, -70), (2, -700_000), (-4, -1), (-5, 0), (10, -7 * 10**13)],
)
def test_a_scale_factor_is_a_power_of_ten(exponent: int, value: int) -> None:
    assert decode(register("int16", unit="A", scale_factor="x"), (0xFFF9,), exponent) == value


@pytest.mark.parametrize("exponent", [None, 11, -11, -32768, 32767, "2"])
def test_what_is_no_scale_factor_makes_the_value_unknown(exponent: int | str | None) -> None:
    shape = register("int16", unit="A", scale_factor="x")
    assert decode(shape, (0,), exponent) is None


@given(st.integers(-10, 10), st.integers(-32767, 32767), st.sampled_from(SCALES))
def test_scale_factors_round_once_and_exactly(exponent: int, raw: int, scale: str) -> None:
    shape = register("int16", unit="A", scale=float(scale), scale_factor="x")
    exact = Decimal(raw) * Decimal(scale) * Decimal(10) ** exponent * 1000
    value = decode(shape, words_of(">h", raw), exponent)
    assert value == int(exact.to_integral_value(ROUND_HALF_EVEN))


def test_a_coil_is_0_or_1() -> None:
    coil = register("bool", fc=1)
    assert [decode(coil, (bit,)) for bit in (0, 1)] == [0, 1]
    assert [encode(coil, bit) for bit in (0, 1)] == [(0,), (1,)]
    with pytest.raises(ValueError, match="a coil is 0 or 1"):
        decode(coil, (2,))
    with pytest.raises(ValueError, match="a coil is 0 or 1"):
        encode(coil, 2)


@pytest.mark.parametrize(
    "more",
    [{"mask": 0x00FF}, {"scale_factor": "x", "unit": "A"}],
)
def test_what_is_only_read_is_not_written(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="only read"):
        encode(register("uint16", **more), 1000)


@pytest.mark.parametrize(("kind", "value"), [("uint16", -1000), ("uint16", 65_536_000)])
def test_what_does_not_fit_is_not_written(kind: str, value: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode(register(kind, unit="A"), value)
