"""What the kernel refuses, and what it survives at the edges of its numbers."""

from collections.abc import Callable
from typing import Any

import pytest

from cext.rows import (
    NEVER_NS,
    CircuitRow,
    Kind,
    SlotRow,
    SourceRow,
    Tuning,
    Vehicle,
)
from cext.tick import Kernel
from tests.plainrow import PLAIN

INT32_MAX, INT32_MIN = 2**31 - 1, -(2**31)
HUGE_MA = 2**27  # the most that a table or a reading may say
FAR_NS = 2**60  # the latest instant
LONG_NS = 2**56  # the longest time
S = 1_000_000_000
CIRCUIT = CircuitRow(-1, (100_000,) * 3, (0,) * 3)
SOURCE = SourceRow(0, 0, 0, S, S // 10)
SLOT = SlotRow(0, Kind.GRID, (50_000,) * 3, 0)
TUNING = Tuning(2 * S, 15 * S, 4000, 10 * S, 900 * S)
CHARGER = PLAIN._replace(fallback_ma=32_000)


def kernel(**tables: Any) -> Kernel:
    """A kernel of one of each, where the test does not say otherwise."""
    return Kernel(
        tables.get("circuits", [CIRCUIT]),
        tables.get("sources", [SOURCE]),
        tables.get("chargers", [CHARGER]),
        tables.get("slots", [SLOT]),
        tables.get("tuning", TUNING),
    )


WRONG: list[dict[str, Any]] = [
    {"circuits": []},
    {"circuits": [CIRCUIT._replace(parent=0)]},
    {"circuits": [CIRCUIT, CIRCUIT]},  # two roots
    {"circuits": [CIRCUIT, CIRCUIT._replace(parent=2), CIRCUIT._replace(parent=1)]},
    {"circuits": [CIRCUIT, CIRCUIT._replace(parent=1)]},
    {"circuits": [CIRCUIT, CIRCUIT._replace(parent=-2)]},
    {"circuits": [CIRCUIT._replace(rating_ma=(-1, 0, 0))]},
    {"circuits": [CIRCUIT._replace(rating_ma=(INT32_MAX + 1, 0, 0))]},
    {"circuits": [CIRCUIT._replace(worst_base_ma=(0, 0, -1))]},
    {"circuits": [CIRCUIT._replace(busbar_ma=(0, -1, 0))]},
    {"circuits": [CIRCUIT._replace(busbar_ma=(HUGE_MA + 1, 0, 0))]},
    {"circuits": [CIRCUIT._replace(sum_ma=-1)]},
    {"circuits": [CIRCUIT._replace(sum_ma=3 * HUGE_MA + 1)]},
    {"circuits": [CIRCUIT._replace(imbalance_ma=-1)]},
    {"circuits": [CIRCUIT._replace(imbalance_ma=HUGE_MA + 1)]},
    {"sources": [SOURCE._replace(circuit=1)]},
    {"sources": [SOURCE._replace(circuit=-1)]},
    {"sources": [SOURCE._replace(error_ma=-1)]},
    {"sources": [SOURCE._replace(lag_ns=-1)]},
    {"sources": [SOURCE._replace(poll_ns=-1)]},
    {"chargers": [CHARGER._replace(circuit=1)]},
    {"chargers": [CHARGER._replace(phases=(0, 1, 3))]},
    {"chargers": [CHARGER._replace(phases=(0, 0, 1))]},
    {"chargers": [CHARGER._replace(phases=(-1, -1, -1))]},
    {"chargers": [CHARGER._replace(phases=(-2, 0, 1))]},
    {"chargers": [CHARGER._replace(min_ma=32_001)]},
    {"chargers": [CHARGER._replace(min_ma=-1)]},
    {"chargers": [CHARGER._replace(max_ma=INT32_MAX + 1)]},
    {"chargers": [CHARGER._replace(step_ma=0)]},
    {"chargers": [CHARGER._replace(fallback_ma=-1)]},
    {"chargers": [CHARGER._replace(power_on_ma=-1)]},
    {"chargers": [CHARGER._replace(tolerance_ppm=-1)]},
    {"chargers": [CHARGER._replace(tolerance_ppm=6_000_001)]},
    {"chargers": [CHARGER._replace(error_ppm=-1)]},
    {"chargers": [CHARGER._replace(error_ppm=1_000_001)]},
    {"chargers": [CHARGER._replace(standby_ma=-1)]},
    {"chargers": [CHARGER._replace(settle_ns=-1)]},
    {"chargers": [CHARGER._replace(weight=0)]},
    {"slots": [SLOT._replace(circuit=1)]},
    {"slots": [SLOT._replace(failsafe_ma=(0, -1, 0))]},
    {"slots": [SLOT._replace(hold_ns=-1)]},
    {"tuning": TUNING._replace(dead_man_ns=0)},
    {"tuning": TUNING._replace(dwell_ns=-1)},
    {"tuning": TUNING._replace(ramp_ma_per_s=0)},
]


@pytest.mark.parametrize("tables", WRONG, ids=lambda t: next(iter(t)))
def test_contradiction_is_refused(tables: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        kernel(**tables)


def test_every_contradiction_is_named_at_once() -> None:
    with pytest.raises(ValueError) as refused:
        kernel(
            circuits=[CIRCUIT._replace(rating_ma=(-1, 0, 0))],
            sources=[SOURCE._replace(circuit=7)],
            chargers=[CHARGER, CHARGER._replace(step_ma=0), CHARGER._replace(phases=(0, 0, 1))],
            slots=[SLOT._replace(circuit=9)],
            tuning=TUNING._replace(dead_man_ns=0),
        )
    said = str(refused.value)
    named = ["rating", "source", "step", "phase", "slot", "dead_man"]
    assert [word for word in named if word not in said] == []


@pytest.mark.parametrize("index", [1, -1, INT32_MAX, INT32_MIN])
def test_unknown_index(index: int) -> None:
    one = kernel()
    calls: list[Callable[[], object]] = [
        lambda: one.post_reading(index, S, (0, 0, 0)),
        lambda: one.post_report(index, S, 0, None, Vehicle.C, 0),
        lambda: one.set_limit(index, None, NEVER_NS, NEVER_NS),
        lambda: one.output(index),
        lambda: one.circuit(index),
        lambda: one.charger(index),
        lambda: one.slot(index),
        lambda: one.failsafe_ma(index),
    ]
    for call in calls:
        with pytest.raises((ValueError, IndexError)):
            call()


@pytest.mark.parametrize("value", [INT32_MAX + 1, INT32_MIN - 1, 2**63, -(2**70)])
def test_values_outside_int32_are_refused_and_change_nothing(value: int) -> None:
    one = kernel()
    one.post_reading(0, S, (1000, 2000, 3000))
    for phase in range(3):
        amps = tuple(value if p == phase else 0 for p in range(3))
        with pytest.raises((ValueError, OverflowError)):
            one.post_reading(0, S + 1, amps)  # type: ignore[arg-type]
        with pytest.raises((ValueError, OverflowError)):
            one.post_report(0, S, 6000, amps, Vehicle.C, 0)  # type: ignore[arg-type]
        with pytest.raises((ValueError, OverflowError)):
            one.set_limit(0, amps, NEVER_NS, NEVER_NS)  # type: ignore[arg-type]
    with pytest.raises((ValueError, OverflowError)):
        one.post_report(0, S, value, None, Vehicle.C, 0)
    one.tick(S + 2)
    assert one.circuit(0).reading_ma == (1000, 2000, 3000)
    assert one.charger(0).in_force_ma is None
    assert one.slot(0).state == "lost"


@pytest.mark.parametrize(
    "bad", [(0.0, 0.0, 0.0), (float("nan"),) * 3, ("1", "2", "3"), (1, 2), None]
)
def test_what_is_no_reading_is_refused(bad: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        kernel().post_reading(0, S, bad)


def test_negative_in_force_or_limit_is_refused() -> None:
    one = kernel()
    with pytest.raises(ValueError):
        one.post_report(0, S, -1, None, Vehicle.C, 0)
    with pytest.raises(ValueError):
        one.set_limit(0, (1, -1, 1), NEVER_NS, NEVER_NS)


def test_time_may_stand_but_not_run_backwards() -> None:
    one = kernel()
    one.tick(S)
    one.tick(S)
    with pytest.raises(ValueError):
        one.tick(S - 1)
    assert (one.now_ns, one.ticks) == (S, 2)


def test_a_report_from_before_the_newest_does_not_replace_it() -> None:
    one = kernel()
    for at_ns, ma in ((5 * S, 9000), (4 * S, 1000)):
        try:
            one.post_reading(0, at_ns, (ma, ma, ma))
            one.post_report(0, at_ns, ma, (ma, ma, ma), Vehicle.C, 0)
        except ValueError:
            assert at_ns == 4 * S
    one.tick(5 * S)
    assert one.circuit(0).reading_ma == (9000, 9000, 9000)
    assert one.charger(0).in_force_ma == 9000


def test_a_reading_from_the_future_is_no_eternal_truth() -> None:
    one = kernel()
    try:
        one.post_reading(0, 1000 * S, (9000, 9000, 9000))
    except ValueError:
        return
    one.tick(S)
    one.tick(10 * S)
    reading = one.circuit(0).reading_ma
    assert reading is None or one.circuit(0).base_hi_ma >= (0, 0, 0)


@pytest.mark.parametrize("tolerance_ppm", [100_000, 6_000_000])
@pytest.mark.parametrize("ma", [HUGE_MA, -HUGE_MA, HUGE_MA - 1])
def test_readings_at_their_edge(ma: int, tolerance_ppm: int) -> None:
    known = CHARGER._replace(tolerance_ppm=tolerance_ppm, standby_ma=HUGE_MA, error_ppm=90_910)
    rows = [known] * 40
    one = kernel(chargers=rows, sources=[SOURCE._replace(error_ma=HUGE_MA)])
    for step in range(1, 30):
        now_ns = step * S // 10
        one.post_reading(0, now_ns, (ma, ma, ma))
        for charger in range(40):
            one.post_report(charger, now_ns, 6000, (max(ma, 0),) * 3, Vehicle.C, 0)
        one.tick(now_ns)
    assert {one.output(i).setpoint_ma for i in range(40)} == {0}


def test_tables_at_their_edge() -> None:
    wide = (HUGE_MA,) * 3
    one = kernel(
        circuits=[CircuitRow(-1, wide, wide)],
        chargers=[CHARGER._replace(max_ma=HUGE_MA, fallback_ma=HUGE_MA, power_on_ma=HUGE_MA)] * 40,
        slots=[SLOT._replace(failsafe_ma=wide)],
    )
    for step in range(1, 30):
        now_ns = step * S // 10
        for charger in range(40):
            one.post_report(charger, now_ns, HUGE_MA, wide, Vehicle.C, 0)
        one.tick(now_ns)
    assert {one.output(i).setpoint_ma for i in range(40)} == {0}


@pytest.mark.parametrize("ma", [HUGE_MA, -HUGE_MA])
@pytest.mark.parametrize("sum_ma", [0, 3 * HUGE_MA])
@pytest.mark.parametrize("export", [False, True])
def test_bounds_at_their_edge(ma: int, sum_ma: int, export: bool) -> None:
    """Sums of three phases, a bus bar and an imbalance limit, all at their most."""
    wide = (HUGE_MA,) * 3
    row = CircuitRow(
        -1, wide, wide, credit_export=export, busbar_ma=wide, sum_ma=sum_ma, imbalance_ma=HUGE_MA
    )
    most = CHARGER._replace(
        max_ma=HUGE_MA, fallback_ma=HUGE_MA, power_on_ma=HUGE_MA, tolerance_ppm=6_000_000
    )
    single = most._replace(phases=(2, -1, -1), weight=1000)
    one = kernel(
        circuits=[row, row._replace(parent=0)],
        chargers=[most, single._replace(circuit=1)] * 20,
        slots=[],
    )
    for step in range(1, 30):
        now_ns = step * S // 10
        one.post_reading(0, now_ns, (ma, ma, -ma))
        for charger in range(40):
            one.post_report(charger, now_ns, HUGE_MA, wide, Vehicle.C, 0)
        one.tick(now_ns)
    together = one.circuit(0).together
    assert together is not None and together.cap_ma == sum_ma
    assert together.draw_hi_ma == sum(one.circuit(0).draw_hi_ma)
    imported = (ma, ma, -ma) if export else [max(0, each) for each in (ma, ma, -ma)]
    assert together.reading_ma == sum(imported)
    assert {one.output(i).setpoint_ma for i in range(40)} == {0}


def test_times_at_their_edge() -> None:
    one = kernel(slots=[SLOT._replace(hold_ns=LONG_NS)])
    one.set_limit(0, (9000,) * 3, NEVER_NS, S)
    one.tick(2 * S)
    assert one.circuit(0).cap_ma == (9000,) * 3
    late = LONG_NS - 10 * S
    one.post_reading(0, late, (0, 0, 0))
    one.post_report(0, late, 0, (0, 0, 0), Vehicle.C, 0)
    one.tick(late)
    assert one.output(0).expires_ns == late + TUNING.dead_man_ns
    assert one.circuit(0).cap_ma == (9000,) * 3
    one.tick(FAR_NS)
    assert one.output(0).expires_ns == FAR_NS + TUNING.dead_man_ns
    assert one.circuit(0).cap_ma != (9000,) * 3


def test_without_chargers() -> None:
    one = kernel(chargers=[], slots=[])
    one.post_reading(0, S, (120_000, 0, -5))
    assert one.tick(S) is False
    assert one.circuit(0).reading_ma == (120_000, 0, -5)
    assert one.circuit(0).draw_hi_ma == (0, 0, 0)


def test_rating_of_zero_gives_nothing() -> None:
    one = kernel(circuits=[CIRCUIT._replace(rating_ma=(0, 0, 0))], slots=[])
    for step in range(1, 600):
        now_ns = step * S // 10
        one.post_reading(0, now_ns, (0, 0, 0))
        one.post_report(0, now_ns, 0, (0, 0, 0), Vehicle.C, 0)
        one.tick(now_ns)
    assert one.output(0).setpoint_ma == 0


def test_one_dead_phase_stops_only_who_uses_it() -> None:
    single = CHARGER._replace(phases=(1, -1, -1))
    one = kernel(
        circuits=[CIRCUIT._replace(rating_ma=(0, 50_000, 50_000))],
        chargers=[CHARGER, single],
        slots=[],
    )
    for step in range(1, 600):
        now_ns = step * S // 10
        one.post_reading(0, now_ns, (0, 0, 0))
        for charger in range(2):
            out = one.output(charger)
            told = out.setpoint_ma or 0
            one.post_report(charger, now_ns, told, (0, 0, 0), Vehicle.C, out.changed_tick)
        one.tick(now_ns)
    assert one.output(0).setpoint_ma == 0
    assert one.output(1).setpoint_ma == 32_000


def test_no_step_between_minimum_and_maximum() -> None:
    """No multiple of the step lies between minimum and maximum: only 0 can be ordered."""
    one = kernel(chargers=[CHARGER._replace(min_ma=6100, max_ma=6900, step_ma=1000)], slots=[])
    for step in range(1, 600):
        now_ns = step * S // 10
        one.post_reading(0, now_ns, (0, 0, 0))
        one.post_report(0, now_ns, 0, (0, 0, 0), Vehicle.C, 0)
        one.tick(now_ns)
    assert one.output(0).setpoint_ma == 0
