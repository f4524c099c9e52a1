"""Whether a profile's registers and blocks fit together: what single fields cannot show."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from controller.document.problems import Problem
from drivers.computed import Computed
from drivers.register import Block, Check, Part, Register

UNITS = {
    "voltage": ("V",),
    "current": ("A",),
    "power": ("W",),
    "reactive_power": ("var",),
    "apparent_power": ("VA",),
    "power_factor": ("1", "%"),
    "energy_import": ("Wh",),
    "energy_export": ("Wh",),
    "energy": ("Wh",),
    "reactive_energy_import": ("varh",),
    "reactive_energy_export": ("varh",),
    "frequency": ("Hz",),
}
NAMED = re.compile(
    r"(?:[a-z]+_)*?(voltage|current|power|reactive_power|apparent_power|power_factor|frequency"
    r"|energy|energy_import|energy_export|reactive_energy_import|reactive_energy_export)"
    r"(?:_(?:l[123]|total|avg|neutral|dc|ac|import_total|export_total|float|int64))?"
)


class Reads(Part):
    """What a device demands of each read."""

    even: bool = False  # it begins at an even address, and has an even number of registers
    gaps: bool = True  # registers between those that the profile names may be read with them
    single: bool = False  # one value, and nothing else

    def problems(
        self, blocks: Sequence[Block], checks: Sequence[Check], registers: Mapping[str, Register]
    ) -> Iterator[Problem]:
        for i, check in enumerate(checks):
            if self.even and (check.addr % 2 or check.length % 2):
                yield Problem(f"check[{i}]", "must begin at an even address and be even in length")
        for i, block in enumerate(blocks):
            held = {(each.addr, each.end) for each in registers.values() if block.covers(each)}
            if self.even and (block.start % 2 or block.count % 2):
                yield Problem(f"block[{i}]", "must begin at an even address and be even in length")
            if self.single and len(held) != 1:
                yield Problem(f"block[{i}]", f"must hold one value, not {len(held)}")
            if not self.gaps or self.single:
                named = {address for start, end in held for address in range(start, end)}
                missing = sorted(set(range(block.start, block.end)) - named)
                if missing:
                    yield Problem(f"block[{i}]", f"reads {missing[0]}, which no register names")

    def fewer(self, counts: set[int]) -> set[int]:
        """Those that the device bears."""
        return {each for each in counts if not (self.even and each % 2)}


def register_problems(
    registers: Mapping[str, Register], blocks: Sequence[Block]
) -> Iterator[Problem]:
    """Each register that is read stands in exactly one block, whole, and alone in its place."""
    read = {name: each for name, each in registers.items() if not each.write_only}
    for name, register in read.items():
        place = f"registers.{name}"
        if not any(block.covers(register) for block in blocks):
            yield Problem(place, "is in no block")
        for i, block in enumerate(blocks):
            if block.cuts(register):
                yield Problem(f"block[{i}]", f"cuts {name} ({register.addr}…)")
        if register.scale_factor is not None:
            yield from _factor_problems(place, register, read, blocks)
    for (name, register), (other, its) in combinations(sorted(read.items()), 2):
        if register.overlaps(its):
            yield Problem(f"registers.{name}", f"overlaps {other} ({its.addr}…)")


def unit_problems(registers: Mapping[str, Register]) -> Iterator[Problem]:
    """A value that is named for what it measures has the unit of that."""
    for name, register in registers.items():
        match = NAMED.fullmatch(name)
        if match is not None and register.unit not in UNITS[match[1]]:
            yield Problem(
                f"registers.{name}.unit",
                f"must be {' or '.join(UNITS[match[1]])}, not {register.unit}",
            )


def block_problems(
    blocks: Sequence[Block], registers: Mapping[str, Register], most: int
) -> Iterator[Problem]:
    for i, block in enumerate(blocks):
        if block.count > most:
            yield Problem(f"block[{i}].count", "is more than max_registers")
        if block.end > 65536:
            yield Problem(f"block[{i}]", "ends behind the last address, 65535")
        if not any(block.covers(each) for each in registers.values() if not each.write_only):
            yield Problem(f"block[{i}]", "holds no register: nothing asks for it")
        for k, other in enumerate(blocks[:i]):
            if block.overlaps(other):
                yield Problem(f"block[{i}]", f"overlaps block[{k}]")


def computed_problems(
    computed: Mapping[str, Computed], registers: Mapping[str, Register], blocks: Sequence[Block]
) -> Iterator[Problem]:
    for name, its in computed.items():
        place = f"computed.{name}"
        if name in registers:
            yield Problem(place, "is the name of a register, too")
        parts = [registers.get(part) for part in its.parts]
        found = [each for each in parts if each is not None and not each.write_only]
        if len(found) < len(parts):
            yield Problem(place, "needs registers that can be read")
        elif found[0].unit is None or len({each.unit for each in found}) > 1:
            yield Problem(place, "needs registers with one and the same unit")
        elif its.difference and not any(all(map(block.covers, found)) for block in blocks):
            yield Problem(place, "needs both in one block: two moments have no difference")


def _factor_problems(
    place: str, register: Register, read: Mapping[str, Register], blocks: Sequence[Block]
) -> Iterator[Problem]:
    factor = read.get(register.scale_factor or "")
    if factor is None or factor.type != "int16" or factor.unit is not None:
        yield Problem(f"{place}.scale_factor", "needs an int16 without unit that can be read")
    elif not any(block.covers(register) and block.covers(factor) for block in blocks):
        yield Problem(f"{place}.scale_factor", "stands in another block, and may change between")
