"""Who may set temporary limits."""

from typing import Literal

from pydantic import Field

from controller.document.entries.base import Entry, Slug, optional
from controller.document.quantities import (
    CircuitAmperes,
    ClearSeconds,
    HoldSeconds,
    LeaseSeconds,
)


class LimitSource(Entry):
    """Somebody who may set temporary limits on a circuit."""

    id: Slug
    circuit: Slug
    kind: Literal["grid", "economic"] = Field(description="How hard its limits may be enforced.")
    lease_ns: LeaseSeconds = Field(
        alias="lease_s", description="How long a limit lives without being renewed."
    )
    failsafe_ma: CircuitAmperes = Field(
        alias="failsafe_a", description="The cap while this source is lost."
    )
    hold_ns: HoldSeconds = optional(
        0, "hold_s", "After it is lost, its last limit binds at least this long."
    )
    clear_within_ns: ClearSeconds | None = Field(
        default=None, alias="clear_within_s", description="An excess must be gone within this time."
    )
