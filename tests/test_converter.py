"""A converter from TCP to RTU is a line: what our bus makes of one, with all its habits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from controller.clock import MonotonicClock
from drivers.bus import DEAD_AFTER, DEAD_PAUSE, Bus
from drivers.device import (
    BadReplyError,
    DeviceError,
    GatewaySilenceError,
    HeldError,
    NoConnectionError,
    NoReplyError,
    PathError,
    Rank,
    Request,
)
from drivers.modbus import TcpLine
from drivers.silence import SILENT
from hil.devices.converter import Behind, Converter, Habits
from hil.devices.pdu import Code, Manner, RefusalError
from hil.faults.converter import ConverterFault
from tests.patience import until

BAUD = 115_200
UNITS = (1, 2, 3, 4)


class Registers:
    """Each holds its unit and its address."""

    def __init__(self, unit: int) -> None:
        self.unit = unit
        self.whole = 0  # registers that it wants read at once; 0: any

    def read(self, function: int, address: int, count: int) -> bytes:
        if self.whole not in (0, count):
            raise RefusalError(Code.ILLEGAL_ADDRESS)
        return b"".join(
            self.value(each).to_bytes(2, "big") for each in range(address, address + count)
        )

    def write(self, function: int, address: int, words: bytes) -> None:
        pass

    def value(self, address: int) -> int:
        return self.unit << 12 | address


def read(unit: int, address: int = 7, count: int = 3) -> Request:
    return Request(f"unit {unit}", unit, 3, address, count)


def soundable(unit: int, address: int) -> Request:
    return replace(read(unit, address), fewer=(2, 1))


def words(request: Request) -> tuple[int, ...]:
    wanted = range(request.address, request.address + request.count)
    return tuple(Registers(request.unit).value(each) for each in wanted)


Story = Callable[[Bus, Converter], Awaitable[None]]


def told(story: Story, habits: Habits | None = None, timeout_s: float = 5.0) -> None:
    async def whole() -> None:
        converter = Converter(habits or Habits(BAUD, unit_timeout_s=0.05))
        for unit in UNITS:
            Behind(converter, Registers(unit), 0.001)
        await converter.open()
        line = TcpLine("127.0.0.1", converter.port, timeout_s, may_write=True)
        bus = Bus(line, MonotonicClock())
        for _ in UNITS:
            bus.join()
        try:
            await story(bus, converter)
        finally:
            line.close()
            await converter.close()

    asyncio.run(whole())


async def asked(bus: Bus, request: Request) -> tuple[int, ...] | DeviceError:
    try:
        reply = await bus.exchange(request.device, lambda: Rank.CHARGER, lambda: request)
    except DeviceError as error:
        return error
    assert reply is not None
    return reply.words


async def until_right(bus: Bus, request: Request) -> None:
    async with asyncio.timeout(20):
        while await asked(bus, request) != words(request):
            pass  # each takes its time, or lets that pass


@pytest.mark.parametrize("drops", [False, True])
def test_it_is_asked_one_thing_at_a_time(drops: bool) -> None:
    """By all devices at once, over one connection: it never has to hang up."""

    async def story(bus: Bus, converter: Converter) -> None:
        requests = [read(unit, address) for address in range(20) for unit in UNITS]
        found = await asyncio.gather(*(asked(bus, each) for each in requests))
        assert found == [words(each) for each in requests]
        assert (converter.asked, converter.hurried, converter.most_waiting) == (len(requests), 0, 0)
        assert len(converter.sessions) == 1

    told(story, Habits(BAUD, drops_the_hurried=drops))


def test_it_hangs_up_on_who_does_not_wait() -> None:
    """So the test above could fail."""

    async def story(bus: Bus, converter: Converter) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", converter.port)
        writer.write(bytes.fromhex("000100000006010300070001" * 2))
        with pytest.raises(ConnectionResetError):
            assert await reader.read() == b""
            raise ConnectionResetError
        assert converter.hurried == 1
        writer.close()

    told(story, Habits(BAUD, drops_the_hurried=True))


def test_exception_11_is_that_units_silence_and_nobody_elses() -> None:
    async def story(bus: Bus, converter: Converter) -> None:
        await converter.units[2].behave(Manner.SILENT)
        assert type(await asked(bus, soundable(2, 7))) is GatewaySilenceError
        for unit in (1, 3, 4):
            assert await asked(bus, read(unit)) == words(read(unit))
        assert len(converter.sessions) == 1, "the connection stands"
        await converter.units[2].behave(Manner.ANSWERS)
        assert await asked(bus, soundable(2, 7)) == words(read(2))

    told(story)


def test_exception_10_is_about_its_own_settings() -> None:
    async def story(bus: Bus, converter: Converter) -> None:
        error = await asked(bus, read(9))
        assert type(error) is PathError
        assert "check its settings" in str(error)
        assert await asked(bus, read(1)) == words(read(1))

    told(story)


@pytest.mark.parametrize("tells", [True, False], ids=["exception 11", "nothing"])
def test_a_dead_unit_costs_the_others_a_quarter_of_its_time_at_most(tells: bool) -> None:
    """Counted in time spent upon it, from when it is dead to the bus."""
    costs_s = 0.05 if tells else 0.15

    async def story(bus: Bus, converter: Converter) -> None:
        await converter.units[2].behave(Manner.SILENT)
        loop = asyncio.get_running_loop()
        ends = asyncio.Event()
        tries, right = Counter[int](), Counter[int]()

        async def ask_on(unit: int) -> None:
            while not ends.is_set():
                found = await asked(bus, read(unit))
                tries[unit] += 1
                right[unit] += found == words(read(unit))
                assert found == words(read(unit)) or isinstance(found, SILENT), found
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(ask_on(unit)) for unit in UNITS]
        await until(lambda: tries[2] > DEAD_AFTER)
        begun_s, before, right_before = loop.time(), Counter(tries), Counter(right)
        await until(lambda: tries[2] >= before[2] + 4, 20)
        took_s = loop.time() - begun_s
        ends.set()
        await asyncio.gather(*tasks)
        assert took_s >= 3 * (1 + DEAD_PAUSE) * costs_s, "three parts for the others to one for it"
        for unit in (1, 3, 4):
            assert right[unit] - right_before[unit] > 3

    habits = Habits(BAUD, unit_timeout_s=0.05, tells_silence=tells)
    told(story, habits, timeout_s=5 if tells else costs_s)


def test_one_that_says_nothing_costs_a_connection_and_no_wrong_value() -> None:
    async def story(bus: Bus, converter: Converter) -> None:
        await converter.units[2].behave(Manner.SILENT)
        assert type(await asked(bus, read(2))) is NoReplyError
        assert await asked(bus, read(1)) == words(read(1))

    told(story, Habits(BAUD, unit_timeout_s=0.02, tells_silence=False), timeout_s=0.2)


def test_a_late_reply_of_another_unit_is_no_answer() -> None:
    """It came with the transaction of the one that was asked meanwhile: its unit tells."""

    async def story(bus: Bus, converter: Converter) -> None:
        converter.habits.mixes = True
        await converter.units[2].behave(Manner.SLOW, 0.08)
        await converter.units[3].behave(Manner.SLOW, 0.04)
        assert type(await asked(bus, read(2))) is GatewaySilenceError
        error = await asked(bus, read(3))
        assert isinstance(error, BadReplyError)
        await converter.units[3].behave(Manner.ANSWERS)
        await until_right(bus, read(3))

    told(story)


def test_a_late_reply_of_the_same_unit_is_no_answer_to_another_question() -> None:
    """It has the right transaction, unit and length; only what it answers is something else. The
    unit is first asked for another number of registers."""

    async def story(bus: Bus, converter: Converter) -> None:
        for unit in UNITS:
            assert await asked(bus, soundable(unit, 7)) == words(read(unit))
        converter.habits.mixes = True
        await converter.units[2].behave(Manner.SLOW, 0.08)
        assert type(await asked(bus, soundable(2, 7))) is GatewaySilenceError
        for address in range(20, 32):
            request = soundable(2, address)
            found = await asked(bus, request)
            assert isinstance(found, DeviceError) or found == words(request)
        await converter.units[2].behave(Manner.ANSWERS)
        await until_right(bus, soundable(2, 40))

    told(story)


def test_one_that_answers_late_though_nobody_waits_any_more_is_known_by_its_length() -> None:
    """The same where the converter says nothing of a unit's silence, and we give up first."""

    async def story(bus: Bus, converter: Converter) -> None:
        for unit in UNITS:
            assert await asked(bus, soundable(unit, 7)) == words(read(unit))
        converter.habits.mixes = True
        await converter.units[2].behave(Manner.SLOW, 0.47)
        for address in range(20, 24):
            request = soundable(2, address)
            found = await asked(bus, request)
            assert isinstance(found, DeviceError) or found == words(request)
        await converter.units[2].behave(Manner.ANSWERS)
        await until_right(bus, soundable(2, 40))

    told(story, Habits(BAUD, unit_timeout_s=0.15, tells_silence=False), timeout_s=0.2)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long a unit is left alone: as long as all that is late here, and more."""
    monkeypatch.setattr("drivers.behind.LATEST_S", 0.4)
    return 0.4


@pytest.mark.parametrize("mixes", [True, False])
def test_a_unit_that_cannot_be_sounded_is_left_alone_after_a_silence(
    short: float, mixes: bool
) -> None:
    """Nothing tells whether this converter mixes replies up before it has done so."""

    async def story(bus: Bus, converter: Converter) -> None:
        loop = asyncio.get_running_loop()
        converter.habits.mixes = mixes
        await converter.units[2].behave(Manner.SLOW, 0.08)
        assert type(await asked(bus, read(2))) is GatewaySilenceError
        lost_s = loop.time()
        for address in (20, 30):
            error = await asked(bus, read(2, address))
            assert type(error) is HeldError
            assert "could be taken for another" in str(error)
        await converter.units[2].behave(Manner.ANSWERS)
        assert await asked(bus, read(1)) == words(read(1)), "the others are asked"
        await until_right(bus, read(2, 40))
        assert loop.time() - lost_s >= short

    told(story)


def test_an_order_waits_for_nothing() -> None:
    async def story(bus: Bus, converter: Converter) -> None:
        await converter.units[2].behave(Manner.SILENT)
        assert type(await asked(bus, read(2))) is GatewaySilenceError
        await converter.units[2].behave(Manner.ANSWERS)
        assert type(await asked(bus, read(2, 20))) is HeldError
        assert await asked(bus, Request("unit 2", 2, 6, 5, 1, (9,))) == ()

    told(story)


def test_one_of_another_length_shows_that_it_owes_nothing(short: float) -> None:
    async def story(bus: Bus, converter: Converter) -> None:
        await converter.units[2].behave(Manner.SILENT)
        assert type(await asked(bus, read(2))) is GatewaySilenceError
        await converter.units[2].behave(Manner.ANSWERS)
        assert type(await asked(bus, read(2, 20))) is HeldError
        assert await asked(bus, read(2, 20, 1)) == words(read(2, 20, 1)), "of another length"
        assert await asked(bus, read(2, 20)) == words(read(2, 20)), "and then it owes nothing"

    told(story)


def test_a_unit_that_refuses_to_be_sounded_is_left_alone_and_then_asked(short: float) -> None:
    """Its refusal is no answer to what was to be asked: a driver would take the register for
    missing."""

    async def story(bus: Bus, converter: Converter) -> None:
        device = converter.units[2].device
        assert isinstance(device, Registers)
        await converter.units[2].behave(Manner.SILENT)
        assert type(await asked(bus, soundable(2, 7))) is GatewaySilenceError
        await converter.units[2].behave(Manner.ANSWERS)
        device.whole = 3
        assert type(await asked(bus, soundable(2, 20))) is HeldError
        await asyncio.sleep(short)
        assert await asked(bus, soundable(2, 20)) == words(read(2, 20))

    told(story)


@pytest.mark.parametrize("sounds", [True, False])
def test_one_alone_behind_a_converter_that_says_nothing_answers_nothing_else(
    short: float, sounds: bool
) -> None:
    """A meter behind a cheap box: we give up and connect anew, but the line behind is the same."""
    kind = soundable if sounds else read

    async def story(bus: Bus, converter: Converter) -> None:
        converter.habits.mixes = True
        await converter.units[2].behave(Manner.SLOW, 0.09)
        assert type(await asked(bus, replace(kind(2, 7), serial=True))) is NoReplyError
        await converter.units[2].behave(Manner.SLOW, 0.045)
        for address in (100, 110, 120):
            request = kind(2, address)
            found = await asked(bus, request)
            assert isinstance(found, DeviceError) or found == words(request)
        await converter.units[2].behave(Manner.ANSWERS)
        await until_right(bus, kind(2, 40))

    told(story, Habits(BAUD, unit_timeout_s=0.05, tells_silence=False), timeout_s=0.06)


class Kept(Registers):
    """Remembers what it was told."""

    def __init__(self, unit: int) -> None:
        super().__init__(unit)
        self.told = 0

    def write(self, function: int, address: int, words: bytes) -> None:
        self.told = int.from_bytes(words, "big")


@pytest.mark.parametrize("function", [6, 16])
@pytest.mark.parametrize("first", [16, 6])
def test_what_acknowledges_an_order_before_acknowledges_no_other(function: int, first: int) -> None:
    """16 A are acknowledged late, and 6 A that never arrive seem to be: its answer tells no value.
    What is written again after it was read counts."""

    async def story(bus: Bus, converter: Converter) -> None:
        converter.habits.mixes = True
        kept = converter.units[2].device = Kept(2)

        async def write(value: int) -> tuple[int, ...] | DeviceError:
            return await asked(bus, Request("unit 2", 2, function, 300, 1, (value,)))

        for unit in UNITS:
            assert await asked(bus, soundable(unit, 7)) == words(read(unit))
        assert await write(32) == ()
        await converter.units[2].behave(Manner.SLOW, 0.08)
        assert type(await write(first)) is GatewaySilenceError
        kept.told = 32  # as if somebody had changed it: what is acknowledged next was not taken
        await converter.units[2].behave(Manner.SILENT)
        assert isinstance(await write(6), DeviceError)
        assert kept.told == 32
        await converter.units[2].behave(Manner.ANSWERS)
        await until_right(bus, soundable(2, 40))
        assert await write(6) == ()
        assert kept.told == 6

    told(story)


def test_an_order_after_a_lost_one_is_believed_when_something_was_read() -> None:
    async def story(bus: Bus, converter: Converter) -> None:
        write = Request("unit 2", 2, 16, 300, 1, (9,))
        await converter.units[2].behave(Manner.SILENT)
        assert type(await asked(bus, write)) is GatewaySilenceError
        await converter.units[2].behave(Manner.ANSWERS)
        assert "written again" in str(await asked(bus, write))
        other = replace(write, address=301)
        assert await asked(bus, other) == (), "of another register: its answer says so"
        assert await asked(bus, write) == ()

    told(story)


def test_a_network_device_that_was_silent_once_is_asked_and_told_as_before() -> None:
    """No converter can stand before it: a reply says itself what it answers."""

    async def story(bus: Bus, converter: Converter) -> None:
        write = Request("unit 2", 2, 16, 300, 1, (9,))
        await converter.units[2].behave(Manner.SILENT)
        for request in (write, read(2)):
            assert type(await asked(bus, request)) is NoReplyError
        await converter.units[2].behave(Manner.ANSWERS)
        assert await asked(bus, write) == ()
        assert await asked(bus, read(2)) == words(read(2))

    told(story, Habits(BAUD, unit_timeout_s=0.02, tells_silence=False), timeout_s=0.1)


def test_after_a_time_out_the_next_one_finds_the_converter_free() -> None:
    """It waits for the dead one longer than we do; whoever were asked meanwhile would wait, too."""

    async def story(bus: Bus, converter: Converter) -> None:
        for unit in UNITS:
            assert await asked(bus, soundable(unit, 7)) == words(read(unit))
        await converter.units[2].behave(Manner.SILENT)
        assert type(await asked(bus, soundable(2, 7))) is NoReplyError
        assert await asked(bus, soundable(1, 7)) == words(read(1))
        assert converter.most_waiting == 0

    told(story, Habits(BAUD, unit_timeout_s=0.8), timeout_s=0.5)


def test_one_device_alone_at_its_address_is_asked_again_at_once() -> None:
    """Nobody else waits for it, and it is no device of a serial line."""

    async def story(bus: Bus, converter: Converter) -> None:
        loop = asyncio.get_running_loop()
        await converter.units[2].behave(Manner.SILENT)
        began_s = loop.time()
        assert type(await asked(bus, read(2))) is NoReplyError
        assert loop.time() - began_s < 0.9, "no silence was kept"
        await converter.units[2].behave(Manner.ANSWERS)
        await until_right(bus, read(2))

    told(story, Habits(BAUD, unit_timeout_s=0.1, tells_silence=False), timeout_s=0.5)


def test_one_that_mixes_replies_up_for_a_while_is_never_believed_and_found_again() -> None:
    async def story(bus: Bus, converter: Converter) -> None:
        for unit in UNITS:
            assert await asked(bus, soundable(unit, 7)) == words(read(unit))
        fault = ConverterFault(converter, "mixes")
        await fault.begin()
        for address in range(20, 28):
            for unit in UNITS:
                found = await asked(bus, soundable(unit, address))
                assert isinstance(found, DeviceError) or found == words(read(unit, address))
        await fault.end()
        for unit in UNITS:
            await until_right(bus, soundable(unit, 40))

    told(story, timeout_s=0.5)


def test_one_that_is_restarted_is_found_again() -> None:
    async def story(bus: Bus, converter: Converter) -> None:
        assert await asked(bus, read(1)) == words(read(1))
        fault = ConverterFault(converter, "rebooted")
        await fault.begin()
        await fault.begin()
        for unit in UNITS:
            assert isinstance(await asked(bus, read(unit)), NoConnectionError)
        await fault.end()
        await fault.end()
        for unit in UNITS:
            await until_right(bus, read(unit))

    told(story)
