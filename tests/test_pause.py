"""Chargers that may not be paused, or only at the price of a walk to them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.rows import Advice, ChargerRow, CircuitRow, Pause, Tuning
from cext.tick import Kernel
from controller.proof import Finding, Line, prove
from controller.site import DocumentError, operated
from tests.documents import charger, problems, source
from tests.documents import site as documents_site
from tests.door import Door, charger_row, kernel_of
from tests.examples import depots
from tests.oracle.site import MS, Charger, Circuit, Contactor, Meter, S, Site, Slot, flat
from tests.oracle.story import PEACE, SWITCHED, TROUBLE, tell
from tests.test_rules import Bench

FOR_EVER = 10**17
stories = depots(10)


def depot(*pauses: Pause, cap_ma: int = 100_000, measured: bool = True, **charger: Any) -> Bench:
    """One circuit with a limit slot; chargers one after the other, each as it says."""
    known = {"settle_ns": S, "lag_ns": 0, "fallback_ma": 16_000, **charger}
    rows = [Charger(0, (0, 1, 2), **{**known, "may_pause": int(pause)}) for pause in pauses]
    meters = [Meter(0, 0, 0, S, 100 * MS)] if measured else []
    circuit = Circuit(-1, flat(cap_ma), flat(0))
    one = Bench(Site([circuit], meters, rows, (Slot(0, flat(cap_ma)),)))
    one.door.limit(0, None, FOR_EVER, FOR_EVER)
    return one


def cap(one: Bench, ma: int) -> None:
    one.door.limit(0, flat(ma), FOR_EVER, FOR_EVER)


@pytest.mark.parametrize("measured", [True, False])
def test_never_is_lowered_to_its_minimum_and_no_further(measured: bool) -> None:
    two = depot(Pause.YES, Pause.NEVER, measured=measured)
    two.steps(30, 0, [32_000, 32_000], read=measured)
    cap(two, 0)
    two.step(0, [32_000, 32_000], read=measured)
    assert two.orders() == [0, 6000], "in the tick in which the cap fell"
    two.steps(20, 0, [32_000, 32_000], read=measured)
    assert two.orders() == [0, 6000]


def test_what_is_never_paused_is_taken_off_for_all_others() -> None:
    """20 A: its 6 A are its own, and the others share what is left above their minima."""
    three = depot(Pause.YES, Pause.YES, Pause.NEVER, cap_ma=20_000)
    three.steps(60, 0, [32_000] * 3)
    assert sum(filter(None, three.orders())) <= 20_000
    assert min(map(int, filter(None, three.orders()))) >= 6000
    cap(three, 13_000)
    three.step(0, [32_000] * 3)
    assert three.orders()[2] >= 6000 and three.orders().count(0) == 1  # type: ignore[operator]


def test_never_below_a_row_that_is_too_small_counts_above_it() -> None:
    """Its minimum does not fit its row. It is drawn all the same, so the others leave it room."""
    rows = [
        Charger(1, (0, 1, 2), fallback_ma=6000, may_pause=int(Pause.NEVER)),
        Charger(0, (0, 1, 2), fallback_ma=6000),
    ]
    site = Site(
        [Circuit(-1, flat(20_000), flat(0)), Circuit(0, flat(4000), flat(0))],
        [Meter(0, 0, 0, S, 100 * MS)],
        rows,
    )
    one = Bench(site)
    one.steps(40, 0, [6000, 32_000])
    assert one.orders() == [6000, 14_000]


def test_fail_safe_setpoints_leave_what_is_never_paused_its_minimum() -> None:
    """10 A for all: whoever may never be paused has 6 of them first, and the other cannot begin."""
    two = depot(Pause.YES, Pause.NEVER, cap_ma=10_000, fallback_ma=10_000)
    assert [two.door.failsafe_ma(i) for i in range(2)] == [0, 10_000]
    two = depot(Pause.YES, Pause.NEVER, cap_ma=13_000, fallback_ma=10_000)
    assert [two.door.failsafe_ma(i) for i in range(2)] == [6500, 6500]


def test_fail_safe_setpoints_leave_room_above_a_row_that_is_too_small() -> None:
    rows = [
        Charger(0, (0, 1, 2), fallback_ma=16_000),
        Charger(1, (0, 1, 2), fallback_ma=6000, may_pause=int(Pause.NEVER)),
    ]
    circuits = [Circuit(-1, flat(20_000), flat(0)), Circuit(0, flat(4000), flat(0))]
    door = Door(Site(circuits, [Meter(0, 0, 0, S, 100 * MS)], rows))
    assert [door.failsafe_ma(i) for i in range(2)] == [14_000, 6000]


def test_latched_all_that_is_ordered_fits_with_what_is_never_paused() -> None:
    two = depot(Pause.YES, Pause.NEVER, cap_ma=10_000, measured=False, fallback_ma=10_000)
    two.door.kernel.latch(True)
    two.steps(5, 0, [32_000] * 2, read=False)
    assert sum(map(int, filter(None, two.orders()))) <= 10_000


def test_never_goes_on_without_a_vehicle() -> None:
    """Its minimum is in force for whoever comes."""
    one = depot(Pause.NEVER)
    one.steps(20, 0, [16_000])
    for _ in range(30):
        one.now_ns += 100 * MS
        out = one.door.output(0)
        one.door.reading(0, one.now_ns, flat(0))
        one.door.report(0, one.now_ns, out.setpoint_ma, flat(0), "A", out.changed_tick)
        one.door.tick(one.now_ns)
    assert one.orders() == [6000]


def test_never_under_a_net_excess_gives_all_but_its_minimum() -> None:
    two = depot(Pause.NEVER, Pause.YES, cap_ma=40_000)
    two.steps(40, 0, [20_000, 20_000])
    two.step(34_000, [20_000, 20_000])
    assert two.orders() == [6000, 0]


def test_a_stubborn_one_is_not_told_to_stop_and_still_cut_off() -> None:
    """Of the four steps the pause is left out."""
    row = Charger(0, (0, 1, 2), fallback_ma=6000, lag_ns=0, settle_ns=S, may_pause=2)
    site = Site(
        [Circuit(-1, flat(32_000), flat(0))],
        [Meter(0, 0, 0, S, 100 * MS)],
        [row],
        (Slot(0, flat(32_000)),),
        contactors=(Contactor((0,)),),
    )
    door, now, drawn, told = Door(site), 1000 * S, 20_000, set()
    opened = False
    for tick in range(900):
        now += 100 * MS
        out = door.output(0)
        closed = door.contactor(0).closed
        door.limit(0, None if tick < 500 else flat(10_000), now + FOR_EVER, now + FOR_EVER)
        door.reading(0, now, flat(drawn if closed else 0))
        door.contact(0, now, closed)
        if closed:
            door.report(0, now, out.setpoint_ma or 6000, flat(drawn), "C", out.changed_tick)
        door.tick(now)
        told.add(door.output(0).setpoint_ma)
        opened = opened or (tick > 500 and not door.contactor(0).closed)
    assert 0 not in {ma for ma in told if ma is not None}
    assert opened


@pytest.mark.parametrize("seconds", [60, 4000])
def test_replug_keeps_what_it_has_through_every_turn(seconds: int) -> None:
    """Two minima fit, of four. Turns go round among those that may be paused."""
    four = depot(Pause.YES, Pause.REPLUG, Pause.YES, Pause.YES, cap_ma=100_000)
    four.steps(40, 0, [32_000] * 4)
    cap(four, 13_000)
    ran = set()
    for _ in range(seconds // 60):
        four.steps(60, 0, [32_000] * 4)
        assert (four.orders()[1] or 0) >= 6000
        ran |= {i for i, order in enumerate(four.orders()) if order}
    assert seconds < 900 or ran == {0, 1, 2, 3}, "the others take turns"


def test_replug_is_paused_last() -> None:
    three = depot(Pause.REPLUG, Pause.YES, Pause.YES)
    three.steps(40, 0, [16_000] * 3)
    for ma, runs in ((20_000, 3), (13_000, 2), (7000, 1)):
        cap(three, ma)
        three.step(0, [16_000] * 3)
        assert sum(1 for order in three.orders() if order) == runs
        assert three.orders()[0]
    cap(three, 5000)
    three.step(0, [16_000] * 3)
    assert three.orders() == [0, 0, 0], "a cap is a cap"


def test_replug_that_was_paused_waits_like_anybody_else() -> None:
    """Another one runs: it is not stopped for one whose car does not start by itself."""
    two = depot(Pause.REPLUG, Pause.YES, cap_ma=100_000)
    two.steps(40, 0, [0, 16_000])
    two.steps(100, 0, [0, 16_000])  # the first draws nothing: it is idle
    cap(two, 7000)
    two.steps(5, 0, [0, 16_000])
    assert two.orders() == [0, 7000]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"min_ma": 6000, "ceiling_ma": 5000}, "no setpoint lies"),
        ({"min_ma": 6500, "max_ma": 6900, "step_ma": 1000}, "no setpoint lies"),
        ({"min_ma": 0}, "no setpoint lies"),
    ],
)
def test_a_never_without_a_setpoint_is_refused(row: dict[str, int], why: str) -> None:
    known = charger_row(Charger(0, (0, 1, 2), may_pause=2))._asdict() | row
    with pytest.raises(ValueError, match=why):
        Kernel(
            [CircuitRow(-1, flat(1), flat(0))],
            [],
            [ChargerRow(**known)],
            [],
            Tuning(S, S, 1000, S, 10 * S),
        )


def test_advice_pauses_nobody_for_whom_that_is_more_than_a_wait() -> None:
    """A cap of advice below the minimum is a wish: whoever would have to be plugged in anew keeps
    his minimum, and so does who may never be paused."""
    three = depot(Pause.YES, Pause.REPLUG, Pause.NEVER)
    three.steps(30, 0, [16_000] * 3)
    for i in range(3):
        three.door.kernel.advise(i, Advice(cap_ma=0, until_ns=FOR_EVER))
    three.steps(40, 0, [16_000] * 3)
    assert three.orders() == [0, 6000, 6000]


def test_an_unknown_word_is_refused() -> None:
    row = Charger(0, (0, 1, 2), may_pause=3)
    with pytest.raises(ValueError, match="may_pause"):
        kernel_of(Site([Circuit(-1, flat(1), flat(0))], [], [row]))


# -- document and proof -------------------------------------------------------------------------


def proved(**keys: Any) -> dict[tuple[Line, str], Finding]:
    depot = documents_site(charger=[charger(count=4, **keys)])
    return {(each.line, each.circuit): each for each in prove(depot).findings if each.phase == 0}


@pytest.mark.parametrize(
    ("keys", "row_ma"),
    [
        ({"fallback_a": 0}, 0),
        ({"fallback_a": 0, "may_pause": "replug"}, 0),
        ({"fallback_a": 0, "may_pause": "never"}, 24_000),
        ({"fallback_a": 0, "may_pause": "never", "min_a": 7.05, "step_a": 0.1}, 28_400),
        ({"fallback_a": 8, "may_pause": "never"}, 32_000),
    ],
)
def test_the_proof_counts_a_minimum_that_is_always_drawn(keys: Any, row_ma: int) -> None:
    found = proved(**keys)
    for line in (Line.UNATTENDED, Line.POWER_CUT):
        assert found[line, "row"].sum_ma == row_ma
    assert found[Line.FAILSAFE_CAP, "grid"].sum_ma == row_ma + 20_000


def test_a_minimum_that_does_not_fit_a_fail_safe_cap_is_refused_with_a_remedy() -> None:
    depot = documents_site(
        charger=[charger(count=4, fallback_a=0, may_pause="never")],
        limit_source=[source(failsafe_a=30)],
    )
    (failed, *_) = prove(depot).failed
    assert isinstance(failed, Finding) and failed.line is Line.FAILSAFE_CAP
    assert 'may_pause = "replug"' in "".join(each.action for each in failed.remedies)
    assert any("never paused" in term.what for term in failed.terms)


def test_what_no_document_may_say_of_it() -> None:
    never = {"may_pause": "never"}
    assert problems(charger=[charger(may_pause="sometimes")])
    assert problems(charger=[charger(**never, min_a=6.5, max_a=6.9, step_a=1)]).keys() == {
        "charger[0].may_pause (bay)"
    }
    depot = documents_site(charger=[charger(**never)])
    with pytest.raises(DocumentError, match="never be paused"):
        operated(depot, {"charger": [{"id": "bay", "max_a": 5}]})


@stories
@given(seed=st.integers(0, 2**32), chargers=st.integers(1, 8), circuits=st.integers(1, 5))
def test_any_depot_with_chargers_that_may_not_be_paused(
    seed: int, chargers: int, circuits: int
) -> None:
    tell(Door, seed, TROUBLE, chargers, circuits, pauses=True)


@stories
@given(seed=st.integers(0, 2**32), chargers=st.integers(1, 8), circuits=st.integers(1, 5))
def test_any_switched_depot_with_such_chargers(seed: int, chargers: int, circuits: int) -> None:
    tell(Door, seed, (*PEACE, *SWITCHED), chargers, circuits, contactors=True, pauses=True)
