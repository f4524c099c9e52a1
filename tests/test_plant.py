"""The virtual depot behaves as its interface says, by numbers worked out by hand."""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from cext.plant import Car, Plant, PlantCharger
from cext.rows import NO_PHASE, ROOT, Vehicle

S = 1_000_000_000
VOLTS_MV = 230_000
STEP = S // 100
TREE = [ROOT, 0, 0]  # grid with two feeders
CAR = Car(max_ma=32_000, phases=3, reaction_ns=2 * S, energy_wh=50_000, taper_wh=0)


def charger(**changes: Any) -> PlantCharger:
    usual = PlantCharger(1, (0, 1, 2), 32_000, 0, 6_000, 0)
    return usual._replace(**changes)


def plant(*chargers: PlantCharger, seed: int = 1) -> Plant:
    depot = Plant(TREE, chargers or [charger()], VOLTS_MV, seed, STEP)
    depot.advance(0)
    return depot


def charging(ma: int = 16_000, car: Car = CAR, **changes: Any) -> Plant:
    """A plant whose vehicle has followed its offer at t = 10 s."""
    depot = plant(charger(**changes))
    depot.plug(0, car)
    depot.write_setpoint(0, ma)
    depot.advance(10 * S)
    return depot


def current(depot: Plant) -> int:
    return max(depot.charger(0).current_ma)


# Write pacing


def test_a_write_too_soon_after_another_is_lost() -> None:
    depot = plant(charger(watchdog_ns=3 * S))
    depot.set_write_gap(0, 5 * S)
    assert depot.write_setpoint(0, 16_000)
    depot.advance(2 * S)
    assert not depot.write_setpoint(0, 8_000)
    assert (depot.charger(0).offered_ma, depot.charger(0).valid_ns) == (16_000, S)
    depot.feed(0)
    assert depot.charger(0).valid_ns == 3 * S
    depot.advance(5 * S)
    assert depot.write_setpoint(0, 8_000)
    assert depot.charger(0).offered_ma == 8_000


# Vehicles


def test_a_vehicle_follows_after_dead_time_and_ramp_up() -> None:
    depot = plant()
    depot.plug(0, CAR)
    depot.write_setpoint(0, 16_000)
    seen = []
    for tenth in range(10, 22, 2):  # reaction 2 s: 1 s dead, then a ramp of 1 s
        depot.advance(tenth * S // 10)
        seen.append(current(depot))
    assert seen == [0, 3_200, 6_400, 9_600, 12_800, 16_000]


def test_a_vehicle_follows_after_dead_time_and_ramp_down() -> None:
    depot = charging(16_000)
    depot.write_setpoint(0, 8_000)
    seen = []
    for tenth in (109, 110, 115, 120):
        depot.advance(tenth * S // 10)
        seen.append(current(depot))
    assert seen == [16_000, 16_000, 12_000, 8_000]


def test_below_6_a_offered_it_stops_and_is_in_state_b() -> None:
    depot = charging()
    assert depot.charger(0).vehicle is Vehicle.C
    depot.write_setpoint(0, 5_999)
    depot.advance(13 * S)
    assert (current(depot), depot.charger(0).vehicle) == (0, Vehicle.B)
    assert depot.charger(0).offered_ma == 5_999


def test_the_car_and_the_charger_bound_the_current() -> None:
    assert current(charging(32_000, CAR._replace(max_ma=20_000))) == 20_000
    assert current(charging(32_000, max_ma=16_000)) == 16_000


def test_a_car_that_wakes_up_needs_only_its_ramp() -> None:
    depot = charging(32_000, CAR._replace(max_ma=10_000))
    assert current(depot) == 10_000
    depot.set_car_max(0, 32_000)
    depot.advance(10 * S + S // 2)
    assert current(depot) == 21_000
    depot.advance(11 * S)
    assert current(depot) == 32_000


def test_a_car_that_sleeps_is_connected_and_draws_nothing() -> None:
    depot = charging()
    depot.set_car_max(0, 0)
    depot.advance(12 * S)
    assert (current(depot), depot.charger(0).vehicle) == (0, Vehicle.B)


def test_many_changes_on_their_way_are_never_seen_late() -> None:
    depot = charging(32_000)
    for i in range(90):  # faster than a vehicle can keep them apart
        depot.write_setpoint(0, 31_000 - 200 * i)
        depot.advance(10 * S + i * STEP)
    depot.advance(10 * S + 90 * STEP + 2 * S)
    assert current(depot) == 31_000 - 200 * 89


def test_nearly_full_the_current_falls_to_6_a_and_then_to_nothing() -> None:
    # 32 A on three phases is 22.08 kW: 1 kWh in about 163 s, half of the taper at 19 A
    car = CAR._replace(energy_wh=1_000, taper_wh=1_000)
    depot = plant()
    depot.plug(0, car)
    depot.write_setpoint(0, 32_000)
    seen: list[tuple[int, int]] = []
    for second in range(1, 600):
        depot.advance(second * S)
        seen.append((depot.charger(0).energy_mwh, current(depot)))
    for energy_mwh, ma in seen[3:]:
        if ma > 0:
            expected = 6_000 + 26_000 * (1_000_000 - energy_mwh) / 1_000_000
            assert ma == pytest.approx(expected, abs=40)
    drawn = [ma for _, ma in seen[3:] if ma]
    assert all(later <= earlier for earlier, later in pairwise(drawn))
    assert drawn[-1] < 6_200
    assert seen[-1][1] == 0
    assert seen[-1][0] == pytest.approx(1_000_000, abs=2)
    assert depot.charger(0).vehicle is Vehicle.B


def test_unplugged_is_state_a_at_once_and_energy_stays() -> None:
    depot = charging()
    before = depot.charger(0).energy_mwh
    depot.unplug(0)
    assert (current(depot), depot.charger(0).vehicle) == (0, Vehicle.A)
    depot.advance(20 * S)
    assert depot.charger(0).energy_mwh == before > 0
    assert depot.load(0) == (0, 0, 0)


# Phases


@pytest.mark.parametrize(
    ("phases", "car_phases", "terminals", "grid"),
    [
        ((0, 1, 2), 1, (10, 0, 0), (10, 0, 0)),
        ((1, 2, 0), 1, (10, 0, 0), (0, 10, 0)),  # rotation
        ((1, 2, 0), 2, (10, 10, 0), (0, 10, 10)),
        ((2, NO_PHASE, NO_PHASE), 3, (10, 0, 0), (0, 0, 10)),  # one phase wired
        ((2, 1, 0), 3, (10, 10, 10), (10, 10, 10)),
    ],
)
def test_terminals_load_the_phases_they_are_wired_to(
    phases: tuple[int, int, int],
    car_phases: int,
    terminals: tuple[int, int, int],
    grid: tuple[int, int, int],
) -> None:
    depot = charging(10_000, CAR._replace(phases=car_phases), phases=phases)
    thousand = tuple(1000 * a for a in grid)
    assert depot.charger(0).current_ma == tuple(1000 * a for a in terminals)
    assert depot.load(1) == depot.load(0) == thousand
    assert depot.load(2) == (0, 0, 0)


# Chargers


@pytest.mark.parametrize("fallback", [8_000, 10_000, 16_000])
def test_without_a_write_in_time_the_offer_goes_to_the_fallback(fallback: int) -> None:
    depot = plant(charger(fallback_ma=fallback, watchdog_ns=5 * S))
    depot.write_setpoint(0, 10_000)
    depot.advance(3 * S)
    assert depot.charger(0).valid_ns == 2 * S
    depot.write_setpoint(0, 10_000)
    depot.advance(8 * S - STEP)
    assert (depot.charger(0).offered_ma, depot.charger(0).valid_ns) == (10_000, STEP)
    depot.advance(8 * S)
    assert (depot.charger(0).offered_ma, depot.charger(0).valid_ns) == (fallback, 0)
    depot.write_setpoint(0, 12_000)
    assert (depot.charger(0).offered_ma, depot.charger(0).valid_ns) == (12_000, 5 * S)


def test_without_a_watchdog_the_last_setpoint_stays() -> None:
    depot = charging(10_000)
    depot.advance(10_000 * S)
    assert (depot.charger(0).offered_ma, depot.charger(0).valid_ns) == (10_000, 0)


def test_after_a_power_cut_it_offers_its_power_on_current() -> None:
    depot = charging(8_000, power_on_ma=20_000, watchdog_ns=60 * S)
    depot.power_cycle(0)
    state = depot.charger(0)
    assert (state.offered_ma, state.valid_ns, current(depot)) == (20_000, 0, 0)
    depot.advance(12 * S)
    assert current(depot) == 20_000
    depot.advance(100 * S)  # nothing arms the watchdog but a write
    assert depot.charger(0).offered_ma == 20_000


def test_behind_an_open_contactor_it_draws_nothing_and_takes_nothing() -> None:
    depot = charging(8_000, power_on_ma=20_000, fallback_ma=6_000, watchdog_ns=5 * S)
    depot.set_obeys(0, False)  # not even one that does not obey
    depot.set_supply(0, False)
    depot.set_supply(0, False)
    for now_ns in (0, 6 * S, 60 * S):  # no watchdog runs out without power
        depot.advance(now_ns)
        depot.write_setpoint(0, 16_000)
        depot.power_cycle(0)
        state = depot.charger(0)
        assert (state.offered_ma, state.valid_ns, current(depot)) == (0, 0, 0)
    depot.set_obeys(0, True)
    depot.set_supply(0, True)
    assert depot.charger(0).offered_ma == 20_000
    depot.advance(70 * S)
    assert current(depot) == 20_000
    depot.write_setpoint(0, 7_000)
    depot.advance(72 * S)
    assert current(depot) == 7_000


def test_a_charger_starts_with_its_power_on_current() -> None:
    depot = plant(charger(power_on_ma=13_000))
    depot.plug(0, CAR)
    depot.advance(3 * S)
    assert current(depot) == 13_000


def test_disobedient_it_confirms_and_draws_on() -> None:
    depot = charging(16_000)
    depot.set_obeys(0, False)
    depot.write_setpoint(0, 6_000)
    depot.advance(60 * S)
    assert (depot.charger(0).offered_ma, current(depot)) == (6_000, 16_000)
    depot.set_obeys(0, True)
    depot.advance(62 * S)
    assert current(depot) == 6_000


# Loads, meters, caps


def test_base_loads_add_up_towards_the_root() -> None:
    depot = charging(10_000)
    depot.set_base(0, (1_000, -2_000, 3_000))
    depot.set_base(2, (100, 200, 300))
    assert depot.load(0) == (11_100, 8_200, 13_300)
    assert depot.load(1) == (10_000, 10_000, 10_000)
    assert depot.load(2) == (100, 200, 300)


def test_noise_is_even_and_within_its_bound() -> None:
    depot = plant()
    depot.set_base(0, (50_000, 50_000, 50_000), noise_ma=300)
    loads = []
    for i in range(1, 3000):
        depot.advance(i * STEP)
        loads.append(depot.load(0))
    for phase in range(3):
        values = [load[phase] - 50_000 for load in loads]
        assert -300 <= min(values) < -290
        assert 290 < max(values) <= 300
        assert abs(sum(values) / len(values)) < 15
    depot.set_base(0, (50_000, 50_000, 50_000))
    assert depot.load(0) == (50_000, 50_000, 50_000)


def test_a_meter_shows_the_past_and_only_now_and_then() -> None:
    depot = plant()
    depot.set_meter(0, lag_ns=3 * S // 10, refresh_ns=S // 5)
    depot.advance(S)
    depot.set_base(0, (7_000, 0, 0))
    shown = []
    for tenth in range(10, 17):  # looks at 1.2, 1.4, … s, at what was 0.3 s before
        depot.advance(tenth * S // 10)
        shown.append(depot.meter(0)[0])
    assert shown == [0, 0, 0, 0, 7_000, 7_000, 7_000]


def test_a_meter_without_lag_shows_the_present() -> None:
    depot = plant()
    depot.set_meter(0, 0, 0)
    depot.set_base(0, (7_000, -5_000, 0))
    depot.advance(STEP)
    assert depot.meter(0) == (7_000, -5_000, 0)


def test_over_counts_how_far_and_how_long_without_pause() -> None:
    depot = plant()
    depot.set_cap(0, (10_000, 10_000, 10_000))
    for second, ma in enumerate([12_000, 13_000, 10_400, 11_000, 0]):  # tolerance 0.5 A
        depot.advance(second * S)
        depot.set_base(0, (0, 0, ma))
    assert depot.over(0) == (3_000, 2 * S, S)
    depot.advance(5 * S)
    assert depot.over(0) == (3_000, 2 * S, 0)


def test_a_mark_begins_a_new_window() -> None:
    depot = plant()
    depot.set_cap(1, (10_000, 10_000, 10_000))
    depot.set_base(1, (0, 15_000, 0))
    depot.advance(2 * S)
    depot.mark()
    assert depot.over(1) == (0, 0, 2 * S)
    depot.advance(3 * S)
    assert depot.over(1) == (5_000, S, 3 * S)


def test_a_cap_that_falls_counts_from_then_on() -> None:
    depot = charging(16_000)
    depot.set_cap(1, (20_000, 20_000, 20_000))
    depot.advance(11 * S)
    depot.set_cap(1, (14_000, 14_000, 14_000))
    depot.advance(12 * S)
    assert depot.cap(1) == (14_000, 14_000, 14_000)
    assert depot.over(1) == (2_000, S, S)


def test_the_sum_of_offers() -> None:
    depot = plant(charger(power_on_ma=6_000), charger(power_on_ma=10_000))
    depot.write_setpoint(1, 16_000)
    assert depot.offered_total_ma() == 22_000


# Energy


def test_energy_is_exact() -> None:
    depot = charging(16_000)
    before = depot.charger(0).energy_mwh
    depot.advance(10 * S + 3600 * S)
    assert depot.charger(0).energy_mwh - before == 16 * 3 * 230 * 1000


def test_energy_is_what_the_currents_add_up_to() -> None:
    chargers = [charger(watchdog_ns=7 * S), charger(circuit=2, phases=(1, 2, 0))]
    depot = plant(*chargers)
    total_ma = [0, 0]
    for i in range(20_000):
        if i % 777 == 0:
            depot.write_setpoint(i % 2, (i * 13) % 32_000)
        if i % 5_000 == 100:
            depot.plug(i // 5_000 % 2, CAR._replace(phases=1 + i % 3, energy_wh=300))
        for c in range(2):
            total_ma[c] += sum(depot.charger(c).current_ma)
        depot.advance((i + 1) * STEP)
    for c in range(2):
        assert depot.charger(c).energy_mwh == total_ma[c] * VOLTS_MV * STEP // (3_600 * 10**12)
        assert total_ma[c] > 0


# Determinism and the edge


def story(seed: int) -> list[object]:
    depot = plant(charger(), charger(circuit=2), seed=seed)
    depot.set_base(0, (9_000, 9_000, 9_000), noise_ma=500)
    depot.set_base(1, (0, 0, 0), noise_ma=500)
    seen: list[object] = []
    for i in range(1, 200):
        depot.advance(i * 3 * STEP)
        if i == 50:
            depot.plug(0, CAR)
            depot.write_setpoint(0, 16_000)
        seen.append((depot.load(0), depot.load(1), depot.charger(0)))
    return seen


def test_the_same_seed_tells_the_same_story() -> None:
    assert story(5) == story(5)
    assert story(5) != story(6)


def test_long_and_short_strides_end_alike() -> None:
    short, leap = charging(), charging()
    for i in range(1, 501):
        short.advance(10 * S + i * STEP)
    leap.advance(15 * S)
    assert short.charger(0) == leap.charger(0)
    assert short.now_ns == leap.now_ns == 15 * S


def test_the_first_call_sets_the_origin_and_the_past_does_nothing() -> None:
    depot = Plant(TREE, [charger()], VOLTS_MV, 1, STEP)
    depot.advance(77 * S)
    depot.plug(0, CAR)
    depot.write_setpoint(0, 10_000)
    depot.advance(76 * S)
    assert depot.now_ns == 77 * S
    depot.advance(79 * S)
    assert current(depot) == 10_000


@pytest.mark.parametrize(
    "wrong",
    [
        lambda depot: depot.charger(1),
        lambda depot: depot.charger(-1),
        lambda depot: depot.load(3),
        lambda depot: depot.meter(0),
        lambda depot: depot.write_setpoint(0, -1),
        lambda depot: depot.write_setpoint(0, 10**9),
        lambda depot: depot.set_base(0, (0, 0)),
        lambda depot: depot.set_cap(0, (2**40, 0, 0)),
        lambda depot: depot.plug(0, CAR._replace(phases=4)),
        lambda depot: depot.plug(0, CAR._replace(reaction_ns=-S)),
        lambda depot: depot.plug(0, CAR._replace(energy_wh=2**60)),
        lambda depot: depot.set_car_max(0, 6_000),
        lambda depot: Plant([0], [], VOLTS_MV, 1),
        lambda depot: Plant(TREE, [charger(circuit=3)], VOLTS_MV, 1),
        lambda depot: Plant(TREE, [charger(phases=(0, 1, 3))], VOLTS_MV, 1),
        lambda depot: Plant(TREE, [], VOLTS_MV, 1, step_ns=0),
        lambda depot: Plant(TREE, [], 0, 1),
    ],
)
def test_what_is_out_of_range_is_refused(wrong: Callable[[Plant], object]) -> None:
    with pytest.raises(ValueError):
        wrong(plant())


def test_a_glance_sees_what_each_charger_tells() -> None:
    rng = random.Random(7)
    rows = [
        PlantCharger(0, rng.choice([(0, 1, 2), (2, -1, -1)]), 32_000, 16_000, 6_000, watchdog * S)
        for watchdog in (0, 4, 9, 30)
    ]
    plant = Plant([ROOT], rows, 230_000, 1)
    plant.advance(0)
    for t_s in range(1, 60):
        bay = rng.randrange(4)
        match rng.randrange(4):
            case 0:
                plant.plug(bay, Car(32_000, rng.choice([1, 3]), S, rng.choice([20, 60_000]), 0))
            case 1:
                plant.unplug(bay)
            case 2:
                plant.write_setpoint(bay, rng.choice([0, 6_000, 20_000]))
            case 3:
                plant.power_cycle(bay)
        plant.advance(t_s * S)
        states = [plant.charger(i) for i in range(4)]
        assert plant.glance() == (
            tuple(state.offered_ma for state in states),
            tuple(max(state.current_ma) for state in states),
            sum(state.energy_mwh for state in states),
            bytes(state.valid_ns > 0 for state in states),
        )
    assert plant.glance()[2] > 0


@pytest.mark.parametrize("nominal_mv", [230_000, 229_999, 999_983])
def test_energy_is_exact_whatever_the_voltage(nominal_mv: int) -> None:
    plant = Plant([ROOT], [PlantCharger(0, (0, 1, 2), 32_000, 16_000, 0, 0)], nominal_mv, 1)
    plant.advance(0)
    plant.plug(0, Car(16_000, 3, 20_000_000, 10**6, 0))
    plant.advance(S)  # it draws 16 A on three phases by now
    before_mwh = plant.charger(0).energy_mwh
    plant.advance(50_000 * S)
    drawn_mwh = 3 * 16_000 * nominal_mv * 49_999 * S // 3_600_000_000_000_000
    assert plant.charger(0).energy_mwh - before_mwh in (drawn_mwh, drawn_mwh + 1)
    assert plant.glance()[2] == plant.charger(0).energy_mwh


# Commanded in watts


def test_the_same_power_is_more_current_while_the_voltage_is_low() -> None:
    depot = charging(ma=10_000, draws_ppm=1_000_000)
    assert current(depot) == 10_000
    energy_mwh = depot.charger(0).energy_mwh
    depot.set_voltage(900_000)
    assert current(depot) == 11_111
    assert depot.load(0) == (11_111,) * 3
    depot.advance(20 * S)
    at_low_mwh = depot.charger(0).energy_mwh
    depot.set_voltage(1_100_000)
    assert current(depot) == 9_090
    depot.advance(30 * S)
    first, second = at_low_mwh - energy_mwh, depot.charger(0).energy_mwh - at_low_mwh
    assert abs(first - second) <= 1  # rounding


def test_commanded_in_amperes_the_voltage_changes_nothing() -> None:
    depot = charging(ma=10_000)
    depot.set_voltage(900_000)
    assert current(depot) == 10_000


def test_a_device_with_losses_draws_more_than_its_setpoint_and_stops_when_told() -> None:
    depot = charging(ma=10_000, draws_ppm=1_205_000)
    assert current(depot) == 12_050
    depot.write_setpoint(0, 0)
    depot.advance(20 * S)
    assert current(depot) == 0
    assert depot.load(0) == (0, 0, 0)


def test_no_voltage_of_another_world_is_taken() -> None:
    for ppm in (0, 499_999, 1_500_001):
        with pytest.raises(ValueError):
            plant().set_voltage(ppm)
