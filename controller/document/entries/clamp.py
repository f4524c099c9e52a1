"""CT clamps that write lines on a serial port."""

from typing import Annotated, Literal

from pydantic import Field, StrictInt

from controller.document.entries.base import Entry, Slug, Text, optional
from controller.document.quantities import (
    AllTerminals,
    Channels,
    ErrorAmperes,
    MinuteSeconds,
    PeriodSeconds,
    PowerFactor,
    Ratio,
)

Format = Literal["rpict7v1", "rpict3v1", "rpict3t1", "emontx3", "emontx4"]


class ClampTransformer(Entry):
    """How a clamp's current transformers sit on the circuit."""

    ratio_ppm: Ratio = optional(
        1, "ratio", "Multiplies what a line tells; 0.001 where a board writes milliamperes."
    )
    channels: Channels = optional("1 2 3", "channels", "CT numbers at terminals 1, 2, 3.")
    phases: AllTerminals = optional(
        "L1 L2 L3", "phases", "Grid phases at terminals 1, 2, 3, each around one of the CTs."
    )


class ClampEntry(Entry):
    """It measures magnitudes: no direction, so it stands in where the circuit's meter fails."""

    id: Slug
    circuit: Slug
    format: Format = Field(
        description="What its lines look like; emontx4 is for emonTx4, emonTx5 and emonPi2."
    )
    port: Text = Field(description="Serial port, such as /dev/ttyAMA0; nothing else may use it.")
    baud: Annotated[StrictInt, Field(ge=1200, le=921_600)] | None = Field(
        default=None, description="Else the format's: 38400 for RPICT, 115200 for emonTx."
    )
    node: Annotated[StrictInt, Field(ge=0, le=255)] | None = Field(
        default=None, description="Of an RPICT board; left out: 11, as delivered."
    )
    assumed_v: Annotated[StrictInt, Field(ge=80, le=300)] | None = Field(
        default=None, description="The voltage an RPICT3T1 multiplies by; left out: 240."
    )
    power_factor_ppm: PowerFactor = optional(
        0.95, "power_factor", "The least to reckon with, where a line tells only real power."
    )
    period_ns: PeriodSeconds | None = Field(
        default=None, alias="period_s", description="Between two lines; else the format's."
    )
    lag_ns: MinuteSeconds | None = Field(
        default=None,
        alias="lag_s",
        description="Age of the oldest current in a line, upper bound; else the format's.",
    )
    max_age_ns: MinuteSeconds | None = Field(
        default=None,
        alias="max_age_s",
        description="A reading older than this is none; left out: 3 periods, at least 1 s.",
    )
    error_ma: ErrorAmperes | None = Field(
        default=None,
        alias="error_a",
        description="Of a current on the circuit; else the format's, times the ratio.",
    )
    ct: ClampTransformer = Field(default_factory=ClampTransformer)
