"""Reads a device by its profile: whether it is the right one first, then its blocks."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from math import inf
from typing import NamedTuple

from controller.units import MA_MAX, NS_PER_S
from drivers.computed import Computed
from drivers.decode import Decoder, Value, decode, decoder
from drivers.device import (
    BadValueError,
    DeviceError,
    HushedError,
    Rank,
    RefusedError,
    Request,
    Way,
    WrongDeviceError,
)
from drivers.health import Health
from drivers.profile import Profile
from drivers.register import Block, Register
from drivers.silence import Silence
from drivers.sunspec import LostError, Model, absent, proves

HUSHED = "not asked: it must fall back while there is no decision"


class Sample(NamedTuple):
    """What a device said of itself. A value that it does not know is None."""

    at_ns: int  # arrival of the first of its blocks
    values: Mapping[str, Value]

    def number(self, name: str) -> int | None:
        """Thousandths of the register's unit, or a raw number; None where it is unknown."""
        value = self.values[name]
        return value if isinstance(value, int) else None

    def ma(self, name: str) -> int | None:
        """A current; None where it is unknown, or more than any current can be."""
        value = self.number(name)
        return value if value is not None and abs(value) <= MA_MAX else None


class _Field(NamedTuple):
    """A wanted register, and where it stands in its block."""

    name: str
    decode: Decoder
    factor: str | None  # what its scale factor is called
    start: int
    end: int


class _Piece(NamedTuple):
    """A block, and what is wanted of it, scale factors first."""

    block: Block
    fields: tuple[_Field, ...]
    fewer: tuple[int, ...]


class _Plan(NamedTuple):
    """What is read of a profile for some values: the same for all devices of a kind."""

    registers: Mapping[str, Register]
    computed: Mapping[str, Computed]
    pieces: tuple[_Piece, ...]
    rounds: tuple[tuple[int, ...], ...]  # of pieces


class _Same:
    """A profile as a key: the very object, whatever is in it."""

    __slots__ = ("profile",)

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def __hash__(self) -> int:
        return id(self.profile)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.profile is self.profile


@lru_cache(maxsize=128)
def _plan(same: _Same, wanted: tuple[str, ...]) -> _Plan:
    profile = same.profile
    readable = [name for name, each in profile.registers.items() if not each.write_only]
    asked = profile.asked_for(wanted or (*readable, *profile.computed))
    registers = {name: profile.registers[name] for name in asked}
    computed = {
        name: each
        for name, each in profile.computed.items()
        if all(part in registers for part in each.parts)
    }
    rounds = profile.rounds(registers)
    blocks = [block for block in profile.blocks if any(block in each for each in rounds)]
    return _Plan(
        registers,
        computed,
        tuple(_piece(profile, block, registers) for block in blocks),
        tuple(tuple(map(blocks.index, each)) for each in rounds),
    )


def _piece(profile: Profile, block: Block, registers: Mapping[str, Register]) -> _Piece:
    held = [(name, each) for name, each in registers.items() if block.covers(each)]
    fields = (
        _Field(
            name,
            decoder(register),
            register.scale_factor,
            register.addr - block.start,
            register.end - block.start,
        )
        for name, register in sorted(held, key=lambda each: each[1].scale_factor is not None)
    )
    return _Piece(block, tuple(fields), profile.fewer(block))


class _Part:
    """What one request reads of one device."""

    def __init__(self, piece: "_Piece", request: Request) -> None:
        self.request = request
        self.optional = piece.block.optional
        self.lacking = False  # the device said that it has none of it
        self.values: dict[str, Value] | None = None  # as read last
        self._fields = piece.fields

    def holds(self, names: Collection[str]) -> bool:
        """Any of them."""
        return any(each.name in names for each in self._fields)

    def take(self, words: tuple[int, ...]) -> None:
        values: dict[str, Value] = {}
        for name, decode_it, factor, start, end in self._fields:
            values[name] = decode_it(words[start:end], 0 if factor is None else values[factor])
        self.values = values

    def lack(self) -> None:
        """The device does not have it."""
        self.lacking = True
        self.values = {each.name: None for each in self._fields}


class Reader:
    """One device on its bus."""

    def __init__(
        self,
        device: str,
        unit: int,
        profile: Profile,
        bus: Way,
        rank: Rank,
        wanted: Collection[str] = (),
        may_ask: Callable[[], bool] = lambda: True,
        answered: Callable[[int], None] = lambda _at_ns: None,
    ) -> None:
        """Reads the blocks that hold the `wanted` values; all of them where none is named.

        `may_ask` is asked immediately before each request goes out; `answered` is told when each
        answer came, also of a poll that fails later.
        """
        self._device = device
        self._unit = unit
        self._bus = bus
        self._rank = lambda: rank
        self._may_ask = may_ask
        self._answered = answered
        self._gap_s = profile.gap_ns / NS_PER_S
        self._serial = "rtu" in profile.transports
        self._read_gap_s = max(profile.gap_ns, profile.pacing.read_gap_ns) / NS_PER_S
        self._last_s = -inf  # when it answered last, or did not
        self._checks = profile.checks
        self._sunspec = profile.sunspec
        self._model: Model | None = None  # where it was found; None: not yet, or it is not there
        self._start = 0  # what addresses count from
        self._lacks: dict[str, Value] = {}  # values of phases that its model has not
        plan = _plan(_Same(profile), tuple(wanted))
        self._registers, self._computed = plan.registers, plan.computed
        self._parts = [
            _Part(
                piece,
                self._request(piece.block.fc, piece.block.start, piece.block.count, piece.fewer),
            )
            for piece in plan.pieces
        ]
        self._rounds = plan.rounds
        self._round = 0  # the next one
        self._forgets = False

    async def poll(
        self,
        health: Health,
        take: Callable[[Sample], str | None],
        silence: Silence,
        only: Collection[str] = (),
    ) -> None:
        """Reads once and hands the sample to `take`, which may raise BadValueError or remark.

        What goes wrong ends in `health` and `silence`; a device that was offline must prove
        itself first.
        """
        try:
            if not health.now.online or self._lost:
                self._clear()
                await self.check()
            remark = take(await self.read(only))
        except DeviceError as error:
            self.forget()  # it may have been without power meanwhile
            silence.failed(error)
            health.bad(error)
        else:
            silence.answered()
            health.good(remark)

    async def check(self) -> None:
        """Raises WrongDeviceError when it is not the device of the profile, set up as needed.

        Where its model stands is found anew each time.
        """
        await self._find()
        for check in self._checks:
            request = self._request(check.fc, check.addr, check.length)
            words, _ = await self._exchange(request)
            value = decode(check, words)
            if value not in check.values:
                raise WrongDeviceError(
                    f"{check.wrong} (found {value})", line=self._bus.url, request=request
                )

    async def read(self, only: Collection[str] = ()) -> Sample:
        """One poll. Raises DeviceError when any block fails: half a sample is none.

        What is not read in each poll is as it was read last. Where registers are named, no more
        is read than they need.
        """
        if not self._may_ask():
            raise HushedError(HUSHED, line=self._bus.url)
        if self._lost:
            await self._find()
        if self._forgets:
            self._clear()
            self._forgets = False
        parts = [each for each in self._parts if each.holds(only)] if only else self._parts
        due: Collection[int] = range(len(parts))
        if not only:
            due = self._rounds[self._round]
            self._round = (self._round + 1) % len(self._rounds)
        first_ns = None
        values: dict[str, Value] = {}
        for i, part in enumerate(parts):
            if part.values is None or i in due:
                at_ns = await self._take(part)
                first_ns = at_ns if first_ns is None else first_ns
            assert part.values is not None
            values |= part.values
        if self._model is not None and not proves(self._model, values):
            self._model = None
            raise WrongDeviceError("its SunSpec model is gone from its place", line=self._bus.url)
        values.update(self._lacks)
        if first_ns is None:
            raise BadValueError("it has nothing of what was asked", line=self._bus.url)
        for name, computed in self._computed.items():
            if all(part in values for part in computed.parts):
                values[name] = computed.of(values)
        return Sample(first_ns, values)

    async def _take(self, part: _Part) -> int | None:
        """When it came; None where it is not there, which is asked once until it is offline."""
        if part.lacking:
            return None
        try:
            words, at_ns = await self._exchange(part.request)
        except RefusedError as error:
            if not part.optional or not absent(error):
                raise
            part.lack()
            return None
        part.take(words)
        return at_ns

    @property
    def _lost(self) -> bool:
        return self._sunspec is not None and self._model is None

    async def _find(self) -> None:
        """Raises WrongDeviceError where its model is not found."""
        if self._sunspec is None:
            return
        self._model = None
        try:
            model = await self._sunspec.find(self._ask_words)
        except LostError as error:
            raise WrongDeviceError(str(error), line=self._bus.url) from error
        for part in self._parts:
            moved = part.request.address - self._start + model.start
            part.request = replace(part.request, address=moved)
        self._start = model.start
        self._model = model
        self._lacks = dict.fromkeys(filter(model.lacks, self._registers))

    async def _ask_words(self, address: int, count: int) -> tuple[int, ...]:
        words, _ = await self._exchange(self._request(3, address - self._start, count))
        return words

    def _clear(self) -> None:
        for part in self._parts:
            part.values = None
            part.lacking = False

    def forget(self) -> None:
        """The next poll reads all of it: something has changed, or may have."""
        self._forgets = True

    def bad(self, name: str, what: str) -> BadValueError:
        """The error that a value is unknown or impossible."""
        computed = self._computed.get(name)
        register = self._registers[name if computed is None else computed.parts[0]]
        request = self._request(register.fc, register.addr, register.length)
        return BadValueError(f"{name} {what}", line=self._bus.url, request=request)

    def _request(self, fc: int, address: int, count: int, fewer: tuple[int, ...] = ()) -> Request:
        gap_s = self._gap_s
        start = address + self._start
        its = self._device, self._unit
        return Request(*its, fc, start, count, fewer=fewer, gap_s=gap_s, serial=self._serial)

    async def _exchange(self, request: Request) -> tuple[tuple[int, ...], int]:
        loop = asyncio.get_running_loop()
        wait_s = self._last_s + self._read_gap_s - loop.time()
        if wait_s > 0:  # before it queues: the line is for others meanwhile
            await asyncio.sleep(wait_s)
        ask = partial(self._ask, request)
        try:
            reply = await self._bus.exchange(self._device, self._rank, ask)
        finally:
            self._last_s = loop.time()
        if reply is None:
            raise HushedError(HUSHED, line=self._bus.url, request=request)
        self._answered(reply.at_ns)
        return reply.words, reply.at_ns

    def _ask(self, request: Request) -> Request | None:
        return request if self._may_ask() else None
