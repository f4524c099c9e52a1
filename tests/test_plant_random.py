"""Whatever happens in the virtual depot, its sums are right and nothing exceeds what it can."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cext.plant import Car, Plant, PlantCharger
from cext.rows import NO_PHASE, ROOT, Phases, Vehicle

STEP = 10_000_000
VOLTS_MV = 230_000
PARENTS = [ROOT, 0, 0, 1]
CIRCUITS, CHARGERS = len(PARENTS), 3

currents = st.sampled_from([32_000, 16_001, 11_111, 6_000, 5_999, 40_000, 0])
circuits = st.integers(0, CIRCUITS - 1)
chargers = st.integers(0, CHARGERS - 1)
phase = st.sampled_from([0, 1, 2, NO_PHASE])
rows = st.builds(
    PlantCharger,
    circuits,
    st.tuples(phase, phase, phase),
    currents,
    currents,
    currents,
    st.sampled_from([0, STEP, 37 * STEP]),
    boot_ns=st.sampled_from([0, STEP, 200 * STEP]),
    draws_ppm=st.sampled_from([0, 0, 1_000_000, 1_205_003]),
    shows_ppm=st.sampled_from([0, 830_000]),
)
cars = st.builds(
    Car,
    currents,
    st.integers(1, 3),
    st.integers(0, 30 * STEP),
    st.sampled_from([10_000, 1, 3, 0]),
    st.sampled_from([0, 2, 10_000]),
    st.just(0),  # none draws more than it is offered: that is asserted here
)
base = st.tuples(*[st.integers(-50_000, 50_000)] * 3)
happenings = st.one_of(
    st.tuples(st.just("set_base"), circuits, base),
    st.tuples(st.just("plug"), chargers, cars),
    st.tuples(st.just("unplug"), chargers),
    st.tuples(st.just("power_cycle"), chargers),
    st.tuples(st.just("set_supply"), chargers, st.booleans()),
    st.tuples(st.just("set_obeys"), chargers, st.booleans()),
    st.tuples(st.just("write_setpoint"), chargers, currents),
    st.tuples(st.just("set_voltage"), st.sampled_from([1_000_000, 900_000, 1_100_001])),
    st.tuples(st.just("advance"), st.sampled_from([40, 1, 5])),
)


def loads(depot: Plant, rows: list[PlantCharger], bases: list[Phases]) -> list[Phases]:
    """Every circuit's load, added up anew from base loads and currents."""
    sums = [list(base) for base in bases]
    for index, row in enumerate(rows):
        for grid, ma in zip(row.phases, depot.charger(index).current_ma, strict=True):
            if grid != NO_PHASE:
                sums[row.circuit][grid] += ma
    for circuit in range(CIRCUITS - 1, 0, -1):  # children stand behind their parents
        for grid in range(3):
            sums[PARENTS[circuit]][grid] += sums[circuit][grid]
    return [(first, second, third) for first, second, third in sums]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(rows, min_size=CHARGERS, max_size=CHARGERS),
    st.lists(cars, min_size=CHARGERS, max_size=CHARGERS),
    st.lists(happenings, max_size=40),
)
def test_the_sums_are_right(
    rows: list[PlantCharger], parked: list[Car], story: list[tuple[Any, ...]]
) -> None:
    depot = Plant(PARENTS, rows, VOLTS_MV, 1, STEP)
    depot.advance(0)
    story = [*(("plug", *each) for each in enumerate(parked)), ("advance", 40), *story]
    bases: list[Phases] = [(0, 0, 0)] * CIRCUITS
    charge = [0] * CHARGERS  # mA x steps
    now = 0
    for what, *of in story:
        if what == "advance":
            for _ in range(of[0]):
                now += 1
                for index in range(CHARGERS):
                    charge[index] += sum(depot.charger(index).current_ma)
                depot.advance(now * STEP)
        elif what == "set_base":
            bases[of[0]] = of[1]
            depot.set_base(*of)
        else:
            getattr(depot, what)(*of)
        assert [depot.load(i) for i in range(CIRCUITS)] == loads(depot, rows, bases)
        for index, row in enumerate(rows):
            state = depot.charger(index)
            assert 0 <= state.offered_ma <= row.max_ma
            most_ma = row.max_ma * max(row.draws_ppm, 900_000) // 900_000
            assert 0 <= min(state.current_ma) <= max(state.current_ma) <= most_ma
            assert row.draws_ppm or max(state.current_ma) <= row.max_ma
            assert row.draws_ppm or state.energy_mwh == charge[index] * VOLTS_MV * STEP // (
                3_600 * 10**12
            )
            assert 0 <= state.valid_ns <= row.watchdog_ns
            assert state.vehicle is not Vehicle.A or max(state.current_ma) == 0
