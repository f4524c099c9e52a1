"""The words that every part of a story is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Id = Annotated[str, Field(min_length=1, max_length=64)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e6, le=1e6)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Instant = Annotated[Number, Field(ge=0, le=7 * 86_400, description="seconds from the start")]


def _spread(value: object) -> object:
    """One value for all phases, or three."""
    return (value,) * 3 if isinstance(value, int | float) else value


def _limit(value: object) -> object:
    """ "unlimited" is None in Python; in a document null is an error."""
    if value == "unlimited":
        return None
    return "" if value is None else _spread(value)


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Three = tuple[Number, Number, Number]
Amps = Annotated[
    Three,
    BeforeValidator(_spread, json_schema_input_type=Number | Three),
    Field(description="amperes: one value for all phases, or L1, L2, L3"),
]
Chargers = Annotated[
    tuple[Id, ...],
    Field(min_length=1, description='an id, a pattern such as "row-a-*", or a list of them'),
    BeforeValidator(_several, json_schema_input_type=Id | tuple[Id, ...]),
]
AmpsOrUnlimited = Annotated[
    Three | None,
    BeforeValidator(
        _limit,
        json_schema_input_type=Number | Three | Literal["unlimited"],
    ),
    Field(description='as amperes; "unlimited" (None in Python) says that nothing is asked for'),
]


class Part(BaseModel):
    """Everything in a story: fixed once read, and nothing that is not asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Event(Part):
    """Something that happens at an instant."""

    t_s: Instant
