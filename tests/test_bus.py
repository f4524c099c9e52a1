"""Who gets the line next: seen on the wire."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from controller.clock import MonotonicClock
from drivers import bus as bus_module
from drivers.bus import Bus
from drivers.device import BusFullError, DeviceError, NoConnectionError, Rank, Reply, Request
from drivers.modbus import TcpLine
from tests.modbus_wire import Asked, Behaviour, Wire, serving
from tests.patience import until


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here exception 11 is a silence and no more: what may come late is another room's."""
    monkeypatch.setattr("drivers.behind.LATEST_S", 0.0)


class Gate:
    """A server's behaviour: answers well, once it is opened; later ones at once."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        await self.open.wait()
        writer.write(asked.reply())


Story = Callable[[Bus, Wire, Gate], Awaitable[None]]


def told(story: Story) -> None:
    async def whole() -> None:
        gate = Gate()
        async with serving(gate) as wire:
            line = TcpLine("127.0.0.1", wire.port, 5, may_write=True)
            try:
                await story(Bus(line, MonotonicClock()), wire, gate)
            finally:
                line.close()

    asyncio.run(whole())


def poll(address: int, unit: int = 1) -> Request:
    return Request("device", unit, 3, address, 1)


def write(address: int) -> Request:
    return Request("device", 1, 16, address, 1, (0,))


def queue(bus: Bus, rank: Rank, request: Request) -> "asyncio.Task[Reply | None]":
    return asyncio.create_task(bus.exchange(str(request.unit), lambda: rank, lambda: request))


async def held(bus: Bus, wire: Wire) -> "asyncio.Task[Reply | None]":
    """One exchange has the line and does not come back before the gate opens."""
    task = queue(bus, Rank.CHARGER, poll(0))
    await until(lambda: wire.asked)
    return task


def addresses(wire: Wire) -> list[int]:
    return [each.address for each in wire.asked]


def test_reductions_go_first_then_meters_then_increases_then_chargers() -> None:
    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)
        tasks = [
            queue(bus, Rank.CHARGER, poll(31)),
            queue(bus, Rank.METER, poll(21)),
            queue(bus, Rank.INCREASE, write(11)),
            queue(bus, Rank.CHARGER, poll(32)),
            queue(bus, Rank.REDUCTION, write(1)),
            queue(bus, Rank.METER, poll(22)),
            queue(bus, Rank.INCREASE, write(12)),
            queue(bus, Rank.REDUCTION, write(2)),
        ]
        await asyncio.sleep(0)  # all of them are waiting now
        gate.open.set()
        await asyncio.gather(first, *tasks)
        assert addresses(wire) == [0, 1, 2, 21, 22, 11, 12, 31, 32]

    told(story)


def test_what_waits_is_judged_and_worded_when_the_line_is_free() -> None:
    """A raise that became a reduction overtakes, with its last words; one given up is not sent."""

    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)
        rank, request = Rank.INCREASE, write(10)
        given_up: Request | None = write(99)
        increase = queue(bus, Rank.INCREASE, write(11))
        changing = asyncio.create_task(bus.exchange("a", lambda: rank, lambda: request))
        nothing = asyncio.create_task(bus.exchange("b", lambda: Rank.REDUCTION, lambda: given_up))
        await asyncio.sleep(0)
        rank, request, given_up = Rank.REDUCTION, write(9), None
        gate.open.set()
        await asyncio.gather(first, increase, changing)
        assert await nothing is None
        assert addresses(wire) == [0, 9, 11]

    told(story)


def test_a_poll_of_a_charger_does_not_starve_behind_meters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "PATIENCE_S", -1.0)

    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)
        charger = queue(bus, Rank.CHARGER, poll(31))
        await asyncio.sleep(0.001)
        meter = queue(bus, Rank.METER, poll(21))
        reduction = queue(bus, Rank.REDUCTION, write(1))
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(first, charger, meter, reduction)
        assert addresses(wire) == [0, 1, 31, 21]

    told(story)


def test_no_poll_comes_between_two_writes_of_one_order() -> None:
    """Its second write asks for the line a moment after the first has given it back: the proof of
    the reaction time counts no poll there, nor another's rise."""

    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)

        async def order() -> None:
            for address in (1, 2, 3):
                await bus.exchange("told", lambda: Rank.REDUCTION, lambda a=address: write(a))  # type: ignore[misc]

        others = [queue(bus, Rank.CHARGER, poll(31)), queue(bus, Rank.INCREASE, write(11))]
        told_ = asyncio.create_task(order())
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(first, told_, *others)
        assert addresses(wire) == [0, 1, 2, 3, 11, 31]

    told(story)


def test_an_order_that_was_begun_goes_on_before_others_of_its_rank() -> None:
    """What feeds another's watchdog has the same rank and would come between, uncounted."""

    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)

        async def writes(device: str, *several: int) -> None:
            for address in several:
                await bus.exchange(device, lambda: Rank.REDUCTION, lambda a=address: write(a))  # type: ignore[misc]

        orders = [
            asyncio.create_task(writes("one", 1, 2)),
            asyncio.create_task(writes("other", 11, 12, 13)),
            asyncio.create_task(writes("third", 21)),
        ]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(first, *orders)
        assert addresses(wire) == [0, 1, 2, 11, 12, 13, 21]

    told(story)


def test_nobody_keeps_the_line_for_ever() -> None:
    """An order takes four writes at most; who asks on and on lets the others in between."""

    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)

        async def writes() -> None:
            for address in range(1, 31):
                await bus.exchange("greedy", lambda: Rank.REDUCTION, lambda a=address: write(a))  # type: ignore[misc]

        greedy = asyncio.create_task(writes())
        others = [queue(bus, Rank.CHARGER, poll(n)) for n in (91, 92)]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(first, greedy, *others)
        assert [addresses(wire).index(n) for n in (91, 92)] == [9, 18]

    told(story)


async def told_in_a_row(bus: Bus, writes: list[Request]) -> None:
    for each in writes:
        await bus.exchange("told", lambda: Rank.REDUCTION, lambda each=each: each)  # type: ignore[misc]


def order(first: int, count: int = 3) -> list[Request]:
    return [replace(write(first + i), more=count - 1 - i) for i in range(count)]


@pytest.mark.parametrize("alone", [0, 5, 6, 7, 8, 12])
def test_what_it_asked_while_nobody_waited_does_not_part_its_order(alone: int) -> None:
    """Its own report of so many blocks, over an idle line: that was to nobody's cost."""

    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        gate.open.set()
        for i in range(alone):
            await bus.exchange("told", lambda: Rank.CHARGER, lambda i=i: poll(100 + i))  # type: ignore[misc]
        gate.open.clear()
        telling = asyncio.create_task(told_in_a_row(bus, order(1)))
        await asyncio.sleep(0)
        others = [queue(bus, Rank.CHARGER, poll(31)), queue(bus, Rank.INCREASE, write(11))]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(telling, *others)
        assert addresses(wire)[alone:] == [1, 2, 3, 11, 31]

    told(story)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_one_that_is_told_again_and_again_lets_others_between_its_orders(size: int) -> None:
    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)
        orders = [each for n in range(6) for each in order(10 * n + 1, size)]
        telling = asyncio.create_task(told_in_a_row(bus, orders))
        others = [queue(bus, Rank.CHARGER, poll(n)) for n in (91, 92)]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(first, telling, *others)
        seen = addresses(wire)
        for n in (91, 92):
            before = seen[seen.index(n) - 1]
            assert before > 90 or before % 10 == size or before == 51, (n, seen)
        assert seen.index(91) <= bus_module.IN_A_ROW + bus_module.ORDER_MOST

    told(story)


def test_only_a_meter_ages_against_a_reduction(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof of the reaction time counts nothing else between them: rises and polls of chargers
    wait until the last reduction has gone, however long they have waited."""
    monkeypatch.setattr(bus_module, "PATIENCE_S", -1.0)

    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)
        others = [queue(bus, Rank.CHARGER, poll(31)), queue(bus, Rank.INCREASE, write(11))]
        meters = [queue(bus, Rank.METER, poll(n)) for n in (21, 22)]
        reductions = [queue(bus, Rank.REDUCTION, write(n)) for n in range(1, 8)]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(first, *reductions, *meters, *others)
        assert addresses(wire) == [0, 1, 21, 2, 22, 3, 4, 5, 6, 7, 31, 11]

    told(story)


def test_a_dead_meter_does_not_age_against_a_reduction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing protects it that it could tell, and it costs a time-out."""
    monkeypatch.setattr(bus_module, "PATIENCE_S", -1.0)

    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        wire.behave = deaf(9)
        bus.join()
        bus.join()
        for _ in range(bus_module.DEAD_AFTER):
            with pytest.raises(DeviceError):
                await queue(bus, Rank.METER, poll(9, 9))
        await asyncio.sleep(2 * bus_module.DEAD_PAUSE * GATEWAY_S)  # it may be asked again
        wire.asked.clear()
        wire.behave = gate
        first = await held(bus, wire)
        meter = queue(bus, Rank.METER, poll(21, 9))
        reductions = [queue(bus, Rank.REDUCTION, write(n)) for n in range(1, 5)]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(first, meter, *reductions)
        assert addresses(wire) == [0, 1, 2, 3, 4, 21]

    told(story)


def test_meters_rises_and_polls_share_the_line_without_reductions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every second exchange goes to who has waited, each kind in its turn."""
    monkeypatch.setattr(bus_module, "PATIENCE_S", -1.0)

    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)
        meters = [queue(bus, Rank.METER, poll(n)) for n in range(21, 26)]
        polls = [queue(bus, Rank.CHARGER, poll(n)) for n in (31, 32)]
        rises = [queue(bus, Rank.INCREASE, write(11))]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(first, *meters, *polls, *rises)
        assert addresses(wire) == [0, 21, 31, 22, 11, 23, 32, 24, 25]

    told(story)


def test_who_has_not_waited_long_goes_by_rank_alone() -> None:
    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)
        tasks = [queue(bus, Rank.METER, poll(21))]
        tasks += [queue(bus, Rank.REDUCTION, write(n)) for n in range(1, 5)]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(first, *tasks)
        assert addresses(wire) == [0, 1, 2, 3, 4, 21]

    told(story)


def test_one_failure_is_one_failure() -> None:
    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        async def refuses_unit_9(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(asked.refusal(2) if asked.unit == 9 else asked.reply())

        wire.behave = refuses_unit_9
        sick = [queue(bus, Rank.METER, poll(5, unit=9)) for _ in range(3)]
        well = [queue(bus, Rank.CHARGER, poll(6)) for _ in range(3)]
        for each in sick:
            with pytest.raises(DeviceError):
                await each
        for other in well:
            reply = await other
            assert reply is not None
            assert reply.words == (6,)

    told(story)


def test_who_is_silent_does_not_get_the_line_twice_in_a_row() -> None:
    """Not even for a reduction, as long as anybody else waits."""

    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        async def ignores_unit_9(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(asked.refusal(11) if asked.unit == 9 else asked.reply())

        wire.behave = ignores_unit_9
        sick = [queue(bus, Rank.REDUCTION, poll(n, unit=9)) for n in range(3)]
        well = [queue(bus, Rank.CHARGER, poll(10)), queue(bus, Rank.METER, poll(11))]
        await asyncio.gather(*sick, *well, return_exceptions=True)
        assert addresses(wire) == [0, 11, 1, 10, 2]

    told(story)


DEAD = (7, 8, 9)


def deaf(*units: int) -> Behaviour:
    """A gateway behind which these units do not answer."""

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(GATEWAY_S if asked.unit in units else 0)
        writer.write(asked.refusal(11) if asked.unit in units else asked.reply())

    return behave


GATEWAY_S = 0.01  # how long it waits for them


async def ask_for_ever(bus: Bus, unit: int, done: list[tuple[int, float]]) -> None:
    bus.join()
    while True:
        try:
            await bus.exchange(str(unit), lambda: Rank.REDUCTION, lambda: poll(0, unit))
        except DeviceError:
            done.append((unit, asyncio.get_running_loop().time()))
        else:
            done.append((unit, 0.0))


def test_all_the_dead_of_a_line_take_a_quarter_of_its_time_at_most_and_each_has_his_turn() -> None:
    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        wire.behave = deaf(*DEAD)
        done: list[tuple[int, float]] = []
        tasks = [asyncio.create_task(ask_for_ever(bus, unit, done)) for unit in (1, *DEAD)]
        await until(lambda: sum(unit in DEAD for unit, _ in done) >= 21)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        ends = [(unit, at_s) for unit, at_s in done if unit in DEAD][9:21]  # from then on dead
        least_s = (1 + bus_module.DEAD_PAUSE) * GATEWAY_S
        assert all(b - a >= least_s - 0.001 for (_, a), (_, b) in pairwise(ends))
        assert Counter(unit for unit, _ in ends) == dict.fromkeys(DEAD, 4)
        assert sum(unit == 1 for unit, _ in done) > 21

    told(story)


def test_a_dead_one_is_asked_again_while_nobody_else_asks() -> None:
    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        wire.behave = deaf(9)
        bus.join()  # another device, which says nothing now
        done: list[tuple[int, float]] = []
        task = asyncio.create_task(ask_for_ever(bus, 9, done))
        await until(lambda: len(done) > 5)
        wire.behave = deaf()
        await until(lambda: (9, 0.0) in done)
        task.cancel()

    told(story)


def test_where_all_are_dead_nobody_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut line, or the only device of one: it is found again as soon as it answers."""
    monkeypatch.setattr(bus_module, "DEAD_PAUSE", 1_000_000)

    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        wire.behave = deaf(8, 9)
        done: list[tuple[int, float]] = []
        tasks = [asyncio.create_task(ask_for_ever(bus, unit, done)) for unit in (8, 9)]
        await until(lambda: len(done) > 12)
        wire.behave = deaf()
        await until(lambda: {(8, 0.0), (9, 0.0)} <= set(done))
        for task in tasks:
            task.cancel()

    told(story)


def test_who_answered_once_is_dead_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        bus.join()
        bus.join()
        wire.behave = deaf(9)
        for _ in range(bus_module.DEAD_AFTER):
            with pytest.raises(DeviceError):
                await queue(bus, Rank.METER, poll(0, 9))
        wire.behave = deaf()
        await queue(bus, Rank.METER, poll(0, 9))
        monkeypatch.setattr(bus_module, "DEAD_PAUSE", 1_000_000)
        wire.behave = deaf(9)
        for _ in range(bus_module.DEAD_AFTER - 1):
            with pytest.raises(DeviceError):
                await queue(bus, Rank.METER, poll(0, 9))
        wire.behave = deaf()
        await queue(bus, Rank.METER, poll(0, 9))

    told(story)


def test_a_line_that_is_gone_makes_nobody_dead() -> None:
    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        bus.join()
        bus.join()
        async with serving(deaf()) as gone:
            port = gone.port
        lost = Bus(TcpLine("127.0.0.1", port, 5, may_write=True), MonotonicClock())
        lost.join()
        lost.join()
        for _ in range(2 * bus_module.DEAD_AFTER):
            with pytest.raises(NoConnectionError):
                await queue(lost, Rank.METER, poll(0, 9))

    told(story)


def test_one_who_gives_up_waiting_does_not_hold_the_line() -> None:
    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)
        leaves, stays = queue(bus, Rank.METER, poll(1)), queue(bus, Rank.CHARGER, poll(2))
        await asyncio.sleep(0)
        leaves.cancel()
        gate.open.set()
        await asyncio.gather(first, stays)
        assert addresses(wire) == [0, 2]
        await queue(bus, Rank.CHARGER, poll(3))

    told(story)


def test_one_who_gives_up_at_its_turn_passes_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)
        leaves, stays = queue(bus, Rank.METER, poll(1)), queue(bus, Rank.CHARGER, poll(2))
        await asyncio.sleep(0)
        pass_on = bus._pass_on

        def pass_on_and_cancel() -> None:
            pass_on()
            leaves.cancel()  # its turn has come, it has not run yet

        monkeypatch.setattr(bus, "_pass_on", pass_on_and_cancel)
        gate.open.set()
        await asyncio.gather(first, stays)
        assert addresses(wire) == [0, 2]

    told(story)


def test_the_crowd_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "ROOM", 2)

    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        first = await held(bus, wire)
        waiting = [queue(bus, Rank.METER, poll(1)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusFullError, match=f"127.0.0.1:{wire.port}"):
            await queue(bus, Rank.REDUCTION, write(2))
        gate.open.set()
        await asyncio.gather(first, *waiting)

    told(story)


def test_a_reply_carries_its_arrival() -> None:
    async def story(bus: Bus, wire: Wire, gate: Gate) -> None:
        clock = MonotonicClock()
        gate.open.set()
        before_ns = clock.now_ns()
        reply = await queue(bus, Rank.METER, poll(1))
        assert reply is not None
        assert before_ns < reply.at_ns <= clock.now_ns()

    told(story)
