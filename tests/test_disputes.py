"""What follows when the guard disputes: told, frozen, and latched at last."""

from pathlib import Path

import pytest

from controller.clock import MonotonicClock
from controller.events import Events
from controller.guard.disputes import (
    CAUSE,
    EPISODES,
    IN_A_ROW,
    STANDS_NS,
    WITHIN_NS,
    Disputes,
)
from controller.guard.guard import Dispute, Verdict
from controller.latch import Latch
from controller.tables import Tables
from tests.guardbench import S
from tests.linked import Wall, site

WRONG = (Dispute("no_slack", 0, 1, 2, "it does not fit"),)


def wrong(ordered_ma: int) -> tuple[Dispute, ...]:
    return tuple(each._replace(ordered_ma=ordered_ma) for each in WRONG)


@pytest.fixture
def latch(tmp_path: Path) -> Latch:
    return Latch(tmp_path / "latch.json", Events(MonotonicClock()), Wall())


class Follows:
    def __init__(self, latch: Latch) -> None:
        self.latch = latch
        self.events = Events(MonotonicClock())
        self.frozen: list[str] = []
        self.disputes = Disputes(latch, self.events, self.frozen.append)
        self.disputes.name(Tables.of(site()))
        self.at_ns = 0
        self.tick = 0

    def judged(
        self, disputes: tuple[Dispute, ...], after_ns: int = S, learns: bool = False
    ) -> None:
        self.at_ns += after_ns
        self.tick += 1
        self.disputes.judged(Verdict(self.tick, self.at_ns, disputes, (), (), learns))

    def told(self) -> list[tuple[str, str, str]]:
        return [(each.what, each.subject, each.why) for each in self.events.kept]


def test_a_dispute_is_told_with_place_and_values_and_freezes_what_led_to_it(latch: Latch) -> None:
    it = Follows(latch)
    it.judged(())
    it.judged(WRONG)
    why = "tick 2: no_slack (bay row L3): it does not fit"
    assert it.told() == [("guard_disputes", "bay", why)]
    assert it.frozen == [why]
    it.judged(WRONG)
    assert len(it.told()) == len(it.frozen) == 1
    assert not latch.closed


def test_one_decision_that_is_judged_again_and_again_is_one(latch: Latch) -> None:
    """The kernel does not hear of the veto: its order stays, and is judged with each tick."""
    it = Follows(latch)
    for _ in range(40):
        it.judged(WRONG, after_ns=S // 10)
    assert not latch.closed
    assert len(it.told()) == 1


def test_a_decision_that_stays_wrong_latches_in_the_end(latch: Latch) -> None:
    it = Follows(latch)
    for _ in range(2 * STANDS_NS // S):
        assert not latch.closed
        it.judged(WRONG)
    it.judged(WRONG)
    assert latch.closed


def test_many_new_ones_within_a_second_are_one(latch: Latch) -> None:
    it = Follows(latch)
    for ma in range(15):
        it.judged(wrong(ma), after_ns=S // 10)
    assert not latch.closed
    it.judged(wrong(100), after_ns=S)
    assert latch.closed


def test_three_in_a_row_latch(latch: Latch) -> None:
    it = Follows(latch)
    for ma in range(IN_A_ROW):
        assert not latch.closed
        it.judged(wrong(ma))
    assert latch.report is not None
    assert latch.report.cause == CAUSE
    assert "3 disputed decisions in a row" in latch.report.why


def test_three_episodes_in_ten_minutes_latch_and_in_more_they_do_not(latch: Latch) -> None:
    slow = Follows(latch)
    for _ in range(3 * EPISODES):
        slow.judged(WRONG, after_ns=WITHIN_NS // 2)
        slow.judged(())
    assert not latch.closed
    quick = Follows(latch)
    for _ in range(EPISODES):
        assert not latch.closed
        quick.judged(WRONG, after_ns=WITHIN_NS // 3)
        quick.judged(())
    assert latch.closed


def test_what_it_missed_is_told_once(latch: Latch) -> None:
    it = Follows(latch)
    for learns in (False, True, True, False):
        it.judged((), learns=learns)
    assert [what for what, _, _ in it.told()] == ["guard_blind"]
