"""Drivers in turns: what is dead outside costs no turn, what hangs inside completes none."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from drivers.bus import Bus
from drivers.device import NoReplyError, Rank, Request
from drivers.modbus import TcpLine
from tests.driven import Alfen, Devices, Em24, Scene, told
from tests.modbus_wire import HEADER, Board
from tests.patience import until


def turns(scene: Scene) -> list[int]:
    """Ticks of the turns that are completed from now on."""
    found: list[int] = []
    scene.board.turn.fed(lambda: found.append(scene.board.turn.tick))
    return found


async def go_on(scene: Scene) -> None:
    found = turns(scene)
    await until(lambda: len(found) >= 5)


def test_a_dead_meter_and_a_dead_charger_never_starve_the_dead_man() -> None:
    async def story(scene: Scene, devices: Devices) -> None:
        scene.meter()
        scene.charger(unit=2)
        await scene.proof_of(scene.board.command("bay-01", 10_000))
        devices.units[1] = devices.units[2] = None
        scene.board.command("bay-01", 8_000)
        await go_on(scene)
        assert scene.board.turn.missing() == []

    told(story, {1: Em24(), 2: Alfen()}, timeout_s=0.1)


def test_a_writer_that_hangs_completes_no_turn_and_what_only_feeds_ends() -> None:
    async def story(scene: Scene, devices: Devices) -> None:
        driver = scene.charger(unit=2, fallback_delay_ns=3_000_000_000)
        await scene.proof_of(scene.board.command("bay-01", 10_000))
        await go_on(scene)

        async def for_ever() -> bool:
            return await asyncio.Event().wait()

        driver._write = for_ever  # type: ignore[method-assign]
        await until(lambda: not scene.board.turn.fresh)
        assert scene.board.turn.missing() == ["bay-01"]

    told(story, {2: Alfen()})


def test_a_line_that_hangs_completes_no_turn_though_its_own_bound_has_passed() -> None:
    class Hanging:
        url = "tcp://nowhere:1"
        longest_s = 0.1

        async def exchange(self, ask: object) -> tuple[int, ...] | None:
            await asyncio.Event().wait()
            return None

        def close(self) -> None:
            pass

    async def story() -> None:
        board = Board()
        board.turn.join("somebody", lambda: None)
        board.turn.busy("somebody")
        bus = Bus(Hanging(), board.clock, board.turn)
        asking = asyncio.create_task(bus.exchange("bay", lambda: Rank.REDUCTION, lambda: None))
        await until(lambda: board.turn.missing() == [Hanging.url])
        await until(lambda: not board.turn.fresh)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await until(lambda: board.turn.fresh)

    asyncio.run(story())


@pytest.mark.parametrize("decides", [True, False])
def test_the_same_order_is_written_again_only_while_turns_complete(decides: bool) -> None:
    async def story(scene: Scene, devices: Devices) -> None:
        scene.charger(unit=2, fallback_delay_ns=3_000_000_000)
        await scene.proof_of(scene.board.command("bay-01", 10_000))  # is live for a minute
        if not decides:
            scene.board.turn.stall()
        written = [asked for asked in scene.wire.asked if asked.function == 16]
        await asyncio.sleep(1.4)
        again = [asked for asked in scene.wire.asked if asked.function == 16]
        assert (len(again) > len(written)) == decides

    told(story, {2: Alfen()})


@contextmanager
def prompt() -> Iterator[int]:
    """A device in a thread of its own: answers whatever our loop is doing."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            request = connection.recv(100)
            transaction, _, _, unit = HEADER.unpack(request[:7])
            time.sleep(0.1)
            connection.sendall(HEADER.pack(transaction, 0, 5, unit) + b"\x03\x02\x00\x07")
            with suppress(ConnectionError):
                connection.recv(100)  # until hung up

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()
        thread.join()


@pytest.mark.parametrize(("held_s", "taken"), [(0.0, True), (0.6, False)])
def test_a_reply_that_lay_there_while_we_stood_still_is_none(held_s: float, taken: bool) -> None:
    """It would be stamped with the present, and be as old as we stood still."""

    async def story(port: int) -> None:
        line = TcpLine("127.0.0.1", port, 0.3, may_write=False)
        bus = Bus(line, Board().clock)
        loop = asyncio.get_running_loop()

        def ask() -> Request:
            if line._connection is not None and line._connection.stands:
                loop.call_later(0.02, time.sleep, held_s)  # the reply comes meanwhile
            return Request("meter", 1, 3, 40, 1)

        try:
            reply = await bus.exchange("meter", lambda: Rank.METER, ask)
            assert taken
            assert reply is not None
            assert reply.words == (7,)
        except NoReplyError:
            assert not taken
        finally:
            bus.close()

    with prompt() as port:
        asyncio.run(story(port))
