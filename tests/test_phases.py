"""One-phase cars on three-phase chargers: what they free, and when it is taken back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.rows import Rule
from tests.door import Door
from tests.examples import depots
from tests.oracle.depot import Car
from tests.oracle.site import MS, Charger, Circuit, Meter, S, Site, Triple, flat
from tests.oracle.world import World

NOBODY = (0, 0, 0)


class Row:
    """Three-phase chargers on one circuit, each with what its car draws by hand."""

    def __init__(self, count: int, cap_ma: int, measured: bool = True, **charger: Any) -> None:
        row = Charger(
            0, (0, 1, 2), **{"settle_ns": S, "lag_ns": 0, "fallback_ma": 16_000, **charger}
        )
        meters = [Meter(0, 0, 0, S, 100 * MS)] if measured else []
        self.count = count
        self.door = Door(Site([Circuit(-1, flat(cap_ma), flat(0))], meters, [row] * count))
        self.measured = measured
        self.now_ns = 1000 * S
        self.drawn: list[Triple] = [NOBODY] * count
        self.state = ["C"] * count

    def report(self, index: int, told: int | None, tick: int) -> None:
        most = 16_000 if told is None else told
        first, second, third = (min(ma, most) for ma in self.drawn[index])
        amps = (first, second, third)
        self.door.report(index, self.now_ns, most, amps, self.state[index], tick)

    def step(self, reported: bool = True) -> None:
        """100 ms later: all do as they were told, and draw at most what they want."""
        self.now_ns += 100 * MS
        outs = [self.door.output(index) for index in range(self.count)]
        if self.measured:
            self.door.reading(0, self.now_ns, self.load())
        for index, out in enumerate(outs if reported else ()):
            self.report(index, out.setpoint_ma, out.changed_tick)
        self.door.tick(self.now_ns)

    def load(self) -> Triple:
        told = [self.door.output(i).setpoint_ma for i in range(self.count)]
        most = [16_000 if ma is None else ma for ma in told]
        sums = [
            sum(min(amps[phase], ma) for amps, ma in zip(self.drawn, most, strict=True))
            for phase in range(3)
        ]
        return sums[0], sums[1], sums[2]

    def run(self, seconds: float, **how: bool) -> None:
        for _ in range(int(seconds * 10)):
            self.step(**how)

    def most(self, phase: int) -> int:
        """Σ of the upper ends on a phase."""
        return int(self.door.circuit(0).draw_hi_ma[phase])

    def orders(self) -> list[int | None]:
        return [self.door.output(i).setpoint_ma for i in range(self.count)]


def charging(*amps: Triple, cap_ma: int = 200_000, **how: Any) -> Row:
    row = Row(len(amps), cap_ma, **how)
    row.drawn = list(amps)
    row.run(20)
    return row


@pytest.mark.parametrize(
    ("drawn", "seconds", "frees", "why"),
    [
        ((16_000, 0, 0), 31, (1, 2), "one phase charges"),
        ((16_000, 0, 0), 9, (), "not yet for 30 s"),
        ((10_000, 10_000, 0), 31, (2,), "a two-phase car frees the third"),
        ((16_000, 400, 499), 31, (1, 2), "below 0.5 A is nothing"),
        ((16_000, 500, 0), 31, (2,), "0.5 A is something"),
        ((4900, 0, 0), 31, (), "no phase carries 5 A"),
        ((0, 0, 0), 31, (), "nobody charges"),
    ],
)
def test_what_a_car_frees(drawn: Triple, seconds: float, frees: tuple[int, ...], why: str) -> None:
    row = charging(drawn)
    row.run(seconds)
    for phase in range(3):
        assert (row.most(phase) < 1000) == (phase in frees), why
    if frees:
        assert row.most(frees[0]) >= drawn[frees[0]], "what is measured there counts"


def test_freed_with_its_standby_current() -> None:
    row = charging((16_000, 0, 0), standby_ma=60)
    row.run(31)
    assert row.most(1) == row.most(2) == 60


def test_what_is_still_drawn_on_a_freed_phase_is_nobody_elses_share() -> None:
    """A phase of a car draws 0.4 A yet: the neighbour on that phase has the rest as its share, and
    does not wait for slack that never comes."""
    row = Row(2, 20_000)
    ours = row.door.site.chargers[0]
    alone = ours._replace(phases=(1, -1, -1))
    row.door = Door(row.door.site._replace(chargers=[ours, alone]))
    row.drawn = [(16_000, 400, 400), (0, 32_000, 0)]
    row.run(100)
    assert row.most(1) - (row.orders()[1] or 0) == 400
    why = row.door.output(1).why
    assert (why.rule, why.phase) == (Rule.CAP, 1)


@pytest.mark.parametrize(
    ("then", "why"),
    [
        ({"state": "B"}, "another state of the vehicle"),
        ({"state": "UNKNOWN"}, "nobody knows which vehicle"),
        ({"drawn": (16_000, 500, 0), "phases": (1,)}, "it begins to draw there"),
        ({"drawn": (16_000, 9000, 9000)}, "it charges on all"),
        ({"drawn": (4900, 0, 0)}, "it charges no more: another car may follow"),
        ({"reported": False, "seconds": 2.5}, "silence"),
    ],
)
def test_what_takes_it_back(then: dict[str, Any], why: str) -> None:
    row = charging((16_000, 0, 0))
    row.run(31)
    row.drawn = [then.get("drawn", row.drawn[0])]
    row.state = [then.get("state", "C")]
    row.run(then.get("seconds", 0.1), reported=then.get("reported", True))
    for phase in then.get("phases", (1, 2)):
        assert row.most(phase) >= 16_000, why


def test_what_begins_to_flow_on_a_freed_phase_counts_at_once() -> None:
    """Without any other state: the very report counts, with all that its setpoint permits."""
    row = charging((16_000, 0, 0))
    row.run(31)
    row.drawn = [(16_000, 7000, 0)]
    row.step()
    assert row.most(1) >= (row.orders()[0] or 0)


def test_the_others_get_what_is_freed_and_lose_it_at_once() -> None:
    """40 A a phase: two cars on L1, one on L2 alone. Then the latter's charger has another car."""
    row = charging((0, 32_000, 0), (32_000, 0, 0), cap_ma=40_000)
    assert max(map(int, filter(None, row.orders()))) <= 20_000
    row.run(60)
    assert row.orders() == [32_000, 32_000]
    row.state[0] = "B"
    row.drawn[0] = NOBODY
    row.step()
    row.state[0] = "C"
    row.drawn[0] = flat(32_000)
    row.step()
    assert sum(filter(None, row.orders())) <= 40_000, "wholly, in the tick of its report"


@pytest.mark.parametrize("measured", [True, False])
def test_taking_back_reduces_below_a_meter_and_without_one(measured: bool) -> None:
    row = charging((0, 32_000, 0), (32_000, 0, 0), cap_ma=40_000, measured=measured)
    row.run(60)
    assert row.orders() == [32_000, 32_000]
    row.drawn[0] = flat(7000)  # the same car, by all that it says; no excess yet
    row.step()
    assert sum(filter(None, row.orders())) <= 40_000
    assert row.door.output(1).cause.rule.name in ("CAP", "BLIND")


def test_no_unmetered_charger_frees_anything() -> None:
    row = charging((16_000, 0, 0), metered=False)
    row.run(60)
    assert row.most(1) >= 16_000


@depots(15)
@given(
    swaps=st.lists(
        st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(3, 45)), min_size=3, max_size=8
    )
)
def test_whoever_comes_and_goes_nobody_is_over(swaps: list[tuple[int, int, int]]) -> None:
    """Cars of one, two and three phases, on chargers in rotation: the world's judge looks on."""
    rotations = [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 1, 2)]
    rows = [Charger(0, phases, fallback_ma=0, power_on_ma=0) for phases in rotations]
    site = Site([Circuit(-1, flat(50_000), flat(0))], [Meter(0, 0, 200 * MS, S, 200 * MS)], rows)
    world = World(site, Door, seed=len(swaps))
    for index in range(len(rows)):
        world.plug(index, Car(32_000, 1, S, 1_000_000))
    world.run(50)
    for charger, terminals, seconds in swaps:
        world.plug(charger, None)
        world.run(1.5)
        world.plug(charger, Car(32_000, terminals, S, 1_000_000))
        world.run(seconds)
        assert max(world.depot.load(0)) <= 50_000
