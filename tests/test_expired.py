"""Nobody decided for longer than an order lives: what goes on from there."""

from tests.test_rules import bench


def test_orders_that_expired_do_not_come_to_life_again() -> None:
    """The depot went on at its fallbacks meanwhile; from there it begins."""
    one = bench(1, cap_ma=60_000, worst_ma=50_000)
    one.steps(60, 0, [32_000])
    assert one.orders() == [32_000]
    one.steps(1.8, 0, [32_000], decides=False)
    one.step(0, [32_000])
    assert one.orders() == [32_000], "not yet"
    one.steps(1.9, 0, [32_000], decides=False)
    one.step(0, [32_000])
    assert one.orders() == [10_000]


def test_nothing_rises_in_the_tick_that_finds_orders_expired() -> None:
    one = bench(1, cap_ma=60_000, worst_ma=54_000)
    one.steps(60, 54_000, [32_000])
    assert one.orders() == [6000]
    one.steps(1.9, 0, [32_000], decides=False)
    one.step(0, [32_000])
    assert one.orders() == [6000]
    one.steps(2, 0, [32_000])
    assert (one.orders()[0] or 0) > 6000
