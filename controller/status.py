"""The enforcer's state at one moment, for people and for the link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from cext.rows import Advice, Phases, Together, Vehicle
from controller.blackbox.recorder import BlackBox
from controller.clock import WallClock
from controller.driver import Driver
from controller.image import Clock, Image
from controller.latch import Latch
from controller.limit_file import LimitFile
from controller.limits import Limits
from controller.realtime import Ticker, in_words
from controller.reasons import Reasons
from controller.site import Charger, Circuit, Contactor, DimInput, HealthRelay, LimitSource, Site
from controller.status_report import (
    ChargerReport,
    CircuitReport,
    DerogationReport,
    DeviceReport,
    LimitReport,
    LinkReport,
    PinReport,
    RealTimeReport,
    RecordingReport,
    StatusReport,
    Three,
    TogetherReport,
)
from controller.units import MA_PER_A, NS_PER_S, PPM_PER_PCT, amperes_text, less
from controller.version import VERSION

if TYPE_CHECKING:
    from cext.tick import Kernel
    from controller.tables import Tables

PinState = Literal["closed", "open", "verified open", "holds", "dropped", "dims", "rests", "?"]
SlotState = Literal["live", "unlimited", "ended", "lost"]


@dataclass(frozen=True, slots=True)
class Reporter:
    """Reads everything that a report needs; changes nothing."""

    site: Site
    tables: Tables
    kernel: Kernel
    ticker: Ticker
    image: Image
    limits: Limits
    limit_file: LimitFile
    drivers: Sequence[Driver]
    reasons: Reasons
    clock: Clock
    wall: WallClock
    boot_id: str
    mode: Literal["control", "observe"]
    latch: Latch
    blackbox: BlackBox
    started_ns: int

    def report(self, link: LinkReport) -> StatusReport:
        now_ns = self.clock.now_ns()
        devices = [self._device(driver) for driver in self.drivers]
        online = {device.id for device in devices if device.online}
        return StatusReport(
            site=self.site.id,
            version=VERSION,
            boot_id=self.boot_id,
            installation_hash=self.site.installation_hash,
            mode=self.mode,
            uptime_s=_seconds(now_ns - self.started_ns),
            ticks=self.kernel.ticks,
            tick_age_s=_seconds(now_ns - self.kernel.now_ns),
            clock_trusted=self.wall.trusted(),
            state_problem=self.limit_file.problem or self.latch.problem,
            real_time=self._real_time(),
            latched=self.latch.report,
            recording=self._recording(now_ns),
            link=link,
            circuits=[self._circuit(circuit, now_ns) for circuit in self.site.circuits],
            chargers=[
                self._charger(charger, charger.id in online, now_ns)
                for charger in self.site.chargers
            ],
            limits=[self._limit(source, now_ns) for source in self.site.limit_sources],
            devices=devices,
            pins=[
                *map(self._contactor, self.site.contactors),
                *(self._relay(relay, relay.id in online) for relay in self.site.health_relays),
                *(self._dim(contact, now_ns) for contact in self.site.inputs),
            ],
            derogations=[DerogationReport(**each.terms()) for each in self.site.derogations],
        )

    def _real_time(self) -> RealTimeReport:
        has = in_words(self.ticker.granted)
        return RealTimeReport(
            full=has.full,
            scheduling=has.scheduling,
            memory=has.memory,
            worst_late_ms=round(self.ticker.worst_late_ns / 1e6, 3),
        )

    def _recording(self, now_ns: int) -> RecordingReport:
        state = self.blackbox.state
        since_s = None if state.since_ns is None else _seconds(now_ns - state.since_ns)
        return RecordingReport(since_s=since_s, lost=state.lost, problem=state.problem)

    def _circuit(self, circuit: Circuit, now_ns: int) -> CircuitReport:
        index = self.tables.circuit_index[circuit.id]
        state = self.kernel.circuit(index)
        names = [self.reasons.slot(slot) for slot in state.slot]
        return CircuitReport(
            id=circuit.id,
            parent=circuit.parent,
            rating_a=_amps(circuit.rating_ma),
            load_a=_maybe_amps(state.reading_ma),
            cap_a=_amps(state.cap_ma),
            bound_by=(names[0], names[1], names[2]),
            base_hi_a=_amps(state.base_hi_ma),
            draw_hi_a=_amps(state.draw_hi_ma),
            excess_a=_amps(state.excess_ma),
            blind=state.reading_ma is None,
            reading_age_s=_seconds(now_ns - state.reading_at_ns) if state.reading_at_ns else None,
            beyond_control=state.beyond_control,
            heat_pct=None if state.heat_ppm is None else max(state.heat_ppm) / PPM_PER_PCT,
            trips_s=None if state.trips_ns is None else _seconds(state.trips_ns),
            together=_together(state.together),
            busbar_a=_bar(circuit, state.worst_base_ma),
        )

    def _charger(self, charger: Charger, online: bool, now_ns: int) -> ChargerReport:
        index = self.tables.charger_index[charger.id]
        state = self.kernel.charger(index)
        output = self.kernel.output(index)
        return ChargerReport(
            id=charger.id,
            circuit=charger.circuit,
            setpoint_w=_watts(charger, output.setpoint_ma),
            setpoint_a=_maybe_amp(output.setpoint_ma),
            in_force_a=_maybe_amp(state.in_force_ma),
            current_a=_maybe_amps(state.current_ma),
            vehicle="unknown" if state.vehicle == Vehicle.UNKNOWN else state.vehicle.name,
            online=online,
            reason=self.reasons.words(output.why),
            draw_hi_a=state.draw_hi_ma / MA_PER_A,
            stubborn=state.stubborn,
            waits_s=_since(state.waits_since_ns, now_ns),
            overtakes=state.overdue,
            turn_s=_since(state.turn_since_ns, now_ns),
            idle=state.idle,
            advice=None if state.advice is None else _advice(state.advice),
            advice_s=None if state.advice is None else _seconds(state.advice.until_ns - now_ns),
            frozen=state.frozen,
            cut_off=state.cut_off,
        )

    def _limit(self, source: LimitSource, now_ns: int) -> LimitReport:
        slot = self.kernel.slot(self.tables.slot_index[source.id])
        lease = self.limits.leases.get(source.id)
        alive = slot.state in ("live", "unlimited")
        ends_ns = min(slot.limit_until_ns, slot.alive_until_ns)
        return LimitReport(
            source=source.id,
            circuit=source.circuit,
            kind=source.kind,
            state=cast(SlotState, slot.state),
            limit_a=_maybe_amps(lease.limit_ma if lease else None),
            left_s=max(0.0, _seconds(ends_ns - now_ns)) if alive else None,
            cap_a=_maybe_amps(slot.cap_ma),
        )

    def _contactor(self, contactor: Contactor) -> PinReport:
        """In `observe` nothing is driven: the order is only what would be."""
        state = self.kernel.contactor(self.tables.contactor_index[contactor.id])
        ordered: PinState = "closed" if state.closed else "open"
        contact: Literal["closed", "open"] | None = None
        if state.contact is not None:
            contact = "closed" if state.contact else "open"
        return PinReport(
            id=contactor.id,
            name=contactor.name,
            kind="contactor",
            pin=contactor.pin,
            of=contactor.drops,
            state="verified open" if state.verified_open else ordered,
            contact=contact,
            why=self.reasons.words(state.why),
        )

    @staticmethod
    def _relay(relay: HealthRelay, holds: bool) -> PinReport:
        return PinReport(
            id=relay.id,
            name=relay.name,
            kind="health",
            pin=relay.pin,
            of=relay.drops,
            state="holds" if holds else "dropped",
            contact=None,
            why=None,
        )

    def _dim(self, contact: DimInput, now_ns: int) -> PinReport:
        lease = self.limits.leases.get(contact.source)
        state: PinState = "?"
        if lease is not None and now_ns < lease.alive_until_ns:
            state = "rests" if lease.limit_ma == contact.full_ma else "dims"
        return PinReport(
            id=contact.id,
            name=contact.name,
            kind="dim",
            pin=contact.steps[0].pin,
            of=contact.source,
            state=state,
            contact=None,
            why=None,
        )

    def _device(self, driver: Driver) -> DeviceReport:
        health = driver.health()
        measures = health.id in self.tables.source_index
        suspicion = self.image.suspicion(health.id) if measures else None
        return DeviceReport(
            id=health.id,
            online=health.online,
            error=health.error,
            suspected=None if suspicion is None else str(suspicion),
        )


def _together(state: Together | None) -> TogetherReport | None:
    if state is None:
        return None
    return TogetherReport(
        cap_a=state.cap_ma / MA_PER_A,
        load_a=_maybe_amp(state.reading_ma),
        base_hi_a=state.base_hi_ma / MA_PER_A,
        draw_hi_a=state.draw_hi_ma / MA_PER_A,
        excess_a=state.excess_ma / MA_PER_A,
    )


def _amps(phases: Phases) -> Three:
    l1, l2, l3 = phases
    return l1 / MA_PER_A, l2 / MA_PER_A, l3 / MA_PER_A


def _maybe_amps(phases: Phases | None) -> Three | None:
    return None if phases is None else _amps(phases)


def _bar(circuit: Circuit, worst_base_ma: Phases) -> Three | None:
    """What its bus bar leaves to the chargers."""
    return None if circuit.busbar_ma is None else _amps(less(circuit.busbar_ma, worst_base_ma))


def _maybe_amp(ma: int | None) -> float | None:
    return None if ma is None else ma / MA_PER_A


def _since(since_ns: int, now_ns: int) -> float | None:
    return _seconds(max(0, now_ns - since_ns)) if since_ns else None


def _advice(advice: Advice) -> str:
    """As "weight 3, floor 10 A, cap 16 A"."""
    parts = [
        *([f"weight {advice.weight}"] if advice.weight is not None else []),
        *([f"floor {amperes_text(advice.floor_ma)} A"] if advice.floor_ma is not None else []),
        *([f"cap {amperes_text(advice.cap_ma)} A"] if advice.cap_ma is not None else []),
    ]
    return ", ".join(parts)


def _seconds(ns: int) -> float:
    return round(ns / NS_PER_S, 3)


def _watts(charger: Charger, setpoint_ma: int | None) -> float | None:
    """What is written for its setpoint, where it is commanded in watts."""
    if charger.watts is None or setpoint_ma is None:
        return None
    return charger.watts.told_mw(setpoint_ma) // 1000
