"""Drivers of chargers that take several writes for an order, and of those that are fed apart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from controller.image import Order
from controller.units import NS_PER_S
from drivers.arming import IN_A_ROW
from drivers.bus import Bus
from drivers.charger import ChargerDriver
from drivers.chargerparts import Endurance
from drivers.chargerprofile import ChargerProfile
from drivers.device import Rank
from drivers.modbus import TcpLine
from drivers.standing import Standing
from drivers.telling import What
from drivers.wear import Wear
from tests.driven import charger
from tests.modbus_wire import Asked, Board, serving
from tests.patience import until
from tests.test_any_traffic import in_force
from tests.test_charger_format import COIL, LIFE, armed_by_a_setting, made

SETPOINT, L2, L3, ENABLE, TIMEOUT, LIFE_BIT, COIL_ADDR = 3, 4, 5, 7, 8, 10, 400


@dataclass
class Box:
    """Keeps words and coils; what is written may be refused, or forgotten."""

    words: dict[int, int] = field(
        default_factory=lambda: dict.fromkeys(range(20), 0) | {0: 0x0200, 8: 20, 9: 6, 11: 6}
    )
    coils: dict[int, int] = field(default_factory=lambda: {COIL_ADDR: 0})
    written: list[tuple[int, int]] = field(default_factory=list)
    refuses: set[int] = field(default_factory=set)
    exception: int = 4  # with which it refuses
    forgets: set[int] = field(default_factory=set)
    refused: list[tuple[float, int, int]] = field(default_factory=list)  # when, where, what

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        addresses = range(asked.address, asked.address + asked.count)
        match asked.function:
            case 5 | 6 if asked.address in self.refuses:
                at_s = asyncio.get_running_loop().time()
                self.refused.append((at_s, asked.address, asked.count))
                writer.write(asked.refusal(self.exception))
            case 5:
                self.coils[asked.address] = int(asked.count == 0xFF00)
                self.written.append((asked.address, self.coils[asked.address]))
                writer.write(asked.frame(asked.pdu))
            case 6:
                if asked.address not in self.forgets:
                    self.words[asked.address] = asked.count  # the value stands there
                self.written.append((asked.address, asked.count))
                writer.write(asked.frame(asked.pdu))
            case 1:
                bits = sum(self.coils[each] << i for i, each in enumerate(addresses))
                writer.write(asked.frame(bytes((1, 1, bits))))
            case 3:
                content = b"".join(self.words[each].to_bytes(2, "big") for each in addresses)
                writer.write(asked.frame(bytes((3, len(content))) + content))

    def of(self, *addresses: int) -> list[tuple[int, int]]:
        return [each for each in self.written if each[0] in addresses]


BUDGET = Endurance(registers=("setpoint",), writes_a_day=20, writes=1000)
Story = Callable[[Board, ChargerDriver, Box], Awaitable[None]]


def told(
    story: Story, profile: ChargerProfile, box: Box, wear: Wear | None = None, **changes: Any
) -> None:
    async def whole() -> None:
        board = Board()
        async with serving(box) as wire:
            line = TcpLine("127.0.0.1", wire.port, 1, may_write=True)
            its = charger(wire.port, profile=profile.name, facts=profile.facts)
            its = replace(its, **({"fallback_delay_ns": 20 * NS_PER_S} | changes))
            driver = ChargerDriver(its, profile, Bus(line, board.clock), board, True, wear)
            task = asyncio.create_task(driver.run())
            try:
                await until(lambda: board.chargers)
                await story(board, driver, box)
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    asyncio.run(whole())


async def proved(board: Board, order: Order) -> None:
    """Waits for the report that was asked for after the order had been acknowledged."""
    await until(lambda: board.chargers[-1][1].written_tick == order.tick)


def with_coil() -> ChargerProfile:
    return made(setpoint={"zero": "refused"}, enable=COIL)


def by_phase() -> ChargerProfile:
    names = ["setpoint", "setpoint_l2", "setpoint_l3"]
    return made(setpoint={"register": names, "applied": names})


def test_an_order_is_taken_when_all_of_it_was_acknowledged() -> None:
    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        box.refuses = {L3}
        order = board.command("bay-01", 10_000)
        await until(lambda: "failed" in str(driver.health().error))
        assert driver._standing.taken is None
        assert board.chargers[-1][1].written_tick == 0
        box.refuses = set()
        await until(lambda: board.chargers[-1][1].written_tick == order.tick)
        assert box.written[-3:] == [(SETPOINT, 10), (L2, 10), (L3, 10)]
        assert in_force(board, 10_000)()

    told(story, by_phase(), Box())


def test_a_lower_order_overtakes_a_higher_one_that_is_half_written() -> None:
    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        box.refuses = {L2}
        board.command("bay-01", 20_000)
        await until(lambda: (SETPOINT, 20) in box.written)
        box.refuses = set()
        low = board.command("bay-01", 7_000)
        await until(lambda: board.chargers[-1][1].written_tick == low.tick)
        assert [box.words[each] for each in (SETPOINT, L2, L3)] == [7, 7, 7]

    told(story, by_phase(), Box())


def test_what_a_rise_left_half_written_is_lowered_at_once_by_a_worn_memory_too() -> None:
    """What it was told last was less, and no report has shown yet that some of it rose."""

    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        for ma in (16_000, 6_000):
            await proved(board, board.command("bay-01", ma))
        box.refuses = {L2}
        board.command("bay-01", 20_000)
        await until(lambda: (SETPOINT, 20) in box.written)  # the third: its budget is spent
        await until(lambda: driver._telling.memory.written("setpoint") == 3)
        box.refuses = set()
        board.command("bay-01", 6_000)
        assert driver._rank() is Rank.REDUCTION
        await until(lambda: box.words[SETPOINT] == 6)

    budget = Endurance(registers=("setpoint",), writes_a_day=1000, writes=3)
    profile = by_phase().model_copy(update={"endurance": budget})
    told(story, profile, Box(), poll_ns=3 * NS_PER_S)


def told_to(ma: int) -> Order:
    return Order(ma, tick=1, expires_ns=NS_PER_S)


def test_a_rise_that_nobody_answered_may_have_arrived() -> None:
    standing = Standing(charger(502), made())
    standing.in_force_ma = 6_000
    assert standing.rises(told_to(10_000))
    standing.sent(20_000)
    standing.sent(8_000)
    assert not standing.rises(told_to(10_000))
    assert standing.rises(told_to(20_000))
    standing.took(told_to(8_000), 1, 0)
    assert standing.rises(told_to(10_000))
    assert not standing.rises(told_to(7_000))


def test_its_coil_is_closed_once_and_opened_for_a_pause() -> None:
    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        for ma in (10_000, 12_000, 0, 8_000):
            await proved(board, board.command("bay-01", ma))
            assert in_force(board, ma)()
        assert box.written == [
            *((SETPOINT, 10), (COIL_ADDR, 1), (SETPOINT, 12)),
            *((COIL_ADDR, 0), (SETPOINT, 8), (COIL_ADDR, 1)),
        ]

    told(story, with_coil(), Box())


def test_a_coil_that_somebody_opened_is_closed_again() -> None:
    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        board.command("bay-01", 10_000)
        await until(in_force(board, 10_000))
        driver._standing.taken_ns -= 2 * NS_PER_S
        box.coils[COIL_ADDR] = 0
        await until(lambda: box.of(COIL_ADDR) == [(COIL_ADDR, 1)] * 2)
        await until(in_force(board, 10_000))

    told(story, with_coil(), Box())


FED = LIFE | {"fallback": "fallback", "timeout": "timeout", "timeout_s": 0}


def test_a_life_bit_is_set_by_turns_and_by_nothing_else() -> None:
    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        board.command("bay-01", 10_000)
        await until(lambda: len(box.of(LIFE_BIT)) >= 3)
        assert box.of(SETPOINT, LIFE_BIT)[:2] == [(SETPOINT, 10), (LIFE_BIT, 1)]
        board.turn.stall()  # its order is live for a minute yet
        await until(lambda: not board.turn.fresh)
        await asyncio.sleep(0.1)  # what was under way
        fed, polled = len(box.of(LIFE_BIT)), len(board.chargers)
        await asyncio.sleep(0.5)
        assert len(box.of(LIFE_BIT)) == fed
        assert len(board.chargers) > polled  # it is heard all the same: reads do not feed it
        board.turn.go_on()
        await until(lambda: len(box.of(LIFE_BIT)) > fed)

    told(story, made(watchdog=FED), Box(), fallback_delay_ns=NS_PER_S // 2)


def test_what_must_stand_in_its_memory_is_not_written_while_nobody_decides() -> None:
    """Where writing its time is what feeds it, that would keep it alive."""

    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        await proved(board, board.command("bay-01", 16_000))
        await until(lambda: len(box.of(TIMEOUT)) >= 1)
        board.turn.stall()
        await until(lambda: not board.turn.fresh)
        await asyncio.sleep(0.1)  # what was under way
        box.words[TIMEOUT] = 99
        await until(lambda: driver._arming.due() is not None)
        box.written.clear()
        for ma in (15_000, 14_000):  # the worker that hangs is another one
            board.command("bay-01", ma)
            await until(in_force(board, ma))
        board.command("bay-01", 20_000)
        await asyncio.sleep(0.1)  # waits for what it lacks
        board.command("bay-01", 13_000)
        await until(lambda: box.words[SETPOINT] == 13)
        assert box.written == [(SETPOINT, 15), (SETPOINT, 14), (SETPOINT, 13)]
        board.turn.go_on()
        await until(lambda: box.words[TIMEOUT] == 20)

    rewrites = {"kind": "timeout_rewrite", "timeout": "timeout", "timeout_set": "timeout"}
    profile = made(watchdog={**rewrites, "timeout_s": 20, "fallback": "fallback"})
    told(story, profile, Box(), set_delay_ns=20 * NS_PER_S)


def test_what_feeds_it_never_prolongs_the_time_that_was_declared() -> None:
    """Set in the device by the installer, and shorter than delivered."""

    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        board.command("bay-01", 10_000)
        await until(lambda: box.of(TIMEOUT))
        assert box.of(TIMEOUT)[0] == (TIMEOUT, 10)

    rewrites = {"kind": "timeout_rewrite", "timeout": "timeout", "timeout_set": "timeout"}
    profile = made(watchdog={**rewrites, "timeout_s": 60, "fallback": "fallback"})
    told(story, profile, Box(), fallback_delay_ns=10 * NS_PER_S)


def test_without_a_live_order_it_is_not_fed() -> None:
    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        await asyncio.sleep(0.3)
        assert box.written == []
        board.command("bay-01", 10_000)
        await until(lambda: box.of(LIFE_BIT))
        board.expire("bay-01")
        await asyncio.sleep(0.1)
        fed = len(box.of(LIFE_BIT))
        await asyncio.sleep(0.4)
        assert len(box.of(LIFE_BIT)) == fed

    told(story, made(watchdog=FED), Box(), fallback_delay_ns=NS_PER_S // 2)


def test_one_that_does_not_keep_what_arms_it_is_never_proven() -> None:
    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        for ma in (6_000, 10_000, 16_000):
            await proved(board, board.command("bay-01", ma))
            assert board.chargers[-1][1].proven is False
        await until(lambda: len(box.of(ENABLE)) == IN_A_ROW)
        seen = len(board.chargers)
        await until(lambda: len(board.chargers) >= seen + 3)
        assert all(each.proven is False for _, each in board.chargers)
        assert driver.health().error == "its watchdog is not armed"

    told(story, armed_by_a_setting(**FED), Box(forgets={ENABLE}))


def test_one_that_was_not_fed_is_counted_at_its_fallback_and_told_first() -> None:
    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        box.words[9] = 16  # it falls back to more than it is told
        board.command("bay-01", 10_000)
        await until(in_force(board, 10_000))
        board.turn.stall()
        await until(in_force(board, 16_000))
        before = len(box.written)
        board.turn.go_on()
        await until(lambda: len(box.of(LIFE_BIT, SETPOINT)) >= before + 3)
        assert box.written[before][0] == SETPOINT
        await until(in_force(board, 10_000))

    told(story, made(watchdog=FED), Box(), fallback_ma=16_000, fallback_delay_ns=NS_PER_S)


def test_one_that_stays_at_something_else_is_told_so_and_its_memory_spared() -> None:
    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        board.command("bay-01", 10_000)
        await until(lambda: len(box.written) == 1)
        for seconds in (2, 3):  # later
            await until(lambda: driver._standing.astray_ns is not None)
            before = len(box.written)
            driver._standing.taken_ns -= seconds * NS_PER_S
            await until(lambda before=before: len(box.written) == before + 1)  # type: ignore[misc]
        driver._standing.taken_ns -= NS_PER_S
        seen = len(board.chargers)
        await until(lambda: len(board.chargers) >= seen + 5)
        assert box.written == [(SETPOINT, 10)] * 3
        assert {each.in_force_ma for _, each in board.chargers[seen:]} == {16_000}  # as it reads
        await until(lambda: "but 16 A stays in force" in str(driver.health().error))
        board.command("bay-01", 9_000)
        await until(lambda: box.written[-1] == (SETPOINT, 9))

    budget = Endurance(registers=("setpoint",), writes_a_day=20, writes=1000)
    box = Box(forgets={SETPOINT})
    box.words[SETPOINT] = 16
    told(story, made().model_copy(update={"endurance": budget}), box, fallback_delay_ns=None)


def test_one_that_refuses_is_not_asked_in_each_turn_but_for_a_lower_order_at_once() -> None:
    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        board.command("bay-01", 10_000)
        await until(lambda: len(box.refused) == 3)
        first_s, second_s, third_s = (at_s for at_s, *_ in box.refused)
        assert second_s - first_s >= 0.09
        assert third_s - second_s >= 0.19
        board.command("bay-01", 9_000)
        await until(lambda: box.refused[-1][1:] == (SETPOINT, 9))
        box.refuses.clear()
        await until(in_force(board, 9_000))

    told(story, made(), Box(refuses={SETPOINT}), fallback_delay_ns=None)


def test_a_memory_that_is_worn_out_is_lowered_and_not_raised() -> None:
    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        for ma in (10_000, 12_000):
            board.command("bay-01", ma)
            await until(in_force(board, ma))
        board.command("bay-01", 20_000)
        await until(lambda: "setpoint was written 2 times" in str(driver.health().error))
        assert box.of(SETPOINT) == [(SETPOINT, 10), (SETPOINT, 12)]
        for ma in (11_000, 9_000, 7_000, 0):
            board.command("bay-01", ma)
            await until(in_force(board, ma))
        board.command("bay-01", 8_000)
        await asyncio.sleep(0.2)
        assert box.words[SETPOINT] == 0

    plain = made()
    budget = Endurance(registers=("setpoint",), writes_a_day=2, writes=1000)
    told(story, plain.model_copy(update={"endurance": budget}), Box())


def test_a_write_that_nobody_waits_for_any_more_is_counted() -> None:
    """The enforcer ends, or takes another document, while the reply is on its way."""
    wear = Wear(lambda: 0)
    arrived: list[int] = []

    class Mute(Box):
        async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
            if asked.function == 6:
                arrived.append(asked.address)
                return
            await super().__call__(asked, writer)

    async def story(board: Board, driver: ChargerDriver, box: Box) -> None:
        board.command("bay-01", 10_000)
        await until(lambda: arrived)

    profile = made().model_copy(update={"endurance": BUDGET})
    told(story, profile, Mute(), wear)
    assert arrived == [SETPOINT]
    assert [register.written for register in wear._registers.values()] == [1]


def test_a_silent_charger_is_asked_while_its_order_waits_after_refusals() -> None:
    """Else it is back for as long as that pause before anybody knows."""

    class Dark(Box):
        dark = False

        async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
            if self.dark:
                writer.transport.abort()
            else:
                await super().__call__(asked, writer)

    box = Dark()

    async def story(board: Board, driver: ChargerDriver, same: Box) -> None:
        await proved(board, board.command("bay-01", 6_000))
        box.refuses = {SETPOINT}
        board.command("bay-01", 10_000)
        await until(lambda: box.refused)
        for _ in range(20):  # as it would be after some minutes
            driver._telling._refusals[What.ORDER].refused(10_000, board.clock.now_ns())
        box.dark = True
        await until(lambda: driver._silence.lasts)
        box.dark = False
        await until(lambda: not driver._silence.lasts)
        order = board.order("bay-01")
        assert order is not None
        assert not driver._telling.ready(order, board.clock.now_ns(), fresh=True)

    profile = made().model_copy(update={"endurance": BUDGET})
    told(story, profile, box, fallback_delay_ns=None)
