"""A charger whose watchdog any request feeds: a Heidelberg behind a line of raw sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from cext.rows import Vehicle
from controller.image import ChargerReport
from controller.units import NS_PER_S
from drivers.arming import IN_A_ROW
from drivers.bus import Bus
from drivers.charger import ChargerDriver
from drivers.library import library
from drivers.modbus import TcpLine
from tests.driven import charger
from tests.modbus_wire import Asked, Board, serving
from tests.patience import until

PROFILE = library().charger_profile("heidelberg_energy_control")
PROFILE = PROFILE.model_copy(update={"gap_ns": 0})  # its gap is the line's business


@dataclass
class Heidelberg:
    """Registers as its document has them; read and written one by one."""

    registers: dict[int, int] = field(
        default_factory=lambda: (
            dict.fromkeys(range(4, 15), 0) | {5: 7, 257: 15_000, 258: 4, 259: 1, 261: 60, 262: 80}
        )
    )
    written: list[tuple[int, int]] = field(default_factory=list)
    obeys: bool = True
    forgets: set[int] = field(default_factory=set)  # acknowledged, and not kept
    mangles: int | None = None  # writes to this register are answered with another one's reply
    polls: int = 0
    first_block: asyncio.Event | None = None  # of a poll: not answered before this is set

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.function == 6:
            self.written.append((asked.address, asked.count))  # the value stands there
            if self.obeys and asked.address not in self.forgets:
                self.registers[asked.address] = asked.count
            if asked.address == self.mangles:
                writer.write(asked.frame(bytes((6, 0, 0, 0, 0))))
            else:
                writer.write(asked.reply())
            return
        self.polls += 1
        if self.first_block is not None and asked.address == 4:
            await self.first_block.wait()
        wanted = range(asked.address, asked.address + asked.count)
        content = b"".join(self.registers[each].to_bytes(2, "big") for each in wanted)
        writer.write(asked.frame(bytes((asked.function, len(content))) + content))


Story = Callable[[Board, ChargerDriver, Heidelberg], Awaitable[None]]


def told(story: Story, shown: Heidelberg, *, write: bool = True, **changes: Any) -> None:
    async def whole() -> None:
        board = Board()
        async with serving(shown) as wire:
            line = TcpLine("127.0.0.1", wire.port, 5, may_write=write)
            its = charger(wire.port, profile=PROFILE.name, facts=PROFILE.facts, max_ma=16_000)
            its = replace(its, fallback_ma=8_000, fallback_delay_ns=15 * NS_PER_S, **changes)
            driver = ChargerDriver(its, PROFILE, Bus(line, board.clock), board, write=write)
            task = asyncio.create_task(driver.run())
            try:
                await story(board, driver, shown)
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    asyncio.run(whole())


def last(board: Board) -> ChargerReport | None:
    return board.chargers[-1][1] if board.chargers else None


def in_force(board: Board, ma: int) -> Callable[[], bool]:
    def seen() -> bool:
        report = last(board)
        return report is not None and report.in_force_ma == ma

    return seen


def test_before_the_first_order_it_is_polled_and_counted_at_its_fallback() -> None:
    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        await until(lambda: len(board.chargers) >= 3)
        report = last(board)
        assert report is not None
        assert report.in_force_ma == 8_000  # its watchdog may have run out before we came
        assert report.vehicle is Vehicle.C
        assert shown.written == []

    told(story, Heidelberg())


def test_nothing_is_sent_to_it_while_nobody_decides() -> None:
    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        order = board.command("bay-01", 10_000)
        await until(lambda: board.chargers and board.chargers[-1][1].written_tick == order.tick)
        assert in_force(board, 10_000)()
        assert shown.written == [(261, 100)]
        board.turn.stall()  # its order is live for a minute yet
        await until(lambda: not board.turn.fresh)
        await asyncio.sleep(0.1)  # what was under way
        before = shown.polls, len(shown.written)
        await asyncio.sleep(0.6)  # thirty of its polls, two rounds of the writer
        assert (shown.polls, len(shown.written)) == before
        assert not driver.health().online
        assert "not asked" in str(driver.health().error)
        board.command("bay-01", 12_000)
        await asyncio.sleep(0.2)
        assert (shown.polls, len(shown.written)) == before
        board.turn.go_on()
        await until(in_force(board, 12_000))

    told(story, Heidelberg())


def test_what_of_a_poll_was_still_to_be_asked_when_decisions_ended_is_not_asked() -> None:
    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        order = board.command("bay-01", 10_000)
        await until(lambda: board.chargers and board.chargers[-1][1].written_tick == order.tick)
        shown.first_block, before = asyncio.Event(), shown.polls
        await until(lambda: shown.polls > before)
        await asyncio.sleep(0.05)  # at the latest now it is the first block
        board.turn.stall()
        await until(lambda: not board.turn.fresh)
        before = shown.polls
        shown.first_block.set()
        await asyncio.sleep(0.3)
        assert shown.polls == before

    told(story, Heidelberg())


def test_a_charger_without_an_order_is_not_kept_alive_by_polls_either() -> None:
    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        await until(lambda: len(board.chargers) >= 3)
        board.turn.stall()
        await until(lambda: not board.turn.fresh)
        await asyncio.sleep(0.1)
        before = shown.polls
        await asyncio.sleep(0.3)
        assert shown.polls == before
        assert shown.written == []

    told(story, Heidelberg())


def test_one_whose_order_has_expired_is_still_heard_while_others_are_decided_on() -> None:
    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        board.command("bay-01", 10_000)
        await until(in_force(board, 10_000))
        board.expire("bay-01")
        before = shown.polls
        await until(lambda: shown.polls > before + 5)

    told(story, Heidelberg())


def test_after_a_silence_as_long_as_its_watchdog_it_is_told_again() -> None:
    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        board.command("bay-01", 6_000)
        await until(lambda: driver._standing.taken is not None)
        await until(in_force(board, 6_000))
        written = len(shown.written)
        driver._standing.taken_ns -= 2 * NS_PER_S
        assert driver._standing.lapse.heard_ns is not None
        driver._standing.lapse.heard_ns -= 20 * NS_PER_S  # as if nothing had been heard
        await until(lambda: len(shown.written) > written)
        await until(in_force(board, 6_000))
        assert any(report.in_force_ma == 8_000 for _, report in board.chargers)

    told(story, Heidelberg())


def test_its_standby_is_forbidden_once_there_is_an_order_and_not_for_ever() -> None:
    shown = Heidelberg()
    shown.registers[258] = 0

    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        await until(lambda: "standby" in str(driver.health().error))
        assert shown.written == []
        shown.obeys = False
        board.command("bay-01", 10_000)
        await until(lambda: shown.written.count((258, 4)) == IN_A_ROW)
        await asyncio.sleep(0.6)
        assert shown.written.count((258, 4)) == IN_A_ROW
        shown.registers[258] = 4
        await until(lambda: "standby" not in str(driver.health().error))

    told(story, shown)


def test_a_watchdog_that_is_off_is_named() -> None:
    shown = Heidelberg()
    shown.registers[257] = 0

    async def story(board: Board, driver: ChargerDriver, shown: Heidelberg) -> None:
        await until(lambda: "watchdog is off" in str(driver.health().error))

    told(story, shown)
