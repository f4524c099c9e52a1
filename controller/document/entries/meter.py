"""What measures a circuit."""

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from controller.document.entries.base import Entry, Slug, Text, optional
from controller.document.quantities import (
    AnyTerminals,
    ErrorAmperes,
    PollSeconds,
    Ratio,
    ShortSeconds,
)


class Transformer(Entry):
    """How a meter's current transformers sit on the circuit."""

    ratio_ppm: Ratio = optional(1, "ratio", "Multiplies what the meter shows.")
    reversed: StrictBool = Field(default=False, description="Whether import shows as negative.")
    phases: AnyTerminals = optional(
        "L1 L2 L3", "phases", "Grid phases at the meter's terminals 1, 2, 3, or at the one it has."
    )


class MeterEntry(Entry):
    id: Slug
    circuit: Slug
    profile: Text
    bus: Text = Field(description="The URL or the id of a [[bus]].")
    unit: Annotated[StrictInt, Field(ge=0, le=255)] = 1
    poll_ns: PollSeconds = optional(0.2, "poll_s", "Period of readings.")
    lag_ns: ShortSeconds | None = Field(
        default=None,
        alias="lag_s",
        description="Age of the current shown, upper bound; else the profile's.",
    )
    max_age_ns: ShortSeconds | None = Field(
        default=None,
        alias="max_age_s",
        description="A reading older than this is none; "
        "left out: the longest of 3 polls, 2 time-outs + 1 poll, 1 s.",
    )
    error_ma: ErrorAmperes | None = Field(
        default=None,
        alias="error_a",
        description="Of a current as the meter shows it, before the ratio; else the profile's.",
    )
    ct: Transformer = Field(default_factory=Transformer)
