"""What an installer answers for although the commissioning proof does not hold."""

from typing import Any

from pydantic import Field

from controller.document.entries.base import Entry, Slug, Text
from controller.document.quantities import (
    Date,
    ExcessAmperes,
    ProofLine,
    TripSeconds,
)
from controller.units import MA_PER_A, NS_PER_S, amperes_text, seconds_text


class Derogation(Entry):
    """Lets one line of the proof pass on one circuit or limit source, up to the stated excess."""

    line: ProofLine = Field(
        description="Of the commissioning proof: unattended, power_cut, transition, "
        "failsafe_cap or reaction; or its number, 1 to 5."
    )
    circuit: Slug | None = Field(
        default=None, description="Whose sum is derogated; in all lines but failsafe_cap."
    )
    source: Slug | None = Field(
        default=None, description="The limit source, in failsafe_cap and reaction."
    )
    reason: Text = Field(description="Why this may be.")
    excess_ma: ExcessAmperes = Field(
        alias="excess_a", description="The most above what is allowed, per phase."
    )
    trips_after_ns: TripSeconds = Field(
        alias="trips_after_s",
        description="How long the protective device carries this excess before it trips.",
    )
    by: Text = Field(description="Who answers for it.")
    date: Date = Field(description="When it was decided, such as 2027-03-01.")

    @property
    def place(self) -> str:
        """Its circuit or limit source."""
        return self.circuit or self.source or ""

    @property
    def reach(self) -> str:
        return (
            f"up to {amperes_text(self.excess_ma)} A above what is allowed, "
            f"which trips after {seconds_text(self.trips_after_ns)} s"
        )

    @property
    def sentence(self) -> str:
        """For every report: it is part of what the site is."""
        return (
            f"{self.line.name.lower()} on {self.place} is derogated {self.reach}, "
            f"by {self.by} on {self.date}: {self.reason}"
        )

    def terms(self) -> dict[str, Any]:
        """In amperes and seconds."""
        return {
            "line": int(self.line),
            "name": self.line.name.lower(),
            "circuit": self.circuit,
            "source": self.source,
            "reason": self.reason,
            "excess_a": self.excess_ma / MA_PER_A,
            "trips_after_s": self.trips_after_ns / NS_PER_S,
            "by": self.by,
            "date": self.date,
        }
