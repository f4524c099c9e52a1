"""What the guard goes by: caps, sources, contactors; when it judges, and what it forgets."""

import pytest

from cext.rows import Kind, SlotRow
from controller.guard.account import Maps
from controller.records import Contact, Distrust, Fallback, Latch, Limit, Lost
from tests.guardbench import (
    BEGIN,
    FOR_EVER,
    GRID,
    METER,
    OPEN,
    Bench,
    S,
    at_work,
    rows,
)

# --- caps --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "room_ma"),
    [
        ([], 20_000),  # never heard of: fail-safe
        ([Limit(0, None, FOR_EVER, FOR_EVER)], 32_000),
        ([Limit(0, (90_000,) * 3, FOR_EVER, FOR_EVER)], 32_000),  # never above the rating
        ([Limit(0, (0,) * 3, FOR_EVER, FOR_EVER)], 0),
        ([Limit(0, (30_000,) * 3, FOR_EVER, FOR_EVER)], 14_000),
        ([Limit(0, (30_000,) * 3, BEGIN, FOR_EVER)], 32_000),  # ended as planned
        ([Limit(0, (30_000,) * 3, FOR_EVER, BEGIN)], 14_000),  # lost, and held
        ([Limit(0, (30_000,) * 3, BEGIN - 1, BEGIN)], 20_000),  # had ended before it was lost
        ([Limit(0, (30_000,) * 3, FOR_EVER, BEGIN - 60 * S)], 20_000),  # its hold is over
        ([Limit(0, None, FOR_EVER, BEGIN)], 20_000),  # lost: fail-safe
    ],
)
def test_a_cap_is_what_its_slot_says(limits: list[Limit], room_ma: int) -> None:
    """10 A of base load, 6 A of the other charger."""
    slot = SlotRow(0, Kind.GRID, (36_000,) * 3, 30 * S)

    def scene() -> Bench:
        it = Bench(rows(slots=[slot]))
        it.shows(0, 22_000 if room_ma else 0)
        for charger in range(2):
            it.reports_of(charger, 6000, 6000 if room_ma else 0)
        it.tell(*limits)
        it.step()
        it.passes({0: 6000, 1: 6000} if room_ma else {0: 0, 1: 0})
        it.live(5)
        return it

    if room_ma:
        scene().passes({0: room_ma})
    if room_ma < 32_000:
        assert scene().disputed({0: max(6000, room_ma + 100)})[0] == "no_slack"


# --- sources -----------------------------------------------------------------------------------


def test_a_distrusted_source_is_none() -> None:
    it = at_work()
    it.tell(Distrust(0, True))
    assert it.disputed({0: 16_000})[0] == "no_slack"  # 40 + 16 + 6


def test_a_clamp_counts_as_import_and_only_alone() -> None:
    clamp = METER._replace(unsigned=True)
    it = at_work(sources=[METER, clamp])
    it.shows(1, -60_000)
    it.passes({0: 20_000})
    it.reports_of(0, 20_000, 20_000)
    it.shown.pop(0)
    it.shows(1, -36_000)
    it.live(3)
    it.passes({0: 20_200})
    assert it.disputed({0: 32_000, 1: 10_000})[0] == "no_slack"


def test_export_is_no_headroom_unless_credited() -> None:
    for credited in (False, True):
        it = at_work(circuits=[GRID._replace(credit_export=credited)])
        it.shows(0, -20_000)
        it.live(3)
        if credited:  # -32 + 32 + 20 of 50
            it.passes({0: 32_000, 1: 20_000})
        else:
            assert it.disputed({0: 32_000, 1: 20_000})[0] == "no_slack"


# --- contactors --------------------------------------------------------------------------------


def parted() -> Bench:
    it = Bench(rows(contactors=[OPEN, OPEN._replace(chargers=(1,))]))
    it.shows(0, 10_000)
    for contactor in range(2):
        it.tell(Contact(contactor, BEGIN, False))
    it.live(3)
    return it


def test_a_contactor_closes_where_what_wakes_up_fits() -> None:
    it = parted()
    assert it.passes({}, switches=[(0, True)]).closed == (True, False)
    it.shows(0, 40_000)
    it.live(2)
    rule, verdict = it.disputed({}, switches=[(1, True)])  # 40 + 16 + 16
    assert rule == "no_slack"
    assert verdict.closed == (True, False)


def test_one_at_a_time_and_none_while_latched() -> None:
    assert parted().disputed({}, switches=[(0, True), (1, True)])[0] == "together"
    it = parted()
    it.tell(Latch(True))
    rule, verdict = it.disputed({}, switches=[(0, True)])
    assert rule == "held"
    assert verdict.closed == (False, False)


def test_who_is_behind_an_open_contactor_does_not_rise() -> None:
    it = at_work(contactors=[OPEN._replace(opens_alone=False)])
    it.passes({}, switches=[(0, False)])
    assert it.disputed({0: 6100})[0] == "parted"


# --- when it judges, and what it forgets -------------------------------------------------------


def test_it_judges_what_changed_and_every_quarter_of_the_dead_man_time() -> None:
    it = at_work()
    verdicts = [it.step() is not None for _ in range(20)]
    assert verdicts.count(True) == 4
    assert it.step({0: 6100}) is not None


def test_after_lost_records_nothing_rises_and_nothing_is_disputed() -> None:
    it = at_work(Limit(0, None, FOR_EVER, FOR_EVER), slots=[SlotRow(0, Kind.GRID, (0,) * 3, 0)])
    it.tell(Lost(7))
    verdict = it.passes({0: 32_000, 1: 32_000})
    assert verdict.learns
    assert verdict.bound_ma == (6000, 6000)
    it.passes({0: 20_000, 1: 6000})
    it.reports_of(0, 20_000, 20_000)
    it.shows(0, 36_000)
    it.live(30)  # what the slot was told is not known: its fail-safe cap of 0 is not assumed
    verdict = it.passes({1: 10_000})
    assert not verdict.learns
    assert verdict.bound_ma == (20_000, 10_000)


def test_a_tick_behind_lost_ones_need_not_be_the_one_after_a_pause() -> None:
    """Its kernel stood still for 40 s, and the tick in which orders had expired is among them."""
    it = at_work()
    it.now_ns += 40 * S
    it.tell(Lost(7))
    verdict = it.passes({0: 6100})
    assert verdict.learns
    assert verdict.bound_ma == (6000, 6000)
    it.live(3)
    assert it.passes({0: 6200}).learns  # its time began when it heard again


def test_contactors_that_were_to_close_while_it_learned_do_so_one_by_one() -> None:
    """Their kernel closed them one after the other; together they would never be let."""
    both = [OPEN._replace(chargers=(index,), feedback=False) for index in range(2)]
    it = at_work(contactors=both)
    it.passes({0: 0, 1: 0}, switches=[(0, False), (1, False)])
    it.live(5)
    it.tell(Lost(7))
    assert it.passes({}, switches=[(0, True)]).learns
    assert it.passes({}, switches=[(1, True)]).closed == (False, False)
    closed: list[tuple[bool, ...]] = []
    for _ in range(600):
        verdict = it.step()
        if verdict is not None and not verdict.learns:
            assert not verdict.disputes
            closed.append(verdict.closed)
    assert sum(closed[0]) == 1 and closed[-1] == (True, True)


def test_observing_disputes_nothing() -> None:
    it = at_work(tuning=rows().tuning._replace(observe=True))
    it.passes({0: 32_000, 1: 32_000})


def test_another_document_goes_on_with_what_is_known() -> None:
    it = at_work()
    it.passes({0: 32_000})
    after = Bench(rows(circuits=[GRID._replace(rating_ma=(60_000,) * 3)]))
    same = {0: 0, 1: 1}
    after.guard.adopt(it.guard, Maps({0: 0}, {0: 0}, same, {}, {}))
    after.now_ns, after.ticks, after.written = it.now_ns, it.ticks, it.written
    after.shown, after.reports = it.shown, it.reports
    after.passes({1: 16_000})  # 10 + 32 + 16 of 60
    assert after.disputed({1: 20_000})[0] == "no_slack"


def test_a_fallback_that_is_told_counts_while_silent_if_it_is_higher() -> None:
    it = at_work()
    it.tell(Fallback(1, 32_000))
    it.reports.pop(1)
    it.live(3)
    assert it.disputed({0: 10_000})[0] == "no_slack"
