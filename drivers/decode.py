"""Words in, values out, and a setpoint's way back into words. Pure: no device, no time.

A value with a unit comes as whole thousandths of it (mA, mV, mW, mWh, ms), one without as the
raw number, text as text, a coil as 0 or 1. What the device marks as unknown is None, never a
number. Integers are scaled in integers; floats through their exact ratio. Rounding is half-even.
"""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, isfinite

from drivers.pilot import duty_pct, permitted_ma
from drivers.register import BITS, Duty, Power, Register

Value = int | str | None

_FORMS = {
    "int16": struct.Struct(">h"),
    "uint16": struct.Struct(">H"),
    "int32": struct.Struct(">i"),
    "uint32": struct.Struct(">I"),
    "int64": struct.Struct(">q"),
    "uint64": struct.Struct(">Q"),
    "float32": struct.Struct(">f"),
    "float64": struct.Struct(">d"),
}

_WORDS = tuple(struct.Struct(f">{count}H") for count in range(126))  # by their number

_INTEGER_MAX = {kind: (1 << (bits - kind.startswith("int"))) - 1 for kind, bits in BITS.items()}
EXPONENT_MAX = 10  # of a scale factor, either way; more is none
_TENS = {each: Fraction(10) ** each for each in range(-EXPONENT_MAX, EXPONENT_MAX + 1)}


class WordCountError(ValueError):
    """Another number of words than the register has: nothing in them can be trusted."""


Decoder = Callable[[Sequence[int], Value], Value]
"""Words, and what the register's scale factor says where it has one: the value."""


def decode(register: Register, words: Sequence[int], exponent: Value = 0) -> Value:
    """The register's value; `exponent` is what its scale factor says, where it has one.

    Raises WordCountError; ValueError for a word outside 0..65535, or a coil of neither 0 nor 1.
    """
    return decoder(register)(words, exponent)


def decoder(register: Register) -> Decoder:
    """The same for whoever reads the register again and again: what it is, is settled once."""
    length, taken = register.length, _taken(register)

    def whole(words: Sequence[int], exponent: Value) -> Value:
        if len(words) != length:
            raise WordCountError(f"{len(words)} words for a register of {length}")
        try:
            return taken(words, exponent)
        except struct.error as error:
            raise ValueError("a word outside 0..65535") from error

    return whole


def _taken(register: Register) -> Decoder:
    """How so many words become its value; may raise struct.error."""
    pack, half = _WORDS[register.length].pack, register.half
    if register.type == "ascii":
        return lambda words, _: _text(pack(*words), half)
    if register.type == "bool":
        return lambda words, _: _bit(words[0])
    unpack, low_first = _FORMS[register.type].unpack, register.word_order == "low_first"
    unknown, mask, told = register.unknown, register.mask, _teller(register)
    always_finite = register.type in _INTEGER_MAX
    times = _whole_factor(register)

    def number(words: Sequence[int], exponent: Value) -> Value:
        (raw,) = unpack(pack(*(words[::-1] if low_first else words)))
        if raw in unknown or not (always_finite or isfinite(raw)):
            return None
        if mask is not None:
            raw = (raw & mask) // (mask & -mask)
        return told(raw, exponent)

    def plain(words: Sequence[int], _: Value) -> Value:
        """Nearly all of them."""
        (raw,) = unpack(pack(*(words[::-1] if low_first else words)))
        return None if raw in unknown else int(raw) * times

    return plain if times and mask is None else number


def _whole_factor(register: Register) -> int:
    """By which its raw number is its value, for a whole one; 0 where there is more to it."""
    if register.type not in _INTEGER_MAX or isinstance(register, Power | Duty):
        return 0
    by_itself = register.scale_factor is None and register.thousandths.denominator == 1
    return register.thousandths.numerator if by_itself else 0


def encode(register: Register, value: int) -> tuple[int, ...]:
    """The words for `value` thousandths of the register's unit; integers are rounded down.

    Raises ValueError for what the register cannot hold, and for one that is only read: a power, a
    part of a number, or what has a scale of its own at each moment.
    """
    if register.mask is not None or register.half is not None or register.scale_factor is not None:
        raise ValueError("a register that is only read")
    if register.type == "bool":
        return (_bit(value),)
    exact = value / register.thousandths
    if isinstance(register, Power):
        if register.told is None:
            raise ValueError("a power that is only read")
        exact = register.told.told_mw(value) / register.raw_mw
    elif isinstance(register, Duty):
        exact = duty_pct(value) / register.scale
    try:
        if register.type.startswith("float"):
            raw = _FORMS[register.type].pack(exact.numerator / exact.denominator)
        else:
            raw = _FORMS[register.type].pack(exact.numerator // exact.denominator)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{value} does not fit a {register.type}") from error
    words = _WORDS[register.length].unpack(raw)
    return words if register.word_order == "high_first" else words[::-1]


def raw_words(register: Register, raw: int) -> tuple[int, ...]:
    """The words of a number as it stands in the register. Raises ValueError."""
    plain = Register.model_construct(
        addr=register.addr,
        type=register.type,
        len=register.len,
        word_order=register.word_order,
        scale=Fraction(1),
        unit=None,
    )
    return encode(plain, raw)


def greatest(register: Register) -> int | None:
    """The most thousandths that an integer register can hold; None for a float: any current."""
    if register.type not in _INTEGER_MAX:
        return None
    raw = _INTEGER_MAX[register.type]
    while raw in register.unknown:
        raw -= 1
    return int(raw * register.thousandths)


def _teller(register: Register) -> Callable[[float, Value], int | None]:
    """What a raw value means, and what the register's scale factor says."""
    if isinstance(register, Power):
        power = register
        return lambda raw, _: _power(raw, power)
    if isinstance(register, Duty):
        return lambda raw, _: permitted_ma(Fraction(raw) * register.scale)
    thousandths = register.thousandths
    if register.scale_factor is None:
        times, by = thousandths.numerator, thousandths.denominator
        return lambda raw, _: _rounded(raw, times, by)

    def scaled(raw: float, exponent: Value) -> int | None:
        ten = _TENS.get(exponent) if isinstance(exponent, int) else None
        scale = None if ten is None else thousandths * ten
        return None if scale is None else _rounded(raw, scale.numerator, scale.denominator)

    return scaled


def _power(raw: float, register: Power) -> int:
    """Whole mA of a power: the setpoint that is written so, or rounded up, for it draws no less."""
    if 0 <= raw <= register.pause:
        return 0
    mw = Fraction(raw) * register.raw_mw
    if register.told is not None and mw.denominator == 1:
        return register.told.asked_ma(mw.numerator)
    return ceil(Fraction(raw) * register.thousandths)


def _rounded(raw: float, times: int, by: int) -> int:
    """raw · times / by to the nearest whole number, half to even, exact for floats, too."""
    above, below = raw.as_integer_ratio()
    above *= times
    below *= by
    if below == 1:
        return above
    whole, rest = divmod(above, below)
    return whole + (2 * rest > below or (2 * rest == below and whole % 2 == 1))


def _bit(word: int) -> int:
    if word not in (0, 1):
        raise ValueError(f"a coil is 0 or 1, not {word}")
    return word


def _text(raw: bytes, half: str | None) -> str | None:
    """Padded with NUL or blanks; None where it is empty or no printable ASCII."""
    if half is not None:
        raw = raw[:1] if half == "high" else raw[1:]
    text = raw.rstrip(b"\0 ").decode("ascii", errors="replace")
    return text if text and text.isascii() and text.isprintable() else None
