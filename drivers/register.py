"""Registers, and blocks of them: where a value stands in a device and how it is written there."""

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from controller.units import PPM, PPM_PER_PCT, milliamps, nanoseconds, whole
from controller.watts import Watts

Whole = Literal["int16", "uint16", "int32", "uint32", "int64", "uint64"]
RegisterType = Whole | Literal["float32", "float64", "ascii", "bool"]
"""`bool`: a coil or a discrete input, 0 or 1; one of them is a word here."""

WordOrder = Literal["high_first", "low_first"]  # which word stands at the lowest address
Function = Literal[1, 2, 3, 4]  # coils, discrete inputs, holding registers, input registers
LENGTHS = {
    **{"bool": 1, "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "int64": 4, "uint64": 4},
    **{"float32": 2, "float64": 4},
}
BITS = {"int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "int64": 64, "uint64": 64}
COILS = (1, 2)  # functions that read single bits


def _exact(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ValueError("must be a number above 0")
    return Fraction(repr(value))  # the digits as written: 0.1 is a tenth


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError("must be a number, 0 or more")
    return value


def _listed(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("must not be empty")
    return values


Unit = Literal["V", "A", "W", "var", "VA", "Hz", "Wh", "varh", "s", "%", "degC", "1"]
Address = Annotated[StrictInt, Field(ge=0, le=65535)]
Scale = Annotated[Fraction, BeforeValidator(_exact)]
Amperes = Annotated[int, BeforeValidator(lambda value: milliamps(_number(value)))]
Seconds = Annotated[int, BeforeValidator(lambda value: nanoseconds(_number(value)))]
Percent = Annotated[int, BeforeValidator(lambda value: whole(_number(value), PPM_PER_PCT, 10**6))]
Factor = Annotated[int, BeforeValidator(lambda value: whole(_number(value), PPM, PPM))]
WholeWatts = Annotated[StrictInt, Field(ge=1, le=10_000_000)]
Texts = Annotated[tuple[str, ...], AfterValidator(_listed)]
Integers = Annotated[tuple[StrictInt, ...], AfterValidator(_listed)]


class Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
        defer_build=True,
    )

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """What was worked out of the old one's fields is worked out anew of the copy's."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


class Register(Part):
    """Where a value stands and how it is written there; value = raw · scale, in `unit`.

    With a `scale_factor`, a register of the same profile: times 10 to the power of what that says
    now. With a `mask`, of an unsigned number: its bits alone, shifted down to bit 0.
    """

    addr: Address  # as on the wire, from 0
    type: RegisterType
    len: StrictInt | None = Field(None, ge=1, le=125)  # in words, of text
    scale: Scale = Fraction(1)
    scale_factor: str | None = None  # name of the register that holds a power of ten
    mask: StrictInt | None = Field(None, ge=1)
    half: Literal["high", "low"] | None = None  # of a text of one word: one character
    unit: Unit | None = None
    fc: Function = 3  # read with; the profile's where not written
    word_order: WordOrder = "high_first"  # likewise
    sentinels: frozenset[StrictInt] = frozenset()  # raw values that mean "unknown"; likewise
    write_only: StrictBool = False  # never read, and in no block
    note: str = ""

    @model_validator(mode="after")
    def _sound(self) -> "Register":
        if (self.len is not None) != (self.type == "ascii"):
            raise ValueError("len belongs to ascii, and to it alone")
        if self.unit is None and (self.scale != 1 or self.scale_factor is not None):
            raise ValueError("a scale needs a unit (1 where it has none)")
        if (self.type == "bool") != (self.fc in COILS):
            raise ValueError("bool is what fc 1 and 2 read, and nothing else is")
        if self.type in ("bool", "ascii") and (self.unit is not None or self.sentinels):
            raise ValueError("a text or a coil has neither a unit nor sentinels")
        if self.half is not None and (self.type != "ascii" or self.len != 1):
            raise ValueError("half belongs to an ascii of one word")
        if self.mask is not None and (
            not self.type.startswith("uint") or self.mask >> BITS[self.type]
        ):
            raise ValueError("mask belongs to an unsigned number, and has no more bits than it")
        bits = BITS.get(self.type)
        if bits is not None:
            least = -(1 << (bits - 1)) if self.type.startswith("int") else 0
            if any(not least <= each < 1 << bits for each in self.sentinels):
                raise ValueError(f"a sentinel that no {self.type} can be")
        return self

    @cached_property
    def length(self) -> int:
        """In words."""
        return self.len or LENGTHS[self.type]

    @cached_property
    def thousandths(self) -> Fraction:
        """Raw value to thousandths of the unit; to the raw value itself where there is none."""
        return self.scale * 1000 if self.unit else self.scale

    @cached_property
    def unknown(self) -> frozenset[int]:
        """Its sentinels as values: those of a signed number may be written as they look, 0x8000."""
        bits = BITS.get(self.type)
        if bits is None or self.type.startswith("uint"):
            return self.sentinels
        return frozenset(
            each - (1 << bits) if each >> (bits - 1) == 1 else each for each in self.sentinels
        )

    @property
    def end(self) -> int:
        return self.addr + self.length

    def overlaps(self, other: "Register") -> bool:
        """Whether they claim the same bits of a device."""
        touches = self.fc == other.fc and self.addr < other.end and other.addr < self.end
        return touches and not self._beside(other)

    def _beside(self, other: "Register") -> bool:
        """Other bits, or the other character, of the same number."""
        mine = (self.addr, self.length, self.word_order)
        if mine != (other.addr, other.length, other.word_order):
            return False
        if self.mask is not None and other.mask is not None:
            return not self.mask & other.mask
        return None not in (self.half, other.half) and self.half != other.half


class Power(Register):
    """A register in W, told as the current of that power; only made of another (drivers.watts).

    What is read is rounded up. Raw values up to `pause` are a pause.
    """

    pause: StrictInt = 0
    raw_mw: Fraction = Fraction(1000)  # what its raw value counts in
    told: Watts | None = None  # how a current is written there; None: it is only read


class Duty(Register):
    """A register in % of the pilot's period, told as the current that permits (drivers.pilot)."""


class Check(Register):
    """A register read alone, before a device is believed: it must have one of `values`."""

    values: Integers
    wrong: str  # what it means when it has not, and what to do


class Block(Part):
    """Registers that may be read with one request."""

    fc: Function
    start: Address
    count: StrictInt = Field(ge=1, le=125)
    every: StrictInt = Field(1, ge=1, le=12)  # read only in each so manieth poll
    optional: StrictBool = False  # some of these devices do not have it: then it is unknown

    @property
    def end(self) -> int:
        return self.start + self.count

    def covers(self, register: Register) -> bool:
        return self.fc == register.fc and self.start <= register.addr <= register.end <= self.end

    def cuts(self, register: Register) -> bool:
        touches = self.start < register.end and register.addr < self.end
        return self.fc == register.fc and touches and not self.covers(register)

    def overlaps(self, other: "Block") -> bool:
        return self.fc == other.fc and self.start < other.end and other.start < self.end
