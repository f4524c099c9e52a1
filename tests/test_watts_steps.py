"""A charger that takes whole steps of watts: what is written, and what people are told of it."""

from dataclasses import replace

import pytest

from cext.rows import Rule
from controller.watts import Watts
from drivers.chargerprofile import ChargerProfile
from drivers.decode import encode
from drivers.library import library, parse
from drivers.setpoint import as_written_ma
from drivers.watts import seated, written_w
from tests.documents import PLAIN
from tests.inwatts import FAST, HYC, WALL
from tests.oracle.site import MS, flat
from tests.test_profiles import change, load, said
from tests.test_rules import bench

MW = 1_000
STEP_MA = 1_400  # a coarse one, of a kilowatt on three phases


def coarse(scale_w: int) -> ChargerProfile:
    """A Hypercharger whose setpoint counts in `scale_w`."""
    data = change(load(HYC), "registers.setpoint.scale", scale_w)
    profile = parse(change(data, "watts.pause_w", 1_600), HYC)
    assert isinstance(profile, ChargerProfile)
    return profile


@pytest.mark.parametrize("profile", [library().charger_profile(HYC), coarse(20), coarse(100)])
def test_whole_steps_are_written_and_people_are_told_what_is_written(
    profile: ChargerProfile,
) -> None:
    assert profile.facts.watts is not None
    seat, watts = seated(profile), Watts.of(profile.facts.watts)
    register = seat.registers["setpoint"]
    for ma in (0, 2_234, *range(7_217, 60_000, 11), 99_999, 100_000, 313_131):
        high, low = encode(register, ma)
        raw_w = ((high << 16) + low) * int(profile.registers["setpoint"].scale)
        assert written_w(seat, ma) == raw_w == watts.told_mw(ma) / MW
        if raw_w == watts.pause_mw / MW:
            assert ma < seat.setpoint.min_ma
            continue
        assert raw_w % 100 == 0, "step_w of its profile"
        assert 0 <= watts.mw(ma) - raw_w * MW < 100 * MW, "down, by less than a step"
        assert abs(ma - as_written_ma(seat, ma)) <= seat.setpoint.step_ma


def test_a_setpoint_of_the_kernel_is_read_back_as_itself() -> None:
    """A depot that starts again goes on with it: at the minimum, a step less would be a pause."""
    seat = seated(library().charger_profile(HYC))
    step_ma = seat.setpoint.step_ma
    least_ma = -(-seat.setpoint.min_ma // step_ma) * step_ma
    for ma in range(least_ma, 200_000, step_ma):
        assert as_written_ma(seat, ma) == ma


def test_its_least_power_is_a_whole_step_and_is_written() -> None:
    """4140 W in steps of 100 W: 4100 W would be too little for a vehicle."""
    watts = Watts.of(WALL)
    least_ma = watts.in_amperes(replace(PLAIN, watts=WALL)).min_ma
    assert (least_ma, watts.told_mw(least_ma)) == (18_187, 4_200_000)
    watts = Watts.of(FAST)
    assert watts.told_mw(watts.in_amperes(replace(PLAIN, watts=FAST)).min_ma) == 5_000_000


def test_steps_must_be_whole_ones_of_their_register() -> None:
    data = change(change(load(HYC), "registers.setpoint.scale", 70), "watts.pause_w", 1_400)
    assert "watts.step_w: must be a whole number of its register's steps" in said(data)


@pytest.mark.parametrize(("less_ma", "rises"), [(STEP_MA, True), (STEP_MA + 1, False)])
def test_what_was_rounded_down_by_a_step_is_that_order_and_counts_at_it(
    less_ma: int, rises: bool
) -> None:
    """Nobody takes it for one that fell back by itself, and none of it is given to others."""
    one = bench(1, cap_ma=60_000, worst_ma=0, max_ma=35_000, step_ma=STEP_MA)
    for _ in range(300):
        one.now_ns += 100 * MS
        out = one.door.output(0)
        told_ma = 16_000 if out.setpoint_ma is None else out.setpoint_ma
        in_force_ma = told_ma if out.setpoint_ma is None else told_ma - less_ma
        one.door.reading(0, one.now_ns, flat(in_force_ma))
        one.door.report(0, one.now_ns, in_force_ma, flat(in_force_ma), "C", out.changed_tick)
        one.door.tick(one.now_ns)
    assert (one.orders() == [35_000]) is rises
    assert (one.door.output(0).why.rule is Rule.FALLBACK) is not rises
    assert one.door.charger(0).draw_hi_ma >= (one.orders()[0] or 0), "at its order, not below"
