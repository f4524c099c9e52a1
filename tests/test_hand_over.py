"""Meter and clamp on one circuit: who counts, and that no hand-over lifts anything."""

import pytest

from tests.door import Door
from tests.oracle.site import MS, Charger, Circuit, Meter, Pace, S, Site, flat

METER, CLAMP = 0, 1
CAP_MA = 100_000


class Scene:
    """One charger that obeys at once below a meter and a clamp, and time by hand."""

    def __init__(
        self, clamp_lag_ns: int = 0, meter_lag_ns: int = 0, worst_ma: int = 60_000
    ) -> None:
        charger = Charger(0, (0, 1, 2), max_ma=80_000, settle_ns=S, lag_ns=0, fallback_ma=16_000)
        circuit = Circuit(-1, flat(CAP_MA), flat(worst_ma))
        meters = [
            Meter(0, 0, meter_lag_ns, S, 100 * MS),
            Meter(0, 0, clamp_lag_ns, S, 100 * MS, unsigned=True),
        ]
        self.door = Door(Site([circuit], meters, [charger], pace=Pace(dwell_ns=0)))
        self.now_ns = 1000 * S

    def order(self) -> int:
        return self.door.output(0).setpoint_ma or 0

    def step(self, meter: int | None, clamp: int | None, drawn: int = 80_000) -> int:
        """100 ms later. `meter` and `clamp` are base loads, seen with the charger's draw."""
        self.now_ns += 100 * MS
        out = self.door.output(0)
        told = 16_000 if out.setpoint_ma is None else out.setpoint_ma
        drawn = min(drawn, told)
        if meter is not None:
            self.door.reading(METER, self.now_ns, flat(meter + drawn))
        if clamp is not None:
            self.door.reading(CLAMP, self.now_ns, flat(clamp + drawn))
        self.door.report(0, self.now_ns, told, flat(drawn), "C", out.changed_tick)
        self.door.tick(self.now_ns)
        return self.order()

    def steps(self, seconds: float, meter: int | None, clamp: int | None) -> int:
        for _ in range(int(seconds * 10)):
            self.step(meter, clamp)
        return self.order()

    def counts(self) -> tuple[bool, bool]:
        source = self.door.kernel.source
        return source(METER).counts, source(CLAMP).counts

    def base_hi(self) -> int:
        state = self.door.circuit(0)
        return int(state.base_hi_ma[0])


def test_the_clamp_counts_only_where_the_meter_does_not() -> None:
    one = Scene()
    one.steps(40, 20_000, 50_000)
    assert (one.counts(), one.base_hi()) == ((True, False), 20_000)
    one.steps(1.1, None, 50_000)
    assert (one.counts(), one.base_hi()) == ((False, True), 50_000)
    one.step(20_000, 50_000)
    assert one.counts() == (True, False)


def test_the_clamp_alone_carries_on_and_keeps_the_cap() -> None:
    one = Scene()
    assert one.steps(40, 20_000, 20_000) == 80_000
    assert one.steps(5, None, 20_000) == 80_000, "its window was there at once"
    assert one.step(None, 50_000) == 50_000


def test_both_gone_is_the_declared_worst_case() -> None:
    one = Scene()
    one.steps(40, 20_000, 20_000)
    assert one.steps(1.1, None, None) == 40_000
    assert one.door.circuit(0).reading_ma is None


def test_a_start_with_the_clamp_alone() -> None:
    assert Scene().steps(60, None, 20_000) == 80_000


def test_export_seen_by_the_clamp_counts_as_import() -> None:
    """30 A flow out. The meter knows; the clamp sees 30 A, and nothing is lower for it."""
    one = Scene(worst_ma=0)
    one.steps(60, -30_000, 10_000)
    one.door.reading(METER, one.now_ns, flat(-30_000))
    for _ in range(15):
        one.now_ns += 100 * MS
        one.door.reading(CLAMP, one.now_ns, flat(-30_000))
        one.door.tick(one.now_ns)
    assert one.door.circuit(0).reading_ma == flat(30_000)


@pytest.mark.parametrize("how", ["unsigned", "distrusted"])
def test_no_doubtful_reading_disproves_the_declared_base(how: str) -> None:
    one = Scene(worst_ma=10_000)
    one.steps(40, 5000, 5000)
    if how == "distrusted":
        one.step(40_000, None)
        one.step(40_000, None)  # two of three
        one.door.distrust(METER, True)
        one.steps(2, 40_000, None)
        one.door.distrust(METER, False)
        one.step(40_000, None)
        one.step(40_000, None)
    else:
        one.steps(20, None, 40_000)
        assert one.counts() == (False, True)
    assert one.door.circuit(0).worst_base_ma == flat(10_000)
    one.steps(3, 40_000, None)
    assert one.door.circuit(0).worst_base_ma > flat(10_000), "three that nobody doubts do"


def test_a_distrusted_meter_is_stale_at_once_and_begins_anew() -> None:
    one = Scene()
    one.steps(40, 20_000, 20_000)
    one.door.distrust(METER, True)
    one.step(99_000, 20_000)
    assert one.counts() == (False, True)
    assert one.door.kernel.source(METER).distrusted
    assert one.base_hi() == 20_000, "what nobody trusts costs no more than no reading"
    one.door.distrust(METER, False)
    one.step(None, 20_000)
    assert one.counts() == (False, True), "what it said while distrusted is no reading"
    one.step(20_000, 20_000)
    assert one.counts() == (True, False)
    assert one.base_hi() == 20_000


@pytest.mark.parametrize(("lost", "left"), [(METER, CLAMP), (CLAMP, METER)])
def test_what_one_knew_is_not_forgotten_for_one_that_lags(lost: int, left: int) -> None:
    """The base load rose; the quicker of the two saw it and is lost; the other shows the past."""
    lags = {"clamp_lag_ns": 3 * S} if left == CLAMP else {"meter_lag_ns": 3 * S}
    one = Scene(**lags)

    def seen(quick: int | None, slow: int | None) -> int:
        return one.step(quick, slow) if lost == METER else one.step(slow, quick)

    for _ in range(400):
        seen(20_000, None if lost == CLAMP else 20_000)
    for _ in range(3):
        seen(50_000, None if lost == CLAMP else 20_000)
    held = one.order()
    for _ in range(29):  # a lag later at the soonest
        assert seen(None, 20_000) <= held
    for _ in range(300):
        seen(None, 20_000)
    assert one.order() > held


def test_two_clamps_count_by_the_worse() -> None:
    circuit = Circuit(-1, flat(CAP_MA), flat(60_000))
    clamps = [Meter(0, 0, 0, S, 100 * MS, unsigned=True)] * 2
    door = Door(Site([circuit], clamps, []))
    door.reading(0, S, flat(10_000))
    door.reading(1, S, flat(30_000))
    door.tick(S)
    assert door.circuit(0).reading_ma == flat(30_000)


def test_a_reading_that_comes_late_says_nothing_any_more() -> None:
    """On its way it was overtaken: what was read since then is what flows."""
    door = Door(Site([Circuit(-1, flat(CAP_MA), flat(60_000))], [Meter(0, 0, 0, S, 100 * MS)], []))
    door.reading(0, 5 * S, flat(30_000))
    door.reading(0, 5 * S - 1, flat(10_000))
    door.tick(5 * S)
    assert door.circuit(0).reading_ma == flat(30_000)


@pytest.mark.parametrize(("unsigned", "left_ma"), [(False, 30_000), (True, 10_000)])
def test_what_flows_below_counts_above_where_it_surely_is_import(
    unsigned: bool, left_ma: int
) -> None:
    """Nothing measures the root. A meter below shows import; a clamp may be showing export."""
    circuits = [Circuit(-1, flat(CAP_MA), flat(10_000)), Circuit(0, flat(CAP_MA), flat(0))]
    door = Door(Site(circuits, [Meter(1, 0, 0, S, 100 * MS, unsigned)], []))
    for step in range(1, 40):
        door.reading(0, step * 100 * MS, flat(30_000))
        door.tick(step * 100 * MS)
    assert door.circuit(0).base_hi_ma == flat(left_ma)
