"""The site as the kernel wants it: rows, their indexes, and how meters are wired."""

from __future__ import annotations

from dataclasses import dataclass

from cext.rows import (
    NEVER_NS,
    NO_PHASE,
    ROOT,
    ChargerRow,
    CircuitRow,
    ContactorRow,
    CurveRow,
    Kind,
    Pause,
    Phases,
    SlotRow,
    SourceRow,
    Tuning,
)
from cext.tick import Kernel
from controller.curves import curve
from controller.document.clamps import Clamp
from controller.document.devices import Charger, Meter
from controller.document.gpio import Contactor
from controller.site import Circuit, Control, LimitSource, Site
from controller.units import PPM, less
from controller.watts import Watts

OPERATOR = "operator/"  # before a circuit's id: its own lasting limit; no source has such an id


@dataclass(frozen=True, slots=True)
class Wiring:
    """How a meter's or clamp's terminals sit on the circuit."""

    phases: Phases  # grid phase at terminals 1, 2, 3
    ratio_ppm: int
    reversed: bool

    def to_grid(self, terminals_ma: Phases) -> Phases:
        """Signed currents at the terminals as currents of the grid phases, + is import.

        A phase that no terminal sits on carries nothing: its document says so.
        """
        grid = [0, 0, 0]
        ppm = -self.ratio_ppm if self.reversed else self.ratio_ppm
        (one, two, three), (first, second, third) = self.phases, terminals_ma
        grid[one] = first * ppm // PPM
        if two != NO_PHASE:
            grid[two] = second * ppm // PPM
        if three != NO_PHASE:
            grid[three] = third * ppm // PPM
        return grid[0], grid[1], grid[2]

    def lacks(self) -> tuple[int, ...]:
        """Grid phases on which no terminal sits."""
        return tuple(phase for phase in range(3) if phase not in self.phases)


@dataclass(frozen=True, slots=True)
class Tables:
    """Rows in the site's order; an index is a row's position."""

    circuits: tuple[CircuitRow, ...]
    sources: tuple[SourceRow, ...]
    chargers: tuple[ChargerRow, ...]
    slots: tuple[SlotRow, ...]
    contactors: tuple[ContactorRow, ...]
    tuning: Tuning
    tick_ns: int
    circuit_index: dict[str, int]
    source_index: dict[str, int]
    charger_index: dict[str, int]
    slot_index: dict[str, int]
    contactor_index: dict[str, int]
    source_wiring: tuple[Wiring, ...]
    source_spread_ppm: tuple[int, ...]  # by how much of itself it may show too much
    charger_watts: tuple[Watts | None, ...] = ()  # of those that are commanded in watts
    charger_meter: tuple[int | None, ...] = ()  # the source that alone tells what it draws

    @classmethod
    def of(cls, site: Site, *, observe: bool | None = None) -> Tables:
        """`observe` as the site says, unless whoever runs it knows better."""
        if observe is None:
            observe = site.mode == "observe"
        circuits = {circuit.id: i for i, circuit in enumerate(site.circuits)}
        limited = [circuit for circuit in site.circuits if circuit.limit_ma is not None]
        sources = [source.id for source in site.limit_sources]
        own = [OPERATOR + circuit.id for circuit in limited]
        chargers = {charger.id: i for i, charger in enumerate(site.chargers)}
        named = {name: i for i, name in enumerate(site.source_ids)}
        reserves = {circuit.id: circuit.reserve_ma for circuit in site.circuits}
        return cls(
            circuits=tuple(
                CircuitRow(
                    parent=ROOT if circuit.parent is None else circuits[circuit.parent],
                    rating_ma=less(circuit.rating_ma, circuit.reserve_ma),
                    worst_base_ma=circuit.worst_base_ma,
                    credit_export=circuit.credit_export,
                    clear_within_ns=circuit.clear_within_ns,
                    base_step_ma=circuit.base_step_ma,
                    curve=_curve_row(circuit),
                    busbar_ma=circuit.busbar_ma,
                    sum_ma=_sum_ma(circuit),
                    imbalance_ma=circuit.imbalance_ma,
                )
                for circuit in site.circuits
            ),
            sources=(
                *(_source_row(meter, circuits) for meter in site.meters),
                *(_clamp_row(clamp, circuits) for clamp in site.clamps),
            ),
            chargers=tuple(_charger_row(charger, circuits) for charger in site.chargers),
            slots=(
                *(_slot_row(each, circuits, reserves[each.circuit]) for each in site.limit_sources),
                *(_own_slot_row(each, circuits) for each in limited),
            ),
            contactors=tuple(_contactor_row(each, chargers) for each in site.contactors),
            tuning=_tuning(site.control, observe),
            tick_ns=site.control.tick_ns,
            circuit_index=circuits,
            source_index=named,
            charger_index=chargers,
            slot_index={id_: i for i, id_ in enumerate((*sources, *own))},
            contactor_index={each.id: i for i, each in enumerate(site.contactors)},
            source_wiring=(
                *(Wiring(meter.phases, meter.ratio_ppm, meter.reversed) for meter in site.meters),
                *(Wiring(clamp.phases, clamp.ratio_ppm, False) for clamp in site.clamps),
            ),
            source_spread_ppm=(
                *(0 for _ in site.meters),
                *(clamp.spread_ppm for clamp in site.clamps),
            ),
            charger_watts=tuple(charger.watts for charger in site.chargers),
            charger_meter=tuple(
                None
                if each.switch is None or each.switch.meter is None
                else named[each.switch.meter]
                for each in site.chargers
            ),
        )

    def unmeasured(self) -> tuple[tuple[int, ...], ...]:
        """Phases by source that a signed one of its circuit has no terminal on."""
        lacks: dict[int, tuple[int, ...]] = {}
        for row, wiring in zip(self.sources, self.source_wiring, strict=True):
            if not row.unsigned:
                lacks[row.circuit] = lacks.get(row.circuit, ()) + wiring.lacks()
        return tuple(lacks.get(row.circuit, ()) for row in self.sources)

    def build_kernel(self) -> Kernel:
        kernel = Kernel(
            self.circuits, self.sources, self.chargers, self.slots, self.tuning, self.contactors
        )
        for id_, slot in self.slot_index.items():
            if id_.startswith(OPERATOR):
                kernel.set_limit(slot, self.slots[slot].failsafe_ma, NEVER_NS, NEVER_NS)
        return kernel


def _curve_row(circuit: Circuit) -> CurveRow | None:
    if circuit.protection is None:
        return None
    device = curve(circuit.protection)
    return CurveRow(device.pickup_ma, device.tau_ns, device.steps)


def _sum_ma(circuit: Circuit) -> int | None:
    if circuit.sum_ma is None:
        return None
    return max(0, circuit.sum_ma - sum(circuit.reserve_ma))


def _source_row(meter: Meter, circuits: dict[str, int]) -> SourceRow:
    return SourceRow(
        circuit=circuits[meter.circuit],
        error_ma=meter.error_ma,
        lag_ns=meter.lag_ns,
        max_age_ns=meter.max_age_ns,
        poll_ns=meter.poll_ns,
    )


def _clamp_row(clamp: Clamp, circuits: dict[str, int]) -> SourceRow:
    return SourceRow(
        circuit=circuits[clamp.circuit],
        error_ma=clamp.error_ma,
        lag_ns=clamp.lag_ns,
        max_age_ns=clamp.max_age_ns,
        poll_ns=clamp.period_ns,
        unsigned=True,
    )


def _charger_row(charger: Charger, circuits: dict[str, int]) -> ChargerRow:
    return ChargerRow(
        circuit=circuits[charger.circuit],
        phases=charger.phases,
        min_ma=charger.min_ma,
        max_ma=charger.max_ma,
        step_ma=charger.step_ma,
        fallback_ma=charger.alone_ma,
        power_on_ma=charger.restart_ma,
        tolerance_ppm=charger.tolerance_ppm,
        standby_ma=charger.standby_ma,
        settle_ns=charger.settle_ns,
        metered=charger.facts.metered,
        error_ma=charger.facts.error_ma,
        lag_ns=charger.facts.lag_ns,
        poll_ns=charger.poll_ns,
        max_age_ns=charger.max_age_ns,
        weight=charger.weight,
        class_rank=charger.class_rank,
        write_gap_ns=charger.facts.write_gap_ns,
        confirm_gap_ns=charger.facts.confirm_gap_ns,
        ceiling_ma=charger.ceiling_ma,
        class_wait_ns=charger.class_wait_ns,
        min_on_ns=charger.min_on_ns,
        min_off_ns=charger.min_off_ns,
        resolution_ma=charger.facts.resolution_ma,
        may_pause=Pause[charger.may_pause.upper()],
        error_ppm=0 if charger.watts is None else charger.watts.error_ppm,
    )


def _slot_row(source: LimitSource, circuits: dict[str, int], reserve_ma: Phases) -> SlotRow:
    return SlotRow(
        circuit=circuits[source.circuit],
        kind=Kind[source.kind.upper()],
        failsafe_ma=less(source.failsafe_ma, reserve_ma),
        hold_ns=source.hold_ns,
        clear_within_ns=source.clear_within_ns,
    )


def _contactor_row(contactor: Contactor, chargers: dict[str, int]) -> ContactorRow:
    return ContactorRow(
        chargers=tuple(chargers[charger] for charger in contactor.chargers),
        group=contactor.group,
        feedback=contactor.feedback is not None,
        opens_ns=contactor.opens_ns,
        opens_alone=contactor.opens_alone,
    )


def _own_slot_row(circuit: Circuit, circuits: dict[str, int]) -> SlotRow:
    """The operator's lasting limit: as its own fail-safe cap it cannot be lost."""
    assert circuit.limit_ma is not None
    return SlotRow(
        circuit=circuits[circuit.id],
        kind=Kind.ECONOMIC,
        failsafe_ma=less(circuit.limit_ma, circuit.reserve_ma),
        hold_ns=0,
    )


def _tuning(control: Control, observe: bool) -> Tuning:
    return Tuning(
        dead_man_ns=control.dead_man_ns,
        dwell_ns=control.dwell_ns,
        ramp_ma_per_s=control.ramp_ma_per_s,
        calm_ns=control.calm_ns,
        turn_ns=control.turn_ns,
        observe=observe,
    )
