"""Contactors: what is cut off, what only should be, and how power comes back."""

from itertools import pairwise
from typing import Any

import pytest

from cext.rows import ContactorRow, Rule
from tests.switched import BEGIN, CHARGER, MS, OWN, TUNING, Depot, S

# -- a start ------------------------------------------------------------------------------------


def test_a_start_finds_contactors_open_and_closes_them_one_at_a_time() -> None:
    rows = [OWN._replace(chargers=(i,)) for i in range(3)]
    depot = Depot(rows, count=3)
    assert [depot.contactor(i).closed for i in range(3)] == [False] * 3
    depot.run(40)
    assert [depot.contactor(i).closed for i in range(3)] == [True] * 3
    instants = [at_s for at_s, _ in depot.closings]
    assert all(b - a >= 2 for a, b in pairwise(instants))
    assert instants[1] - instants[0] >= depot.boot_ns / S, "the next waits for the last to report"
    assert all((depot.order(i) or 0) >= 6000 for i in range(3))


def test_one_that_does_not_open_by_itself_starts_closed() -> None:
    """It was closed while nobody decided: to leave it so raises nothing."""
    depot = Depot([OWN._replace(opens_alone=False)])
    assert depot.contactor().closed
    depot.run(1)
    assert depot.contactor().closed
    assert depot.contactor().changed_tick == 0


def test_expired_orders_do_not_come_to_life_again() -> None:
    """No tick for longer than an order lives: who holds the contactors has opened them."""
    depot = Depot([OWN._replace(chargers=(i,)) for i in range(2)], count=2)
    depot.run(20)
    assert [depot.contactor(i).closed for i in range(2)] == [True] * 2
    depot.now_ns += TUNING.dead_man_ns
    depot.closings.clear()
    depot.step()
    assert [depot.contactor(i).closed for i in range(2)] == [False] * 2
    depot.run(20)
    (first_s, _), (second_s, _) = depot.closings
    assert second_s - first_s >= 2


def test_a_group_comes_before_what_stands_behind_it() -> None:
    group = ContactorRow((0, 1), group=True, feedback=True, opens_ns=100 * MS)
    depot = Depot([OWN, group], count=2)
    depot.run(30)
    assert [i for _, i in depot.closings] == [1, 0]


def test_nothing_is_closed_before_the_meter_was_heard() -> None:
    depot = Depot([OWN])
    depot.blind = True
    depot.run(20)
    assert not depot.contactor().closed
    depot.blind = False
    depot.run(1)
    assert depot.contactor().closed


def test_power_on_current_is_counted_before_the_order_and_until_the_report() -> None:
    depot = Depot([OWN])
    highest: list[int] = []
    while not depot.contactor().closed:
        depot.step()
        highest.append(depot.kernel.charger(0).draw_hi_ma)
    assert highest[-3] == 0, "cut off, it draws nothing"
    assert highest[-1] == 16_000, "in the tick that closes it is counted already"
    while depot.now_ns - BEGIN < 4 * S:
        assert depot.kernel.charger(0).draw_hi_ma >= 16_000
        depot.step()


def test_a_contactor_waits_until_its_power_on_current_fits() -> None:
    depot = Depot([OWN], cap_ma=30_000)
    depot.base_ma = 20_000
    depot.run(20)
    assert not depot.contactor().closed
    why = depot.contactor().why
    assert (why.rule, why.circuit) == (Rule.RECLOSING, 0)
    depot.base_ma = 10_000
    depot.run(20)
    assert depot.contactor().closed


def test_who_listens_makes_room_for_what_comes_back() -> None:
    """Charger 1 has 26 A, charger 0 wakes at 32 A: 1 comes down first, then 0 is closed."""
    wild = CHARGER._replace(power_on_ma=32_000)
    depot = Depot([OWN], count=2, cap_ma=36_000, charger=wild)
    depot.base_ma = 10_000
    depot.run(40)
    assert (depot.order(1) or 0) > 20_000
    depot.base_ma = 0
    while not depot.contactor().closed:
        depot.step()
        assert depot.load() <= 36_000
        assert depot.now_ns < BEGIN + 120 * S
    then = depot.kernel.circuit(0)
    assert then.base_hi_ma[0] + then.draw_hi_ma[0] <= 36_000, "it waits until the room is made"
    depot.run(5)
    assert depot.load() <= 36_000


def test_without_feedback_an_open_contactor_is_closed_all_the_same() -> None:
    """Nothing proves that it is open, and it counts; a meter that sees nothing is enough here."""
    rows = [OWN._replace(chargers=(i,), feedback=False) for i in range(3)]
    depot = Depot(rows, count=3, cap_ma=40_000)
    depot.run(1)
    assert depot.kernel.charger(0).draw_hi_ma == 32_000
    depot.run(60)
    assert [depot.contactor(i).closed for i in range(3)] == [True] * 3


# -- what an order is ---------------------------------------------------------------------------


def test_closed_is_a_permission_that_expires() -> None:
    depot = Depot([OWN])
    for tick in range(1, 30):
        depot.step()
        state = depot.contactor()
        assert (state.tick, state.expires_ns) == (tick, depot.now_ns + 2 * S)


def test_an_unread_contact_proves_nothing() -> None:
    depot = Depot([OWN], cap_ma=1000)
    depot.run(3)
    assert depot.contactor().verified_open
    assert depot.contactor().contact is False
    depot.mute = {0}
    depot.run(4)
    assert depot.contactor().verified_open
    depot.run(2)
    assert not depot.contactor().verified_open
    assert depot.contactor().contact is None
    assert depot.kernel.charger(0).draw_hi_ma >= 16_000


@pytest.mark.parametrize("said", [None, 1, "open", 0])
def test_a_contact_that_does_not_clearly_say_open_is_not(said: Any) -> None:
    depot = Depot([OWN])
    depot.mute = {0}
    depot.kernel.post_contactor(0, BEGIN, said)
    depot.step()
    state = depot.contactor()
    assert (state.closed, state.contact, state.verified_open) == (False, True, False)


def test_where_nothing_is_written_contactors_are_somebody_elses() -> None:
    depot = Depot([OWN], tuning=TUNING._replace(observe=True))
    depot.run(5)
    state = depot.contactor()
    assert (state.closed, state.verified_open, state.why.rule) == (True, False, Rule.CLOSED)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([OWN._replace(chargers=(1,))], "no charger 1"),
        ([OWN._replace(chargers=(0, 0), group=True)], "twice"),
        ([OWN, OWN], "of its own already"),
        ([OWN._replace(chargers=())], "no group"),
        ([OWN._replace(opens_ns=-1)], "opens_ns"),
    ],
)
def test_contradictions_are_refused(rows: list[ContactorRow], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Depot(rows)
