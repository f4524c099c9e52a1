"""Chargers commanded in watts, as the kernel and the guard see them: a wide tolerance, and reports
that may say too much of themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.door import Door, kernel_of
from tests.examples import depots
from tests.oracle.site import MS, Charger, Circuit, Meter, S, Site, Slot, flat
from tests.oracle.story import PEACE, SWITCHED, TROUBLE, tell
from tests.test_rules import Bench

FOR_EVER = 10**17
WIDE_PPM = 226_000  # 3 % of its own, at 0.9 of nominal voltage and a power factor of 0.934
stories = depots(10)


def depot(chargers: int, cap_ma: int, max_ma: int = 200_000, **charger: object) -> Bench:
    """One circuit with a meter and a limit slot, and chargers alike."""
    known = {"settle_ns": S, "lag_ns": 0, "max_ma": max_ma, "tolerance_ppm": WIDE_PPM, **charger}
    rows = [Charger(0, (0, 1, 2), **known) for _ in range(chargers)]  # type: ignore[arg-type]
    circuit = Circuit(-1, flat(cap_ma), flat(0))
    one = Bench(Site([circuit], [Meter(0, 0, 0, S, 100 * MS)], rows, (Slot(0, flat(cap_ma)),)))
    one.door.limit(0, None, FOR_EVER, FOR_EVER)
    return one


def test_what_is_handed_out_fits_at_the_lowest_voltage() -> None:
    two = depot(2, 200_000)
    two.steps(90, 0, [90_000, 90_000])
    orders = [order or 0 for order in two.orders()]
    most = sum(order * (1_000_000 + WIDE_PPM) // 1_000_000 for order in orders)
    assert 190_000 < most <= 200_000


def test_one_that_draws_less_while_the_voltage_is_high_is_not_held_there() -> None:
    """It draws 0.909 of its setpoint: with a margin of 4 A it would come down, and never end."""
    one = depot(1, 250_000)
    drawn_ma = 60_000
    for _ in range(2000):
        one.step(0, [drawn_ma])
        drawn_ma = (one.orders()[0] or 0) * 10 // 11
    assert (one.orders()[0] or 0) == 200_000


@pytest.mark.parametrize(("error_ppm", "least_ma"), [(0, 40_000), (90_910, 49_091)])
def test_of_a_report_in_watts_only_what_surely_flows_is_taken_off(
    error_ppm: int, least_ma: int
) -> None:
    """The meter reads 140 A, the charger tells 100 A: so much more may be base load."""
    one = depot(1, 400_000, error_ppm=error_ppm)
    one.site.circuits[0] = one.site.circuits[0]._replace(worst_base_ma=flat(60_000))
    one = Bench(one.site)
    one.door.limit(0, None, FOR_EVER, FOR_EVER)
    one.steps(60, 40_000, [100_000])
    assert one.door.circuit(0).base_hi_ma == flat(least_ma)


@stories
@given(seed=st.integers(0, 2**32), chargers=st.integers(1, 8), circuits=st.integers(1, 5))
def test_any_depot_with_chargers_commanded_in_watts(
    seed: int, chargers: int, circuits: int
) -> None:
    """The voltage falls and rises; whoever tells his power tells too much or too little."""
    tell(Door, seed, (*TROUBLE, "voltage", "voltage"), chargers, circuits, watts=True)


@stories
@given(seed=st.integers(0, 2**32), chargers=st.integers(1, 8), circuits=st.integers(1, 5))
def test_any_switched_depot_with_such_chargers(seed: int, chargers: int, circuits: int) -> None:
    kinds = (*PEACE, *SWITCHED, "voltage", "voltage")
    tell(Door, seed, kinds, chargers, circuits, contactors=True, watts=True)


def test_no_int_is_too_small_for_the_widest_tolerance() -> None:
    rows = [Charger(0, (0, 1, 2), max_ma=2**27, tolerance_ppm=6_000_000)] * 30
    one = kernel_of(Site([Circuit(-1, flat(2**27), flat(0))], [], rows))
    one.tick(S)
    assert one.circuit(0).draw_hi_ma == flat(30 * 7 * 2**27)
