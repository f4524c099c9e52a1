from collections.abc import Mapping, Sequence

from cext.rows import (
    Advice,
    ChargerRow,
    ChargerState,
    CircuitRow,
    CircuitState,
    ContactorRow,
    ContactorState,
    Heat,
    Output,
    Phases,
    SlotRow,
    SlotState,
    SourceRow,
    SourceState,
    Tuning,
    Vehicle,
)

class Kernel:
    """The safety kernel. All methods may be called from any thread.

    Raises ValueError, naming every contradiction in the tables at once.
    """

    def __init__(
        self,
        circuits: Sequence[CircuitRow],
        sources: Sequence[SourceRow],
        chargers: Sequence[ChargerRow],
        slots: Sequence[SlotRow],
        tuning: Tuning,
        contactors: Sequence[ContactorRow] = (),
    ) -> None: ...
    def adopt(
        self,
        old: Kernel,
        circuits: Mapping[int, int],
        sources: Mapping[int, int],
        chargers: Mapping[int, int],
        slots: Mapping[int, int],
        contactors: Mapping[int, int] | None = None,
    ) -> None:
        """Takes over from the kernel of the site before; each map is from new index to old.

        To be called before the first tick, when the old kernel's thread has stopped; ticks go
        on counting. What stays keeps its readings, orders, limits with their leases, and what
        was proved, and a contactor is closed or open as it was. A charger above its new
        maximum comes down in the next tick; one that is new begins in STARTING. A declared
        worst case that was changed stands; one that was not goes on as it was disproved. Map
        nothing that means another device now, and no source of which ratio, direction or
        phases were changed. Raises ValueError or IndexError.
        """
    def post_reading(self, source: int, at_ns: int, current_ma: Phases) -> None:
        """A whole reading that arrived at `at_ns`. Raises ValueError beyond 2^27 mA.

        Of an unsigned source the magnitudes count. A distrusted source's is dropped.
        """
    def distrust(self, source: int, distrusted: bool) -> None:
        """A distrusted source counts as stale at once, and disproves nothing.

        Trusted again, it begins anew with the next reading that arrives.
        """
    def post_report(
        self,
        charger: int,
        at_ns: int,
        in_force_ma: int | None,
        current_ma: Phases | None,
        vehicle: Vehicle,
        written_tick: int,
    ) -> None:
        """A charger's report: setpoint in force, current per grid phase, vehicle state.

        `written_tick` is the `changed_tick` of the last order that was written and
        acknowledged before this report was asked for (0: none).
        """
    def set_fallback(self, charger: int, fallback_ma: int) -> None:
        """What the charger itself says it does alone: the higher of this and what was declared
        counts. It never lifts the fail-safe setpoint."""
    def prove(self, charger: int, proven: bool | None) -> None:
        """Whether its fallback was read back and is at most what was declared.

        False: not yet, or it is not. From then on the charger is not raised; after 10 s it is
        *unproven*, counted at its maximum, and the others go on. None, and before anybody told:
        the device cannot tell, and that it answers is proof enough. To be called with False when
        a driver begins that can read it back, and after each reboot of the charger.
        """
    def post_contactor(self, contactor: int, at_ns: int, closed: bool) -> None:
        """What an auxiliary contact shows. To be told each second: it counts for 5 s."""
    def set_limit(
        self, slot: int, limit_ma: Phases | None, limit_until_ns: int, alive_until_ns: int
    ) -> None:
        """A limit, or None for "unlimited", with its planned end and its lease.

        One saved before a restart may come back with a lease that is already over: then
        its hold counts from the end of that lease.
        """
    def advise(self, charger: int, advice: Advice) -> None:
        """A planner's wish in place of the one before; it counts until it expires. It lifts no cap
        and no maximum, and what it asks for rises only as anything else does."""
    def heat(self, circuit: int) -> Heat | None:
        """How warm its protection is, to be saved; None where not stated, and before a tick."""
    def restore_heat(self, circuit: int, heat: Heat) -> None:
        """As saved lately in the same boot, before the first tick; later it is ignored.

        Without it every image begins full: as warm as it can be without a trip. What has passed
        since `heat.at_ns` counts at the worse of what flowed then and what may flow now.
        """
    def restore_worst(self, circuit: int, worst_ma: Phases) -> None:
        """A worst-case base load that was proved before; never below what is declared."""
    def leave(self) -> None:
        """From now on nothing rises, and every charger goes to its fail-safe setpoint."""
    def latch(self, on: bool) -> None:
        """Closes the latch, or ends it. While it is closed nothing rises and no contactor closes.

        When it closes, each charger goes to the lesser of its setpoint in force and its
        fail-safe setpoint, and its order is never above the latter until the latch ends.
        """
    @property
    def latched(self) -> bool: ...
    def tick(self, now_ns: int) -> bool:
        """Decides once; True when an order changed, a contactor's too. Time must not run
        backwards.

        After a gap of the dead-man time all orders had expired: each charger goes on at the
        lesser of its setpoint in force and its fail-safe setpoint.
        """
    @property
    def ticks(self) -> int: ...
    @property
    def now_ns(self) -> int:
        """The instant of the last tick."""
    def drain(self) -> bytes:
        """The journal since the last drain, to be read by `controller.journal`: whole records.

        For one reader: two at once may find nothing, but never half of a record.
        """
    def output(self, charger: int) -> Output: ...
    def setpoints(self) -> list[int | None]:
        """All chargers' setpoints as `output` tells them, at less cost."""

    def circuit(self, circuit: int) -> CircuitState: ...
    def charger(self, charger: int) -> ChargerState: ...
    def contactor(self, contactor: int) -> ContactorState:
        """A contactor's order: to be opened by whoever holds it when the order has expired."""
    def source(self, source: int) -> SourceState: ...
    def slot(self, slot: int) -> SlotState: ...
    def failsafe_ma(self, charger: int) -> int:
        """The fail-safe setpoint: fair share under worst-case base loads and fail-safe
        caps, never more than the fallback."""
