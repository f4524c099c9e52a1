"""The operation part in force: a lasting limit, a lower maximum."""

from typing import Any

from cext.rows import NEVER_NS, Vehicle
from controller.image import ChargerReport, Image, MeterReading
from controller.plant import VirtualClock
from controller.reasons import Reasons
from controller.site import operated
from controller.tables import Tables
from tests.documents import S, charger, site

TICK = S // 10


def settled(operation: Any) -> tuple[Tables, Any]:
    """A depot with one eager vehicle on a measured grid, after a minute under `operation`."""
    depot = operated(site(charger=[charger(count=1)]), operation)
    tables = Tables.of(depot)
    kernel = tables.build_kernel()
    clock = VirtualClock(S)
    image = Image(tables, kernel, clock)
    in_force_ma, tick = 6_000, 0
    for _ in range(600):
        clock.at_ns += TICK
        drawn = (in_force_ma,) * 3
        image.post_meter("main", MeterReading(clock.at_ns, drawn))
        report = ChargerReport(clock.at_ns, in_force_ma, drawn, Vehicle.C, tick)
        image.post_charger("bay-1", report)
        kernel.tick(clock.at_ns)
        order = image.order("bay-1")
        if order is not None:
            in_force_ma, tick = order.ma, order.tick
    return tables, kernel


def setpoint_ma(operation: Any) -> int | None:
    _, kernel = settled(operation)
    ma: int | None = kernel.output(0).setpoint_ma
    return ma


def test_without_one_the_installed_maximum_is_reached() -> None:
    assert setpoint_ma({}) == 32_000


def test_a_lower_maximum_is_the_highest_setpoint_and_no_more() -> None:
    assert setpoint_ma({"charger": [{"id": "bay-1", "max_a": 16}]}) == 16_000
    assert setpoint_ma({"charger": [{"id": "bay-1", "max_a": 0}]}) == 0
    assert setpoint_ma({"charger": [{"id": "bay-1", "max_a": 5}]}) == 0  # below its minimum


def test_a_lower_maximum_changes_nothing_of_what_it_may_draw_alone() -> None:
    """Unknown fallback and power-on current count as what is installed, not as what is wished."""
    depot = site(charger=[charger(count=1, fallback_a=None)])
    lowered = operated(depot, {"charger": [{"id": "bay-1", "max_a": 10}]})
    (row,) = Tables.of(lowered).chargers
    assert (row.fallback_ma, row.power_on_ma, row.max_ma, row.ceiling_ma) == (
        *(32_000,) * 3,
        10_000,
    )
    kernel = Tables.of(lowered).build_kernel()
    kernel.tick(S)
    assert kernel.charger(0).draw_hi_ma == 32_000  # never heard


def test_a_lasting_limit_binds_like_any_other() -> None:
    tables, kernel = settled({"circuit": [{"id": "row", "limit_a": [20, 30, 30]}]})
    output = kernel.output(0)
    assert output.setpoint_ma == 20_000
    names = Reasons(list(tables.circuit_index), list(tables.slot_index))
    assert names.words(output.why).startswith("limit from operator/row on row L1")
    slot = kernel.slot(tables.slot_index["operator/row"])
    assert (slot.state, slot.alive_until_ns) == ("live", NEVER_NS)


def test_a_lasting_limit_of_zero_is_zero() -> None:
    assert setpoint_ma({"circuit": [{"id": "grid", "limit_a": 0}]}) == 0


def test_names_weights_and_classes_are_laid_over() -> None:
    operation = {
        "site": {"name": "Nord"},
        "circuit": [{"id": "row", "name": "Reihe"}],
        "charger": [{"id": "bay-2", "name": "Zwei", "weight": 7, "class": 3}],
    }
    depot = operated(site(), operation)
    assert depot.name == "Nord"
    assert depot.circuits[1].name == "Reihe"
    bay = depot.chargers[1]
    assert (bay.name, bay.weight, bay.class_rank, bay.ceiling_ma) == ("Zwei", 7, 3, None)
    assert depot.chargers[0] == site().chargers[0]
    assert depot.installation_hash == site().installation_hash
