"""The site document as people write it: one model for TOML, JSON and the published schema.

Keys are in amperes and seconds (`min_a`); attributes are what the core counts in (`min_ma`).
A key that may be left out because the device's profile knows better is None until
:mod:`controller.document.devices` has asked the profile.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic.json_schema import GenerateJsonSchema

from controller.document.quantities import (
    AllTerminals,
    AmperesPerSecond,
    AnyTerminals,
    BreakerAmperes,
    CircuitAmperes,
    ClearSeconds,
    DeadManSeconds,
    DeviceAmperes,
    HoldSeconds,
    HourSeconds,
    LeaseSeconds,
    Percent,
    PollSeconds,
    Ratio,
    ReleaseSeconds,
    ReplySeconds,
    ShortSeconds,
    SmallAmperes,
    StepAmperes,
    TickSeconds,
    UnitOrPattern,
    WatchdogSeconds,
)

SLUG = r"^[a-z0-9][a-z0-9-]{0,62}$"
Slug = Annotated[StrictStr, Field(pattern=SLUG)]
Title = Annotated[StrictStr, Field(max_length=80, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Text = Annotated[StrictStr, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
Pattern = Annotated[
    Text, Field(description="In a row, {n} counts: {n}, {n+20}, {n:02} and {n+20:02} are replaced.")
]


def _default(value: object, alias: str, description: str) -> Any:
    """A field that may be left out, with its default as people would write it."""
    return Field(default=value, validate_default=True, alias=alias, description=description)


class Entry(BaseModel):
    """Part of a document: nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SiteEntry(Entry):
    id: Slug = Field(description="Names the site in topics and logs.")
    name: Title = ""
    timezone: Text = Field(default="UTC", description="IANA name, such as Europe/Berlin.")


class Control(Entry):
    """Pace of the controller; nothing here delays a reduction for a cap."""

    tick_ns: TickSeconds = _default(0.1, "tick_s", "Period of the control loop.")
    dead_man_ns: DeadManSeconds = _default(
        2.0, "dead_man_s", "No order is written that was not confirmed within this time."
    )
    dwell_ns: HourSeconds = _default(
        15, "dwell_s", "A charger lowered for a cap is not raised for this long."
    )
    ramp_ma_per_s: AmperesPerSecond = _default(4, "ramp_a_per_s", "How fast a charger is raised.")
    calm_ns: HourSeconds = _default(10, "calm_s", "Pace of changes that no cap asks for.")
    turn_ns: HourSeconds = _default(
        900, "turn_s", "How long a turn lasts where not all can have their minimum."
    )


class Fuse(Entry):
    kind: Literal["fuse"]
    carries_ma: BreakerAmperes = Field(alias="in_a", description="Rated current In.")


class Mcb(Entry):
    kind: Literal["mcb"]
    carries_ma: BreakerAmperes = Field(alias="in_a", description="Rated current In.")
    curve: Literal["B", "C", "D"]


class Mccb(Entry):
    kind: Literal["mccb"]
    carries_ma: BreakerAmperes = Field(alias="in_a", description="Rated current In.")


class Electronic(Entry):
    kind: Literal["electronic"]
    carries_ma: BreakerAmperes = Field(alias="ir_a", description="Long-time pickup Ir.")
    release_ns: ReleaseSeconds = Field(alias="tr_s", description="Time to trip at 6 Ir.")


Protection = Annotated[Fuse | Mcb | Mccb | Electronic, Field(discriminator="kind")]


class CircuitEntry(Entry):
    id: Slug
    name: Title = ""
    parent: Slug | None = Field(default=None, description="Left out for the one root circuit only.")
    rating_ma: CircuitAmperes = Field(
        alias="rating_a", description="What fuse, breaker or transformer carries for ever."
    )
    worst_base_ma: CircuitAmperes = Field(
        alias="worst_base_a",
        description="The most that everything but the managed chargers can draw here, "
        "that of the circuits below included; write 0 where there is nothing.",
    )
    nominal_v: Annotated[StrictInt, Field(ge=100, le=1000)] | None = Field(
        default=None, description="Volts line to line; left out: the parent's, 400 at the root."
    )
    protection: Protection | None = None
    credit_export: StrictBool = Field(
        default=False, description="Whether power fed in here may be given to chargers."
    )


class BusEntry(Entry):
    id: Slug
    url: Text = Field(
        description="tcp://host:port, or rtu:///dev/ttyUSB0?baud=19200&parity=E&stop=1"
    )
    timeout_ns: ReplySeconds = _default(0.5, "timeout_s", "How long a reply may take.")


class Transformer(Entry):
    """How a meter's current transformers sit on the circuit."""

    ratio_ppm: Ratio = _default(1, "ratio", "Multiplies what the meter shows.")
    reversed: StrictBool = Field(default=False, description="Whether import shows as negative.")
    phases: AllTerminals = _default(
        "L1 L2 L3", "phases", "Grid phases at the meter's terminals 1, 2, 3."
    )


class MeterEntry(Entry):
    id: Slug
    circuit: Slug
    profile: Text
    bus: Text = Field(description="The URL or the id of a [[bus]].")
    unit: Annotated[StrictInt, Field(ge=0, le=255)] = 1
    poll_ns: PollSeconds = _default(0.2, "poll_s", "Period of readings.")
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
    ct: Transformer = Field(default_factory=Transformer)


class ChargerEntry(Entry):
    """A charger, or with `count` a row of alike ones."""

    id: Pattern
    name: Title = ""
    circuit: Slug
    profile: Text
    bus: Pattern = Field(description="The URL or the id of a [[bus]].")
    unit: UnitOrPattern = 1
    count: Annotated[StrictInt, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Makes this a row of so many chargers; {n} counts from `first`."
    )
    first: Annotated[StrictInt, Field(ge=0, le=9999)] = 1
    poll_ns: PollSeconds = _default(1.0, "poll_s", "Period of reports.")
    phases: AnyTerminals = _default(
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
        "left out: the longest of 3 polls, 2 time-outs + 1 poll, 1 s.",
    )
    weight: Annotated[StrictInt, Field(ge=1, le=1000)] = Field(
        default=1, description="Share relative to others."
    )
    class_rank: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        default=0, alias="class", description="Lower goes first."
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
    hold_ns: HoldSeconds = _default(
        0, "hold_s", "After it is lost, its last limit binds at least this long."
    )
    clear_within_ns: ClearSeconds | None = Field(
        default=None, alias="clear_within_s", description="An excess must be gone within this time."
    )


class LinkEntry(Entry):
    broker: Text = Field(description="mqtt://host:port")
    client_id: Text | None = None
    username: Text | None = None
    password_file: Text | None = Field(
        default=None,
        description="Relative to the site document; holds the password and nothing else.",
    )


class Document(Entry):
    """A site document of Loadkeeper."""

    schema_version: Literal[1] = Field(alias="schema", description="Version of this format.")
    mode: Literal["control", "observe"] = Field(
        default="control", description="observe decides, records and writes nothing to any device."
    )
    site: SiteEntry
    control: Control = Field(default_factory=Control)
    circuits: tuple[CircuitEntry, ...] = Field(
        alias="circuit", max_length=1000, json_schema_extra={"minItems": 1}
    )
    buses: tuple[BusEntry, ...] = Field(default=(), alias="bus", max_length=1000)
    meters: tuple[MeterEntry, ...] = Field(default=(), alias="meter", max_length=1000)
    chargers: tuple[ChargerEntry, ...] = Field(default=(), alias="charger", max_length=5000)
    limit_sources: tuple[LimitSource, ...] = Field(
        default=(), alias="limit_source", max_length=1000
    )
    link: LinkEntry | None = None


class _Untitled(GenerateJsonSchema):
    """Leaves out titles that only repeat the key."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) published as docs/site.schema.json."""
    return {
        "$schema": _Untitled.schema_dialect,
        **Document.model_json_schema(schema_generator=_Untitled),
    }
