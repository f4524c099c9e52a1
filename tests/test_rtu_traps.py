"""The traps of a serial line: every reply late, and adapters that hear themselves."""

import asyncio
from pathlib import Path

import pytest

from drivers.device import DeviceError, NoReplyError, Request
from drivers.serialline import SerialLine
from tests.patience import WITHIN_S, until
from tests.serial_wire import Heard, SerialWire, good, sealed
from tests.test_rtu_line import (
    FIRST,
    NEIGHBOUR,
    OTHER_UNIT,
    TIMEOUT_S,
    WRITE,
    WRITE_TWO,
    ask,
    ask_until_answered,
    told,
    words,
)


@pytest.mark.parametrize("late", [1.2, 2.3, 3.6])
@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 6, 8, 9, 10])
def test_with_every_reply_late_no_value_lands_in_a_wrong_place(
    tmp_path: Path, offset: int, late: float
) -> None:
    """Every reply's first `offset` bytes come in time, the rest `late` time-outs after the request.

    A value carries the turn that it was asked in, so one that was read for an earlier request of
    the same register is found out, too. When replies come in time again, values do.
    """
    turn = [0]

    def answer(heard: Heard, asked_in: int) -> bytes:
        if heard.function == 6:
            return heard.reply()
        content = b"".join(
            (asked_in << 8 | heard.unit << 4 | address % 16).to_bytes(2, "big")
            for address in range(heard.address, heard.address + heard.count)
        )
        return heard.frame(bytes((heard.function, len(content))) + content)

    async def behind(heard: Heard, wire: SerialWire) -> None:
        reply = answer(heard, turn[0])
        wire.send(reply[:offset])
        await asyncio.sleep(late * TIMEOUT_S)
        wire.send(reply[offset:])

    async def in_time(heard: Heard, wire: SerialWire) -> None:
        wire.send(answer(heard, turn[0]))

    async def found(line: SerialLine, request: Request) -> bool:
        turn[0] += 1
        try:
            values = await ask(line, request)
        except DeviceError:
            return False
        wanted = range(request.address, request.address + request.count)
        assert request.writes or values == tuple(
            turn[0] << 8 | request.unit << 4 | address % 16 for address in wanted
        )
        return True

    async def story(line: SerialLine, wire: SerialWire) -> None:
        assert await found(line, FIRST)  # known, it can be sounded
        wire.behave = behind
        for request in (FIRST, NEIGHBOUR, OTHER_UNIT, WRITE, FIRST):
            await found(line, request)
        wire.behave = in_time
        for request in (FIRST, NEIGHBOUR, WRITE):
            async with asyncio.timeout(WITHIN_S):
                while not await found(line, request):
                    pass

    told(tmp_path, story, in_time, TIMEOUT_S)


def test_a_unit_that_could_not_be_sounded_is_as_soon_as_it_can(tmp_path: Path) -> None:
    """Its write was lost before anything longer was read: it is not left alone for that."""

    async def lost(heard: Heard, wire: SerialWire) -> None:
        pass

    async def story(line: SerialLine, wire: SerialWire) -> None:
        wire.behave = lost
        for request in (WRITE, WRITE, FIRST, FIRST):
            with pytest.raises(NoReplyError):
                await ask(line, request)
        wire.behave = good
        assert await ask(line, WRITE) == ()
        assert [each.function for each in wire.heard] == [6, 4, 4, 4, 6]
        assert [each.count for each in wire.heard[1:4]] == [3, 2, 2]

    told(tmp_path, story, timeout_s=TIMEOUT_S)


def test_an_echo_is_no_answer_to_a_read_nor_to_a_write(tmp_path: Path) -> None:
    async def deaf_to_writes(heard: Heard, wire: SerialWire) -> None:
        if heard.function == 4:
            wire.send(heard.reply())

    async def story(line: SerialLine, wire: SerialWire) -> None:
        wire.echoes = True
        assert await ask(line) == words(FIRST)
        assert await ask(line, WRITE) == ()
        assert await ask(line, WRITE_TWO) == ()
        wire.behave = deaf_to_writes
        with pytest.raises(NoReplyError):
            await ask(line, WRITE)
        assert await ask_until_answered(line, NEIGHBOUR) == words(NEIGHBOUR)

    told(tmp_path, story, timeout_s=0.3)


def test_an_echo_in_pieces_is_none_either(tmp_path: Path) -> None:
    async def in_pieces(heard: Heard, wire: SerialWire) -> None:
        sent = sealed(bytes((heard.unit,)) + heard.pdu)
        for piece in (sent[:1], sent[1:5], sent[5:] + heard.reply()[:3], heard.reply()[3:]):
            wire.send(piece)
            await asyncio.sleep(0.005)

    async def story(line: SerialLine, _: SerialWire) -> None:
        for request in (FIRST, NEIGHBOUR, OTHER_UNIT):
            assert await ask(line, request) == words(request)

    told(tmp_path, story, in_pieces)


def test_an_adapter_of_the_other_kind_is_found_out(tmp_path: Path) -> None:
    async def story(line: SerialLine, wire: SerialWire) -> None:
        for echoes in (True, False, True):
            wire.echoes = echoes
            assert await ask_until_answered(line, FIRST) == words(FIRST)
            assert await ask_until_answered(line, WRITE) == ()
            wire.unplug()
            await until(lambda: line._port is None)
            wire.plug()

    told(tmp_path, story)
