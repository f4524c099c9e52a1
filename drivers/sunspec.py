"""SunSpec: a device says itself which models of registers it has, and where. Found at run time.

A mark stands at one of three addresses; behind it the models follow, each with its number and its
length first, up to a last one (SunSpec Device Information Model Specification).
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import Field, StrictInt

from controller.document.problems import Problem
from drivers.decode import Value
from drivers.device import DeviceError, PathError, RefusedError
from drivers.register import Block, Integers, Part, Register

MARK = (0x5375, 0x6E53)  # "SunS"
BASES = (40000, 50000, 0)
LAST = 0xFFFF  # the number behind the last model
HEAD = 2  # words: a model's number, and how many words follow
MODELS_MAX = 64
ADDRESSES = 65536
# Meters of one phase, and split ones of two: whatever stands where the others' phases would.
_PHASES = {201: 1, 202: 2, 211: 1, 212: 2}
FIELDS = ("model", "length")  # the registers that each reading is proved by

Ask = Callable[[int, int], Awaitable[tuple[int, ...]]]  # words from an address, so many


@dataclass(frozen=True, slots=True)
class Model:
    number: int
    start: int  # address of its number
    length: int  # of what follows its head

    def lacks(self, name: str) -> bool:
        """Whether that value is of a phase that it does not measure; some fill it with 0."""
        phases = _PHASES.get(self.number, 3)
        return any(name.endswith(f"_l{phase}") for phase in range(phases + 1, 4))


class LostError(Exception):
    """No models are found, or not as they must stand; says why, in the installer's words."""


class SunSpec(Part):
    """Which models a profile describes: one of them must be there. Addresses count from it."""

    models: Integers
    length: StrictInt = Field(ge=1, le=1024)

    async def find(self, ask: Ask) -> Model:
        """Raises LostError, DeviceError."""
        every = await walk(ask)
        mine = [each for each in every if each.number in self.models]
        numbers = ", ".join(str(each.number) for each in every) or "none"
        wanted = " or ".join(map(str, self.models))
        if not mine:
            raise LostError(f"it has no SunSpec model {wanted}, but these: {numbers}")
        if len(mine) > 1:
            raise LostError(f"it has several SunSpec meters ({numbers}): nobody knows which counts")
        if mine[0].length != self.length:
            raise LostError(
                f"its SunSpec model {mine[0].number} has {mine[0].length} registers, "
                f"not {self.length}: where its values stand is not known"
            )
        return mine[0]

    def problems(
        self, blocks: tuple[Block, ...], registers: Mapping[str, Register]
    ) -> Iterator[Problem]:
        for address, name in enumerate(FIELDS):
            its = registers.get(name)
            if its is None or (its.addr, its.type, its.unit) != (address, "uint16", None):
                yield Problem(f"registers.{name}", f"must be the uint16 {address} of a model")
        for i, block in enumerate(blocks):
            if block.end > HEAD + self.length:
                yield Problem(f"block[{i}]", "ends behind the model")
        if len(set(self.models)) < len(self.models):
            yield Problem("sunspec.models", "names a model twice")


async def walk(ask: Ask) -> list[Model]:
    """All models in their order, at most MODELS_MAX. Raises LostError, DeviceError."""
    at = await _first(ask)
    found: list[Model] = []
    while len(found) <= MODELS_MAX:
        if at + HEAD > ADDRESSES:
            raise LostError("its SunSpec models do not end before the last address")
        number, length = await ask(at, HEAD)
        if number == LAST:
            return found
        if not number or not length:
            raise LostError(f"its SunSpec models end in nothing, at register {at}")
        found.append(Model(number, at, length))
        at += HEAD + length
    raise LostError(f"it has more than {MODELS_MAX} SunSpec models: they do not seem to end")


def proves(place: Model, values: Mapping[str, Value]) -> bool:
    """Whether what was read begins as that model does."""
    return (values.get("model"), values.get("length")) == (place.number, place.length)


async def _first(ask: Ask) -> int:
    """Where the models begin."""
    for base in BASES:
        try:
            if await ask(base, HEAD) == MARK:
                return base + HEAD
        except RefusedError as error:
            if not absent(error):
                raise
    raise LostError(f"no SunSpec mark at {', '.join(map(str, BASES))}")


def absent(error: DeviceError) -> bool:
    """Whether a device says with it that it has no such registers."""
    return (
        isinstance(error, RefusedError) and not error.passing and not isinstance(error, PathError)
    )
