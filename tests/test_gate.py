"""The veto: what goes out of what the kernel ordered."""

from collections.abc import Generator, Sequence

from cext.rows import Output, Rule, Why
from controller.guard.account import Orders, Tables
from controller.guard.gate import Gate
from controller.guard.guard import Dispute, Guard, Verdict
from controller.journal import Kind, join
from controller.records import Order, Record, Tick
from tests.guardbench import NOBODY, OPEN, S, rows
from tests.test_disputes import WRONG

WHY = Why(Rule.RAMP, -1, -1, -1)


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
