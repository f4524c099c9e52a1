"""What a circuit bears beside the rating of each phase: a bus bar, and three phases together."""

import pytest

from tests.door import Door
from tests.oracle.site import MS, Charger, Circuit, Contactor, Meter, S, Site, Triple, flat
from tests.test_lost_readings import Bays

WIDE = flat(200_000)


def read_once(circuit: Circuit, current_ma: Triple, error_ma: int = 0) -> Door:
    """One circuit of base load alone, for long enough that its readings count."""
    door = Door(Site([circuit], [Meter(0, error_ma, 0, S, 100 * MS)], []))
    for now_ns in range(100 * MS, 4 * S, 100 * MS):
        door.reading(0, now_ns, current_ma)
        door.tick(now_ns)
    return door


def test_a_bus_bar_leaves_to_chargers_what_the_worst_base_load_does_not_take() -> None:
    """However little base load there is just now: no meter shows what is fed in behind it."""
    bays = Bays(Circuit(-1, WIDE, flat(20_000), busbar_ma=flat(100_000)), {}, {}, {}, {})
    bays.run(120)
    assert all(19_900 <= order <= 20_000 for order in bays.orders())


def test_all_come_down_at_once_when_a_bus_bar_turns_out_to_leave_less() -> None:
    bays = Bays(Circuit(-1, WIDE, flat(20_000), busbar_ma=flat(100_000)), {}, {}, {}, {})
    bays.run(120)
    bays.door.kernel.restore_worst(0, flat(60_000))
    bays.step()
    assert sum(bays.orders()) <= 40_000


def test_no_contactor_closes_where_what_wakes_does_not_fit_the_bus_bar() -> None:
    charger = Charger(0, (0, 1, 2), max_ma=16_000, power_on_ma=32_000)
    for busbar_ma, closes in ((20_000, False), (40_000, True)):
        circuit = Circuit(-1, WIDE, flat(0), busbar_ma=flat(busbar_ma))
        meter = Meter(0, 0, 0, S, 100 * MS)
        door = Door(Site([circuit], [meter], [charger], contactors=(Contactor((0,)),)))
        closed = False
        for now_ns in range(1000 * S, 1030 * S, 100 * MS):
            door.reading(0, now_ns, flat(0))
            door.contact(0, now_ns, closed)
            door.tick(now_ns)
            closed = closed or door.contactor(0).closed
        assert closed == closes


@pytest.mark.parametrize(("credited", "carried_ma"), [(False, 50_000), (True, 20_000)])
def test_what_one_phase_exports_takes_nothing_off_the_others(
    credited: bool, carried_ma: int
) -> None:
    """Unless the circuit says that export is headroom."""
    circuit = Circuit(-1, WIDE, WIDE, credit_export=credited, sum_ma=300_000)
    together = read_once(circuit, (40_000, 10_000, -30_000)).circuit(0).together
    assert together is not None
    assert (together.reading_ma, together.base_hi_ma) == (carried_ma, carried_ma)


def test_each_phase_of_a_sum_counts_at_its_meters_error() -> None:
    circuit = Circuit(-1, WIDE, flat(100_000), sum_ma=60_000)
    together = read_once(circuit, flat(20_000), error_ma=1000).circuit(0).together
    assert together is not None
    assert (together.base_hi_ma, together.excess_ma) == (63_000, 3000)
