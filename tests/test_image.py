"""The process image: whose phase is whose, and who is told first."""

from typing import Any, ClassVar, cast

from cext.rows import (
    NO_PHASE,
    ROOT,
    ChargerRow,
    CircuitRow,
    ContactorState,
    Output,
    Rule,
    SourceRow,
    Tuning,
    Vehicle,
    Why,
)
from cext.tick import Kernel
from controller.image import ChargerReport, Image, MeterReading
from controller.tables import Tables, Wiring

MS, S = 1_000_000, 1_000_000_000
NOBODY = Why(Rule.MAXIMUM, -1, -1, -1)


class Rows:
    """Two chargers wired in rotation, and a meter with swapped terminals."""

    tuning = Tuning(2_000_000_000, 0, 1, 0, 0)
    source_index: ClassVar = {"meter": 0}
    source_wiring = (Wiring(phases=(1, 0, 2), ratio_ppm=2_000_000, reversed=True),)
    charger_index: ClassVar = {"one": 0, "two": 1}
    charger_meter = (None, None)
    contactor_index: ClassVar = {"k1": 0}

    source_spread_ppm = (0,)
    circuits = (CircuitRow(ROOT, (100_000,) * 3, (20_000,) * 3),)
    sources = (SourceRow(0, 100, 0, S, S),)
    chargers = (
        ChargerRow(
            circuit=0,
            phases=(1, 2, NO_PHASE),
            min_ma=6_000,
            max_ma=32_000,
            step_ma=100,
            fallback_ma=6_000,
            power_on_ma=6_000,
            tolerance_ppm=0,
            standby_ma=0,
            settle_ns=S,
            metered=True,
            error_ma=100,
            lag_ns=0,
            poll_ns=S,
            max_age_ns=S,
        ),
    ) * 2

    @staticmethod
    def unmeasured() -> tuple[tuple[int, ...], ...]:
        return ((),)


class Notes:
    """A kernel that writes down what it is told, and gives the orders it was given."""

    def __init__(self) -> None:
        self.readings: list[Any] = []
        self.reports: list[Any] = []
        self.proofs: list[Any] = []
        self.orders_ma: list[int] = [6000, 6000]

    def post_reading(self, *told: Any) -> None:
        self.readings.append(told)

    def post_report(self, *told: Any) -> None:
        self.reports.append(told)

    def prove(self, *told: Any) -> None:
        self.proofs.append(told)

    def output(self, charger: int) -> Output:
        return Output(self.orders_ma[charger], 1, 1, 10, NOBODY, NOBODY)

    def setpoints(self) -> list[int | None]:
        return list(self.orders_ma)

    def contactor(self, contactor: int) -> ContactorState:
        return ContactorState(True, 1, 1, 10, False, None, NOBODY)


class Still:
    def __init__(self, at_ns: int) -> None:
        self.at_ns = at_ns

    def now_ns(self) -> int:
        return self.at_ns


def image(at_ns: int = 5) -> tuple[Image, Notes]:
    notes = Notes()
    return Image(cast(Tables, Rows), cast(Kernel, notes), Still(at_ns)), notes


def test_each_terminal_of_a_meter_goes_to_its_own_phase() -> None:
    it, notes = image()
    it.post_meter("meter", MeterReading(3 * MS, (1000, 2000, -3000)))
    assert notes.readings == [(0, 3 * MS, (-4000, -2000, 6000))]


def test_instants_go_to_the_kernel_in_whole_milliseconds() -> None:
    it, notes = image()
    it.post_meter("meter", MeterReading(4 * MS - 1, (0, 0, 0)))
    it.post_charger("two", ChargerReport(4 * MS + 1, None, None, Vehicle.UNKNOWN, 0))
    assert notes.readings == [(0, 3 * MS, (0, 0, 0))]
    assert notes.reports == [(1, 4 * MS, None, None, Vehicle.UNKNOWN, 0)]


def test_each_terminal_of_a_charger_goes_to_its_own_phase() -> None:
    it, notes = image()
    it.post_charger("two", ChargerReport(3 * MS, 6000, (100, 200, 300), Vehicle.C, 7))
    assert notes.reports == [(1, 3 * MS, 6000, (0, 100, 200), Vehicle.C, 7)]
    assert notes.proofs == [(1, None)]


def test_reductions_are_told_before_increases() -> None:
    it, notes = image()
    told: list[str] = []
    for charger in Rows.charger_index:
        it.on_change(charger, lambda charger=charger: told.append(charger))  # type: ignore[misc]
    it.announce()
    told.clear()
    notes.orders_ma = [8000, 0]
    it.announce()
    assert told == ["two", "one"]
    it.announce()
    assert told == ["two", "one"], "nothing changed since"


def test_no_order_outlives_its_expiry_though_the_kernel_stands_still() -> None:
    """It shows for ever what it decided last: a setpoint, and a closed contactor."""
    alive, _ = image(at_ns=9)
    assert alive.order("one") is not None
    assert alive.contactor_order("k1") is not None
    late, _ = image(at_ns=10)
    assert late.order("one") is None
    assert late.contactor_order("k1") is None
