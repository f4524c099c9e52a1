"""Device profiles: what a meter or charger says where, as data. One TOML file a device.

A profile states its sources and how sure each fact is. It is refused as a whole, with every
problem found, when anything in it is unknown or contradicts itself.
"""

from collections.abc import Collection, Iterator
from math import ceil, lcm
from typing import Any, Literal

from pydantic import Field, StrictInt, model_validator

from controller.document.problems import Problem
from controller.facts import ChargerFacts
from controller.units import NS_MAX
from drivers.chargerparts import InWatts, Setpoint, Setting, Status, Watchdog
from drivers.computed import Computed
from drivers.decode import greatest
from drivers.identity import Identity, Marker
from drivers.layout import (
    Reads,
    block_problems,
    computed_problems,
    register_problems,
    unit_problems,
)
from drivers.register import (
    COILS,
    Amperes,
    Block,
    Check,
    Function,
    Integers,
    Part,
    Percent,
    Register,
    RegisterType,
    Seconds,
    Texts,
    WordOrder,
)
from drivers.sunspec import FIELDS, SunSpec

Confidence = Literal["two-sources", "one-source", "inferred", "disputed", "unverified", "assumed"]
"""`assumed` is our own guess on the safe side, where no source says anything."""

RESOLUTION_MA = 100  # of a current, at the finest
READ_NS = 50_000_000  # what one paced read takes beside its gap, and some


class Connectors(Part):
    """Of a device with several: the profile's addresses are the first one's."""

    count: StrictInt = Field(ge=1, le=16)
    stride: StrictInt = Field(ge=1, le=4096)  # from one's registers to the next one's


class Pacing(Part):
    """How often a device bears to be asked, beside the gap between any two requests."""

    read_gap_ns: Seconds = Field(0, alias="read_gap_s")
    write_gap_ns: Seconds = Field(0, alias="write_gap_s")  # a write that comes sooner is lost


class Profile(Part):
    """What meters and chargers have in common."""

    schema_version: Literal[1] = Field(alias="schema")
    name: str  # its file's name
    vendor: str
    model: str
    transports: tuple[Literal["tcp", "rtu", "ascii"], ...]
    port: StrictInt = Field(502, ge=1, le=65535)
    unit: StrictInt = Field(1, ge=0, le=255)  # as delivered
    fc: Function = 3
    word_order: WordOrder = "high_first"
    sentinels: dict[RegisterType, Integers] = Field(default_factory=dict)
    max_registers: StrictInt = Field(125, ge=1, le=125)  # in one request
    reads: Reads = Reads()
    error_ma: Amperes = Field(alias="error_a")  # of its currents
    gap_ns: Seconds = Field(0, alias="gap_s")  # that it needs between two requests
    pacing: Pacing = Pacing.model_validate({})
    lag_ns: Seconds = Field(alias="lag_s")  # age of its currents on arrival, upper bound
    blocks: tuple[Block, ...] = Field((), alias="block")
    checks: tuple[Check, ...] = Field((), alias="check")
    sunspec: SunSpec | None = None  # then addresses count from where its model is found
    identify: tuple[Marker, ...] = ()  # all of them fit, and it is this kind of device
    identity: Identity = Identity()
    registers: dict[str, Register]
    computed: dict[str, Computed] = Field(default_factory=dict)
    sources: Texts
    confidence: Confidence  # of every fact that `conf` does not name
    conf: dict[str, Confidence] = Field(default_factory=dict)  # by dotted path
    notes: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _hand_down(cls, data: Any) -> Any:
        """Gives each register what the profile says once for all of them."""
        sentinels = data.get("sentinels")

        def full(register: Any) -> Any:
            if not isinstance(register, dict):
                return register
            common = {key: data[key] for key in ("fc", "word_order") if key in data}
            kind = register.get("type")
            if isinstance(sentinels, dict) and isinstance(kind, str):
                common["sentinels"] = sentinels.get(kind, ())
            return common | register

        for key in ("registers", "identity", "check", "identify"):
            found = data.get(key)
            if isinstance(found, dict):
                data = data | {key: {name: full(each) for name, each in found.items()}}
            elif isinstance(found, list):
                data = data | {key: [full(each) for each in found]}
        return data

    @property
    def currents(self) -> tuple[str, ...]:
        """Names of the registers of its currents, by terminal; empty where it has no meter."""
        names = ("current_l1", "current_l2", "current_l3")
        return tuple(name for name in names if self.has(name))

    def has(self, name: str) -> bool:
        return name in self.registers or name in self.computed

    def parts(self, name: str) -> tuple[str, ...]:
        """The registers that a value is made of; of a register, itself."""
        return self.computed[name].parts if name in self.computed else (name,)

    def unit_of(self, name: str) -> str | None:
        return self.registers[self.parts(name)[0]].unit

    def asked_for(self, names: Collection[str]) -> tuple[str, ...]:
        """The registers that these values need, scale factors included."""
        proof = () if self.sunspec is None else FIELDS
        parts = dict.fromkeys((*proof, *(part for name in names for part in self.parts(name))))
        factors = (self.registers[part].scale_factor for part in parts)
        return (*parts, *(each for each in dict.fromkeys(factors) if each and each not in parts))

    def fewer(self, block: Block) -> tuple[int, ...]:
        """Smaller counts that the block can be read with: up to the end of each other value."""
        if block.fc in COILS:
            return ()  # replies of several counts look alike
        held = [each for each in self.registers.values() if block.covers(each)]
        ends = {each.end for each in held if each.end < block.end}
        whole = {end for end in ends if not any(each.addr < end < each.end for each in held)}
        counts = self.reads.fewer({end - block.start for end in whole})
        return tuple(sorted(counts, reverse=True))

    def rounds(self, names: Collection[str]) -> tuple[tuple[Block, ...], ...]:
        """The blocks that a poll reads for these registers; polls take turns with the rounds.

        Blocks that are not read in each poll are spread, so that no poll has many more than others.
        """
        registers = [self.registers[name] for name in names]
        wanted = [each for each in self.blocks if any(map(each.covers, registers))]
        turns: list[list[Block]] = [[] for _ in range(lcm(*(each.every for each in wanted)))]
        for block in sorted(wanted, key=lambda each: each.every):
            first = min(range(block.every), key=lambda i: max(map(len, turns[i :: block.every])))
            for turn in turns[first :: block.every]:
                turn.append(block)
        return tuple(tuple(sorted(turn, key=wanted.index)) for turn in turns)

    def problems(self) -> Iterator[Problem]:
        """What single fields cannot show."""
        yield from register_problems(self.registers, self.blocks)
        yield from unit_problems(self.registers)
        yield from block_problems(self.blocks, self.registers, self.max_registers)
        yield from computed_problems(self.computed, self.registers, self.blocks)
        yield from self.reads.problems(self.blocks, self.checks, self.registers)
        if self.sunspec is not None:
            yield from self.sunspec.problems(self.blocks, self.registers)
        for name in self.currents:
            yield from self.wants(f"registers.{name}", name, "A")

    def wants(
        self, place: str, name: str, unit: str | None, *, written: bool = False
    ) -> Iterator[Problem]:
        """A problem where `name` is no value with this unit, or one that is only written.

        With `written`: no register that can be written, either.
        """
        first = self.parts(name)[0] if not written else name
        register = self.registers.get(first)
        if register is None or (register.write_only and not written):
            yield Problem(place, f"needs a register {name} that can be read")
        elif register.unit != unit:
            yield Problem(place, f"needs {name} in {unit}, not {register.unit}")
        elif any(each.optional and each.covers(register) for each in self.blocks):
            yield Problem(place, f"needs {name}, which stands in an optional block")
        elif written and (register.mask or register.half or register.scale_factor):
            yield Problem(place, f"needs {name} whole and with a fixed scale, to be written")


class ChargerProfile(Profile):
    kind: Literal["charger"]
    tolerance_ppm: Percent = Field(alias="tolerance_pct")  # drawn above the setpoint
    standby_ma: Amperes = Field(alias="standby_a")
    settle_ns: Seconds = Field(alias="settle_s")  # until the vehicle follows a setpoint
    setpoint: Setpoint
    status: Status
    watchdog: Watchdog
    settings: tuple[Setting, ...] = Field((), alias="setting")
    watts: InWatts | None = None  # commanded in watts
    connectors: Connectors | None = None

    @property
    def reported(self) -> tuple[str, ...]:
        """The registers that a report comes from."""
        watchdog, unplugged = self.watchdog, self.status.unplugged
        names = (
            *self.currents,
            self.status.register_name,
            None if unplugged is None else unplugged.register_name,
            self.setpoint.register_name,
            self.setpoint.applied,
            watchdog.timeout,
            watchdog.remaining,
            watchdog.fallback,
            *(setting.register_name for setting in self.settings),
        )
        found = (name for name in names if name is not None)
        return tuple(name for name in found if not self.registers[name].write_only)

    @property
    def report_ns(self) -> int:
        """How long one report takes where reads are paced; else nothing to speak of."""
        if not self.pacing.read_gap_ns:
            return 0
        reads = max(map(len, self.rounds(self.reported)))
        return reads * (self.pacing.read_gap_ns + READ_NS)

    @property
    def reading_ns(self) -> int:
        """How long it hears from us in every report, at the least: paced reads are spread."""
        reads = min(map(len, self.rounds(self.reported)))
        return (reads - 1) * self.pacing.read_gap_ns

    @property
    def facts(self) -> ChargerFacts:
        return ChargerFacts(
            name=self.name,
            min_ma=self.setpoint.min_ma,
            max_ma=self.setpoint.max_ma,
            step_ma=self.setpoint.step_ma,
            tolerance_ppm=self.tolerance_ppm,
            standby_ma=self.standby_ma,
            settle_ns=self.settle_ns,
            metered=bool(self.currents or (self.watts and self.watts.power)),
            error_ma=self.error_ma,
            lag_ns=self.lag_ns,
            watchdog_timeout_ns=self.watchdog.timeout_ns or None,
            has_fallback=self.watchdog.kind != "none",
            watchdog_armed_after_power_on=self.watchdog.armed_after_power_on,
            power_on_is_fallback=self.watchdog.power_on_is_fallback,
            sets_fallback=self.watchdog.fallback_set is not None,
            sets_timeout=self.watchdog.timeout_set is not None,
            timeout_least_ns=self.watchdog.timeout_least_ns,
            timeout_most_ns=self._timeout_most_ns,
            writable_ma=self._writable,
            any_traffic=self.watchdog.kind == "any_traffic",
            write_gap_ns=self.pacing.write_gap_ns,
            confirm_gap_ns=self.report_ns,
            resolution_ma=self._resolution_ma,
            watts=None if self.watts is None else self.watts.facts(self._writable),
            connectors=1 if self.connectors is None else self.connectors.count,
        )

    @property
    def _writable(self) -> int | None:
        """The most that its setpoint's register can hold."""
        return greatest(self.registers[self.setpoint.register_name])

    @property
    def _resolution_ma(self) -> int:
        """The least change that its currents show; what counts finer than a tenth is noise."""
        registers = [self.registers[part] for name in self.currents for part in self.parts(name)]
        coarse = [each for each in registers if not each.type.startswith("float")]
        return max(RESOLUTION_MA, *(ceil(each.thousandths) for each in coarse), 0)

    @property
    def _timeout_most_ns(self) -> int | None:
        """The longest time that its watchdog can be set to."""
        name = self.watchdog.timeout_set
        holds_ms = None if name is None else greatest(self.registers[name])
        stated_ns = self.watchdog.timeout_most_ns
        if holds_ms is None:
            return stated_ns
        return min(holds_ms * 1_000_000, NS_MAX if stated_ns is None else stated_ns)

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        unit = "A" if self.watts is None else "W"
        yield from self.wants("setpoint.register", self.setpoint.register_name, unit, written=True)
        yield from self.wants("setpoint.applied", self.setpoint.applied, unit)
        if self.watts is None:
            for key, stated in (("min_a", self.setpoint.min_ma), ("step_a", self.setpoint.step_ma)):
                if not stated:
                    yield Problem(f"setpoint.{key}", "is missing, and the profile has no [watts]")
        else:
            yield from self.watts.problems(self.setpoint, self.registers)
            if self.watts.power is not None:
                yield from self.wants("watts.power", self.watts.power, "W")
        yield from self.wants("status.register", self.status.register_name, None)
        if self.status.unplugged is not None:
            yield from self.wants("status.unplugged", self.status.unplugged.register_name, None)
        if (self.watchdog.kind == "none") != (self.watchdog.timeout_ns is None):
            yield Problem("watchdog", "has a timeout_s where there is a watchdog, and only there")
        yield from self._watchdog_problems()
        for i, setting in enumerate(self.settings):
            yield from self.wants(f"setting[{i}].register", setting.register_name, None)

    def _watchdog_problems(self) -> Iterator[Problem]:
        watchdog = self.watchdog
        shows = watchdog.remaining is not None or watchdog.kind == "any_traffic"
        told = watchdog.fallback is not None
        if told != shows and (told or watchdog.remaining is not None):
            yield Problem("watchdog", "needs both remaining and fallback, or neither")
        for key, name, unit in (
            ("timeout", watchdog.timeout, "s"),
            ("remaining", watchdog.remaining, "s"),
            ("fallback", watchdog.fallback, "A" if self.watts is None else "W"),
        ):
            if name is not None:
                yield from self.wants(f"watchdog.{key}", name, unit)
        for key, name, shown, unit in (
            ("timeout_set", watchdog.timeout_set, watchdog.timeout, "s"),
            (
                "fallback_set",
                watchdog.fallback_set,
                watchdog.fallback,
                "A" if self.watts is None else "W",
            ),
        ):
            if name is not None:
                yield from self.wants(f"watchdog.{key}", name, unit, written=True)
                if shown is None:
                    yield Problem(f"watchdog.{key}", "is set blindly: nothing reads it back")
