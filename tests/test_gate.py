"""The veto: what goes out of what the kernel ordered, and what follows when the guard disputes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from cext.rows import Output, Rule, Why
from controller.blackbox.recorder import BlackBox
from controller.clock import MonotonicClock
from controller.enforcer import Enforcer
from controller.events import Events
from controller.guard.account import Orders, Tables
from controller.guard.disputes import (
    CAUSE,
    EPISODES,
    IN_A_ROW,
    STANDS_NS,
    WITHIN_NS,
    Disputes,
)
from controller.guard.gate import Gate
from controller.guard.guard import Dispute, Guard, Verdict
from controller.journal import Kind, join
from controller.latch import Latch
from controller.records import Order, Record, Tick
from controller.status_report import StatusReport
from controller.tables import Tables as SiteTables
from tests.guardbench import NOBODY, OPEN, S, rows
from tests.linked import BOOT, Wall, World, free_port, make_depot, site, world
from tests.patience import until

WHY = Why(Rule.RAMP, -1, -1, -1)
WRONG = (Dispute("no_slack", 0, 1, 2, "it does not fit"),)


class Puppet:
    """A guard that says what it is told to."""

    def __init__(self, tables: Tables) -> None:
        self.bound: list[int | None] = [None] * len(tables.chargers)
        self.closed = [False] * len(tables.contactors)
        self.disputes: tuple[Dispute, ...] = ()
        self.fault: Exception | None = None
        self.resumed: list[object] = []
        self.newer: list[bool] = []

    def judging(
        self, record: Record, *, newer: bool = False
    ) -> Generator[None, None, Verdict | None]:
        if self.fault is not None:
            raise self.fault
        self.newer.append(newer)
        yield
        return self.hear(record)

    def hear(self, record: Record) -> Verdict | None:
        if not isinstance(record, Tick):
            return None
        for order in record.orders:
            self.bound[order.charger] = order.setpoint_ma
        bound, closed = tuple(self.bound), tuple(self.closed)
        return Verdict(record.tick, record.now_ns, self.disputes, bound, closed, False)

    def resume(
        self, orders: Orders, passed_ma: Sequence[int | None], closed: Sequence[bool]
    ) -> None:
        self.resumed.append((list(orders), list(passed_ma), list(closed)))


class Bench:
    """A gate with a puppet, and a kernel of two chargers of which only the orders are there."""

    def __init__(self) -> None:
        self.made: list[Puppet] = []
        self.gate = Gate(rows(contactors=[OPEN]), self._make)
        self.verdicts: list[Verdict] = []
        self.gate.on_verdict(self.verdicts.append)
        self.orders: dict[int, tuple[int, int]] = {}
        self.tick = 0

    def _make(self, tables: Tables) -> Puppet:
        self.made.append(Puppet(tables))
        return self.made[-1]

    def orders_of(self, **orders: int) -> None:
        """The kernel decides; the guard has not heard of it."""
        self.tick += 1
        for name, ma in orders.items():
            self.orders[("one", "two").index(name)] = ma, self.tick

    def judge(self) -> None:
        told = [Order(i, ma, NOBODY, NOBODY) for i, (ma, _) in self.orders.items()]
        self.gate.take([Tick(self.tick, self.tick * S, tuple(told), ())])

    def goes_out(self, charger: int = 0) -> tuple[int, int] | None:
        ma, tick = self.orders[charger]
        output = Output(ma, tick, self.tick, 10 * S, WHY, WHY)
        out = self.gate.order(charger, output)
        assert self.gate.setpoint(charger, ma) == (None if out is None else out[0])
        return out


def journal(it: Bench, closed: bool | None = None) -> bytes:
    """What the kernel wrote of its last decision."""
    why = (int(WHY.rule), *WHY[1:])
    orders = [(i, ma, *why, *why) for i, (ma, _) in it.orders.items()]
    switches = [] if closed is None else [(0, int(closed), *why)]
    numbers = [it.tick, it.tick * S, len(orders), len(switches)]
    return join(Kind.TICK, numbers + [each for row in (*orders, *switches) for each in row])


def test_a_first_order_and_a_rise_wait_and_a_fall_does_not() -> None:
    it = Bench()
    it.orders_of(one=6000)
    assert it.goes_out() is None
    it.judge()
    assert it.goes_out() == (6000, 1)
    it.orders_of(one=16_000)
    assert it.goes_out() == (6000, 1)
    it.judge()
    assert it.goes_out() == (16_000, 2)
    it.orders_of(one=8000)
    assert it.goes_out() == (8000, 3)


def test_what_went_down_unheard_stays_down_until_it_was_judged() -> None:
    it = Bench()
    it.orders_of(one=16_000)
    it.judge()
    it.orders_of(one=6000)
    assert it.goes_out() == (6000, 2)
    it.orders_of(one=12_000)  # less than what passed last, and more than what went out
    assert it.goes_out() == (6000, 2)
    it.judge()
    assert it.goes_out() == (12_000, 3)


def test_what_is_disputed_goes_out_at_its_bound_and_proves_no_order() -> None:
    it = Bench()
    it.orders_of(one=6000, two=20_000)
    it.judge()
    it.orders_of(one=16_000)
    (puppet,) = it.made
    puppet.disputes = WRONG
    puppet.hear = lambda record: Verdict(2, 2 * S, WRONG, (6000, 10_000), (False,), False)  # type: ignore[method-assign]
    it.judge()
    assert it.goes_out(0) == (6000, 1)
    assert it.goes_out(1) == (10_000, 1)  # lowered, under the tick that was written before


def test_what_falls_while_a_decision_is_judged_stays_down_when_that_passes() -> None:
    """The guard works in pieces: others go on between two of them."""
    it = Bench()
    it.orders_of(one=6000)
    it.judge()
    it.orders_of(one=20_000)
    it.gate.post(journal(it))
    assert it.gate.step()  # the rise is being judged
    it.orders_of(one=8000)
    assert it.goes_out() == (6000, 1)  # less than what is ordered went out already
    it.orders_of(one=5000)
    assert it.goes_out() == (5000, 4)
    it.gate.finish()
    it.orders_of(one=10_000)
    assert it.goes_out() == (5000, 4)
    it.judge()
    assert it.goes_out() == (10_000, 5)


def test_what_opens_while_a_decision_is_judged_stays_open_when_that_passes() -> None:
    it = Bench()
    it.made[0].closed = [True]
    it.gate.post(journal(it, closed=True))
    assert it.gate.step()
    it.gate.finish()
    assert it.gate.closed(0, closed=True)
    it.gate.post(journal(it, closed=True))
    assert it.gate.step()
    assert not it.gate.closed(0, closed=False)  # the kernel opens it
    it.gate.finish()
    assert not it.gate.closed(0, closed=True)  # and closes it: by a decision that waits
    it.gate.post(journal(it, closed=False))
    it.gate.post(journal(it, closed=True))
    it.gate.finish()
    assert it.gate.closed(0, closed=True)


def test_of_decisions_that_wait_the_newest_is_judged() -> None:
    it = Bench()
    for ma in (6000, 8000, 10_000):
        it.orders_of(one=ma)
        it.gate.post(journal(it))
    it.gate.finish()
    assert it.made[0].newer == [True, True, False]


def test_a_contactor_closes_when_that_has_passed() -> None:
    it = Bench()
    assert not it.gate.closed(0, closed=True)
    it.made[0].closed = [True]
    it.judge()
    assert it.gate.closed(0, closed=True)
    assert not it.gate.closed(0, closed=False)  # to open nobody waits


def test_a_guard_that_fails_has_disputed_and_another_takes_its_place() -> None:
    it = Bench()
    it.orders_of(one=6000)
    it.judge()
    it.orders_of(one=16_000)
    it.made[0].fault = ZeroDivisionError("a bug of its own")
    it.judge()
    assert it.goes_out() == (6000, 1)
    (dispute,) = it.verdicts[-1].disputes
    assert dispute.rule == "guard_failed"
    assert "a bug of its own" in dispute.why
    assert it.made[1].resumed == [([(2, 16_000), None], [6000, None], [False])]
    it.orders_of(one=15_000)
    it.judge()
    assert it.goes_out() == (15_000, 3)


def test_a_real_guard_in_its_place_learns_before_anything_rises() -> None:
    gate = Gate(rows())
    gate.take([Tick(1, S, (Order(0, 6000, NOBODY, NOBODY),), ())])
    assert gate.order(0, Output(6000, 1, 1, S, WHY, WHY)) is None  # nobody knows what is in force
    fresh = Guard(rows())
    fresh.resume([(1, 16_000), None], [6000, None], [])
    verdict = fresh.hear(Tick(2, 2 * S, (), ()))
    assert verdict is not None
    assert verdict.learns
    assert verdict.bound_ma == (6000, None)


# --- what follows ------------------------------------------------------------------------------


@pytest.fixture
def latch(tmp_path: Path) -> Latch:
    return Latch(tmp_path / "latch.json", Events(MonotonicClock()), Wall())


class Follows:
    def __init__(self, latch: Latch) -> None:
        self.latch = latch
        self.events = Events(MonotonicClock())
        self.frozen: list[str] = []
        self.disputes = Disputes(latch, self.events, self.frozen.append)
        self.disputes.name(SiteTables.of(site()))
        self.at_ns = 0
        self.tick = 0

    def judged(
        self, disputes: tuple[Dispute, ...], after_ns: int = S, learns: bool = False
    ) -> None:
        self.at_ns += after_ns
        self.tick += 1
        self.disputes.judged(Verdict(self.tick, self.at_ns, disputes, (), (), learns))

    def told(self) -> list[tuple[str, str, str]]:
        return [(each.what, each.subject, each.why) for each in self.events.kept]


def test_a_dispute_is_told_with_place_and_values_and_freezes_what_led_to_it(latch: Latch) -> None:
    it = Follows(latch)
    it.judged(())
    it.judged(WRONG)
    why = "tick 2: no_slack (bay row L3): it does not fit"
    assert it.told() == [("guard_disputes", "bay", why)]
    assert it.frozen == [why]
    it.judged(WRONG)
    assert len(it.told()) == len(it.frozen) == 1
    assert not latch.closed


def wrong(ordered_ma: int) -> tuple[Dispute, ...]:
    return tuple(each._replace(ordered_ma=ordered_ma) for each in WRONG)


def test_one_decision_that_is_judged_again_and_again_is_one(latch: Latch) -> None:
    """The kernel does not hear of the veto: its order stays, and is judged with each tick."""
    it = Follows(latch)
    for _ in range(40):
        it.judged(WRONG, after_ns=S // 10)
    assert not latch.closed
    assert len(it.told()) == 1


def test_a_decision_that_stays_wrong_latches_in_the_end(latch: Latch) -> None:
    it = Follows(latch)
    for _ in range(2 * STANDS_NS // S):
        assert not latch.closed
        it.judged(WRONG)
    it.judged(WRONG)
    assert latch.closed


def test_many_new_ones_within_a_second_are_one(latch: Latch) -> None:
    it = Follows(latch)
    for ma in range(15):
        it.judged(wrong(ma), after_ns=S // 10)
    assert not latch.closed
    it.judged(wrong(100), after_ns=S)
    assert latch.closed


def test_three_in_a_row_latch(latch: Latch) -> None:
    it = Follows(latch)
    for ma in range(IN_A_ROW):
        assert not latch.closed
        it.judged(wrong(ma))
    assert latch.report is not None
    assert latch.report.cause == CAUSE
    assert "3 disputed decisions in a row" in latch.report.why


def test_three_episodes_in_ten_minutes_latch_and_in_more_they_do_not(latch: Latch) -> None:
    slow = Follows(latch)
    for _ in range(3 * EPISODES):
        slow.judged(WRONG, after_ns=WITHIN_NS // 2)
        slow.judged(())
    assert not latch.closed
    quick = Follows(latch)
    for _ in range(EPISODES):
        assert not latch.closed
        quick.judged(WRONG, after_ns=WITHIN_NS // 3)
        quick.judged(())
    assert latch.closed


def test_what_it_missed_is_told_once(latch: Latch) -> None:
    it = Follows(latch)
    for learns in (False, True, True, False):
        it.judged((), learns=learns)
    assert [what for what, _, _ in it.told()] == ["guard_blind"]


# --- in the process ----------------------------------------------------------------------------


class Wary(Guard):
    """Disputes whatever is above its limit, as if that were too much."""

    most_ma = 1 << 30

    def judging(
        self, record: Record, *, newer: bool = False
    ) -> Generator[None, None, Verdict | None]:
        verdict = yield from super().judging(record, newer=newer)
        if verdict is None or all((ma or 0) <= self.most_ma for ma in verdict.bound_ma):
            return verdict
        self._judged_ns = 0  # judges the next one, too
        bound = tuple(None if ma is None else min(ma, self.most_ma) for ma in verdict.bound_ma)
        disputes = wrong(max(ma or 0 for ma in verdict.bound_ma))
        return verdict._replace(disputes=disputes, bound_ma=bound)


@contextlib.asynccontextmanager
async def guarded(made: World, guard: Any) -> AsyncIterator[Enforcer]:
    depot, drivers = make_depot()
    made.depot, made.drivers = depot, drivers
    enforcer = Enforcer(depot, made.places, MonotonicClock(), Wall(), BOOT, guard=guard)
    running = asyncio.create_task(enforcer.run())
    try:
        await until(made.places.socket.exists)
        yield enforcer
    finally:
        running.cancel()
        await asyncio.wait([running])


def amps(report: StatusReport) -> float:
    return report.chargers[0].setpoint_a or 0.0


def test_a_kernel_that_insists_is_vetoed_and_latched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real kernel raises a charger to 28 A and more; this guard lets 20 A pass."""
    frozen: list[str] = []
    monkeypatch.setattr(BlackBox, "freeze", lambda self, reason: frozen.append(reason))

    async def run() -> None:
        wary = type("Wary20", (Wary,), {"most_ma": 20_000})
        async with world(free_port(), "") as made, guarded(made, wary) as enforcer:
            assert made.depot is not None
            image = made.depot.image
            seen = []
            while not enforcer.latch.closed:
                order = image.order("bay")
                seen.append(0 if order is None else order.ma)
                await asyncio.sleep(0.01)
            assert max(seen) <= 20_000
            assert len(frozen) == 1
            await made.report(lambda report: amps(report) == 6)
            what = [each.what for each in enforcer.events.kept]
            assert what.count("guard_disputes") == 1
            assert what.count("latched") == 1

    with capture_logs():
        asyncio.run(asyncio.wait_for(run(), 60))


def test_a_guard_that_always_fails_stops_no_charging_and_latches() -> None:
    class Broken(Guard):
        def judging(
            self, record: Record, *, newer: bool = False
        ) -> Generator[None, None, Verdict | None]:
            if isinstance(record, Tick) and record.tick > 40:
                raise ZeroDivisionError("a bug of its own")
            return (yield from super().judging(record, newer=newer))

    async def run() -> None:
        async with world(free_port(), "") as made, guarded(made, Broken) as enforcer:
            assert made.depot is not None
            await until(lambda: enforcer.latch.closed, within_s=30)
            order = made.depot.image.order("bay")
            assert order is not None  # what was in force may be written on
            assert (await made.report()).latched is not None

    with capture_logs():
        asyncio.run(asyncio.wait_for(run(), 60))


def test_every_decision_of_the_running_process_passes() -> None:
    async def run() -> None:
        verdicts: list[Verdict] = []

        class Counting(Guard):
            def judging(
                self, record: Record, *, newer: bool = False
            ) -> Generator[None, None, Verdict | None]:
                verdict = yield from super().judging(record, newer=newer)
                if verdict is not None:
                    verdicts.append(verdict)
                return verdict

        async with world(free_port(), "") as made, guarded(made, Counting):
            await made.report(lambda report: amps(report) > 25)
        assert len(verdicts) > 5
        assert not any(each.disputes or each.learns for each in verdicts)

    with capture_logs():
        asyncio.run(asyncio.wait_for(run(), 60))
