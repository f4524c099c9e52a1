"""A meter's profile: which phases it measures, and how it tells a direction."""

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from pydantic import Field, StrictInt

from controller.document.problems import Problem
from controller.facts import MeterFacts
from drivers.profile import Profile

DIRECTION = ("power", "voltage")  # of each phase: what tells how much is exported


class MeterProfile(Profile):
    kind: Literal["meter"]
    phases: StrictInt = Field(ge=1, le=3)
    # "power": the register has no sign of its own, the phase's power tells the direction;
    # "none": nothing tells it, and all of it counts as import
    current_sign: Literal["own", "power", "none"]

    @property
    def terminals(self) -> range:
        """1 to the number of its phases."""
        return range(1, self.phases + 1)

    @property
    def facts(self) -> MeterFacts:
        return MeterFacts(
            name=self.name,
            phases=self.phases,
            error_ma=self.error_ma,
            lag_ns=self.lag_ns,
            active_export=self.tells_direction,
            tells_currents=len(self.currents) == self.phases,
        )

    @cached_property
    def tells_direction(self) -> bool:
        """Whether it tells how much power each phase exports."""
        return self.current_sign != "none" and all(
            self.has(f"{what}_l{n}") for what in DIRECTION for n in self.terminals
        )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        for name in self.currents:
            n = name[-1]
            if int(n) > self.phases:
                yield Problem("phases", f"are fewer than {name} belongs to")
            if self.current_sign != "none" and self.tells_direction:
                yield from self.wants("phases", f"power_l{n}", "W")
                yield from self.wants("phases", f"voltage_l{n}", "V")
            elif self.current_sign == "power":
                yield from self.wants("current_sign", f"power_l{n}", "W")
                yield from self.wants("current_sign", f"voltage_l{n}", "V")
        if 0 < len(self.currents) < self.phases:
            yield Problem("phases", "needs a current of each, or of none")
