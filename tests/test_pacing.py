"""A charger that bears few requests: a KEBA behind a line of raw sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

from controller.image import Clock
from controller.site import DocumentError, Site, parse
from controller.units import NS_PER_S
from drivers.bus import Bus
from drivers.charger import ChargerDriver
from drivers.library import library
from drivers.modbus import TcpLine
from drivers.profile import Pacing
from tests.documents import charger as entry
from tests.documents import document
from tests.driven import charger
from tests.modbus_wire import Asked, Board, serving
from tests.patience import SlowClock, until

READ_GAP_S, WRITE_GAP_S = 0.02, 0.4
AS_DELIVERED = library().charger_profile("keba_p40")
PACING = Pacing.model_validate({"read_gap_s": READ_GAP_S, "write_gap_s": WRITE_GAP_S})
PROFILE = AS_DELIVERED.model_copy(update={"pacing": PACING})
SETPOINT = 5004


@dataclass
class Keba:
    """Values of two words, and writes with their instants."""

    values: dict[int, int] = field(
        default_factory=lambda: (
            dict.fromkeys((1000, 1004, 1006, 1008, 1010, 1012, 1020, 1100, 1600, 1602), 0)
            | {1000: 3, 1004: 7, 1100: 6_000, 1600: 6_000, 1602: 10}
        )
    )
    reads: list[tuple[int, float]] = field(default_factory=list)
    written: list[tuple[int, float]] = field(default_factory=list)
    refuses_writes: bool = False

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        now_s = time.monotonic()
        if asked.function == 6:
            self.written.append((asked.count, now_s))  # the value stands there
            if self.refuses_writes:
                writer.write(asked.refusal(4))
                return
            assert asked.address == SETPOINT
            self.values[1100] = asked.count
            writer.write(asked.reply())
            return
        self.reads.append((asked.address, now_s))
        assert asked.count == 2
        content = self.values[asked.address].to_bytes(4, "big")
        writer.write(asked.frame(bytes((3, 4)) + content))

    @property
    def milliamps(self) -> list[int]:
        return [ma for ma, _ in self.written]


Story = Callable[[Board, ChargerDriver, Keba], Awaitable[None]]


def told(story: Story, clock: Clock | None = None, **changes: Any) -> None:
    async def whole() -> None:
        board, keba = Board(clock), Keba()
        async with serving(keba) as wire:
            line = TcpLine("127.0.0.1", wire.port, 5, may_write=True)
            its = charger(wire.port, profile=PROFILE.name, facts=PROFILE.facts)
            bus = replace(its.bus, timeout_ns=NS_PER_S // 100)
            its = replace(its, unit=255, bus=bus, fallback_delay_ns=10 * NS_PER_S)
            its = replace(its, **changes)
            driver = ChargerDriver(its, PROFILE, Bus(line, board.clock), board, write=True)
            task = asyncio.create_task(driver.run())
            try:
                await story(board, driver, keba)
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    asyncio.run(whole())


def least_gap_s(instants: list[tuple[int, float]]) -> float:
    return min(later - earlier for (_, earlier), (_, later) in pairwise(instants))


def make_a_write_possible(driver: ChargerDriver, after_ns: int) -> None:
    """As if its order had been taken so long ago, and its gap were over."""
    driver._standing.taken_ns -= after_ns
    driver._next_write_ns = 0
    driver._write_bell.ring()


def test_reads_keep_their_distance_and_rare_ones_take_turns() -> None:
    async def story(board: Board, _: ChargerDriver, keba: Keba) -> None:
        board.command("bay-01", 8_000)
        await until(lambda: len(board.chargers) >= 5)
        assert least_gap_s(keba.reads) >= READ_GAP_S
        # After what is in force, and the first of everything else.
        often = [address for address, _ in keba.reads[9:27]]
        assert often[5::6] == [1600, 1004, 1602]
        assert often[:5] == [1000, 1008, 1010, 1012, 1100]
        report = board.chargers[-1][1]
        assert (report.in_force_ma, report.fallback_ma) == (8_000, 6_000)

    told(story)


def test_a_reduction_that_waits_is_replaced_by_a_lower_one_and_goes_when_it_may() -> None:
    async def story(board: Board, _: ChargerDriver, keba: Keba) -> None:
        board.command("bay-01", 20_000)
        await until(lambda: keba.milliamps == [20_000])
        for ma in (16_000, 12_000, 9_000):
            board.command("bay-01", ma)
            await asyncio.sleep(0.02)
        assert keba.milliamps == [20_000]
        await until(lambda: len(keba.written) >= 2)
        assert keba.milliamps == [20_000, 9_000]
        assert least_gap_s(keba.written) >= WRITE_GAP_S

    told(story)


def test_increases_wait_as_well_and_an_order_that_has_died_is_not_written() -> None:
    async def story(board: Board, _: ChargerDriver, keba: Keba) -> None:
        board.command("bay-01", 8_000)
        await until(lambda: keba.milliamps == [8_000])
        board.command("bay-01", 12_000)
        board.expire("bay-01")
        await asyncio.sleep(1.5 * WRITE_GAP_S)
        assert keba.milliamps == [8_000]
        board.command("bay-01", 10_000)
        board.command("bay-01", 11_000)
        await until(lambda: len(keba.written) >= 2)
        assert keba.milliamps == [8_000, 11_000]

    told(story)


def test_a_write_that_failed_counts_for_the_gap_when_it_may_have_arrived() -> None:
    async def story(board: Board, _: ChargerDriver, keba: Keba) -> None:
        keba.refuses_writes = True
        board.command("bay-01", 8_000)
        await until(lambda: len(keba.written) >= 3)
        assert least_gap_s(keba.written) >= WRITE_GAP_S

    told(story)


def test_its_watchdog_is_fed_by_polls_and_costs_no_writes() -> None:
    async def story(board: Board, driver: ChargerDriver, keba: Keba) -> None:
        await until(lambda: board.chargers)
        board.command("bay-01", 8_000)
        await until(lambda: driver._standing.in_force_ma == 8_000)
        make_a_write_possible(driver, 60 * NS_PER_S)
        seen = len(board.chargers)
        await until(lambda: len(board.chargers) >= seen + 3)
        assert keba.milliamps == [8_000]

    told(story)


def test_a_short_watchdog_is_fed_by_reads_that_are_spread_and_costs_no_writes() -> None:
    """A write that only feeds would make the next order wait for the gap: a reduction, too."""
    reading_ns = PROFILE.reading_ns
    assert reading_ns == round(5 * READ_GAP_S * NS_PER_S)

    async def story(board: Board, driver: ChargerDriver, keba: Keba) -> None:
        assert driver._standing._polls_feed
        await until(lambda: board.chargers)
        board.command("bay-01", 8_000)
        await until(lambda: driver._standing.in_force_ma == 8_000)
        make_a_write_possible(driver, 2 * NS_PER_S)
        seen = len(board.chargers)
        await until(lambda: len(board.chargers) >= seen + 2)
        assert keba.milliamps == [8_000]

    told(story, SlowClock(), poll_ns=2 * reading_ns, fallback_delay_ns=3 * reading_ns)


def test_a_watchdog_that_polls_may_not_reach_is_fed_by_writes() -> None:
    async def story(board: Board, driver: ChargerDriver, keba: Keba) -> None:
        assert not driver._standing._polls_feed
        board.command("bay-01", 8_000)
        await until(lambda: len(keba.written) >= 2)
        assert set(keba.milliamps) == {8_000}

    told(story, poll_ns=NS_PER_S, fallback_delay_ns=2 * NS_PER_S)


def test_one_that_was_not_asked_before_the_first_decision_is_asked_right_after_it() -> None:
    async def story(board: Board, driver: ChargerDriver, keba: Keba) -> None:
        board.turn.stall()
        await until(lambda: "not asked" in str(driver.health().error))
        board.turn.go_on()
        await until(lambda: len(board.chargers) == 2)  # and not in an hour

    told(story, poll_ns=3600 * NS_PER_S)


def test_no_vehicle_is_told_from_one_that_waits() -> None:
    async def story(board: Board, _: ChargerDriver, keba: Keba) -> None:
        keba.values |= {1000: 2, 1004: 3}
        await until(lambda: board.chargers and board.chargers[-1][1].vehicle.name == "A")
        keba.values |= {1004: 7}
        await until(lambda: board.chargers[-1][1].vehicle.name == "B")

    told(story)


# What the document makes of it.


def keba_site(**keys: object) -> Site:
    keba = entry(profile="keba_p40", **{"fallback_delay_s": 10, **keys})
    return parse(document(meter=[], charger=[keba]), library())


def test_the_defaults_leave_time_for_the_reads() -> None:
    (made,) = keba_site().chargers
    assert made.facts.confirm_gap_ns == made.poll_ns == 3_300_000_000
    assert made.max_age_ns == 4 * made.poll_ns
    assert made.facts.write_gap_ns == 5 * NS_PER_S
    (slower,) = keba_site(poll_s=10).chargers
    assert slower.max_age_ns == 33_300_000_000


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"poll_s": 1},
            "poll_s (bay): must be at least 3.3: keba_p40 bears reads only now and then",
        ),
        ({"poll_s": 4, "max_age_s": 7}, "must be longer than poll_s, 4 s and the 3.3 s that"),
    ],
)
def test_a_poll_that_cannot_be_kept_is_an_error(keys: dict[str, object], words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        keba_site(**keys)
    assert words in str(caught.value)


def test_its_watchdog_time_must_be_said_as_it_is_off_when_delivered() -> None:
    with pytest.raises(DocumentError, match=r"fallback_delay_s \(bay\): is missing"):
        keba_site(fallback_delay_s=None)
