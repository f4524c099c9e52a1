"""Device profiles: what a meter or charger says where, as data. One TOML file a device.

A profile states its sources and how sure each fact is. It is refused as a whole, with every
problem found, when anything in it is unknown or contradicts itself.
"""

from collections.abc import Collection, Iterator
from math import lcm
from typing import Any, Literal

from pydantic import Field, StrictInt, model_validator

from controller.document.problems import Problem
from drivers.computed import Computed
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
    Register,
    RegisterType,
    Seconds,
    Texts,
    WordOrder,
)
from drivers.sunspec import FIELDS, SunSpec

Confidence = Literal["two-sources", "one-source", "inferred", "disputed", "unverified", "assumed"]
"""`assumed` is our own guess on the safe side, where no source says anything."""


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
        elif written and register.type == "ascii":
            yield Problem(place, f"needs a number in {name}, to be written")
