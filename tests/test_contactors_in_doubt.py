"""Contactors that contradict themselves, or prove less than it seems: doubt never raises."""

from cext.rows import NEVER_NS, ContactorRow, Kind, SlotRow
from tests.switched import CHARGER, MS, OWN, TUNING, Depot, S

GROUP = ContactorRow((0, 1, 2), group=True, feedback=True, opens_ns=100 * MS)
GRID = SlotRow(0, Kind.GRID, (90_000,) * 3, 0, clear_within_ns=10 * S)
FED = OWN._replace(feedback=False)  # nobody reads its contact


def at_work(depot: Depot) -> Depot:
    """Everything closed, charger 0 charging."""
    depot.kernel.set_limit(0, None, NEVER_NS, NEVER_NS)
    depot.run(40)
    assert (depot.order(0) or 0) > 0
    return depot


def cut_off(depot: Depot, cap_ma: int = 10_000) -> Depot:
    """Charger 0 no longer obeys, and its contactor is opened for it."""
    depot.stuck_ma[0] = depot.drawn(0)
    depot.kernel.set_limit(0, (cap_ma,) * 3, NEVER_NS, NEVER_NS)
    for _ in range(150):
        depot.step()
        if not depot.contactor().closed:
            break
    depot.run(0.5)
    assert depot.kernel.charger(0).cut_off
    return depot


def test_cut_off_by_a_contact_that_says_closed_again_it_draws_what_it_drew_before() -> None:
    """Neither its fallback nor what it wakes with tells what it draws that never lost power."""
    row = CHARGER._replace(power_on_ma=0, fallback_ma=0, metered=False)
    depot = at_work(Depot([OWN], charger=row, slots=[GRID]))
    depot.silent = {0}
    cut_off(depot, cap_ma=1000)
    assert depot.kernel.charger(0).draw_hi_ma == 0
    depot.welded = {0}
    depot.step()
    assert not depot.kernel.charger(0).cut_off
    assert depot.kernel.charger(0).draw_hi_ma == 32_000


def test_a_drop_at_one_opening_proves_nothing_about_the_next() -> None:
    depot = at_work(Depot([FED], count=2, slots=[GRID]))
    depot.keeps_power = True
    cut_off(depot)
    depot.kernel.set_limit(0, None, NEVER_NS, NEVER_NS)
    depot.stuck_ma.clear()
    depot.wants_ma[0] = 0
    depot.run(60)
    assert depot.contactor().closed
    depot.now_ns += TUNING.dead_man_ns  # all orders expire; this contactor welded meanwhile
    depot.welded = {0}
    for _ in range(10):  # its reports show nothing, as before: nothing has dropped
        depot.step()
        assert not depot.contactor().closed
        assert not depot.kernel.charger(0).cut_off


def test_what_the_group_no_longer_holds_back_has_room_before_its_own_contactor_closes() -> None:
    """The group's relay is ordered open too, but its contact says closed."""
    depot = Depot([OWN, GROUP], count=3, cap_ma=15_000)
    depot.welded = {1}
    depot.wants_ma[1:] = [0, 0]
    depot.run(60)
    assert not depot.contactor(0).closed, "16 A at power-on do not fit 15 A"


def test_who_is_ordered_open_but_welded_and_silent_is_in_the_reading() -> None:
    """No base load is declared, so what the meter shows is his; the next has no room beside it."""
    rows = [FED._replace(chargers=(i,)) for i in range(2)]
    depot = Depot(rows, count=2, cap_ma=40_000, worst_ma=0)
    depot.silent = {1}
    depot.welded = {1}
    depot.stuck_ma[1] = 30_000
    for _ in range(600):
        depot.step()
        assert depot.load() <= 40_000
    assert not depot.contactor(0).closed


def test_a_suspect_that_falls_silent_goes_on_counting_at_what_it_drew() -> None:
    """It confirmed its order, drew more for less than 7 s, and was never heard again."""
    row = CHARGER._replace(power_on_ma=0, fallback_ma=0)
    depot = at_work(Depot(charger=row, slots=[GRID], worst_ma=0))
    depot.kernel.set_limit(0, (10_000,) * 3, NEVER_NS, NEVER_NS)
    depot.run(20)
    depot.stuck_ma[0] = 30_000
    depot.run(5)
    state = depot.kernel.charger(0)
    assert (state.suspect, state.stubborn) == (True, False)
    depot.silent = {0}
    depot.run(30)
    assert depot.kernel.charger(0).draw_hi_ma >= 30_000


def test_a_drop_of_one_that_did_not_draw_steadily_proves_no_opening() -> None:
    """Its car stops for a moment when a contactor is ordered open that is welded."""
    depot = at_work(Depot([FED], count=2, slots=[GRID]))
    depot.keeps_power = True
    depot.welded = {0}
    depot.kernel.set_limit(0, (10_000,) * 3, NEVER_NS, NEVER_NS)
    for step in range(150):
        depot.stuck_ma[0] = 32_000 - step % 2 * 12_000
        depot.step()
        if not depot.contactor().closed:
            break
    depot.stuck_ma[0] = 0
    for _ in range(20):
        depot.step()
        assert not depot.contactor().closed
        assert not depot.kernel.charger(0).cut_off
