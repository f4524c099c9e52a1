"""Escalation timed by what protects a circuit; and an excess that comes and goes."""

from typing import Any

import pytest

from cext.rows import NEVER_NS, CurveRow, Kind, Rule, SlotRow
from controller.curves import Curve, trips_after_ns
from tests.switched import CHARGER, OWN, Depot, S
from tests.test_curves import made

GRID = SlotRow(0, Kind.GRID, (90_000,) * 3, 0)
SMALL = {"kind": "mcb", "in_a": 40, "curve": "C", "ambient_c": 30}
QUICK = SMALL | {"fastest": {"times": 2.55, "s": 2}}
SLOW = {"kind": "electronic", "ir_a": 40, "tr_s": 24, "instant_a": 400}


def overloaded(device: Curve | None, base_ma: int, worst_ma: int = 60_000) -> Depot:
    """40 A, a charger that draws 30 A and does not listen, and base load that rises."""
    row = None if device is None else CurveRow(device.pickup_ma, device.tau_ns, device.steps)
    depot = Depot([OWN], cap_ma=40_000, worst_ma=worst_ma, curve=row)
    depot.wants_ma = [30_000]
    depot.run(700)
    assert depot.drawn(0) == 30_000
    depot.stuck_ma[0] = 30_000
    depot.base_ma = base_ma
    return depot


def opening(depot: Depot, within_s: float = 60) -> tuple[int, int | None]:
    """When the contactor was ordered open, and how long 0 A had been ordered by then."""
    begin_ns, paused_ns = depot.now_ns, None
    for _ in range(round(within_s * 10)):
        depot.step()
        if depot.order() == 0 and paused_ns is None:
            paused_ns = depot.now_ns
        if not depot.contactor().closed:
            assert depot.contactor().why.rule == Rule.OPENED
            return depot.now_ns - begin_ns, paused_ns and depot.now_ns - paused_ns
    raise AssertionError("it was never opened")


@pytest.mark.parametrize("base_ma", [18_000, 22_000, 26_000])
@pytest.mark.parametrize("keys", [QUICK, SLOW])
def test_it_opens_before_the_device_may_trip(keys: dict[str, Any], base_ma: int) -> None:
    device = made(**keys)
    depot = overloaded(device, base_ma)
    after_ns, _ = opening(depot)
    trips_ns = trips_after_ns(device, 30_000, [(30_000 + base_ma, NEVER_NS)])
    assert trips_ns is not None
    assert after_ns + OWN.opens_ns < trips_ns
    depot.run(1)
    assert depot.load() <= 40_000


def test_a_slow_release_leaves_time_for_the_orderly_steps_and_a_small_breaker_does_not() -> None:
    slow_ns, slow_paused_ns = opening(overloaded(made(**SLOW), 22_000))
    quick_ns, quick_paused_ns = opening(overloaded(made(**QUICK), 22_000))
    nobody_ns, _ = opening(overloaded(None, 22_000))
    assert slow_paused_ns is not None
    assert slow_paused_ns >= 5 * S
    assert quick_paused_ns is None or quick_paused_ns < 5 * S
    assert quick_ns < slow_ns == nobody_ns


def test_the_warmer_it_is_the_sooner() -> None:
    cool = overloaded(made(**SLOW), 22_000)
    warm = overloaded(made(**SLOW), 22_000)
    assert cool.kernel.circuit(0).heat_ppm == warm.kernel.circuit(0).heat_ppm
    warm.step()
    first = warm.kernel.circuit(0)
    warm.run(5)
    later = warm.kernel.circuit(0)
    assert first.trips_ns is not None
    assert later.trips_ns is not None
    assert later.trips_ns == pytest.approx(first.trips_ns - 5 * S, rel=0.01)


def test_what_is_below_the_pickup_presses_nobody() -> None:
    """43 A at 40 A: over the cap, and carried for ever."""
    depot = overloaded(made(**SMALL), 13_000)
    _, paused_ns = opening(depot)
    assert paused_ns is not None
    assert paused_ns >= 5 * S


def test_obedient_chargers_are_not_cut_off_however_near_a_trip_is() -> None:
    device = made(**QUICK)
    row = CurveRow(device.pickup_ma, device.tau_ns, device.steps)
    depot = Depot([OWN], cap_ma=40_000, worst_ma=80_000, curve=row)
    depot.run(700)
    depot.base_ma = 70_000
    depot.run(60)
    assert depot.contactor().closed
    assert depot.order() == 0
    assert depot.kernel.circuit(0).beyond_control


# -- flapping -----------------------------------------------------------------------------------


def flapping(over_s: float, within_s: float, seconds: float) -> tuple[Depot, bool]:
    """A charger that does not listen, and base load that makes an excess of it now and then."""
    depot = Depot([OWN], count=2, slots=[GRID])
    depot.kernel.set_limit(0, None, NEVER_NS, NEVER_NS)
    depot.run(40)
    depot.stuck_ma[0] = depot.drawn(0)
    depot.wants_ma[1] = 0
    depot.kernel.set_limit(0, (36_000,) * 3, NEVER_NS, NEVER_NS)
    depot.run(15)
    assert depot.contactor().closed, "32 A of 36 A: nothing is over"
    period = round((over_s + within_s) * 10)
    opened = False
    for step in range(round(seconds * 10)):
        depot.base_ma = 10_000 if step % period < over_s * 10 else 0
        depot.step()
        opened = opened or not depot.contactor().closed
    return depot, opened


@pytest.mark.parametrize(("over_s", "within_s"), [(1, 1), (0.5, 1), (2, 3)])
def test_an_excess_that_comes_and_goes_escalates_in_the_end(over_s: float, within_s: float) -> None:
    _, opened = flapping(over_s, within_s, 120)
    assert opened


def test_a_rare_blip_does_not() -> None:
    depot, opened = flapping(0.3, 6, 300)
    assert not opened
    assert depot.kernel.charger(0).suspect


def test_a_long_excess_that_ended_is_forgotten_soon() -> None:
    depot = Depot(slots=[GRID], charger=CHARGER)
    depot.kernel.set_limit(0, None, NEVER_NS, NEVER_NS)
    depot.run(40)
    depot.base_ma = 120_000
    depot.run(600)
    assert depot.kernel.circuit(0).beyond_control
    depot.base_ma = 0
    depot.run(0.5)
    assert not depot.kernel.circuit(0).beyond_control
    depot.run(60)
    depot.base_ma = 120_000
    depot.run(1)
    assert not depot.kernel.circuit(0).beyond_control, "a new one begins anew"
