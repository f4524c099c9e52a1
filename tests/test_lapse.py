"""Orders that had expired, and orders given before leaving: nothing rises out of either."""

import time

from cext.rows import Rule
from tests.oracle.site import MS, S, flat
from tests.patience import wait_for
from tests.test_rules import Bench, bench
from tests.test_thread import make_kernel, running

DEAD_MAN_S = 2


def at_work() -> Bench:
    """A charger at 30 A that would have 6 A without us, on a circuit with room for it."""
    one = bench(1, cap_ma=40_000, worst_ma=34_000, fallback_ma=6000)
    one.steps(60, 10_000, [20_000])
    assert one.orders() == [30_000]
    return one


def stall(one: Bench, seconds: float, base_ma: int) -> None:
    """Nobody ticks; readings go on, and the charger falls back by itself."""
    tick = one.door.output(0).changed_tick
    for _ in range(int(seconds * 10)):
        one.now_ns += 100 * MS
        one.door.reading(0, one.now_ns, flat(base_ma + 6000))
        one.door.report(0, one.now_ns, 6000, flat(6000), "C", tick)


def test_an_order_that_had_expired_does_not_come_back_to_life() -> None:
    """The base load rose meanwhile, and the reading is under the cap: without the stall being
    noticed the old order would stand, be written, and put the circuit over its cap."""
    one = at_work()
    stall(one, 12, base_ma=33_000)
    one.door.tick(one.now_ns)
    assert one.orders() == [6000]
    assert one.door.output(0).cause.rule is Rule.FALLBACK
    one.steps(30, 33_000, [20_000])
    assert one.orders() == [7000]  # what is left of the cap, on proof


def test_after_it_the_capacity_is_used_again_on_proof() -> None:
    one = at_work()
    stall(one, 12, base_ma=10_000)
    one.door.tick(one.now_ns)
    assert one.orders() == [6000]
    one.steps(10, 10_000, [20_000])
    assert one.orders() == [6000]  # the dwell time
    one.steps(60, 10_000, [20_000])
    assert one.orders() >= [20_000]  # all that it draws


def test_a_gap_shorter_than_the_dead_man_time_changes_nothing() -> None:
    one = at_work()
    before = one.orders()
    one.now_ns += DEAD_MAN_S * S - 200 * MS
    one.step(10_000, [20_000])
    assert one.orders() == before


def test_one_that_had_less_in_force_than_its_fail_safe_setpoint_keeps_that() -> None:
    one = at_work()
    one.now_ns += 12 * S
    one.door.report(0, one.now_ns, 0, flat(0), "C", one.door.output(0).changed_tick)
    one.door.reading(0, one.now_ns, flat(10_000))
    one.door.tick(one.now_ns)
    assert one.orders() == [0]


def test_who_leaves_takes_every_charger_to_its_fail_safe_setpoint_and_raises_none() -> None:
    one = at_work()
    one.door.kernel.leave()
    one.step(10_000, [20_000])
    assert one.orders() == [6000]
    assert one.door.output(0).cause.rule is Rule.FALLBACK
    one.steps(60, 0, [20_000])
    assert one.orders() == [6000]


def test_leaving_wakes_the_kernels_thread() -> None:
    kernel = make_kernel()
    with running(kernel, S):
        wait_for(lambda: kernel.ticks >= 1)
        before, began_s = kernel.ticks, time.monotonic()
        kernel.leave()
        wait_for(lambda: kernel.ticks > before)
        assert time.monotonic() - began_s < 5
