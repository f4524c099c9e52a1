"""Of a device with several connectors: what is whose, and where each one's registers stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field, StrictInt

from controller.document.problems import Problem
from drivers.register import Block, Part, Register

if TYPE_CHECKING:
    from drivers.chargerprofile import ChargerProfile


ADDRESS_MOST = 65535


class Connectors(Part):
    """Of a device with several: the profile's addresses, and its unit, are the first one's."""

    count: StrictInt = Field(ge=1, le=16)
    stride: StrictInt = Field(0, ge=0, le=4096)  # from one's registers to the next one's
    unit_stride: StrictInt = Field(0, ge=0, le=100)  # from one's unit to the next one's
    common: tuple[str, ...] = ()  # registers that all of them share, where they stand

    def problems(
        self, registers: Mapping[str, Register], blocks: Sequence[Block]
    ) -> Iterator[Problem]:
        if self.count > 1 and not (self.stride or self.unit_stride):
            yield Problem("connectors.stride", "is missing, and unit_stride: which is whose?")
        for name in self.common:
            if name not in registers:
                yield Problem("connectors.common", f"needs a register {name}")
        for i, block in enumerate(blocks):
            held = {name for name, each in registers.items() if block.covers(each)}
            if held & set(self.common) and held - set(self.common):
                yield Problem(f"block[{i}]", "holds what all connectors share, and more")
        own = {name: each for name, each in registers.items() if name not in self.common}
        shared = {name: registers[name] for name in self.common if name in registers}
        yield from self._too_high(own, blocks, shared)
        yield from self._collisions(own, shared)

    def _too_high(
        self, own: Mapping[str, Register], blocks: Sequence[Block], shared: Mapping[str, Register]
    ) -> Iterator[Problem]:
        furthest = (self.count - 1) * self.stride
        for name, register in own.items():
            if (last := register.end - 1 + furthest) > ADDRESS_MOST:
                yield Problem(f"registers.{name}.addr", self._beyond(last))
        for i, block in enumerate(blocks):
            last = block.end - 1 + furthest
            if last > ADDRESS_MOST and not any(map(block.covers, shared.values())):
                yield Problem(f"block[{i}].start", self._beyond(last))

    def _beyond(self, last: int) -> str:
        return f"is up to {last} for connector {self.count}: no address is above {ADDRESS_MOST}"

    def _collisions(
        self, own: Mapping[str, Register], shared: Mapping[str, Register]
    ) -> Iterator[Problem]:
        """At most one: where one connector's register would be another one's, or all of theirs."""
        if not self.stride:
            return
        for connector in range(2, self.count + 1):
            off = (connector - 1) * self.stride
            for name, moved in own.items():
                for other, stands in (*own.items(), *shared.items()):
                    if _meet(moved, off, stands):
                        whose = "what all connectors share" if other in shared else "connector 1's"
                        what = f"{name} of connector {connector} would be {other}, {whose}"
                        yield Problem("connectors.stride", what)
                        return


def _meet(moved: Register, off: int, stands: Register) -> bool:
    """Whether a register that is moved so far claims words of one that is not."""
    start, end = moved.addr + off, moved.end + off
    return moved.fc == stands.fc and start < stands.end and stands.addr < end


def at_connector(profile: ChargerProfile, connector: int) -> ChargerProfile:
    """All its addresses, moved to those of that connector."""
    if connector == 1 or profile.connectors is None:
        return profile
    off = (connector - 1) * profile.connectors.stride
    shared = [profile.registers[name] for name in profile.connectors.common]

    def moved_register(register: Register) -> Register:
        if register in shared:
            return register
        return register.model_copy(update={"addr": register.addr + off})

    def moved_block(block: Block) -> Block:
        if any(map(block.covers, shared)):
            return block
        return block.model_copy(update={"start": block.start + off})

    return profile.model_copy(
        update={
            "registers": {name: moved_register(each) for name, each in profile.registers.items()},
            "blocks": tuple(map(moved_block, profile.blocks)),
        }
    )
