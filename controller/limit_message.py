"""The form of a limit message, as its senders write it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

SAFE_INTEGER = 2**53 - 1  # the largest that every JSON library keeps exact
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)", re.ASCII)


class Unlimited:
    """The source asks for nothing."""


Number = int | float
Amps = tuple[Number, Number, Number] | Unlimited


@dataclass(frozen=True, slots=True)
class _Form:
    """A field read by `read` and described to others by `schema`."""

    read: Callable[[object], object]
    schema: JsonSchemaValue

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self.schema)


def _wrong(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("form", sentence)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _amps(value: object) -> object:
    if value == "unlimited":
        return Unlimited()
    if _is_number(value):
        return value, value, value
    if isinstance(value, list) and len(value) == 3 and all(map(_is_number, value)):
        return tuple(value)
    raise _wrong('must be a number, three numbers [L1, L2, L3], or "unlimited"')


def _number(value: object) -> object:
    if not _is_number(value):
        raise _wrong("must be a number")
    return value


def _moment(value: object) -> datetime:
    if isinstance(value, str) and _UTC.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass  # no such day or hour
    raise _wrong("must be a moment in UTC, such as 2027-03-01T06:30:00Z")


_NUMBER: JsonSchemaValue = {"type": "number", "minimum": 0}
_THREE: JsonSchemaValue = {"type": "array", "items": _NUMBER, "minItems": 3, "maxItems": 3}


class LimitMessage(BaseModel):
    """Payload of `limit/<source>`. Numbers are checked for their form only, not their range."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    nonce: Annotated[str, Field(max_length=64)]
    epoch: Annotated[int, Field(ge=0, le=SAFE_INTEGER)]
    sequence: Annotated[int, Field(ge=0, le=SAFE_INTEGER)]
    circuit: Annotated[str, Field(max_length=64)]
    amps: Annotated[
        Amps | None, _Form(_amps, {"anyOf": [_NUMBER, _THREE, {"const": "unlimited"}]})
    ] = None
    kw: Annotated[Number | None, _Form(_number, _NUMBER)] = None
    until: Annotated[datetime | None, _Form(_moment, {"type": "string", "format": "date-time"})] = (
        None
    )
    ttl_s: Annotated[Number, _Form(_number, {"type": "number", "exclusiveMinimum": 0})]
    reason: Annotated[str, Field(max_length=200)] = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> LimitMessage:
        if (self.amps is None) == (self.kw is None):
            raise _wrong("exactly one of amps and kw must be given")
        return self
