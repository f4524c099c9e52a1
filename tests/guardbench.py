"""A guard that is told by hand what a depot shows and what a kernel decided."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cext.rows import (
    ChargerRow,
    CircuitRow,
    ContactorRow,
    Phases,
    Rule,
    SlotRow,
    SourceRow,
    Tuning,
    Vehicle,
    Why,
)
from controller.guard.guard import Guard, Verdict
from controller.records import Order, Reading, Report, Switch, Tick
from tests.plainrow import PLAIN

MS = 1_000_000
S = 1_000_000_000
BEGIN = 1000 * S
FOR_EVER = 2**62
NOBODY = Why(Rule.RAMP, -1, -1, -1)
CHARGER = PLAIN._replace(
    fallback_ma=10_000, power_on_ma=16_000, settle_ns=2 * S, poll_ns=500 * MS, max_age_ns=2 * S
)
METER = SourceRow(0, error_ma=0, lag_ns=200 * MS, max_age_ns=S, poll_ns=200 * MS)
OPEN = ContactorRow((0,), group=False, feedback=True, opens_ns=100 * MS)
GRID = CircuitRow(-1, (50_000,) * 3, (40_000,) * 3)


class Rows(NamedTuple):
    circuits: list[CircuitRow]
    sources: list[SourceRow]
    chargers: list[ChargerRow]
    slots: list[SlotRow]
    contactors: list[ContactorRow]
    tuning: Tuning


def rows(**changes: Any) -> Rows:
    tuning = Tuning(2 * S, 15 * S, 4000, 10 * S, 900 * S)
    return Rows([GRID], [METER], [CHARGER] * 2, [], [], tuning)._replace(**changes)


def three(ma: int | Phases) -> Phases:
    return (ma, ma, ma) if isinstance(ma, int) else ma


@dataclass
class Bench:
    """A guard that is told what a depot shows and what a kernel decided, by hand."""

    rows: Rows = field(default_factory=rows)
    now_ns: int = BEGIN
    ticks: int = 0

    def __post_init__(self) -> None:
        self.guard = Guard(self.rows)
        self.shown: dict[int, Phases] = {}
        self.reports: dict[int, tuple[int | None, Phases | None]] = {}
        self.written: dict[int, int] = {}

    def shows(self, meter: int, ma: int | Phases) -> None:
        """From now on, with each step."""
        self.shown[meter] = three(ma)

    def reports_of(self, charger: int, in_force_ma: int | None, ma: int | Phases) -> None:
        self.reports[charger] = in_force_ma, three(ma)

    def tell(self, *records: Any) -> None:
        for record in records:
            assert self.guard.hear(record) is None

    def step(
        self, orders: dict[int, int] | None = None, switches: Iterable[tuple[int, bool]] = ()
    ) -> Verdict | None:
        """100 ms later: what is shown and reported, and a decision."""
        self.now_ns += 100 * MS
        self.ticks += 1
        for meter, current_ma in self.shown.items():
            self.guard.hear(Reading(meter, self.now_ns, current_ma))
        for charger, (in_force_ma, drawn_ma) in self.reports.items():
            written = self.written.get(charger, 0)
            report = Report(charger, self.now_ns, in_force_ma, drawn_ma, Vehicle.C, written)
            self.guard.hear(report)
        told = [Order(i, ma, NOBODY, NOBODY) for i, ma in (orders or {}).items()]
        for charger in orders or {}:
            self.written[charger] = self.ticks
        turned = [Switch(i, closed, NOBODY) for i, closed in switches]
        return self.guard.hear(Tick(self.ticks, self.now_ns, tuple(told), tuple(turned)))

    def passes(self, orders: dict[int, int], **more: Any) -> Verdict:
        verdict = self.step(orders, **more)
        assert verdict is not None
        assert verdict.disputes == ()
        return verdict

    def disputed(self, orders: dict[int, int], **more: Any) -> tuple[str, Verdict]:
        """The first rule that it breaks, and the verdict."""
        verdict = self.step(orders, **more)
        assert verdict is not None
        assert verdict.disputes
        return verdict.disputes[0].rule, verdict

    def live(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            verdict = self.step()
            assert verdict is None or verdict.disputes == ()


def at_work(*told: Any, **changes: Any) -> Bench:
    """Two chargers at 6 A that draw it, 10 A of base load, a cap of 50 A."""
    it = Bench(rows(**changes))
    it.tell(*told)
    it.shows(0, 22_000)
    for charger in range(2):
        it.reports_of(charger, 6000, 6000)
    it.step()
    it.passes({0: 6000, 1: 6000})
    it.live(5)
    return it
