"""The real kernel behind the port that the oracle's world drives."""

from collections.abc import Callable
from typing import Any, NamedTuple

from cext.rows import (
    ChargerRow,
    ChargerState,
    CircuitRow,
    CircuitState,
    ContactorRow,
    ContactorState,
    Kind,
    Output,
    SlotRow,
    SourceRow,
    Tuning,
    Vehicle,
)
from cext.tick import Kernel
from controller.guard.guard import Guard
from controller.journal import decode
from tests.oracle.depot import Car
from tests.oracle.site import MS, ROTATIONS, Charger, Circuit, Meter, S, Site, Slot, Triple, flat
from tests.oracle.world import World


class FalseVetoError(AssertionError):
    """The guard disputes a decision of the kernel."""


class Rows(NamedTuple):
    """A site of the oracle's as the kernel wants it."""

    circuits: list[CircuitRow]
    sources: list[SourceRow]
    chargers: list[ChargerRow]
    slots: list[SlotRow]
    tuning: Tuning
    contactors: list[ContactorRow]


def rows_of(site: Site) -> Rows:
    return Rows(
        [CircuitRow(**row._asdict()) for row in site.circuits],
        [SourceRow(*row) for row in site.meters],
        [charger_row(row) for row in site.chargers],
        [
            SlotRow(
                row.circuit,
                Kind.ECONOMIC if row.economic else Kind.GRID,
                row.failsafe_ma,
                row.hold_ns,
                row.clear_within_ns,
            )
            for row in site.slots
        ],
        Tuning(*site.pace),
        [ContactorRow(*row) for row in site.contactors],
    )


def charger_row(row: Charger) -> ChargerRow:
    """Its tolerance tells the kernel all that it needs to know of how a charger is commanded."""
    columns = row._asdict()
    del columns["watts"]
    return ChargerRow(**columns)


def kernel_of(site: Site) -> Kernel:
    """A kernel for a site of the oracle's."""
    return Kernel(*rows_of(site))


class Door:
    """One kernel for one site of the oracle's."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.kernel = kernel_of(site)
        self.guard = Guard(rows_of(site))

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

    def distrust(self, meter: int, distrusted: bool) -> None:
        self.kernel.distrust(meter, distrusted)

    def contact(self, contactor: int, at_ns: int, closed: bool) -> None:
        self.kernel.post_contactor(contactor, at_ns, closed)

    def prove(self, charger: int, proven: bool | None) -> None:
        self.kernel.prove(charger, proven)

    def tick(self, now_ns: int) -> bool:
        """The guard sees every decision; to dispute one of the kernel's own is a fault of one."""
        changed = self.kernel.tick(now_ns)
        self.judge()
        return changed

    def judge(self) -> None:
        for record in decode(self.kernel.drain()):
            verdict = self.guard.hear(record)
            if verdict is not None and verdict.disputes:
                raise FalseVetoError(f"at {verdict.now_ns / S:.3f} s: {verdict.disputes}")

    def ticks(self) -> int:
        return self.kernel.ticks

    def output(self, charger: int) -> Output:
        return self.kernel.output(charger)

    def circuit(self, circuit: int) -> CircuitState:
        return self.kernel.circuit(circuit)

    def charger(self, charger: int) -> ChargerState:
        return self.kernel.charger(charger)

    def contactor(self, contactor: int) -> ContactorState:
        return self.kernel.contactor(contactor)

    def failsafe_ma(self, charger: int) -> int:
        return self.kernel.failsafe_ma(charger)


def row_of(
    count: int,
    base_ma: int,
    cap_ma: int,
    worst_ma: int = 150_000,
    meter: Meter | None = None,
    charger: Charger | None = None,
    want_ma: int = 32_000,
    gain_ppm: int = 1_000_000,
    slots: tuple[Slot, ...] = (),
    open_port: Callable[[Site], Any] = Door,
) -> World:
    """Alike chargers, wired in rotation, with cars, on one circuit with one meter."""
    row = charger or Charger(0, (0, 1, 2))
    rows = [row._replace(phases=ROTATIONS[i % 3]) for i in range(count)]
    meters = [meter or Meter(0, 0, 200 * MS, S, 200 * MS)]
    site = Site([Circuit(-1, flat(cap_ma), flat(worst_ma))], meters, rows, slots)
    world = World(site, open_port, seed=count)
    world.jitter = 0.0
    for index in range(count):
        reaction = world.rng.randint(row.settle_ns // 6, row.settle_ns)
        world.plug(index, Car(want_ma, 3, reaction, gain_ppm))
    world.base(0, flat(base_ma))
    for slot in range(len(slots)):
        world.limit(slot, None, 1e6, 1e6)
    return world
