"""Chargers, one by one or in rows."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt

from controller.document.entries.base import Entry, Pattern, Pin, Slug, Text, Title, optional
from controller.document.quantities import (
    AnyTerminals,
    DeviceAmperes,
    Efficiency,
    HourSeconds,
    Percent,
    PollSeconds,
    PowerFactor,
    ReplySeconds,
    ShortSeconds,
    SmallAmperes,
    StepAmperes,
    UnitOrPattern,
    WatchdogSeconds,
)


class ChargerEntry(Entry):
    """A charger on a bus, or with `count` a row of alike ones; or one that a pin switches."""

    id: Pattern
    name: Title = ""
    circuit: Slug
    profile: Text | None = Field(
        default=None, description="Of a charger on a bus; left out where it has a pin."
    )
    bus: Pattern | None = Field(
        default=None,
        description="The URL or the id of a [[bus]]; left out where it has a pin. "
        "In a row, {n} counts.",
    )
    pin: Pin | None = Field(
        default=None,
        description="Of a charger without a bus, which a relay on this pin of the gateway's "
        "switches on and off: by its supply, or by a contact that enables it.",
    )
    rated_ma: DeviceAmperes | None = Field(
        default=None,
        alias="rated_a",
        description="With a pin: what it draws while it is on, as set in the device itself.",
    )
    active_high: StrictBool | None = Field(
        default=None,
        description="With a pin: whether a high pin energises the relay; left out: true.",
    )
    energised: Literal["on", "off"] | None = Field(
        default=None,
        description="With a pin: what the charger is while the relay is energised; left out: on.",
    )
    feedback_pin: Pin | None = Field(
        default=None,
        description="With a pin: that of an auxiliary contact, which connects it to ground.",
    )
    feedback: Literal["normally_closed", "normally_open"] | None = Field(
        default=None,
        description="The auxiliary contact, with feedback_pin. normally_closed: closed while the "
        "charger is off, so that a broken wire reads as a charger that is on.",
    )
    opens_ns: ReplySeconds | None = Field(
        default=None,
        alias="opens_s",
        description="With a pin: the longest from its order until the relay has followed; "
        "left out: 0.5.",
    )
    meter: Slug | None = Field(
        default=None,
        description="With a pin: the [[meter]] that measures this charger and nothing else.",
    )
    unit: UnitOrPattern = 1
    connector: Annotated[StrictInt, Field(ge=1, le=16)] = Field(
        default=1, description="Which one, of a device with several, each with its own registers."
    )
    count: Annotated[StrictInt, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Makes this a row of so many chargers; {n} counts from `first`."
    )
    first: Annotated[StrictInt, Field(ge=0, le=9999)] = 1
    poll_ns: PollSeconds | None = Field(
        default=None,
        alias="poll_s",
        description="Period of reports; left out: 1 s, or as long as the device takes for one.",
    )
    phases: AnyTerminals = optional(
        "L1 L2 L3", "phases", "Grid phases as wired at the charger's terminals 1, 2, 3."
    )
    min_ma: DeviceAmperes | None = Field(
        default=None,
        alias="min_a",
        description="Least setpoint but 0; left out: 6, or the profile's.",
    )
    max_ma: DeviceAmperes | None = Field(
        default=None,
        alias="max_a",
        description="The most it can draw, as set in the device itself.",
    )
    step_ma: StepAmperes | None = Field(
        default=None, alias="step_a", description="Else the profile's."
    )
    fallback_ma: DeviceAmperes | None = Field(
        default=None,
        alias="fallback_a",
        description="What it does alone when it hears nothing, as set in the device; "
        "left out: unknown, counted as max_a.",
    )
    fallback_delay_ns: WatchdogSeconds | None = Field(
        default=None,
        alias="fallback_delay_s",
        description="Its watchdog's time, as set in the device.",
    )
    program: StrictBool | None = Field(
        default=None,
        description="Whether fallback_a and fallback_delay_s, where they stand here, are written "
        "into the device when it says otherwise; left out: if its profile knows how. "
        "false: the installer sets them, and they are only compared.",
    )
    power_on_ma: DeviceAmperes | None = Field(
        default=None,
        alias="power_on_a",
        description="What it offers after its own power was cut, before it hears anything; "
        "left out: fallback_a if the profile says so, else max_a.",
    )
    tolerance_ppm: Percent | None = Field(
        default=None,
        alias="tolerance_pct",
        description="Draw above its setpoint; else the profile's.",
    )
    efficiency_ppm: Efficiency | None = Field(
        default=None,
        alias="efficiency_pct",
        description="The worst from its AC side to its DC side, of a charger that is commanded in "
        "watts, by its data sheet; else the profile's.",
    )
    power_factor_ppm: PowerFactor | None = Field(
        default=None,
        alias="power_factor",
        description="Likewise its worst power factor.",
    )
    standby_ma: SmallAmperes | None = Field(
        default=None, alias="standby_a", description="Its own consumption; else the profile's."
    )
    settle_ns: ShortSeconds | None = Field(
        default=None, alias="settle_s", description="From order to obedience; else the profile's."
    )
    max_age_ns: ShortSeconds | None = Field(
        default=None,
        alias="max_age_s",
        description="A report older than this is none; "
        "left out: the longest of 3 polls, 2 time-outs + 1 poll, 1 s; "
        "and, where the device bears reads only now and then, as long as one report takes.",
    )
    may_pause: Literal["yes", "replug", "never"] | None = Field(
        default=None,
        description="Whether it may be told to stop while it charges; left out: yes, or replug "
        "where a stop ends the vehicle's session, and then yes is refused; replug: its vehicle "
        "does not start again by itself, so it is stopped last and not for turns; never: it is "
        "not lowered below min_a, which counts as always drawn.",
    )
    min_on_ns: HourSeconds | None = Field(
        default=None,
        alias="min_on_s",
        description="Once it has its minimum it keeps it so long where not all can have theirs; "
        "a cap takes it at once. Left out: 300.",
    )
    min_off_ns: HourSeconds | None = Field(
        default=None,
        alias="min_off_s",
        description="Switched off for others, it stays off so long; left out: 0, for dwell_s "
        "keeps off for a while what a cap switched off.",
    )
    weight: Annotated[StrictInt, Field(ge=1, le=1000)] = Field(
        default=1, description="Share relative to others."
    )
    class_rank: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        default=0, alias="class", description="Lower goes first."
    )
