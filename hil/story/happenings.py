"""What can happen in a story: its events, and the cars and loads they speak of."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from hil.faults.view import How
from hil.story.gateway_events import (
    Command,
    CrashLoop,
    Install,
    Kill,
    Leave,
    PowerCut,
    PowerOff,
    Probe,
    Stall,
    Stop,
    UnitIs,
)
from hil.story.line_events import BrokerIll, Connection, ConverterIll, Misrouted, SerialLine
from hil.story.words import (
    Amps,
    AmpsOrUnlimited,
    Chargers,
    Event,
    Id,
    NotNegative,
    Number,
    Part,
    Positive,
)


class BaseLoad(Part):
    """Load that is nobody's charger, on a circuit itself (not below it)."""

    circuit: Id
    load_a: Amps
    noise_a: NotNegative = 0.0


class Car(Part):
    """A vehicle as it is built and as full as it is."""

    max_a: Positive = 32.0
    phases: Literal[1, 2, 3] = 3
    reaction_s: Annotated[Number, Field(ge=0.1, le=10)] = 1.0
    energy_kwh: NotNegative = 60.0
    taper_kwh: NotNegative = 4.0


class Plugged(Car):
    """A vehicle, and where it stands."""

    charger: Chargers


class MeterTruth(Part):
    """How slow a meter really is, whatever the site document says of it."""

    id: Id
    lag_s: NotNegative = 0.1
    refresh_s: NotNegative = 0.1


class ChargerTruth(Part):
    """Where hardware differs from its site document; what is absent is as documented."""

    charger: Chargers
    max_a: NotNegative | None = None
    fallback_a: NotNegative | None = None
    power_on_a: NotNegative | None = None
    watchdog_s: NotNegative | None = Field(None, description="0: it keeps its last setpoint")
    boot_s: NotNegative = Field(0.0, description="from getting its power back until it answers")


class SetBase(Event, BaseLoad):
    """The base load of a circuit steps to a new value."""

    do: Literal["base"]


class Plug(Event, Plugged):
    """A vehicle arrives."""

    do: Literal["plug"]


class Unplug(Event):
    """A vehicle leaves."""

    do: Literal["unplug"]
    charger: Chargers


class CarMax(Event):
    """The vehicle's own wish changes: it wakes up, or spares its battery."""

    do: Literal["car_max"]
    charger: Chargers
    max_a: NotNegative


class Voltage(Event):
    """The voltage of the whole depot becomes so much of nominal: what is commanded in watts draws
    the more current the lower it is."""

    do: Literal["voltage"]
    percent: Annotated[Number, Field(ge=60, le=140)]


class Limit(Event):
    """The cloud publishes a limit, and again each `every_s` until its next one."""

    do: Literal["limit"]
    source: Id
    limit_a: AmpsOrUnlimited
    ttl_s: Positive
    until_s: Positive | None = Field(None, description="planned end, seconds after t_s")
    every_s: Positive | None = None
    reason: str = ""

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.every_s is not None and self.every_s >= self.ttl_s:
            raise ValueError("every_s must be shorter than ttl_s, or each limit lapses first")
        return self


class CloudCut(Event):
    """The broker cannot be reached any more."""

    do: Literal["cloud_cut"]


class CloudBack(Event):
    do: Literal["cloud_back"]


class MeterSilent(Event):
    """The meter stops answering."""

    do: Literal["meter_silent"]
    meter: Id


class MeterBack(Event):
    do: Literal["meter_back"]
    meter: Id


class MeterShows(Event):
    """From now on the meter shows something else than there is, or the truth again."""

    do: Literal["meter_shows"]
    meter: Id
    how: How
    scale: Number = 1.0


class ClampShows(Event):
    """Likewise for a clamp."""

    do: Literal["clamp_shows"]
    clamp: Id
    how: How
    scale: Number = 1.0


class ClampSilent(Event):
    """The clamp's board sends nothing any more."""

    do: Literal["clamp_silent"]
    clamp: Id


class ClampText(Event):
    """A console writes on the clamp's line, in place of the board."""

    do: Literal["clamp_text"]
    clamp: Id


class ClampNoise(Event):
    """The board sends at another speed: nothing but noise arrives."""

    do: Literal["clamp_noise"]
    clamp: Id


class ClampUnplugged(Event):
    """The clamp's adapter is pulled out."""

    do: Literal["clamp_unplugged"]
    clamp: Id


class ClampBack(Event):
    """Plugged in, and sending."""

    do: Literal["clamp_back"]
    clamp: Id


class ChargerSilent(Event):
    """The charger stops answering; it goes on charging as its watchdog has it."""

    do: Literal["charger_silent"]
    charger: Chargers


class ChargerBack(Event):
    do: Literal["charger_back"]
    charger: Chargers


class Disobey(Event):
    """The charger answers and confirms, and draws what it drew."""

    do: Literal["disobey"]
    charger: Chargers


class Obey(Event):
    do: Literal["obey"]
    charger: Chargers


class PowerCycle(Event):
    """The charger's own supply is cut and returns at once."""

    do: Literal["power_cycle"]
    charger: Chargers


class Weld(Event):
    """A contactor's main contacts weld: it opens no more."""

    do: Literal["weld"]
    contactor: Id


class Prooftest(Event):
    """Somebody on site tests contactors; the story fails when something else comes of it."""

    do: Literal["prooftest"]
    contactor: Annotated[tuple[Id, ...], Field(description="none: all")] = ()
    even_charging: bool = False
    becomes: dict[Id, Literal["follows", "welded", "unread", "not_closed", "stays_open", "refused"]]
    within_s: Positive = 30.0


class Contact(Event):
    """Whoever holds a contact on the gateway's pins asks to dim, or no longer."""

    do: Literal["contact"]
    input: Id
    active: bool
    percent: Annotated[int, Field(strict=True, ge=0, le=100)] | None = Field(
        None, description="which one, of an input with several"
    )


class WireBroken(Event):
    """The wire of a contact breaks: one that asks to dim, or a contactor's auxiliary one."""

    do: Literal["wire_broken"]
    pin: Annotated[
        Id,
        Field(description="the id of the input or contactor; of one of several, such as ripple-60"),
    ]


class WireMended(Event):
    do: Literal["wire_mended"]
    pin: Id


class Desired(Event):
    """Somebody publishes a document; the story fails when something else becomes of it."""

    do: Literal["desired"]
    revision: Annotated[int, Field(strict=True, ge=1)]
    operation: dict[str, JsonValue] = Field(default_factory=dict)
    change: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="the installation part: the site's own with keys set by path, as in "
        '"circuit.row-a.rating_a"; none: left out',
    )
    signed_by: Literal["installer", "stranger", "nobody"] = "nobody"
    becomes: Literal["active", "rejected", "rolled_back"]
    within_s: Positive = 15.0


Happening = Annotated[
    SetBase
    | Plug
    | Unplug
    | CarMax
    | Limit
    | CloudCut
    | CloudBack
    | MeterSilent
    | MeterBack
    | MeterShows
    | ClampShows
    | ClampSilent
    | ClampText
    | ClampNoise
    | ClampUnplugged
    | ClampBack
    | ChargerSilent
    | ChargerBack
    | Disobey
    | Voltage
    | Obey
    | PowerCycle
    | Weld
    | Prooftest
    | Contact
    | WireBroken
    | WireMended
    | Kill
    | Stall
    | Stop
    | CrashLoop
    | Leave
    | PowerOff
    | PowerCut
    | Install
    | Command
    | UnitIs
    | Probe
    | SerialLine
    | Misrouted
    | ConverterIll
    | Connection
    | BrokerIll
    | Desired,
    Field(discriminator="do"),
]
