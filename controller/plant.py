"""A site on the virtual depot, in virtual time: as fast as the machine can, and repeatable.

Kernel, image and limits are the real ones. Imitated are only the thread that ticks and the
drivers that talk: they poll, write, refresh and give up as the real ones do, on an agenda
instead of a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial

from cext.errands import Errands
from cext.plant import Plant
from cext.rows import NO_PHASE, Phases
from controller.document.clamps import Clamp
from controller.document.devices import Charger, Meter
from controller.document.gpio import Contactor
from controller.guard.account import Maps
from controller.guard.guard import Guard, Verdict
from controller.image import Image, MeterReading
from controller.limits import Lease, Limits, sources_of
from controller.records import Record
from controller.site import Site
from controller.tables import OPERATOR, Tables
from controller.tap import Tap
from controller.units import PPM

EXCHANGE_NS = 15_000_000  # a request and its reply
LOOK_NS = 100_000_000  # how often a contactor's driver looks
EARLY_NS = 5_000_000  # early ticks are at least this far apart
UTC_BEGIN_NS = 1_800_000_000 * 10**9  # what the virtual wall clock shows at instant 0


class VirtualClock:
    """Monotonic and wall clock in one, set by the agenda."""

    def __init__(self, now_ns: int) -> None:
        self.at_ns = now_ns
        self.ahead_ns = 0  # by how much the wall clock is wrong

    def go_to(self, now_ns: int) -> None:
        self.at_ns = now_ns

    def now_ns(self) -> int:
        return self.at_ns

    def utc_ns(self) -> int:
        return UTC_BEGIN_NS + self.at_ns + self.ahead_ns

    def trusted(self) -> bool:
        return True


class VirtualEnforcer:
    """The enforcer process on a plant, from its start at `now_ns` until it is forgotten.

    Devices whose id is in `silent` do not answer. Meters and clamps in `shows` show another thing
    than there is: a function of the currents at their terminals, None where a reading is lost.
    Writes to chargers in `deaf` get lost. `leases` are the limits saved by
    the enforcer before this one. Threads whose name is in
    `stalled` stand still: the "kernel" that decides, the "io" that talks. `disputed` is told of
    each decision that a guard disputes. It holds nothing back, and without this there is none.
    """

    def __init__(
        self,
        site: Site,
        plant: Plant,
        now_ns: int,
        silent: Set[str] = frozenset(),
        leases: Mapping[str, Lease] | None = None,
        stalled: Set[str] = frozenset(),
        shows: Mapping[str, Callable[[Phases], Phases | None]] | None = None,
        deaf: Set[str] = frozenset(),
        disputed: Callable[[Verdict], None] | None = None,
    ) -> None:
        tables = self._tables = Tables.of(site)
        self.clock = VirtualClock(now_ns)
        self.kernel = tables.build_kernel()
        self.image = Image(tables, self.kernel, self.clock)
        self.limits = Limits(sources_of(site, tables), self.kernel, self.clock, self.clock)
        self.agenda = Errands(
            self.kernel,
            plant,
            EXCHANGE_NS,
            self.clock.go_to,
            self.image.note_report,
            silent,
            stalled,
            deaf,
        )
        self.plant = plant
        self.silent = silent
        self.stalled = stalled
        self.deaf = deaf
        self.shows = {} if shows is None else shows
        self._tap = Tap(self.kernel)
        self._guard = None if disputed is None else Guard(tables)
        self._disputed = disputed
        if self._guard is not None:
            self._tap.follow(self._hear)
        self._tick_ns = tables.tick_ns
        self._ticked_ns = now_ns - EARLY_NS
        self._early = False  # an early tick is due
        self._changed = False  # an order has, and nobody was told
        for source in self.limits.sources:
            if leases and source.id in leases:
                self.limits.restore(source.id, source.circuit, leases[source.id])
        for index, meter in enumerate(site.meters):
            begin_ns = now_ns + EXCHANGE_NS + index * meter.poll_ns // len(site.meters)
            self.agenda.at(begin_ns, _MeterLoop(self, meter, tables).poll)
        for clamp in site.clamps:
            self.agenda.at(now_ns + clamp.period_ns, _ClampLoop(self, clamp, tables).send)
        for index, charger in enumerate(site.chargers):
            begin_ns = now_ns + EXCHANGE_NS + index * charger.poll_ns // len(site.chargers)
            self._drive(charger, index, begin_ns)
        for index, contactor in enumerate(site.contactors):
            self.agenda.at(now_ns, _ContactorLoop(self, contactor, index).look)
        self.image.turn.join("chargers", self._take)
        self.agenda.at(now_ns, self._tick_on_time)

    def run_until(self, until_ns: int) -> None:
        self.agenda.run_until(until_ns)

    def switch(self, site: Site) -> None:
        """Another document of the very same devices: what it says of them goes on in its kernel."""
        before, self._tables = self._tables, Tables.of(site)
        kernel = self._tables.build_kernel()
        stays = same_devices(before, self._tables)
        if self._guard is not None:
            self._tap.drain()  # what the old kernel heard, the old guard hears
        kernel.adopt(self.kernel, **stays._asdict())
        self.kernel = kernel
        self.image.switch(self._tables, kernel, stays.sources)
        self.limits.switch(sources_of(site, self._tables), kernel)
        self.agenda.switch(kernel)
        self._tap = Tap(kernel)
        if self._guard is not None:
            guard = Guard(self._tables)
            guard.adopt(self._guard, stays)
            self._guard = guard
            self._tap.follow(self._hear)
        self.tick_early()

    @property
    def setpoint_writes(self) -> int:
        return self.agenda.setpoint_writes

    def _drive(self, charger: Charger, index: int, begin_ns: int) -> None:
        self.agenda.drive(
            charger.id,
            charger.phases,
            charger.facts.metered,
            charger.facts.any_traffic,
            charger.poll_ns,
            charger.fallback_delay_ns,
            charger.facts.write_gap_ns,
            begin_ns,
        )
        self.image.on_change(charger.id, partial(self.agenda.wake, index))
        if charger.switch is not None:
            self.agenda.at(begin_ns, _SwitchLoop(self, charger.id, index).look)

    def _hear(self, records: Sequence[Record]) -> None:
        assert self._guard is not None
        for record in records:
            verdict = self._guard.hear(record)
            if verdict is not None:
                self._judged(verdict)

    def _judged(self, verdict: Verdict) -> None:
        if verdict.disputes and self._disputed is not None:
            self._disputed(verdict)

    def _take(self) -> None:
        """Every decision, whether or not there is something to write."""
        self.image.turn.taken("chargers", self.image.turn.tick)

    def post_reading(self, source: str, shown_ma: Phases) -> None:
        """As its driver does: what cannot be a reading is none."""
        if source in self.shows:
            seen_ma = self.shows[source](shown_ma)
            if seen_ma is None:
                return
            shown_ma = seen_ma
        try:
            self.image.post_meter(source, MeterReading(self.clock.at_ns, shown_ma))
        except ValueError:
            return
        self.tick_early()

    def tick_early(self) -> None:
        """A meter reading arrived: decides now, or as soon as an early tick may be."""
        if not self._early:
            self._early = True
            self.agenda.at(max(self.clock.at_ns, self._ticked_ns + EARLY_NS), self._tick)

    def _tick_on_time(self) -> None:
        self.agenda.at(self.clock.at_ns + self._tick_ns, self._tick_on_time)
        self._tick()

    def _tick(self) -> None:
        self._early = False
        if "kernel" in self.stalled:
            return
        self._ticked_ns = self.clock.at_ns
        self._changed = self.kernel.tick(self.clock.at_ns) or self._changed
        if "io" in self.stalled:
            return
        self._hand_out()
        self.image.turn.decided(self.kernel.ticks, self.clock.at_ns)

    def _hand_out(self) -> None:
        """What was decided, to the drivers."""
        if self._guard is not None:
            self._tap.drain()
        if self._changed:
            self._changed = False
            self.image.announce()


class _MeterLoop:
    """A meter's driver: one reading each poll."""

    def __init__(self, enforcer: VirtualEnforcer, meter: Meter, tables: Tables) -> None:
        self._enforcer = enforcer
        self._meter = meter
        self._circuit = tables.circuit_index[meter.circuit]

    def poll(self) -> None:
        enforcer, meter = self._enforcer, self._meter
        now_ns = enforcer.clock.at_ns
        enforcer.agenda.at(now_ns + meter.poll_ns, self.poll)
        if meter.id not in enforcer.silent and "io" not in enforcer.stalled:
            shown_ma = at_terminals(meter, enforcer.plant.meter(self._circuit))
            enforcer.post_reading(meter.id, shown_ma)


class _ClampLoop:
    """A clamp: one line each period, of what flows at that moment."""

    def __init__(self, enforcer: VirtualEnforcer, clamp: Clamp, tables: Tables) -> None:
        self._enforcer = enforcer
        self._clamp = clamp
        self._circuit = tables.circuit_index[clamp.circuit]

    def send(self) -> None:
        enforcer, clamp = self._enforcer, self._clamp
        enforcer.agenda.at(enforcer.clock.at_ns + clamp.period_ns, self.send)
        if clamp.id not in enforcer.silent:
            load_ma = enforcer.plant.load(self._circuit)
            first, second, third = (
                abs(load_ma[phase]) * PPM // clamp.ratio_ppm for phase in clamp.phases
            )
            enforcer.post_reading(clamp.id, (first, second, third))


class _ContactorLoop:
    """A contactor's driver: does as ordered at once, and looks at its auxiliary contact."""

    def __init__(self, enforcer: VirtualEnforcer, contactor: Contactor, index: int) -> None:
        self._enforcer = enforcer
        self._id = contactor.id
        self._index = index
        self._feedback = contactor.feedback is not None
        enforcer.image.on_contactor_change(contactor.id, self._obey)

    def look(self) -> None:
        now_ns = self._enforcer.clock.at_ns
        self._enforcer.agenda.at(now_ns + LOOK_NS, self.look)
        if "io" in self._enforcer.stalled:
            return  # its pin stays as it was
        self._obey()
        if self._feedback:
            closed = self._enforcer.plant.contactor(self._index)
            self._enforcer.image.post_contactor(self._id, now_ns, closed)

    def _obey(self) -> None:
        order = self._enforcer.image.contactor_order(self._id)
        self._enforcer.plant.set_contactor(self._index, order is not None and order.closed)


class _SwitchLoop:
    """What a pin's driver does beside following its orders: without a live one it is off."""

    def __init__(self, enforcer: VirtualEnforcer, charger: str, index: int) -> None:
        self._enforcer = enforcer
        self._id = charger
        self._index = index
        enforcer.plant.write_setpoint(index, 0)  # its pin is opened at rest

    def look(self) -> None:
        enforcer = self._enforcer
        enforcer.agenda.at(enforcer.clock.at_ns + LOOK_NS, self.look)
        if "io" not in enforcer.stalled and enforcer.image.order(self._id) is None:
            enforcer.plant.write_setpoint(self._index, 0)


def same_devices(before: Tables, after: Tables) -> Maps:
    """Devices and circuits are the same; the operator's own limits are as the new one says."""
    same = (
        (before.circuit_index, after.circuit_index),
        (before.source_index, after.source_index),
        (before.charger_index, after.charger_index),
        ({i: at for i, at in before.slot_index.items() if OPERATOR not in i}, after.slot_index),
        (before.contactor_index, after.contactor_index),
    )
    return Maps(*({now: old[id_] for id_, now in new.items() if id_ in old} for old, new in same))


def at_terminals(meter: Meter, grid_ma: Phases) -> Phases:
    """What a meter wired like this one shows of the grid's currents."""
    sign = -1 if meter.reversed else 1
    first, second, third = (
        0 if phase == NO_PHASE else sign * grid_ma[phase] * PPM // meter.ratio_ppm
        for phase in meter.phases
    )
    return first, second, third
