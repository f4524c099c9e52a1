"""What a charger's profile says beyond its registers: setpoint, state, watchdog, settings."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictInt

from controller.document.problems import Problem
from controller.facts import WattsFacts
from drivers.register import (
    Amperes,
    Factor,
    Integers,
    Part,
    Percent,
    Register,
    Seconds,
    Texts,
    WholeWatts,
)

MW_PER_W = 1_000
WORST_PPM = 500_000  # of an efficiency or a power factor
PHASES = 3

Wants = Callable[..., Iterator[Problem]]  # of Profile
Raw = Annotated[StrictInt, Field(ge=-(2**31), lt=2**32)]  # as it stands in the register


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Names = Annotated[Texts, BeforeValidator(_several), Field(max_length=PHASES)]


class Setpoint(Part):
    """Where a charger is told the current it may draw, or the power; of one phase each where
    there are several registers."""

    register_names: Names = Field(alias="register")
    fc: Literal[6, 16]  # written with, all words of a register in one request
    applied_names: Names = Field(alias="applied")  # of the highest current it applies now
    min_ma: Amperes = Field(0, alias="min_a")  # stated unless the profile has [watts]
    max_ma: Amperes | None = Field(None, alias="max_a")  # absent: the site must say
    step_ma: Amperes = Field(0, alias="step_a")
    # What 0 does there; "unlimited": it charges as it likes.
    zero: Literal["pauses", "ignored", "refused", "ends_session", "unlimited"] = "pauses"
    off: Raw | None = None  # what is written for a pause instead
    unlimited: tuple[Raw, ...] = ()  # read there: nothing holds it back but its own maximum
    percent_of_ma: Amperes | None = Field(None, alias="percent_of_a", gt=0)  # where it is in %
    duty: StrictBool = False  # where its % are the duty cycle of the control pilot

    @property
    def register_name(self) -> str:
        return self.register_names[0]

    @property
    def applied(self) -> str:
        return self.applied_names[0]

    @property
    def zero_pauses(self) -> bool:
        """Whether it pauses without anything but its setpoint's register."""
        return self.zero == "pauses" or self.off is not None

    @property
    def zero_stops(self) -> bool:
        """Whether nothing flows while 0 stands there."""
        return self.zero in ("pauses", "ends_session")


class Enable(Part):
    """What lets a charger charge at all, beside its setpoint."""

    register_name: str = Field(alias="register")
    fc: Literal[5, 6, 16]
    on: Raw
    off: Raw
    # A command is followed, and not kept: what is read there does not tell whether it charges.
    command: StrictBool = False


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
        for key, names in (
            ("setpoint.register", setpoint.register_names),
            ("setpoint.applied", setpoint.applied_names),
        ):
            for name in names:
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


class Refined(Part):
    """A second register without which a code does not tell the state, and what then tells it."""

    register_name: str = Field(alias="register")
    values: Integers


class Status(Part):
    register_name: str = Field(alias="register")
    iec: dict[str, Literal["A", "B", "C", "D", "E", "F"]]  # its own code → IEC 61851 state
    unplugged: Refined | None = None  # one of these: state B is A
    charging: Refined | None = None  # one of these: state B is C


class Watchdog(Part):
    """What the charger does alone when nobody writes any more."""

    # What feeds it: the setpoint, anything at all, a register of its own (the last three), or
    # nobody knows: then it counts as one that has none.
    kind: Literal[
        "none",
        "unknown",
        "setpoint_rewrite",
        "any_traffic",
        "timeout_rewrite",
        "life_bit",
        "token",
    ]
    timeout_ns: Seconds | None = Field(None, alias="timeout_s")  # as delivered; 0: it is off
    timeout: str | None = None  # register of its time as set; 0: it is off
    timeout_off: tuple[Raw, ...] = ()  # read there: it is off, too
    remaining: str | None = None  # register of the time left; 0: it has run out
    # Registers of the current it then applies; of several, by its phases, the highest counts.
    fallback_names: Names = Field((), alias="fallback")
    fallback_unknown: StrictBool = False  # nobody says what it does then
    # Whether a fallback of 0 stops it, as sources say, where a setpoint of 0 does not.
    fallback_stops: StrictBool = False
    timeout_set: str | None = None  # register that sets `timeout`
    timeout_least_ns: Seconds = Field(0, alias="timeout_least_s")  # that it takes
    timeout_most_ns: Seconds | None = Field(None, alias="timeout_most_s")  # likewise
    fallback_set_names: Names = Field((), alias="fallback_set")  # those that set them
    fc: Literal[6, 16] = 6  # they are written with
    feed: str | None = None  # register that feeds it, of a life bit or a token
    feed_fc: Literal[5, 6, 16] = 6
    feed_value: Raw | None = None  # what is written there
    feed_off: tuple[Raw, ...] = ()  # read there: it is off
    feed_every_ns: Seconds | None = Field(None, alias="feed_every_s")  # at the latest
    armed_after_power_on: StrictBool = False
    power_on_is_fallback: StrictBool = False

    @property
    def fallback(self) -> str | None:
        """The first register of it."""
        return next(iter(self.fallback_names), None)

    @property
    def feeds_apart(self) -> bool:
        """Whether something else than a setpoint has to be written to feed it."""
        return self.kind in ("timeout_rewrite", "life_bit", "token")

    @property
    def runs(self) -> bool:
        """Whether it may run out, as far as anybody knows."""
        return self.kind not in ("none", "unknown")

    def problems(
        self, registers: Mapping[str, Register], unit: str, wants: Wants
    ) -> Iterator[Problem]:
        """What single fields cannot show; `unit` is what its fallback is in."""
        if self.runs == (self.timeout_ns is None):
            yield Problem("watchdog", "has a timeout_s where there is a watchdog, and only there")
        if self.remaining is not None and self.fallback is None:
            yield Problem("watchdog", "needs a fallback where it tells the time left")
        if not self.runs and any((self.timeout, self.remaining, self.fallback, self.feed)):
            yield Problem("watchdog", "has registers of a watchdog that nobody can rely upon")
        if self.fallback_unknown and self.fallback is not None:
            yield Problem("watchdog.fallback_unknown", "is not: fallback names it")
        relied = not self.fallback_unknown  # else its time is written to feed it, and no more
        if self.timeout_set is not None and self.timeout is None and relied:
            yield Problem("watchdog.timeout_set", "is set blindly: nothing reads it back")
        if self.fallback_set_names and len(self.fallback_set_names) != len(self.fallback_names):
            yield Problem("watchdog.fallback_set", "is set blindly: nothing reads all of it back")
        for key, names, seconds_or_current in (
            ("timeout", (self.timeout,), "s"),
            ("remaining", (self.remaining,), "s"),
            ("fallback", self.fallback_names, unit),
            ("timeout_set", (self.timeout_set,), "s"),
            ("fallback_set", self.fallback_set_names, unit),
        ):
            for name in filter(None, names):
                written = key.endswith("_set")
                place = f"watchdog.{key}"
                yield from wants(place, name, seconds_or_current, written=written)
        yield from self._feed_problems(registers, wants)

    def _feed_problems(self, registers: Mapping[str, Register], wants: Wants) -> Iterator[Problem]:
        rewrites = self.kind == "timeout_rewrite"
        if (self.feed is not None) != (self.feeds_apart and not rewrites):
            yield Problem("watchdog.feed", "belongs to a life_bit or a token, and to them alone")
        if (self.feed is None) != (self.feed_value is None):
            yield Problem("watchdog", "has a feed and its feed_value, or neither")
        if rewrites and self.timeout_set is None:
            yield Problem("watchdog.timeout_set", "is missing: writing it is what feeds it")
        if self.feed is not None:
            yield from wants("watchdog.feed", self.feed, None, written=True)
            if self.feed_off and self.feed in registers and registers[self.feed].write_only:
                yield Problem("watchdog.feed_off", "cannot be seen: feed is never read")
        if self.feed_every_ns is not None and not (self.feeds_apart and self.feed_every_ns):
            yield Problem("watchdog.feed_every_s", "is above 0, and of one that is fed apart")


class Setting(Part):
    """What must be set in the charger's memory: read first, written only where it differs."""

    register_name: str = Field(alias="register")
    fc: Literal[5, 6, 16]
    value: Raw
    wrong: str  # what it means while it is not set
    # Whether its watchdog can be relied upon only once this stands there.
    arms: StrictBool = True


class Endurance(Part):
    """Registers whose memory wears out, and how often each may be written."""

    registers: Texts
    writes_a_day: StrictInt = Field(ge=1, le=1000)
    writes: StrictInt = Field(ge=1, le=10_000_000)  # in all
