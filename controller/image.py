"""The process image: readings in, orders out.

The one place that knows how terminals are wired to grid phases. Drivers speak of a
device's own terminals; the kernel speaks of grid phases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cext.rows import NO_PHASE, Advice, Phases, Vehicle
from controller.condition import Condition
from controller.guard.gate import Gate, Open
from controller.plausibility import Plausibility, Suspicion
from controller.turn import Turn
from controller.units import whole_ms

if TYPE_CHECKING:
    from cext.tick import Kernel
    from controller.tables import Tables


class Clock(Protocol):
    """Only the enforcer's edge owns a real one."""

    def now_ns(self) -> int: ...


class MeterReading(NamedTuple):
    """Signed currents at the meter's own terminals in mA, + is import, before the CT ratio."""

    at_ns: int  # arrival of the reply
    current_ma: Phases


@dataclass(frozen=True, slots=True)
class ChargerReport:
    """A charger's own report. Unknown is None or UNKNOWN, never 0."""

    at_ns: int
    in_force_ma: int | None
    current_ma: tuple[int, int, int] | None  # per terminal
    vehicle: Vehicle
    written_tick: int  # changed_tick of the last order acknowledged before this was asked
    fallback_ma: int | None = None  # what the charger says it does alone, where it says so
    proven: bool | None = None  # whether that is as declared; None: it cannot tell


@dataclass(frozen=True, slots=True)
class Order:
    """What a charger is to be told. Never written at or after `expires_ns`."""

    ma: int
    tick: int  # changed_tick: goes back into ChargerReport.written_tick
    expires_ns: int


@dataclass(frozen=True, slots=True)
class ContactorOrder:
    """What a contactor is to be. Closed is a permission: open at or after `expires_ns`."""

    closed: bool
    tick: int  # changed_tick: the tick that last changed the order
    expires_ns: int


class Image:
    """Readings in, orders out, for one site. Used from the I/O thread only."""

    def __init__(
        self, tables: Tables, kernel: Kernel, clock: Clock, gate: Gate | None = None
    ) -> None:
        """Without a gate every order goes out as the kernel gives it."""
        self._tables = tables
        self._gate = gate or Open()
        self._kernel = kernel
        self._clock = clock
        self._wake: dict[str, Callable[[], None]] = {}
        self._sent: dict[str, int] = {}
        self.turn = Turn(clock, tables.tuning.dead_man_ns)
        self._sources = tuple(tables.source_index)
        self._doubted: Callable[[str, Suspicion | None], None] = lambda source, suspicion: None
        self._plausibility = self._judge()
        self._held_open: set[str] = set()  # contactors
        self._condition: Callable[[], Condition] | None = None
        self._readers: dict[str, Callable[[int, Phases | None], None]] = {}
        self._wake_contactor: dict[str, Callable[[], None]] = {}
        self._sent_contactor: dict[str, bool] = {}
        self._take_input: Callable[[str, int, Phases | None], None] | None = None

    def guard_by(self, gate: Gate) -> None:
        """From now on nothing rises that did not pass this gate."""
        self._gate = gate

    def switch(self, tables: Tables, kernel: Kernel, sources: Mapping[int, int]) -> None:
        """Another document is in force; `sources` are new indexes and old ones of what stayed.

        No driver of a device that is gone may run any more.
        """
        self._tables, self._kernel = tables, kernel
        self._sources = tuple(tables.source_index)
        before, self._plausibility = self._plausibility, self._judge()
        self._plausibility.adopt(before, sources)
        for charger in self._wake.keys() - tables.charger_index.keys():
            del self._wake[charger]
            self._sent.pop(charger, None)

    def _judge(self) -> Plausibility:
        tables = self._tables
        return Plausibility(
            tables.circuits,
            tables.sources,
            tables.chargers,
            self._doubt,
            tables.source_spread_ppm,
            tables.charger_meter,
            tables.unmeasured(),
        )

    @property
    def clock(self) -> Clock:
        return self._clock

    def post_meter(self, meter: str, reading: MeterReading) -> None:
        """Of a meter or clamp. Raises ValueError for what cannot be a current on this circuit."""
        source = self._tables.source_index[meter]
        current_ma = self._tables.source_wiring[source].to_grid(reading.current_ma)
        impossible = self._plausibility.reading(source, reading.at_ns, current_ma)
        if impossible is not None:
            raise ValueError(impossible)
        self._kernel.post_reading(source, whole_ms(reading.at_ns), current_ma)
        if meter in self._readers:
            believed = self._plausibility.suspicion(source) is None
            self._readers[meter](reading.at_ns, current_ma if believed else None)

    def on_reading(self, meter: str, take: Callable[[int, Phases | None], None]) -> None:
        """`take` hears of each reading of that meter: its arrival, and the currents of the grid
        phases; None where the meter is not believed."""
        self._readers[meter] = take

    def post_charger(self, charger: str, report: ChargerReport) -> None:
        index = self._tables.charger_index[charger]
        current = report.current_ma
        if current is not None:
            current = _to_grid(current, self._tables.chargers[index].phases)
        self._kernel.post_report(
            index,
            whole_ms(report.at_ns),
            report.in_force_ma,
            current,
            report.vehicle,
            report.written_tick,
        )
        self.note_report(index, report.at_ns, current)
        if report.fallback_ma is not None:
            self._kernel.set_fallback(index, report.fallback_ma)
        self._kernel.prove(index, report.proven)

    def note_report(self, index: int, at_ns: int, current_ma: Phases | None) -> None:
        """What a report that the kernel has says about meters and clamps."""
        self._plausibility.report(index, at_ns, current_ma)

    def on_doubt(self, doubted: Callable[[str, Suspicion | None], None]) -> None:
        """`doubted` is told of a suspicion when it begins, and with None when it has ended."""
        self._doubted = doubted

    def suspicion(self, source: str) -> Suspicion | None:
        """What is held against a meter or clamp now."""
        return self._plausibility.suspicion(self._tables.source_index[source])

    def _doubt(self, source: int, suspicion: Suspicion | None) -> None:
        self._kernel.distrust(source, suspicion is not None)
        self._doubted(self._sources[source], suspicion)

    def advise(self, charger: str, advice: Advice) -> None:
        """A planner's wish, until a monotonic instant, in place of the one before."""
        self._kernel.advise(self._tables.charger_index[charger], advice)

    def order(self, charger: str) -> Order | None:
        """What may be written now; None while STARTING or after the order has expired."""
        index = self._tables.charger_index[charger]
        output = self._kernel.output(index)
        passed = self._gate.order(index, output)
        if passed is None or self._clock.now_ns() >= output.expires_ns:
            return None
        return Order(*passed, output.expires_ns)

    def on_change(self, charger: str, wake: Callable[[], None]) -> None:
        """`wake` is called, reductions before increases, when the charger's order changed."""
        self._wake[charger] = wake

    def post_contactor(self, contactor: str, at_ns: int, closed: bool) -> None:
        """What an auxiliary contact shows. To be told each second: it counts for 5 s."""
        self._kernel.post_contactor(
            self._tables.contactor_index[contactor], whole_ms(at_ns), closed
        )

    def post_input(self, contact: str, at_ns: int, limit_ma: Phases | None) -> None:
        """What a contact asks for that speaks for a limit source, seen still at `at_ns`."""
        if self._take_input is not None:
            self._take_input(contact, at_ns, limit_ma)

    def on_input(self, take: Callable[[str, int, Phases | None], None]) -> None:
        """`take` is called for each contact seen still: its id, when, what it asks for."""
        self._take_input = take

    def condition(self) -> Condition:
        """In what condition the depot is; who asks before anybody can tell, hears no good news."""
        return Condition.DEGRADED if self._condition is None else self._condition()

    def on_condition(self, tell: Callable[[], Condition]) -> None:
        """`tell` knows in what condition the depot is."""
        self._condition = tell

    def contactor_order(self, contactor: str) -> ContactorOrder | None:
        """What a contactor is to be now; None before the first tick, after the expiry, and while
        it is held open."""
        if contactor in self._held_open:
            return None
        index = self._tables.contactor_index[contactor]
        state = self._kernel.contactor(index)
        if state.tick == 0 or self._clock.now_ns() >= state.expires_ns:
            return None
        closed = self._gate.closed(index, state.closed)
        return ContactorOrder(closed, state.changed_tick, state.expires_ns)

    def hold_open(self, contactor: str, held: bool) -> None:
        """Whatever is decided, it is open until it is held no longer: for a proof test."""
        (self._held_open.add if held else self._held_open.discard)(contactor)
        self._wake_contactor.get(contactor, lambda: None)()

    def on_contactor_change(self, contactor: str, wake: Callable[[], None]) -> None:
        """`wake` is called, openings before closings, when the contactor's order changed."""
        self._wake_contactor[contactor] = wake

    def announce(self) -> bool:
        """Wakes the drivers whose orders changed since the last call; whether any did.

        What the guard has not passed yet is no order: so an increase is heard of at the call
        after it has.
        """
        down: list[Callable[[], None]] = []
        up: list[Callable[[], None]] = []
        for contactor, wake in self._wake_contactor.items():
            index = self._tables.contactor_index[contactor]
            closed = self._gate.closed(index, self._kernel.contactor(index).closed)
            if self._sent_contactor.get(contactor) != closed:
                self._sent_contactor[contactor] = closed
                (up if closed else down).append(wake)
        setpoints = self._kernel.setpoints()
        for charger, wake in self._wake.items():
            index = self._tables.charger_index[charger]
            setpoint_ma = self._gate.setpoint(index, setpoints[index])
            before = self._sent.get(charger)
            if setpoint_ma is not None and before != setpoint_ma:
                self._sent[charger] = setpoint_ma
                (up if before is not None and before < setpoint_ma else down).append(wake)
        for wake in down + up:
            wake()
        return bool(down or up)


def _to_grid(terminals: tuple[int, int, int], phases: Phases) -> Phases:
    """Terminal currents onto grid phases; an unwired terminal is dropped."""
    grid = [0, 0, 0]
    for value, phase in zip(terminals, phases, strict=True):
        if phase != NO_PHASE:
            grid[phase] += value
    return grid[0], grid[1], grid[2]
