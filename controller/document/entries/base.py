"""What every entry of a site document is made of."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

SLUG = r"^[a-z0-9][a-z0-9-]{0,62}$"
Slug = Annotated[StrictStr, Field(pattern=SLUG)]
Title = Annotated[StrictStr, Field(max_length=80, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Text = Annotated[StrictStr, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
Pattern = Annotated[
    Text, Field(description="In a row, {n} counts: {n}, {n+20}, {n:02} and {n+20:02} are replaced.")
]
Pin = Annotated[
    StrictInt,
    Field(ge=2, le=27, description="By the processor's (BCM) number, GPIO2 to GPIO27."),
]


def optional(value: object, alias: str, description: str) -> Any:
    """A field that may be left out, with its default as people would write it."""
    return Field(default=value, validate_default=True, alias=alias, description=description)


class Entry(BaseModel):
    """Part of a document: nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )
