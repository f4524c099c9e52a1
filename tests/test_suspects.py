"""Who is suspected: whoever does not confirm its order in time, or draws what no order permits."""

import pytest

from cext.rows import Rule
from tests.oracle.site import MS, S, flat
from tests.test_rules import Bench, bench

DUE_S = 3  # settle time, poll, and some


def told_less(*, metered: bool) -> Bench:
    """One at (almost) 20 A that has just been told to draw nothing."""
    one = bench(1, cap_ma=20_000, worst_ma=40_000, metered=metered, settle_ns=S)
    one.steps(40, 0, [0])
    assert (one.orders()[0] or 0) > 19_000
    one.step(30_000, [0])
    assert one.orders() == [0]
    return one


def goes_on(
    one: Bench, in_force_ma: int, drawn_ma: int, *, takes: bool = False, base_ma: int = 15_000
) -> float | None:
    """Ten seconds of it; after how many it was suspected."""
    began_ns = one.now_ns
    metered = one.site.chargers[0].metered
    while one.now_ns < began_ns + 10 * S:
        one.now_ns += 100 * MS
        tick = one.door.output(0).changed_tick if takes else 1
        one.door.reading(0, one.now_ns, flat(base_ma + drawn_ma))
        drawn = flat(drawn_ma) if metered else None
        one.door.report(0, one.now_ns, in_force_ma, drawn, "C", tick)
        one.door.tick(one.now_ns)
        if one.door.charger(0).suspect:
            return (one.now_ns - began_ns) / S
    return None


@pytest.mark.parametrize("metered", [True, False])
def test_who_confirms_nothing_is_suspected_once_it_should_have(metered: bool) -> None:
    after_s = goes_on(told_less(metered=metered), 20_000, 0)
    assert after_s is not None and 1 < after_s < DUE_S


def test_a_read_back_of_before_the_order_confirms_nothing() -> None:
    after_s = goes_on(told_less(metered=True), 0, 0)
    assert after_s is not None and 1 < after_s < DUE_S


def test_who_shows_its_order_in_force_is_not() -> None:
    assert goes_on(told_less(metered=True), 0, 0, takes=True) is None


def test_who_shows_its_order_and_draws_what_it_had_before_is_suspected_in_the_same_time() -> None:
    after_s = goes_on(told_less(metered=True), 0, 20_000, takes=True)
    assert after_s is not None and 1 < after_s < DUE_S


def test_who_does_as_told_after_all_is_cleared() -> None:
    one = told_less(metered=True)
    assert goes_on(one, 20_000, 0) is not None
    assert goes_on(one, 0, 0, takes=True) is None


def test_nobody_is_raised_who_is_suspected_and_it_says_so() -> None:
    """The room is back, and it could have all of it."""
    one = told_less(metered=True)
    assert goes_on(one, 20_000, 0) is not None
    for _ in range(300):
        one.now_ns += 100 * MS
        one.door.reading(0, one.now_ns, flat(0))
        one.door.report(0, one.now_ns, 20_000, flat(0), "C", 1)
        one.door.tick(one.now_ns)
        assert one.door.charger(0).suspect
        assert one.orders() == [0]
        assert one.door.output(0).why.rule == Rule.SUSPECT
