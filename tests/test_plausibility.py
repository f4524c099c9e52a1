"""Which readings are believed: nothing is held against a healthy depot, and each fault is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from cext.plant import Car
from cext.rows import Phases
from controller.history import BUCKETS, SPAN_NS, History, Hull, apart_ma, magnitudes
from controller.plausibility import Plausibility, Suspicion
from controller.tables import Tables
from controller.watch import Watch
from tests.depots import Depot, Picked, document, meter
from tests.documents import charger, clamp, site

S = 1_000_000_000
MS = 1_000_000


# --- what is remembered ------------------------------------------------------------------------


def test_a_value_holds_until_the_next() -> None:
    history = History()
    history.add(1 * S, (1, 1, 1))
    history.add(5 * S, (9, 9, 9))
    assert history.held(0, 6 * S) is None, "nobody knows what held before the first"
    assert history.held(2 * S, 3 * S) == Hull((1, 1, 1), (1, 1, 1))
    assert history.held(2 * S, 6 * S) == Hull((1, 1, 1), (9, 9, 9))
    assert history.within(2 * S, 6 * S) == Hull((9, 9, 9), (9, 9, 9))
    assert history.within(2 * S, 3 * S) is None


@given(st.lists(st.tuples(st.integers(1, 2 * S), st.integers(-9, 9)), min_size=1, max_size=60))
def test_a_hull_holds_all_that_was_seen(told: list[tuple[int, int]]) -> None:
    history, at_ns, seen = History(), 0, []
    for step_ns, value in told:
        at_ns += step_ns
        history.add(at_ns, (value, -value, 0))
        seen.append((at_ns, value))
    for since_ns, until_ns in ((at_ns - 3 * S, at_ns), (at_ns - S, at_ns - S // 2)):
        hull = history.held(since_ns, until_ns)
        inside = [value for at, value in seen if since_ns <= at <= until_ns]
        before = [value for at, value in seen if at <= since_ns][-1:]
        assert (hull is None) == (not before)
        if hull is not None:
            assert hull.lo[0] <= min(inside + before) <= max(inside + before) <= hull.hi[0]
            assert (hull.lo[1], hull.hi[1]) == (-hull.hi[0], -hull.lo[0])


def test_memory_is_bounded() -> None:
    history = History()
    for i in range(3 * BUCKETS):
        history.add(i * SPAN_NS, (i, i, i))
    assert history.held(0, S) is None
    hull = history.held(3 * BUCKETS * SPAN_NS - S, 3 * BUCKETS * SPAN_NS)
    assert hull is not None
    assert hull.hi[0] == 3 * BUCKETS - 1


def test_magnitudes_and_distances_of_hulls() -> None:
    assert magnitudes(Hull((-5, -5, 2), (3, -2, 4))) == Hull((0, 2, 2), (5, 5, 4))
    one, other = Hull((0, 0, 0), (10, 10, 10)), Hull((12, -9, -5), (20, -3, 5))
    assert apart_ma(one, other) == (2, -3, 0)


# --- one reading after the other ---------------------------------------------------------------


class Judge:
    """A plausibility by itself; `told` is what it says."""

    def __init__(self, **sections: Any) -> None:
        tables = Tables.of(site(**sections))
        self.told: list[tuple[int, Suspicion | None]] = []
        self.it = Plausibility(
            tables.circuits,
            tables.sources,
            tables.chargers,
            lambda source, suspicion: self.told.append((source, suspicion)),
            tables.source_spread_ppm,
        )

    @property
    def kinds(self) -> list[tuple[int, str | None]]:
        return [(source, found and found.kind) for source, found in self.told]


def test_what_no_circuit_can_carry_is_no_reading_and_three_are_a_suspicion() -> None:
    judge = Judge()
    for i in range(3):
        why = judge.it.reading(0, (i + 1) * S, (0, 1_200_000, 0))
        assert why is not None
        assert "1200 A on L2 is beyond what can flow there, 1000 A" in why
        assert judge.it.reading(0, (i + 1) * S + S // 2, (0, 20_000, 0)) is None
    assert judge.kinds == [(0, "jumps")]
    for i in range(4, 90):
        judge.it.reading(0, i * S, (0, 20_000 + i, 0))
    assert judge.kinds == [(0, "jumps"), (0, None)]


def test_there_and_back_at_once_is_a_jump_an_overload_that_stays_is_none() -> None:
    judge, at_ns = Judge(), 0
    for i in range(60):
        at_ns += S // 5
        spike = 260_000 if i in (10, 20, 30) else 0
        judge.it.reading(0, at_ns, (20_000 + i, 20_000 + spike, 20_000))
    assert judge.kinds == [(0, "jumps")]
    judge, at_ns = Judge(), 0
    for i in range(60):
        at_ns += S // 5
        judge.it.reading(0, at_ns, (20_000 + i, 20_000 + (260_000 if i > 30 else 0), 20_000))
    assert judge.kinds == []


OTHER = {"id": "other", "port": "/dev/ttyUSB7"}
BESIDE: dict[str, Any] = {"clamp": [clamp(period_s=1, error_a=0.5)]}


def beside(judge: Judge, seconds: int, shown: Callable[[int], Phases], begin: int = 0) -> None:
    """A meter that shows a little noise around 30 A, and a clamp beside it."""
    for i in range(begin * 10, (begin + seconds) * 10):
        at_ns = (i + 1) * S // 10
        judge.it.reading(0, at_ns, (30_000 + i % 7, 30_000 + i % 5, 30_000 - i % 3))
        if i % 10 == 5:
            judge.it.reading(1, at_ns + 1, shown(i))


def test_a_clamp_apart_from_its_meter_is_disputed_after_three_frames_and_believed_again() -> None:
    judge = Judge(**BESIDE)
    beside(judge, 20, lambda i: (30_100, 29_800, 30_000))
    assert judge.told == []
    beside(judge, 6, lambda i: (45_000, 45_000, 45_000), begin=20)
    assert judge.kinds == [(1, "disputed")]
    found = judge.told[0][1]
    assert found is not None
    assert "L1 is 14.9" in found.evidence
    assert found.since_ns < 26 * S
    beside(judge, 30, lambda i: (30_100, 29_800, 30_000 + i), begin=26)
    assert judge.kinds == [(1, "disputed"), (1, None)]


def test_one_frame_or_two_are_no_dispute() -> None:
    judge = Judge(**BESIDE)
    beside(judge, 40, lambda i: (45_000, 45_000, 45_000) if i // 10 % 4 < 2 else (30_000,) * 3)
    assert judge.told == []


def test_export_is_no_dispute() -> None:
    judge = Judge(**BESIDE)
    for i in range(300):
        at_ns = (i + 1) * S // 10
        judge.it.reading(0, at_ns, (-30_000 + i % 7, 30_000 + i % 5, -20_000))
        judge.it.reading(1, at_ns + 1, (30_000, 30_000, 20_000 + i % 3))
    assert judge.told == []


def test_what_is_held_against_a_source_outlives_a_change_of_the_document() -> None:
    old, new = Judge(**BESIDE), Judge(clamp=[clamp(period_s=1, error_a=0.5), clamp(**OTHER)])
    beside(old, 26, lambda i: (45_000, 45_000, 45_000))
    assert old.kinds == [(1, "disputed")]
    new.it.adopt(old.it, {0: 0, 1: 1})
    assert new.it.suspicion(1) == old.it.suspicion(1)
    assert new.told == [], "whoever adopts knows it"
    beside(new, 30, lambda i: (30_100, 29_800, 30_000 + i), begin=26)
    assert new.kinds == [(1, None)]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.integers(0, 20 * S),
            st.none() | st.tuples(*[st.integers(-(2**31), 2**31)] * 3),
        ),
        max_size=120,
    )
)
def test_whatever_comes_nothing_is_raised(story: list[tuple[int, int, Phases | None]]) -> None:
    judge, at_ns = Judge(**BESIDE), 0
    for who, later_ns, value in story:
        at_ns += later_ns
        if who >= 4 and value is not None:
            judge.it.reading(who - 4, at_ns, value)
        elif who < 4:
            judge.it.report(who, at_ns, value)


def test_log_and_event_tell_the_evidence() -> None:
    told: list[Any] = []
    events = SimpleNamespace(happened=lambda *what: told.append(what))
    watch = cast(Watch, SimpleNamespace(_events=events))
    with capture_logs() as logs:
        Watch.doubted(watch, "main", Suspicion("frozen", "no digit changed", 7))
        Watch.doubted(watch, "main", None)
    assert [each["log_level"] for each in logs] == ["warning", "info"]
    assert (logs[0]["source"], logs[0]["suspicion"]) == ("main", "frozen")
    assert logs[0]["evidence"] == "no digit changed"
    assert told[0] == ("source_suspected", "main", "frozen: no digit changed", 7)
    assert told[1][0] == "source_trusted"


# --- depots that live --------------------------------------------------------------------------


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from([0, 300, 2_000]))
def test_nothing_is_held_against_a_healthy_depot(seed: int, noise_ma: int) -> None:
    depot = Depot(seed, document(seed), noise_ma)
    depot.live(600)
    assert depot.doubts == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1012))
def test_nothing_is_held_against_a_healthy_depot_for_long(seed: int) -> None:
    depot = Depot(seed, document(seed), noise_ma=(0, 300, 2_000)[seed % 3])
    depot.live(3600)
    assert depot.doubts == []


def calm(**changes: Any) -> dict[str, Any]:
    """A depot of known parts: a fast meter and clamp, metered chargers, rows without base load."""
    made = document(0)
    made["circuit"][0]["rating_a"] = 125
    made["circuit"][2]["worst_base_a"] = 0
    made["meter"] = [meter("main", "grid", _Least()), meter("row-a-meter", "row-a", _Least())]
    made["clamp"] = [
        {
            "id": "clamp",
            "circuit": "grid",
            "format": "rpict7v1",
            "port": "/dev/ttyAMA0",
            "period_s": 1,
            "lag_s": 1,
            "error_a": 0.5,
        }
    ]
    for row in made["charger"]:
        row |= {"profile": "alfen_eve", "phases": "L1 L2 L3", "max_a": 32, "poll_s": 0.5}
    return made | changes


class _Least:
    """Always draws the first."""

    def choice(self, of: Sequence[Picked], /) -> Picked:
        return of[0]


def frozen() -> Callable[[Phases], Phases]:
    kept: list[Phases] = []

    def show(there: Phases) -> Phases:
        kept.append(there)
        return kept[0]

    return show


def scaled(percent: int) -> Callable[[Phases], Phases]:
    return lambda there: (
        there[0] * percent // 100,
        there[1] * percent // 100,
        there[2] * percent // 100,
    )


def dead(phase: int) -> Callable[[Phases], Phases]:
    """One phase shows what it showed first."""
    kept: list[int] = []

    def show(there: Phases) -> Phases:
        kept.append(there[phase])
        one, two, three = (kept[0] if p == phase else there[p] for p in range(3))
        return one, two, three

    return show


class Bay:
    """One-phase cars that come and go at two bays, the rest of the depot at rest."""

    def __init__(self, **changes: Any) -> None:
        made = calm(**changes)
        self.depot = Depot(3, made, noise_ma=200, base_ma=12_000, comings=False)

    def cars(self, seconds: int) -> None:
        """Each 20 s one comes or goes."""
        one = Car(20_000, 1, S, 60_000, 0)
        for turn in range(seconds // 20):
            if turn % 2:
                self.depot.plant.unplug(turn // 2 % 3)
            else:
                self.depot.plant.plug(turn // 2 % 3, one)
            self.depot.live(20)


@pytest.mark.parametrize(
    ("source", "fault", "kind", "within_s"),
    [
        ("main", frozen, "frozen", 20),
        ("row-a-meter", frozen, "strays", 20),
        ("clamp", frozen, "frozen", 20),
        ("clamp", lambda: scaled(150), "disputed", 20),
        ("clamp", lambda: scaled(0), "frozen", 20),
        ("row-a-meter", lambda: scaled(60), "strays", 20),
        ("row-a-meter", lambda: scaled(-100), "strays", 20),
        ("main", lambda: lambda at: (-at[0], at[1], at[2]), "reversed", 120),
        ("main", lambda: lambda at: (at[1], at[0], at[2]), "swapped", 120),
        ("main", lambda: lambda at: (at[2], at[0], at[1]), "swapped", 120),
        ("main", lambda: scaled(50), "disputed", 60),
        ("main", lambda: dead(0), "frozen", 20),
        ("row-a-meter", lambda: dead(0), "strays", 20),
        ("clamp", lambda: dead(0), "disputed", 20),
    ],
)
def test_each_fault_is_found_in_its_time_and_forgiven_when_mended(
    source: str, fault: Callable[[], Callable[[Phases], Phases]], kind: str, within_s: int
) -> None:
    bay = Bay()
    depot = bay.depot
    bay.cars(40)
    assert depot.doubts == []
    depot.shows[source] = fault()
    bay.cars(within_s)
    assert depot.suspected.get(source) == kind
    del depot.shows[source]
    bay.cars(200)
    assert depot.suspected == {}


def test_a_dead_phase_is_named_and_alive_again_with_its_first_digit() -> None:
    bay = Bay()
    bay.cars(40)
    bay.depot.shows["main"] = dead(0)
    bay.cars(20)
    evidence = str(bay.depot.enforcer.image.suspicion("main"))
    assert "no digit of L1 changed for" in evidence
    assert "there" in evidence
    bay.cars(40)
    assert bay.depot.suspected == {"main": "frozen"}, "it does not end while the others move"


def test_a_phase_that_nothing_below_uses_may_stand_still_for_ever() -> None:
    """One-phase cars draw on L1 only: L2 and L3 without a digit that moves prove nothing."""
    bay = Bay()
    bay.depot.shows["main"] = lambda there: (there[0], 7_000, 7_000)
    bay.cars(120)
    assert "frozen" not in bay.depot.suspected.values()


@pytest.mark.parametrize("begun", [True, False])
def test_a_dispute_is_the_meters_where_it_shows_less_than_its_chargers_draw(begun: bool) -> None:
    """Nothing steps any more: the level alone tells, and it stands when the chargers stop."""
    judge = Judge(**BESIDE, charger=[charger(id="bay", circuit="grid")])
    for i in range(600):
        at_ns = (i + 1) * S // 10
        if i % 5 == 0:
            drawn_ma = 25_000 if i < 400 else 0
            judge.it.report(0, at_ns, (drawn_ma,) * 3)
        base_ma = 5_000 + i % 7 * 10
        there_ma = base_ma + (25_000 if i < 400 else 0)
        seen_ma = there_ma // 2 if begun or i >= 100 else there_ma
        judge.it.reading(0, at_ns, (seen_ma,) * 3)
        if i % 10 == 9:
            judge.it.reading(1, at_ns, (there_ma,) * 3)
    (last,) = [found for source, found in judge.told[-1:] if source == 0]
    assert last is not None
    assert "shows less than what is below it draws" in last.evidence
    assert not any(source == 1 and found is None for source, found in judge.told[-1:])
    assert judge.it.suspicion(1) is None


def test_a_load_that_nobody_declared_is_no_reason_to_doubt_the_meter_that_shows_it() -> None:
    """Without its meter the row would count nothing but its chargers, and they would rise."""
    bay = Bay()
    bay.cars(40)
    bay.depot.shows["row-a-meter"] = lambda there: (there[0] + 30_000, there[1], there[2])
    bay.cars(60)
    assert "row-a-meter" not in bay.depot.suspected


def test_of_two_phases_exchanged_at_the_meter_the_evidence_names_them() -> None:
    bay = Bay(clamp=[])
    bay.depot.shows["main"] = lambda at: (at[1], at[0], at[2])
    bay.cars(200)
    (found,) = {each.evidence for _, source, each in bay.depot.doubts if each is not None}
    assert "are L1 L2 exchanged" in found


def test_a_suspected_source_counts_as_silent_and_the_clamp_carries_on() -> None:
    bay = Bay()
    bay.cars(40)
    kernel = bay.depot.enforcer.kernel
    bay.depot.shows["main"] = frozen()
    bay.cars(20)
    assert bay.depot.suspected == {"main": "frozen"}
    state = kernel.circuit(0)
    assert state.reading_ma is not None, "by the clamp"
    bay.depot.silent.add("clamp")
    bay.cars(20)
    assert kernel.circuit(0).reading_ma is None
    assert kernel.circuit(0).base_hi_ma == (60_000,) * 3


@pytest.mark.parametrize(("silent", "kinds"), [(False, [(0, "frozen")]), (True, [])])
def test_a_charger_that_changed_while_it_was_silent_freezes_no_meter(
    silent: bool, kinds: list[tuple[int, str]]
) -> None:
    """Its new current comes long after it began to flow."""
    judge = Judge()
    for i in range(1, 400):
        at_ns = i * S // 10
        judge.it.reading(0, at_ns, (30_000, 30_000, 30_000))
        if i % 10 == 3 and not (silent and 100 < i < 200):
            drawn = 16_000 if i < 150 else 6_000
            judge.it.report(0, at_ns, (drawn, drawn, drawn))
    assert judge.kinds == kinds
