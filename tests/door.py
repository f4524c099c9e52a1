"""The real kernel behind the port that the oracle's world drives."""

from cext.rows import (
    ChargerRow,
    ChargerState,
    CircuitRow,
    CircuitState,
    Kind,
    Output,
    SlotRow,
    SourceRow,
    Tuning,
    Vehicle,
)
from cext.tick import Kernel
from tests.oracle.site import Site, Triple


class Door:
    """One kernel for one site of the oracle's."""

    def __init__(self, site: Site) -> None:
        self.kernel = Kernel(
            [CircuitRow(*row) for row in site.circuits],
            [SourceRow(*row) for row in site.meters],
            [ChargerRow(*row) for row in site.chargers],
            [SlotRow(row.circuit, Kind.GRID, row.failsafe_ma, row.hold_ns) for row in site.slots],
            Tuning(*site.pace),
        )

    def reading(self, meter: int, at_ns: int, current_ma: Triple) -> None:
        self.kernel.post_reading(meter, at_ns, current_ma)

    def report(
        self,
        charger: int,
        at_ns: int,
        in_force_ma: int | None,
        current_ma: Triple | None,
        vehicle: str,
        written_tick: int,
    ) -> None:
        self.kernel.post_report(
            charger, at_ns, in_force_ma, current_ma, Vehicle[vehicle], written_tick
        )

    def limit(self, slot: int, ma: Triple | None, until_ns: int, alive_until_ns: int) -> None:
        self.kernel.set_limit(slot, ma, until_ns, alive_until_ns)

    def tick(self, now_ns: int) -> bool:
        return self.kernel.tick(now_ns)

    def ticks(self) -> int:
        return self.kernel.ticks

    def output(self, charger: int) -> Output:
        return self.kernel.output(charger)

    def circuit(self, circuit: int) -> CircuitState:
        return self.kernel.circuit(circuit)

    def charger(self, charger: int) -> ChargerState:
        return self.kernel.charger(charger)

    def failsafe_ma(self, charger: int) -> int:
        return self.kernel.failsafe_ma(charger)
