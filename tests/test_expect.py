"""Each kind of expectation holds where it should, and can fail."""

import pytest

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT
from hil.story.expect import Sample, Trace, excesses, judge
from hil.story.expectations import (
    Apart,
    Down,
    Energy,
    Expect,
    NotRising,
    Offered,
    Over,
    Restarts,
    Settles,
)

CAP_MA = 100_000


def trace(*rows: tuple[float, float, tuple[float, float]]) -> Trace:
    """Rows of time, load on L2 of the feeder, and what the two chargers offer, in A."""
    made = Trace(["grid", "feeder"], ["bay-1", "bay-2"])
    for t_s, load_a, offered_a in rows:
        load_ma = round(1000 * load_a)
        first, second = (round(1000 * a) for a in offered_a)
        made.samples.append(
            Sample(
                t_s,
                ((0, 0, 0), (50_000, load_ma, 50_000)),
                ((CAP_MA,) * 3, (CAP_MA,) * 3),
                (0, max(0, load_ma - CAP_MA)),
                (first, second),
                (first // 2, second // 2),
                round(t_s * 100_000),
            )
        )
    return made


STEP = trace(
    (0, 90, (16, 16)),
    (1, 130, (16, 16)),
    (2, 130, (10, 10)),
    (3, 120, (10, 6)),
    (4, 98, (6, 6)),
    (5, 97, (6, 8)),
    (6, 97, (6, 8)),
)


def failed(expected: Expect, of: Trace = STEP, slack_s: float = 0.0) -> dict[str, float | str]:
    """What was measured; empty where the expectation holds."""
    failures = judge(of, [expected], slack_s)
    return failures[0].measured if failures else {}


def over(**changes: object) -> Over:
    usual = {"kind": "over", "why": "w", "worst_a": 30, "longest_s": 3}
    return Over.model_validate(usual | changes)


def test_over_measures_depth_and_time() -> None:
    assert failed(over()) == {}
    assert failed(over(worst_a=29))["worst_a"] == 30
    measured = failed(over(longest_s=2.9))
    assert measured == {"circuit": "feeder", "worst_a": 30, "longest_s": 3, "until_s": 3}


def test_over_looks_at_its_circuit_and_its_window() -> None:
    assert failed(over(circuit="grid", worst_a=0, longest_s=0)) == {}
    assert failed(over(circuit="feeder", worst_a=0, longest_s=0))
    assert failed(over(from_s=4, worst_a=0, longest_s=0)) == {}
    assert failed(over(from_s=2, to_s=3, worst_a=20, longest_s=1)) == {}
    assert failed(over(from_s=2, to_s=3, worst_a=20, longest_s=0.5))
    assert failed(over(from_s=6)) == {"samples": 0}


def test_slack_lengthens_times_and_never_currents() -> None:
    assert failed(over(longest_s=2.5), slack_s=0.5) == {}
    assert failed(over(worst_a=29), slack_s=5)
    assert failed(over(from_s=2, worst_a=0, longest_s=0))
    assert failed(over(from_s=2, worst_a=0, longest_s=0), slack_s=2) == {}


def test_an_excess_within_the_tolerance_is_none() -> None:
    assert excesses(trace((0, 100, (0, 0)), (1, 100.4, (0, 0))))[1].longest_s == 0
    assert excesses(trace((0, 100, (0, 0)), (1, 100.6, (0, 0))))[1].longest_s == 1


def test_two_excesses_are_not_one_long_one() -> None:
    twice = trace(*((t, 120 if t in (1, 2, 4) else 90, (0, 0)) for t in range(6)))
    assert excesses(twice)[1] == ("feeder", 20, 2, 2)


def down(**changes: object) -> Down:
    usual = {"kind": "down", "why": "w", "to_a": 12, "after_s": 1, "within_s": 3}
    return Down.model_validate(usual | changes)


def test_down_takes_the_sum_within_its_time() -> None:
    assert failed(down()) == {}
    assert failed(down(within_s=2)) == {"lowest_a": 16}
    assert failed(down(within_s=2), slack_s=1) == {}
    assert failed(down(to_a=11)) == {"lowest_a": 12}
    assert failed(down(charger="bay-2", to_a=6, within_s=2)) == {}
    assert failed(down(what="drawn", to_a=6)) == {}
    assert failed(down(after_s=10)) == {"samples": 0}


def test_energy_is_what_was_delivered() -> None:
    assert failed(Energy(kind="energy", why="w", at_least_kwh=0.6)) == {}
    assert failed(Energy(kind="energy", why="w", at_least_kwh=0.61)) == {"energy_kwh": 0.6}
    assert failed(Energy(kind="energy", why="w", at_least_kwh=0.1), Trace([], []))


def not_rising(**changes: object) -> NotRising:
    return NotRising.model_validate({"kind": "not_rising", "why": "w"} | changes)


def test_not_rising_finds_the_first_rise() -> None:
    assert failed(not_rising(to_s=4)) == {}
    assert failed(not_rising()) == {"charger": "bay-2", "from_a": 6, "to_a": 8, "at_s": 5}
    assert failed(not_rising(charger="bay-1")) == {}
    assert failed(not_rising(from_s=9)) == {"samples": 0}


def test_not_rising_is_not_fooled_by_another_that_falls() -> None:
    swap = trace((0, 90, (16, 6)), (1, 90, (6, 10)))
    assert failed(not_rising(), swap) == {"charger": "bay-2", "from_a": 6, "to_a": 10, "at_s": 1}


def restarts(**changes: object) -> Restarts:
    usual = {"kind": "restarts", "why": "w", "of": "enforcer"}
    return Restarts.model_validate(usual | changes)


def test_restarts_are_counted_within_their_window() -> None:
    made = trace((0, 90, (16, 16)), (9, 90, (16, 16)))
    assert failed(restarts(), made) == {}
    assert failed(restarts(least=1, most=1), made)["restarts"] == 0
    made.restarts_s += [3.0, 5.0]
    assert failed(restarts(), made) == {"restarts": 2, "at_s": "3.0, 5.0"}
    assert failed(restarts(least=2, most=2), made) == {}
    assert failed(restarts(from_s=4, least=1, most=1), made) == {}
    assert failed(restarts(to_s=2), made) == {}
    assert failed(restarts(of="chargers"), made) == {}


def test_a_watchdog_that_runs_out_is_a_restart_of_its_charger() -> None:
    second = 10**9
    rows = [PlantCharger(0, (0, 1, 2), 32_000, 6000, 6000, each * second) for each in (2, 0)]
    plant = Plant([ROOT], rows, 230_000, 1)
    made = Trace(["grid"], ["guarded", "unguarded"])
    for t_s in range(12):
        plant.advance(t_s * second)
        if t_s in (1, 2, 6):
            plant.write_setpoint(0, 10_000)
            plant.write_setpoint(1, 10_000)
        made.record(plant, t_s)
    assert made.lapses_s == [4, 8]
    assert failed(restarts(of="chargers", least=2, most=2), made) == {}


def test_not_rising_counts_a_rise_below_the_first_value() -> None:
    dip = trace((0, 0, (16, 0)), (1, 0, (6, 0)), (2, 0, (10, 0)))
    assert failed(not_rising(), dip) == {"charger": "bay-1", "from_a": 6, "to_a": 10, "at_s": 2}


def settles(**changes: object) -> Settles:
    usual = {"kind": "settles", "why": "w", "circuit": "feeder", "around_a": [50, 97, 50]}
    return Settles.model_validate(usual | {"band_a": 2, "from_s": 4} | changes)


def test_settles_wants_every_phase_in_its_band() -> None:
    assert failed(settles()) == {}
    assert failed(settles(from_s=3)) == {"phase": "L2", "load_a": 120, "at_s": 3}
    assert failed(settles(from_s=3), slack_s=0.5) == {}
    assert failed(settles(band_a=0.5)) == {"phase": "L2", "load_a": 98, "at_s": 4}
    assert failed(settles(around_a=[47, 97, 50])) == {"phase": "L1", "load_a": 50, "at_s": 4}
    assert failed(settles(from_s=7)) == {"samples": 0}


def offered(**changes: object) -> Offered:
    return Offered.model_validate({"kind": "offered", "why": "w", "at_s": 4} | changes)


def test_offered_within_a_time_looks_at_each_charger_for_itself() -> None:
    assert failed(offered(at_s=3, min_a=8)) == {"bay-2": 6}
    assert failed(offered(at_s=3, within_s=2, min_a=8)) == {}  # first bay-1, then bay-2
    assert failed(offered(at_s=3, within_s=1, min_a=8)) == {"bay-2": 6}


def test_offered_looks_at_each_charger_at_an_instant() -> None:
    assert failed(offered(min_a=6, max_a=6)) == {}
    assert failed(offered(at_s=5, max_a=6)) == {"bay-2": 8}
    assert failed(offered(at_s=3, max_a=6)) == {"bay-1": 10}
    assert failed(offered(at_s=3, max_a=6), slack_s=1) == {}
    assert failed(offered(charger="bay-1", min_a=7)) == {"bay-1": 6}
    assert failed(offered(at_s=7)) == {"samples": 0}


def test_a_failure_says_what_was_expected_and_what_was_measured() -> None:
    (failure,) = judge(STEP, [over(worst_a=29)])
    assert failure.as_json() == {
        "kind": "over",
        "why": "w",
        "worst_a": 29,
        "longest_s": 3,
        "measured": {"circuit": "feeder", "worst_a": 30, "longest_s": 3, "until_s": 3},
    }


def test_every_failed_expectation_is_told() -> None:
    assert len(judge(STEP, [over(worst_a=1), down(to_a=1), offered(min_a=6)])) == 2


def test_what_nothing_measures_is_an_error() -> None:
    with pytest.raises(TypeError):
        judge(STEP, [Expect(why="w")])


def test_a_trace_keeps_what_happened_between_two_samples() -> None:
    plant = Plant([ROOT], [PlantCharger(0, (0, 1, 2), 32_000, 10_000, 0, 0)], 230_000, 1)
    plant.advance(0)
    plant.set_cap(0, (CAP_MA,) * 3)
    plant.plug(0, Car(32_000, 1, 10**9, 10_000, 0))
    made = Trace(["grid"], ["bay-1"])
    made.record(plant, 0.0)
    plant.set_base(0, (0, 120_000, 0))
    plant.advance(5 * 10**8)
    plant.set_base(0, (0, 20_000, 0))
    plant.advance(2 * 10**9)
    made.record(plant, 2.0)
    last = made.samples[-1]
    assert last[1:6] == (
        ((10_000, 20_000, 0),),
        ((CAP_MA,) * 3,),
        (20_000,),
        (10_000,),
        (10_000,),
    )
    assert excesses(made)[0][1:3] == (20, 2)


# Charger 2 begins at 2 s, charger 1 at 5 s.
BEGIN = trace((0, 9, (0, 0)), (1, 9, (0, 0)), (2, 9, (0, 6)), (4, 9, (0, 7)), (5, 9, (6, 0)))


def test_apart_measures_the_least_time_between_two_beginnings() -> None:
    def apart(**changes: object) -> Apart:
        usual = {"kind": "apart", "why": "w", "at_least_s": 3}
        return Apart.model_validate(usual | changes)

    assert failed(apart(), BEGIN) == {}
    assert failed(apart(at_least_s=3.1), BEGIN) == {"apart_s": 3}
    assert failed(apart(at_least_s=3.1), BEGIN, slack_s=0.5) == {}
    assert failed(apart(count=3), BEGIN) == {"begun": 2}
    assert failed(apart(charger="bay-1"), BEGIN) == {"begun": 1}
    assert failed(apart(from_s=3), BEGIN) == {"begun": 1}
    assert failed(apart()) == {"begun": 0}  # all were there from the start
