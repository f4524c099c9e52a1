"""Words of one register: a value, or none, and never a number out of nothing.

The first two bytes choose a register, and with their highest bit that as many words are taken as
there are; else as many as it has. What a plain register says is told here once more, from its bytes
alone.
"""

from __future__ import annotations

import struct
from math import isfinite

from drivers.decode import Value, WordCountError, decode
from drivers.library import library
from drivers.register import LENGTHS, Register

SCALES = (1, 0.1, 0.001, 10, 0.0005, 3)
UNKNOWN = {"int16": [0x8000], "uint16": [0xFFFF], "int32": [0x7FFFFFFF], "uint32": [0xFFFFFFFF]}
UNKNOWN |= {"int64": [-1], "uint64": [2**64 - 1]}
PLAIN = {"addr", "type", "len", "scale", "unit", "fc", "word_order", "sentinels", "write_only"}
"""What the second hand below knows; a register that says more only has to have a value or none."""
EXPONENTS = (0, 1, -3, 10, -10, 11, None, -32768)
_CHOICE = 0x7FFF
_FLOATS = {"float32": ">f", "float64": ">d"}


def _registers() -> list[Register]:
    made = [
        Register.model_validate(
            {"addr": 0, "type": kind, "unit": "A", "scale": scale, "word_order": order}
            | {"sentinels": UNKNOWN.get(kind, [])}
        )
        for kind in LENGTHS
        if kind != "bool"
        for scale in SCALES
        for order in ("high_first", "low_first")
    ]
    made.append(Register.model_validate({"addr": 0, "type": "ascii", "len": 3}))
    made.append(Register.model_validate({"addr": 0, "type": "bool", "fc": 1}))
    made.append(Register.model_validate({"addr": 0, "type": "uint16", "mask": 0x0FF0}))
    profiles = map(library().find, library().names())
    return made + [each for profile in profiles for each in profile.registers.values()]


REGISTERS = _registers()
SEEDS = [
    i.to_bytes(2, "big") + bytes(range(65, 65 + 2 * register.length))
    for i, register in enumerate(REGISTERS)
]
WORDS = [b"\x7f\xc0", b"\x7f\x80", b"\xff\xff", b"\x80\0", b"\x7f\xff", b"\0\1"]


def execute(data: bytes) -> str:
    if len(data) < 2:
        return "nothing"
    chosen = int.from_bytes(data[:2], "big")
    register = REGISTERS[(chosen & _CHOICE) % len(REGISTERS)]
    count = register.length if chosen <= _CHOICE else len(data) // 2 - 1
    words = struct.unpack_from(f">{count}H", data.ljust(2 + 2 * count, b"\0"), 2)
    try:
        value = decode(register, words, EXPONENTS[data[-1] % len(EXPONENTS)])
    except WordCountError:
        assert count != register.length
        return "another number of words"
    except ValueError:  # a coil is 0 or 1
        assert register.type == "bool"
        assert words[0] > 1
        return "no coil"
    assert count == register.length
    if register.type != "bool" and register.model_fields_set <= PLAIN | {"note"}:
        _compare(register, words, value)
    else:
        assert value is None or isinstance(value, int | str)
    return "no value" if value is None else type(value).__name__


def _compare(register: Register, words: tuple[int, ...], value: Value) -> None:
    low_first = register.word_order == "low_first" and register.type != "ascii"
    raw = b"".join(word.to_bytes(2, "big") for word in (words[::-1] if low_first else words))
    if register.type == "ascii":
        text = raw.rstrip(b"\0 ")
        fits = text and all(32 <= byte < 127 for byte in text)
        assert value == (text.decode("ascii") if fits else None)
        return
    number: float
    if register.type in _FLOATS:
        (number,) = struct.unpack(_FLOATS[register.type], raw)
    else:
        number = int.from_bytes(raw, "big", signed=register.type.startswith("int"))
    looks = int.from_bytes(raw, "big")  # a sentinel of a signed number may be written as it looks
    if not isfinite(number) or {number, looks} & register.sentinels:
        assert value is None
        return
    above, below = number.as_integer_ratio()
    above *= register.thousandths.numerator
    below *= register.thousandths.denominator
    assert isinstance(value, int)
    off = 2 * (value * below - above)
    assert abs(off) < below or (abs(off) == below and value % 2 == 0)
