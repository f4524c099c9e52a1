"""Registers, and blocks of them: where a value stands in a device and how it is written there."""

from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal

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

RegisterType = Literal["int16", "uint16", "int32", "uint32", "float32", "float64", "ascii"]
WordOrder = Literal["high_first", "low_first"]  # which word stands at the lowest address
LENGTHS = {"int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2, "float64": 4}


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


class Register(Part):
    """Where a value stands and how it is written there; value = raw · scale, in `unit`."""

    addr: Address  # as on the wire, from 0
    type: RegisterType
    len: StrictInt | None = Field(None, ge=1, le=125)  # in words, of text
    scale: Scale = Fraction(1)
    unit: Literal["V", "A", "W", "var", "VA", "Hz", "Wh", "s", "%", "1"] | None = None
    fc: Literal[3, 4] = 3  # read with; the profile's where not written
    word_order: WordOrder = "high_first"  # likewise
    sentinels: frozenset[StrictInt] = frozenset()  # raw values that mean "unknown"; likewise
    write_only: StrictBool = False  # never read, and in no block
    note: str = ""

    @model_validator(mode="after")
    def _sound(self) -> "Register":
        if (self.len is not None) != (self.type == "ascii"):
            raise ValueError("len belongs to ascii, and to it alone")
        if self.unit is None and self.scale != 1:
            raise ValueError("a scale needs a unit (1 where it has none)")
        return self

    @cached_property
    def length(self) -> int:
        """In words."""
        return self.len or LENGTHS[self.type]

    @cached_property
    def thousandths(self) -> Fraction:
        """Raw value to thousandths of the unit; to the raw value itself where there is none."""
        return self.scale * 1000 if self.unit else self.scale

    @property
    def end(self) -> int:
        return self.addr + self.length

    def overlaps(self, other: "Register") -> bool:
        return self.fc == other.fc and self.addr < other.end and other.addr < self.end


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

    fc: Literal[3, 4]
    start: Address
    count: StrictInt = Field(ge=1, le=125)
    every: StrictInt = Field(1, ge=1, le=12)  # read only in each so manieth poll

    @property
    def end(self) -> int:
        return self.start + self.count

    def covers(self, register: Register) -> bool:
        return self.fc == register.fc and self.start <= register.addr <= register.end <= self.end

    def cuts(self, register: Register) -> bool:
        touches = self.start < register.end and register.addr < self.end
        return self.fc == register.fc and touches and not self.covers(register)
