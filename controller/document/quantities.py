"""Field types of the site document: what people write on the left, what the core gets on the right.

Each refuses with a sentence that says what was found and what would be right.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from cext.rows import NO_PHASE, Phases
from controller.document.lines import NAMES, Line
from controller.document.problems import found
from controller.units import MA_PER_A, NS_MAX, NS_PER_S, PPM, PPM_PER_PCT, VA_PER_KVA, whole

GRID_PHASES = ("L1", "L2", "L3")
ALL_PHASES = "L1+L2+L3"  # what the three carry together
ROWS = (*GRID_PHASES, ALL_PHASES)  # by index, as reasons and sums name them


@dataclass(frozen=True, slots=True, eq=False)
class _Written:
    """A value taken from the document by `take`, described there by `described`."""

    take: Callable[[object], object]
    described: JsonSchemaValue

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.take)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self.described)


written = _Written


def _quantity(unit: str, per_unit: int, low: float, high: float) -> _Written:
    """A number of `unit` within [low, high], kept as a whole number of its `per_unit`-th part."""

    def take(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"must be a number{_of(unit)}, found {found(value)}")
        if not low <= value <= high:  # false for NaN, too
            hint = ""
            if value > high and low * 1000 <= value <= high * 1000:
                hint = f"; in {unit}, did you mean {value / 1000:g}?"
            raise ValueError(
                f"must be between {low:g} and {high:g}{_of(unit)}, found {found(value)}{hint}"
            )
        return whole(value, per_unit, NS_MAX)

    return _Written(take, {"type": "number", "minimum": low, "maximum": high})


def _of(unit: str) -> str:
    return f" {unit}" if unit else ""


def _per_phase(each: _Written) -> _Written:
    """One number for all three phases, or a list [l1, l2, l3]."""

    def take(value: object) -> tuple[object, ...]:
        if not isinstance(value, list | tuple):
            return (each.take(value),) * 3
        if len(value) != 3:
            raise ValueError(
                f"must be one number or three, [L1, L2, L3]; found a list of {len(value)}"
            )
        return tuple(each.take(phase) for phase in value)

    three = {"type": "array", "items": each.described, "minItems": 3, "maxItems": 3}
    return _Written(take, {"anyOf": [each.described, three]})


def _wired(least: int) -> _Written:
    """Grid phases at a device's terminals 1, 2, 3, as "L1 L2 L3"."""

    def take(value: object) -> Phases:
        names = value.split() if isinstance(value, str) else []
        if (
            not least <= len(names) <= 3
            or len(set(names)) < len(names)
            or not set(names) <= set(GRID_PHASES)
        ):
            wanted = "all of" if least == 3 else "one to three of"
            raise ValueError(
                f"must name {wanted} L1 L2 L3, each once, in the order of the terminals, "
                f'such as "L2 L3 L1"; found {found(value)}'
            )
        first, second, third = [*map(GRID_PHASES.index, names), NO_PHASE, NO_PHASE][:3]
        return first, second, third

    pattern = f"^L[123]( L[123]){{{least - 1},2}}$"
    return _Written(take, {"type": "string", "pattern": pattern})


def _channels(value: object) -> Phases:
    words = value.split() if isinstance(value, str) else []
    if len(words) != 3 or len(set(words)) < 3 or not set(words) <= set("1234567"):
        raise ValueError(
            "must name three CTs by their numbers, each once, in the order of the terminals, "
            f'such as "1 2 3"; found {found(value)}'
        )
    first, second, third = map(int, words)
    return first, second, third


def _unit_or_pattern(value: object) -> int | str:
    if isinstance(value, str) and 0 < len(value) <= 20:
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
        raise ValueError(
            "must be a whole number from 0 to 255 or, in a row, a pattern "
            f'such as "{{n}}"; found {found(value)}'
        )
    return value


def _line(value: object) -> Line:
    """A line of the commissioning proof, by name or number."""
    if isinstance(value, str) and value in NAMES:
        return NAMES[value]
    if isinstance(value, int) and not isinstance(value, bool) and value in list(Line):
        return Line(value)
    names = ", ".join(f'"{name}" ({line:d})' for name, line in NAMES.items())
    raise ValueError(f"must be a line of the commissioning proof: {names}; found {found(value)}")


def _date(value: object) -> str:
    """A day, kept as YYYY-MM-DD: the same from TOML's dates and from text."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
    raise ValueError(f"must be a date such as 2027-03-01, found {found(value)}")


_CIRCUIT = _quantity("A", MA_PER_A, 0, 10_000)
CircuitAmperes = Annotated[Phases, _per_phase(_CIRCUIT)]
"""Currents of a circuit: a number, or one per phase."""
KilovoltAmperes = Annotated[int, _quantity("kVA", VA_PER_KVA, 0, 10_000)]
"""Kept in volt-amperes."""
DeviceAmperes = Annotated[int, _quantity("A", MA_PER_A, 0, 1_000)]
BreakerAmperes = Annotated[int, _quantity("A", MA_PER_A, 1, 10_000)]
PickupAmperes = Annotated[int, _quantity("A", MA_PER_A, 1, 100_000)]
ErrorAmperes = Annotated[int, _quantity("A", MA_PER_A, 0, 100)]
SmallAmperes = Annotated[int, _quantity("A", MA_PER_A, 0, 5)]
StepAmperes = Annotated[int, _quantity("A", MA_PER_A, 0.001, 10)]
AmperesPerSecond = Annotated[int, _quantity("A/s", MA_PER_A, 0.1, 1_000)]

TickSeconds = Annotated[int, _quantity("s", NS_PER_S, 0.01, 1)]
DeadManSeconds = Annotated[int, _quantity("s", NS_PER_S, 0.5, 10)]
PollSeconds = Annotated[int, _quantity("s", NS_PER_S, 0.02, 60)]
ReplySeconds = Annotated[int, _quantity("s", NS_PER_S, 0.05, 10)]
ShortSeconds = Annotated[int, _quantity("s", NS_PER_S, 0, 60)]
PeriodSeconds = Annotated[int, _quantity("s", NS_PER_S, 0.1, 60)]
MinuteSeconds = Annotated[int, _quantity("s", NS_PER_S, 0, 300)]
ReleaseSeconds = Annotated[int, _quantity("s", NS_PER_S, 0.1, 60)]
DebounceSeconds = Annotated[int, _quantity("s", NS_PER_S, 0.01, 1)]
TrialSeconds = Annotated[int, _quantity("s", NS_PER_S, 5, 3_600)]
HourSeconds = Annotated[int, _quantity("s", NS_PER_S, 0, 3_600)]
WatchdogSeconds = Annotated[int, _quantity("s", NS_PER_S, 1, 3_600)]
LeaseSeconds = Annotated[int, _quantity("s", NS_PER_S, 1, 86_400)]
HoldSeconds = Annotated[int, _quantity("s", NS_PER_S, 0, 86_400)]
ClearSeconds = Annotated[int, _quantity("s", NS_PER_S, 0.1, 3_600)]

Percent = Annotated[int, _quantity("%", PPM_PER_PCT, 0, 50)]
"""Kept in parts per million."""
Efficiency = Annotated[int, _quantity("%", PPM_PER_PCT, 50, 100)]
"""Kept in parts per million."""
PowerFactor = Annotated[int, _quantity("", PPM, 0.5, 1)]
"""Kept in parts per million."""
CurveTimes = Annotated[int, _quantity("times In", PPM, 1.5, 3)]
"""Kept in parts per million."""
CurveSeconds = Annotated[int, _quantity("s", NS_PER_S, 0.1, 300)]
Ratio = Annotated[int, _quantity("", PPM, 0.001, 10_000)]
"""Kept in parts per million."""

ExcessAmperes = Annotated[int, _quantity("A", MA_PER_A, 0.001, 10_000)]
TripSeconds = Annotated[int, _quantity("s", NS_PER_S, 0.1, 86_400)]
ProofLine = Annotated[Line, _Written(_line, {"enum": [*NAMES, *map(int, Line)]})]
Date = Annotated[str, _Written(_date, {"type": "string", "format": "date"})]
"""Kept as YYYY-MM-DD."""

AnyTerminals = Annotated[Phases, _wired(1)]
AllTerminals = Annotated[Phases, _wired(3)]

Channels = Annotated[
    Phases, _Written(_channels, {"type": "string", "pattern": "^[1-7]( [1-7]){2}$"})
]

UnitOrPattern = Annotated[
    int | str,
    _Written(
        _unit_or_pattern,
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 255}, {"type": "string"}]},
    ),
]
