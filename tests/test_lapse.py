"""Whether a charger's watchdog may have run out: what each kind of feeding proves."""

from controller.units import NS_PER_S
from drivers.lapse import Lapse

SHORTEST_NS = 5 * NS_PER_S


def s(seconds: float) -> int:
    return int(seconds * NS_PER_S)


def written(*, any_traffic: bool) -> Lapse:
    """One that has reported at 0 s and was written then."""
    lapse = Lapse(any_traffic=any_traffic, timeout_ns=s(0.5))
    lapse.answered(0)
    lapse.report(0, SHORTEST_NS)
    lapse.written()
    assert not lapse.possible
    return lapse


def test_nothing_is_known_before_the_first_write() -> None:
    lapse = Lapse(any_traffic=True, timeout_ns=s(0.5))
    assert lapse.possible
    lapse.answered(0)
    lapse.report(0, SHORTEST_NS)
    assert lapse.possible


def test_answers_of_a_poll_that_failed_have_fed_it() -> None:
    lapse = written(any_traffic=True)
    for at_s in (3, 6):  # the poll of 3 s failed after its first answer: no report
        lapse.answered(s(at_s))
    lapse.report(s(6), SHORTEST_NS)
    assert not lapse.possible


def test_unanswered_for_as_long_as_it_runs_less_a_time_out() -> None:
    for gap_s, possible in ((4.4, False), (4.5, True)):
        lapse = written(any_traffic=True)
        lapse.answered(s(gap_s))
        lapse.report(s(gap_s), SHORTEST_NS)
        assert lapse.possible is possible


def test_a_gap_before_the_last_write_is_over() -> None:
    lapse = written(any_traffic=True)
    lapse.answered(s(9))
    lapse.written()
    lapse.answered(s(10))
    lapse.report(s(10), SHORTEST_NS)
    assert not lapse.possible


def test_a_gap_counts_once_the_charger_says_that_it_waits_less() -> None:
    lapse = written(any_traffic=True)
    for at_s in (1, 4):
        lapse.answered(s(at_s))
    lapse.report(s(4), s(3))
    assert lapse.possible


def test_where_only_writes_feed_the_time_since_the_last_counts() -> None:
    for gap_s, possible in ((4.9, False), (5, True)):
        lapse = Lapse(any_traffic=False, timeout_ns=s(0.5))
        lapse.report(0, SHORTEST_NS)
        lapse.fed(0)
        lapse.written()
        lapse.answered(s(gap_s - 1))  # a poll feeds nothing
        lapse.report(s(gap_s), SHORTEST_NS)
        assert lapse.possible is possible
        assert lapse.may_have_passed(s(gap_s), SHORTEST_NS) is possible


def test_a_feed_that_came_too_late_does_not_hide_that_it_did() -> None:
    lapse = Lapse(any_traffic=False, timeout_ns=s(0.5))
    lapse.report(0, SHORTEST_NS)
    lapse.fed(0)
    lapse.written()
    lapse.fed(s(6))  # no report between
    lapse.report(s(6.1), SHORTEST_NS)
    assert lapse.possible
