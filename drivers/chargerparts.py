"""What a charger's profile says beyond its registers: setpoint, state, watchdog, settings."""

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, StrictBool, StrictInt

from controller.document.problems import Problem
from controller.facts import WattsFacts
from drivers.register import Amperes, Factor, Integers, Part, Percent, Register, Seconds, WholeWatts

MW_PER_W = 1_000
WORST_PPM = 500_000  # of an efficiency or a power factor


class Setpoint(Part):
    """Where a charger is told the current it may draw, or the power; 0 pauses it."""

    register_name: str = Field(alias="register")
    fc: Literal[6, 16]  # written with, all words in one request
    applied: str  # register of the highest current that it applies at this moment
    min_ma: Amperes = Field(0, alias="min_a")  # stated unless the profile has [watts]
    max_ma: Amperes | None = Field(None, alias="max_a")  # absent: the site must say
    step_ma: Amperes = Field(0, alias="step_a")


class InWatts(Part):
    """How a charger's setpoint is meant that is a power. It is read back as a power, too."""

    commands: Literal["ac", "dc"]  # the side whose power it is
    per: Literal["device", "phase"]
    evenly: StrictBool  # it draws on all its phases alike; else all of it perhaps on one
    efficiency_ppm: Percent = Field(alias="efficiency_pct", gt=0)  # worst, from AC to DC
    power_factor_ppm: Factor = Field(alias="power_factor")  # worst
    min_w: WholeWatts
    max_w: WholeWatts | None = None  # absent: the site must say
    step_w: WholeWatts
    zero: Literal["pauses", "ends_session"]  # what 0 W does to a vehicle
    pause_w: WholeWatts | None = None  # written for a pause instead; it may draw as much then
    power: str | None = None  # register of its power, where it tells no currents
    measures: Literal["ac", "dc"] | None = None  # the side whose power that is

    def facts(self, writable_mw: int | None) -> WattsFacts:
        return WattsFacts(
            commands_dc=self.commands == "dc",
            per_phase=self.per == "phase",
            evenly=self.evenly,
            efficiency_ppm=self.efficiency_ppm,
            power_factor_ppm=self.power_factor_ppm,
            min_mw=self.min_w * MW_PER_W,
            max_mw=None if self.max_w is None else self.max_w * MW_PER_W,
            step_mw=self.step_w * MW_PER_W,
            writable_mw=writable_mw,
            pause_mw=(self.pause_w or 0) * MW_PER_W,
            zero_ends_session=self.zero == "ends_session",
            measures=self.measures,
        )

    def problems(self, setpoint: Setpoint, registers: Mapping[str, Register]) -> Iterator[Problem]:
        """What single fields cannot show."""
        if setpoint.min_ma or setpoint.step_ma or setpoint.max_ma is not None:
            yield Problem("setpoint", "has amperes where the profile has [watts]")
        for key, name in (
            ("setpoint.register", setpoint.register_name),
            ("setpoint.applied", setpoint.applied),
        ):
            if name in registers and registers[name].type.startswith("float"):
                yield Problem(key, f"{name} must hold whole numbers, to be rounded down to")
        if (self.power is None) != (self.measures is None):
            yield Problem("watts", "has a power and the side that it measures, or neither")
        if self.power is not None:
            if "current_l1" in registers:
                yield Problem("watts.power", "is of no use: there are currents")
            if not self.evenly or self.per == "phase":
                yield Problem("watts.power", "tells no phase's current unless it draws evenly")
        if self.pause_w is not None and self.pause_w >= self.min_w:
            yield Problem("watts.pause_w", "must be below min_w, or it is no pause")
        told = registers.get(setpoint.register_name)
        steps = told.thousandths if told is not None and told.unit == "W" else 1
        for key, watts in (("pause_w", self.pause_w or 0), ("step_w", self.step_w)):
            if watts * MW_PER_W % steps:
                yield Problem(f"watts.{key}", "must be a whole number of its register's steps")
        if self.power_factor_ppm < WORST_PPM or self.efficiency_ppm < WORST_PPM:
            yield Problem("watts", "has an efficiency or a power factor below one half")


class Unplugged(Part):
    """A register that tells whether a vehicle is connected: state B with one of these is A."""

    register_name: str = Field(alias="register")
    values: Integers


class Status(Part):
    register_name: str = Field(alias="register")
    iec: dict[str, Literal["A", "B", "C", "D", "E", "F"]]  # its own code → IEC 61851 state
    unplugged: Unplugged | None = None  # where the code does not tell state B from A


class Watchdog(Part):
    """What the charger does alone when nobody writes any more."""

    kind: Literal["none", "setpoint_rewrite", "any_traffic"]  # what feeds it
    timeout_ns: Seconds | None = Field(None, alias="timeout_s")  # as delivered; 0: it is off
    timeout: str | None = None  # register of its time as set; 0: it is off
    remaining: str | None = None  # register of the time left; 0: it has run out
    fallback: str | None = None  # register of the current it then applies
    timeout_set: str | None = None  # register that sets `timeout`
    timeout_least_ns: Seconds = Field(0, alias="timeout_least_s")  # that it takes
    timeout_most_ns: Seconds | None = Field(None, alias="timeout_most_s")  # likewise
    fallback_set: str | None = None  # register that sets `fallback`
    fc: Literal[6, 16] = 6  # they are written with
    armed_after_power_on: StrictBool = False
    power_on_is_fallback: StrictBool = False


class Setting(Part):
    """What must be set in the charger's memory: read first, written only where it differs."""

    register_name: str = Field(alias="register")
    fc: Literal[6]
    value: StrictInt = Field(ge=0, le=65535)
    wrong: str  # what it means while it is not set
