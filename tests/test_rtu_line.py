"""One serial line against slaves of raw bytes: a late or broken reply never becomes a value."""

import asyncio
import errno
import random
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from controller.__main__ import main
from controller.clock import MonotonicClock
from controller.site import parse
from drivers.bus import Bus
from drivers.depot import build
from drivers.device import (
    BadReplyError,
    BusyError,
    DeviceError,
    NoConnectionError,
    NoReplyError,
    Rank,
    Request,
    ShortReplyError,
    WrongUnitError,
)
from drivers.library import library
from drivers.pauses import MAX_S
from drivers.serialline import SerialLine
from tests.documents import circuit
from tests.encode import floats
from tests.modbus_wire import Board
from tests.patience import WITHIN_S, until
from tests.serial_wire import Framing, Heard, SerialWire, Slave, good, plugged, sealed, value

TIMEOUT_S = 0.05
PATIENT_S = 5.0  # where the time-out must not be what ends the exchange

FEWER = (2, 1)
FIRST = Request("meter", 1, 4, 100, 3, fewer=FEWER)
NEIGHBOUR = Request("meter", 1, 4, 103, 3, fewer=FEWER)
OTHER_UNIT = Request("other", 2, 4, 100, 3, fewer=FEWER)
WRITE = Request("bay-01", 1, 6, 261, 1, (133,))
WRITE_TWO = Request("bay-01", 1, 16, 300, 2, (1, 2))

Story = Callable[[SerialLine, SerialWire], Awaitable[None]]


def told(
    folder: Path,
    story: Story,
    behave: Slave = good,
    timeout_s: float = PATIENT_S,
    framing: Framing = "rtu",
) -> None:
    async def whole() -> None:
        async with plugged(str(folder), behave, framing) as wire:
            line = SerialLine(wire.address(), timeout_s, may_write=True)
            try:
                await story(line, wire)
            finally:
                line.close()

    asyncio.run(whole())


def same(request: Request) -> Request:
    return request


async def ask(line: SerialLine, request: Request = FIRST) -> tuple[int, ...] | None:
    return await line.exchange(lambda: request)


async def ask_until_answered(line: SerialLine, request: Request) -> tuple[int, ...] | None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                return await ask(line, request)
            except (NoReplyError, NoConnectionError):
                await asyncio.sleep(0.01)


def words(request: Request) -> tuple[int, ...]:
    if request.writes:
        return ()
    wanted = range(request.address, request.address + request.count)
    return tuple(value(request.unit, each) for each in wanted)


def once(make: Callable[[Heard], bytes]) -> Slave:
    """Answers the first request with what `make` says, all later ones well."""
    done: list[Heard] = []

    async def behave(heard: Heard, wire: SerialWire) -> None:
        wire.send(heard.reply() if done else make(heard))
        done.append(heard)

    return behave


# One line, many devices.


def test_many_devices_share_the_line(tmp_path: Path) -> None:
    async def story(line: SerialLine, wire: SerialWire) -> None:
        requests = [Request(f"d{unit}", unit, 3, unit * 10, 4) for unit in range(1, 16)]
        bus = Bus(line, MonotonicClock())
        replies = await asyncio.gather(
            *(
                bus.exchange(each.device, lambda: Rank.METER, partial(same, each))
                for each in requests
            )
        )
        assert [reply.words for reply in replies if reply] == [words(each) for each in requests]
        assert await ask(line, WRITE) == ()
        assert await ask(line, WRITE_TWO) == ()
        assert [each.pdu.hex() for each in wire.heard[-2:]] == [
            "0601050085",
            "10012c00020400010002",
        ]

    told(tmp_path, story)


def test_the_line_is_silent_between_frames(tmp_path: Path) -> None:
    """Measured by the slave from its last byte to the next request; a terminal has no speed."""

    async def story(line: SerialLine, wire: SerialWire) -> None:
        for _ in range(20):
            await ask(line)
        gaps = [
            heard.at_s - sent_s for sent_s, heard in zip(wire.sent_s, wire.heard[1:], strict=False)
        ]
        assert min(gaps) >= 3.5 * 10 / 19_200

    told(tmp_path, story)


def test_a_device_that_needs_a_gap_has_it(tmp_path: Path) -> None:
    slow = Request("bay", 1, 4, 5, 1, gap_s=0.1)

    async def story(line: SerialLine, wire: SerialWire) -> None:
        await ask(line, slow)
        await ask(line, OTHER_UNIT)
        await ask(line, slow)
        assert [each.unit for each in wire.heard] == [1, 2, 1]
        assert wire.heard[2].at_s - wire.sent_s[0] >= 0.1

    told(tmp_path, story)


def test_writes_go_before_polls(tmp_path: Path) -> None:
    async def story(line: SerialLine, wire: SerialWire) -> None:
        opened = asyncio.Event()

        async def gate(heard: Heard, wire: SerialWire) -> None:
            await opened.wait()
            wire.send(heard.reply())

        wire.behave = gate
        bus = Bus(line, MonotonicClock())
        polls = [
            asyncio.create_task(bus.exchange(FIRST.device, lambda: Rank.METER, lambda: FIRST))
            for _ in range(5)
        ]
        await until(lambda: wire.heard)
        write = asyncio.create_task(
            bus.exchange(WRITE.device, lambda: Rank.REDUCTION, lambda: WRITE)
        )
        await asyncio.sleep(0)
        opened.set()
        await asyncio.gather(write, *polls)
        assert [each.function for each in wire.heard] == [4, 6, 4, 4, 4, 4]

    told(tmp_path, story)


# Broken replies.


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda heard: heard.reply()[:-1] + b"\0", BadReplyError),  # checksum
        (lambda heard: b"\xff\xfe\x00" + heard.reply(), BadReplyError),  # noise before
        (lambda heard: b"\x17\x2a\x99\x01", BadReplyError),  # nothing but noise
        (lambda heard: heard.registers(2), ShortReplyError),
        (lambda heard: heard.registers(4), ShortReplyError),
        (lambda heard: sealed(b"\x02" + heard.reply()[1:-2]), WrongUnitError),
        (lambda heard: sealed(b"\x01\x03" + heard.reply()[2:-2]), BadReplyError),
        (lambda heard: heard.refusal(6), BusyError),
    ],
)
def test_what_is_broken_is_an_error_at_once_and_the_next_is_clean(
    tmp_path: Path, make: Callable[[Heard], bytes], kind: type[DeviceError]
) -> None:
    async def story(line: SerialLine, _: SerialWire) -> None:
        with pytest.raises(kind):
            await ask(line)
        assert await ask_until_answered(line, NEIGHBOUR) == words(NEIGHBOUR)

    told(tmp_path, story, once(make), 0.5)


@pytest.mark.parametrize("offset", range(11))
def test_a_truncated_reply_is_none(tmp_path: Path, offset: int) -> None:
    async def story(line: SerialLine, _: SerialWire) -> None:
        with pytest.raises(NoReplyError):
            await ask(line)
        assert await ask_until_answered(line, NEIGHBOUR) == words(NEIGHBOUR)

    told(tmp_path, story, once(lambda heard: heard.reply()[:offset]), TIMEOUT_S)


def test_a_write_is_acknowledged_with_its_own_value_only(tmp_path: Path) -> None:
    async def story(line: SerialLine, _: SerialWire) -> None:
        with pytest.raises(BadReplyError):
            await ask(line, WRITE)

    told(tmp_path, story, once(lambda heard: heard.frame(heard.pdu[:3] + b"\0\x3c")), 0.3)


def test_a_line_that_may_not_write_does_not(tmp_path: Path) -> None:
    async def story(line: SerialLine, wire: SerialWire) -> None:
        line._may_write = False
        with pytest.raises(PermissionError):
            await ask(line, WRITE)
        assert await ask(line) == words(FIRST)
        assert [each.function for each in wire.heard] == [4]

    told(tmp_path, story)


# Late replies.


@pytest.mark.parametrize("offset", range(12))
@pytest.mark.parametrize("second", [NEIGHBOUR, OTHER_UNIT, WRITE, FIRST])
def test_a_reply_that_ends_when_the_next_is_under_way_lands_nowhere(
    tmp_path: Path, offset: int, second: Request
) -> None:
    """The first `offset` of its 11 bytes in time, the rest after the next request was heard."""
    owed: list[bytes] = []

    async def behind(heard: Heard, wire: SerialWire) -> None:
        if len(wire.heard) == 1:
            wire.send(heard.reply()[:offset])
            owed.append(heard.reply()[offset:])
            return
        while owed:
            wire.send(owed.pop())
        wire.send(heard.reply())

    async def story(line: SerialLine, _: SerialWire) -> None:
        if offset == 11:
            assert await ask(line) == words(FIRST)
        else:
            with pytest.raises(NoReplyError):
                await ask(line)
        for request in (second, FIRST, NEIGHBOUR, second):
            found = None
            while found is None:
                try:
                    found = await ask_until_answered(line, request)
                except BadReplyError:
                    continue
            assert found == words(request)

    told(tmp_path, story, behind, TIMEOUT_S)


@pytest.mark.parametrize("seed", range(3))
def test_replies_that_come_whenever_they_like_never_land_in_another_place(
    tmp_path: Path, seed: int
) -> None:
    """Slaves that answer in order, with any delay, or not at all; values carry unit, address
    and how often it was asked: a value is right only if it was read for this very request."""
    chance = random.Random(seed)
    asked = [0]
    queues: dict[int, asyncio.Queue[tuple[Heard, int]]] = {}
    workers: list[asyncio.Task[None]] = []

    async def work(queue: asyncio.Queue[tuple[Heard, int]], wire: SerialWire) -> None:
        while True:
            heard, turn = await queue.get()
            await asyncio.sleep(chance.choice([0, 0, 0, 0.5, 1.2, 2.5, 4]) * TIMEOUT_S)
            if chance.random() < 0.1:
                continue
            if heard.function in (6, 16):
                wire.send(heard.reply())
                continue
            if chance.random() < 0.1:
                wire.send(heard.refusal(6))
                continue
            content = b"".join(
                (turn % 256 << 8 | heard.unit << 4 | address % 16).to_bytes(2, "big")
                for address in range(heard.address, heard.address + heard.count)
            )
            wire.send(heard.frame(bytes((heard.function, len(content))) + content))

    async def slow(heard: Heard, wire: SerialWire) -> None:
        if heard.unit not in queues:
            queues[heard.unit] = asyncio.Queue()
            workers.append(asyncio.create_task(work(queues[heard.unit], wire)))
        queues[heard.unit].put_nowait((heard, asked[0]))

    async def story(line: SerialLine, _: SerialWire) -> None:
        answered = 0
        for _attempt in range(40):
            request = chance.choice([FIRST, NEIGHBOUR, OTHER_UNIT, FIRST, WRITE])
            asked[0] += 1
            try:
                found = await ask(line, request)
            except DeviceError:
                continue
            assert found is not None
            if request.writes:
                continue
            answered += 1
            wanted = range(request.address, request.address + request.count)
            assert found == tuple(
                asked[0] % 256 << 8 | request.unit << 4 | address % 16 for address in wanted
            )
        assert answered > 0
        for worker in workers:
            worker.cancel()

    told(tmp_path, story, slow, TIMEOUT_S)


def test_the_line_is_silent_after_a_timeout_and_what_comes_then_is_discarded(
    tmp_path: Path,
) -> None:
    async def late(heard: Heard, wire: SerialWire) -> None:
        await asyncio.sleep(1.3 * 0.2 if len(wire.heard) == 1 else 0)
        wire.send(heard.reply())

    async def story(line: SerialLine, wire: SerialWire) -> None:
        with pytest.raises(NoReplyError, match="no answer within"):
            await ask(line)
        assert await ask_until_answered(line, OTHER_UNIT) == words(OTHER_UNIT)
        assert wire.heard[1].at_s - wire.heard[0].at_s >= 0.3

    told(tmp_path, story, late, 0.2)


def test_a_device_that_cannot_be_sounded_is_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.serialline.LATEST_S", 1.0)
    single = Request("x", 1, 3, 11, 1)

    async def story(line: SerialLine, wire: SerialWire) -> None:
        with pytest.raises(NoReplyError):
            await ask(line, single)
        wire.behave = good
        with pytest.raises(NoReplyError, match="a late answer could be taken"):
            await ask(line, single)
        assert len(wire.heard) == 1
        assert await ask_until_answered(line, single) == words(single)

    async def silent(heard: Heard, wire: SerialWire) -> None:
        pass

    told(tmp_path, story, silent, TIMEOUT_S)


def test_a_device_that_refuses_to_be_sounded_is_left_alone_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.serialline.LATEST_S", 0.3)

    async def refuses(heard: Heard, wire: SerialWire) -> None:
        if len(wire.heard) > 1:
            wire.send(heard.reply() if heard.count == FIRST.count else heard.refusal(3))

    async def story(line: SerialLine, wire: SerialWire) -> None:
        with pytest.raises(NoReplyError):
            await ask(line)
        with pytest.raises(NoReplyError, match=r"not asked: .* refuses the value"):
            await ask(line)
        assert await ask_until_answered(line, FIRST) == words(FIRST)
        assert [each.count for each in wire.heard] == [3, 2, 3]

    told(tmp_path, story, refuses, 0.3)


def test_a_refusal_of_what_sounds_a_device_is_none_of_the_order_that_waits_for_it(
    tmp_path: Path,
) -> None:
    """The order never left: it is neither refused nor to wait as if it were."""

    async def story(line: SerialLine, wire: SerialWire) -> None:
        assert await ask(line) == words(FIRST)

        async def silent(heard: Heard, wire: SerialWire) -> None:
            pass

        async def refuses(heard: Heard, wire: SerialWire) -> None:
            wire.send(heard.refusal(6))

        wire.behave = silent
        with pytest.raises(NoReplyError):
            await ask(line, WRITE)
        wire.behave = refuses
        with pytest.raises(NoReplyError, match=r"not asked: .* is busy"):
            await ask(line, WRITE)
        assert [each.function for each in wire.heard] == [4, 6, 4]

    told(tmp_path, story, good, TIMEOUT_S)


def test_an_order_that_was_given_up_never_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system still holds is dropped. (A terminal holds nothing.)"""
    dropped: list[int] = []
    monkeypatch.setattr(termios, "tcflush", lambda _, queue: dropped.append(queue))

    async def silent(heard: Heard, wire: SerialWire) -> None:
        pass

    async def story(line: SerialLine, wire: SerialWire) -> None:
        with pytest.raises(NoReplyError):
            await ask(line, WRITE)
        assert dropped[-1:] == [termios.TCOFLUSH]

    told(tmp_path, story, silent, TIMEOUT_S)


def test_an_order_that_the_adapter_does_not_take_is_given_up(tmp_path: Path) -> None:
    async def story(line: SerialLine, wire: SerialWire) -> None:
        assert await ask(line) == words(FIRST)
        wire.hold(True)
        with pytest.raises(NoConnectionError, match="takes no more bytes"):
            await ask(line, WRITE)
        wire.hold(False)
        assert await ask_until_answered(line, OTHER_UNIT) == words(OTHER_UNIT)
        assert all(each.function == 4 for each in wire.heard)

    told(tmp_path, story)


def test_nothing_is_sent_when_there_is_nothing_to_send_any_more(tmp_path: Path) -> None:
    async def story(line: SerialLine, wire: SerialWire) -> None:
        assert await line.exchange(lambda: None) is None
        answers = iter([WRITE, None])
        assert await line.exchange(lambda: next(answers)) is None
        assert await ask(line) == words(FIRST)
        assert [each.function for each in wire.heard] == [4]

    told(tmp_path, story)


# The adapter.


def test_an_adapter_that_is_unplugged_is_said_at_once_and_found_again(tmp_path: Path) -> None:
    async def silent(heard: Heard, wire: SerialWire) -> None:
        pass

    async def story(line: SerialLine, wire: SerialWire) -> None:
        assert await ask(line) == words(FIRST)
        wire.behave = silent
        task = asyncio.create_task(ask(line))
        await until(lambda: len(wire.heard) == 2)
        wire.unplug()
        with pytest.raises(NoConnectionError, match="adapter"):
            await task
        with pytest.raises(NoConnectionError, match="is the adapter plugged in"):
            await ask(line)
        wire.behave = good
        wire.plug()
        assert await ask_until_answered(line, NEIGHBOUR) == words(NEIGHBOUR)
        assert await ask_until_answered(line, FIRST) == words(FIRST)

    told(tmp_path, story)


def test_an_adapter_that_is_unplugged_while_idle_is_found_again(tmp_path: Path) -> None:
    async def story(line: SerialLine, wire: SerialWire) -> None:
        assert await ask(line) == words(FIRST)
        wire.unplug()
        await until(lambda: line._port is None)
        wire.plug()
        assert await ask_until_answered(line, FIRST) == words(FIRST)

    told(tmp_path, story)


def test_attempts_to_open_the_port_grow_apart_to_a_bound(tmp_path: Path) -> None:
    async def story(line: SerialLine, wire: SerialWire) -> None:
        wire.unplug()
        loop = asyncio.get_running_loop()
        for _ in range(12):
            line._pauses.not_before_s = 0.0
            with pytest.raises(NoConnectionError, match="no such port"):
                await ask(line)
            assert line._pauses.not_before_s - loop.time() <= MAX_S
        assert line._pauses.not_before_s - loop.time() > MAX_S - 1

    told(tmp_path, story)


def test_a_port_that_somebody_else_has_is_said_so(tmp_path: Path) -> None:
    async def story(line: SerialLine, wire: SerialWire) -> None:
        assert await ask(line) == words(FIRST)
        other = SerialLine(wire.address(), PATIENT_S, may_write=False)
        with pytest.raises(NoConnectionError, match="somebody else"):
            await ask(other)

    told(tmp_path, story)


def test_an_adapter_that_cannot_be_set_up_is_an_error_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise termios.error(errno.EINVAL, "Invalid argument")

    async def story(line: SerialLine, wire: SerialWire) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(termios, "tcsetattr", refuses)
            with pytest.raises(NoConnectionError, match="cannot be set up"):
                await ask(line)
        assert await ask_until_answered(line, FIRST) == words(FIRST)

    told(tmp_path, story)


# From its document to its readings.


def answers_as_sdm630(heard: Heard) -> bytes:
    """Currents and powers; whatever else of its map is asked for is 0."""
    assert (heard.unit, heard.function) == (7, 4)
    blocks = {
        (0, 18): floats(230, 230, 230, 10.5, 2, 0, 2415, -460, 0),
        (52, 2): floats(1955),
    }
    content = blocks.get((heard.address, heard.count), bytes(2 * heard.count))
    return heard.frame(bytes((4, len(content))) + content)


async def sdm630(heard: Heard, wire: SerialWire) -> None:
    wire.send(answers_as_sdm630(heard))


def test_a_meter_of_a_site_is_read_over_its_serial_bus(tmp_path: Path) -> None:
    async def story(_: SerialLine, wire: SerialWire) -> None:
        serial = {"id": "row", "url": f"rtu://{wire.port}?baud=19200&parity=E&stop=1"}
        meter = {"id": "main", "circuit": "grid", "profile": "eastron_sdm630_v2"}
        site = parse(
            {
                "schema": 1,
                "site": {"id": "depot"},
                "circuit": [circuit("grid")],
                "bus": [serial],
                "meter": [meter | {"bus": "row", "unit": 7, "poll_s": 0.05}],
            },
            library(),
        )
        board = Board()
        (driver,) = build(site, board, write=True)
        task = asyncio.create_task(driver.run())
        await until(lambda: len(board.meters) >= 3)
        assert board.meters[0][1].current_ma == (10_500, -2_000, 0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    told(tmp_path, story, sdm630)


def test_the_command_reads_over_a_serial_port(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story(_: SerialLine, wire: SerialWire) -> None:
        url = f"rtu://{wire.port}?baud=9600&parity=N&stop=1"
        arguments = ["read", "eastron_sdm630_v2", url, "--unit", "7"]
        assert await asyncio.to_thread(main, arguments) == 0

    told(tmp_path, story, sdm630)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["current_l1", "10.5", "A"] in lines
    assert ["current_l2", "-2.0", "A"] in lines
