"""The capacity tree as people write it."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt

from controller.document.entries.base import Entry, Slug, Title, optional
from controller.document.quantities import (
    BreakerAmperes,
    CircuitAmperes,
    ClearSeconds,
    CurveSeconds,
    CurveTimes,
    DeviceAmperes,
    KilovoltAmperes,
    PickupAmperes,
    ReleaseSeconds,
)

AMBIENT_C = 40  # where nobody says: a closed board on a warm day


Celsius = Annotated[StrictInt, Field(ge=-40, le=85)]

INSTANT = (
    "Lowest current at which it trips without delay or by its short-time delay, all tolerances "
    "taken off; left out: the lowest that such a device can be set to."
)


class Point(Entry):
    """A point of the maker's fastest curve, from cold."""

    times_ppm: CurveTimes = Field(alias="times", description="Multiple of the rated current.")
    carries_ns: CurveSeconds = Field(alias="s", description="It does not trip sooner than this.")


class Device(Entry):
    """What every protective device has."""

    ambient_c: Celsius = Field(
        default=AMBIENT_C, description="The warmest air around it, in degrees Celsius."
    )


class Bimetal(Device):
    """One whose curve may be stated more closely than the standards bound it."""

    fastest: Point | None = Field(
        default=None,
        description="A point of its maker's fastest curve; left out: what standards guarantee.",
    )


class Fuse(Bimetal):
    kind: Literal["fuse"]
    carries_ma: BreakerAmperes = Field(alias="in_a", description="Rated current In, of a gG fuse.")


class Mcb(Bimetal):
    kind: Literal["mcb"]
    carries_ma: BreakerAmperes = Field(alias="in_a", description="Rated current In.")
    curve: Literal["B", "C", "D"]


class Mccb(Bimetal):
    kind: Literal["mccb"]
    carries_ma: BreakerAmperes = Field(alias="in_a", description="Rated current In.")
    instant_ma: PickupAmperes | None = Field(default=None, alias="instant_a", description=INSTANT)


class Electronic(Device):
    kind: Literal["electronic"]
    carries_ma: BreakerAmperes = Field(alias="ir_a", description="Long-time pickup Ir.")
    release_ns: ReleaseSeconds = Field(alias="tr_s", description="Time to trip at 6 Ir.")
    instant_ma: PickupAmperes | None = Field(default=None, alias="instant_a", description=INSTANT)


Protection = Annotated[Fuse | Mcb | Mccb | Electronic, Field(discriminator="kind")]


class GeneratorEntry(Entry):
    """What a circuit is fed with when the grid is not there."""

    rating_ma: CircuitAmperes = Field(
        alias="rating_a",
        description="What it and its cables carry for ever, no more than rating_a.",
    )
    protection: Protection | None = Field(
        default=None,
        description="Its fuse or breaker; left out, it counts as one that trips on any excess.",
    )


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
    base_step_ma: CircuitAmperes | None = Field(
        default=None,
        alias="base_step_a",
        description="The most that this base load rises at once; left out: all of it. Chargers "
        "that take writes only now and then rise only where so much stays free.",
    )
    nominal_v: Annotated[StrictInt, Field(ge=100, le=1000)] | None = Field(
        default=None, description="Volts line to line; left out: the parent's, 400 at the root."
    )
    protection: Protection | None = Field(
        default=None,
        description="The fuse or breaker; left out, it counts as one that trips on any excess.",
    )
    generator: GeneratorEntry | None = Field(
        default=None,
        description="Ratings that hold while an [[input]] of kind generator is active: only lower.",
    )
    credit_export: StrictBool = Field(
        default=False, description="Whether power fed in here may be given to chargers."
    )
    clear_within_ns: ClearSeconds | None = Field(
        default=None,
        alias="clear_within_s",
        description="An excess over the rating must be gone within this time.",
    )
    reserve_ma: CircuitAmperes = optional(
        0,
        "reserve_a",
        "Kept free below every cap, for steps of the base load that nothing is fast enough for.",
    )
    busbar_ma: CircuitAmperes | None = Field(
        default=None,
        alias="busbar_a",
        description="What the bus bar itself carries, however many sides feed it. Less the worst "
        "base load, it bounds what all chargers below draw together, whatever is fed in here.",
    )
    apparent_va: KilovoltAmperes | None = Field(
        default=None,
        alias="apparent_kva",
        description="What the three phases carry together at nominal voltage: the apparent power "
        "of a transformer or of a contract.",
    )
    imbalance_ma: DeviceAmperes | None = Field(
        default=None,
        alias="imbalance_a",
        description="How far chargers that draw on one phase only may lift that phase above "
        "another; of managed chargers only.",
    )
