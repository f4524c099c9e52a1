"""What a charger's profile says beyond its registers: setpoint, state, watchdog, settings."""

from typing import Literal

from pydantic import Field, StrictBool, StrictInt

from drivers.register import Amperes, Integers, Part, Seconds


class Setpoint(Part):
    """Where a charger is told the current it may draw; 0 pauses it."""

    register_name: str = Field(alias="register")
    fc: Literal[6, 16]  # written with, all words in one request
    applied: str  # register of the highest current that it applies at this moment
    min_ma: Amperes = Field(alias="min_a")
    max_ma: Amperes | None = Field(None, alias="max_a")  # absent: the site must say
    step_ma: Amperes = Field(alias="step_a")


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
