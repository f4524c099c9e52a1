"""What the engineer reads at night: a log line for everything that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from cext.rows import ChargerState, CircuitState, Output
from controller.driver import Driver
from controller.events import Events
from controller.plausibility import Suspicion
from controller.reasons import Reasons
from controller.site import Site
from controller.units import MA_PER_A, NS_PER_S, PPM_PER_PCT

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from cext.tick import Kernel
    from controller.tables import Tables

RISING_EVERY_NS = NS_PER_S
ERROR_EVERY_NS = 10 * NS_PER_S
STRAINED_PCT = 80  # of a trip

_OBEYS = ("charger does as told again", "charger_obeys", "")
_SUSPECT = (
    "charger does not do as told",
    "charger_disobeys",
    "what was ordered has not shown: counted at its worst and not raised",
)
_STUBBORN = (
    "charger is stubborn",
    "charger_stubborn",
    "has drawn more than it was told for 7 s: counted at what it draws and not raised",
)

log: FilteringBoundLogger = structlog.get_logger()


@dataclass(slots=True)
class _Told:
    """The order of one charger as last logged, and the newest one seen since."""

    ma: int | None = None
    at_ns: int = 0
    newest: Output | None = None


@dataclass(slots=True)
class _Device:
    """How one device was last logged."""

    online: bool | None = None
    error: str | None = None
    at_ns: int = 0


class Watch:
    """Compares what the kernel and the drivers show with what was logged last."""

    def __init__(
        self,
        site: Site,
        tables: Tables,
        kernel: Kernel,
        drivers: Sequence[Driver],
        reasons: Reasons,
        events: Events,
        before: Watch | None = None,
    ) -> None:
        """`before`: the watch of the document before; what it has told is told."""
        self._kernel = kernel
        self._events = events
        self._reasons = reasons
        self._drivers = drivers
        self._chargers = tables.charger_index
        self._circuits = tables.circuit_index
        self._slots = tables.slot_index
        self._contactors = tables.contactor_index
        self._closed: dict[str, bool] = {}  # contactors as logged last
        self._told = {charger.id: _Told() for charger in site.chargers}
        self._devices = {driver.id: _Device() for driver in drivers}
        self._blind = dict.fromkeys(self._circuits, True)
        self._obedience = dict.fromkeys(self._chargers, _OBEYS)
        self._beyond = dict.fromkeys(self._circuits, False)
        self._strained = dict.fromkeys(self._circuits, False)
        self._unproven = dict.fromkeys(self._chargers, False)
        self._frozen = dict.fromkeys(self._chargers, False)
        self._worst_ma = {circuit.id: circuit.worst_base_ma for circuit in site.circuits}
        self._states: dict[str, str] = {}
        if before is not None:
            self._remember(before)

    def _remember(self, before: Watch) -> None:
        stays = [driver.id for driver in self._drivers if driver in before._drivers]
        self._devices.update((id_, before._devices[id_]) for id_ in stays)
        for charger in self._chargers.keys() & before._chargers.keys():
            self._told[charger] = before._told[charger]
            self._obedience[charger] = before._obedience[charger]
            self._unproven[charger] = before._unproven[charger]
            self._frozen[charger] = before._frozen[charger]
        for circuit in self._circuits.keys() & before._circuits.keys():
            self._blind[circuit] = before._blind[circuit]
            self._beyond[circuit] = before._beyond[circuit]
            self._strained[circuit] = before._strained[circuit]
        self._states = {id_: state for id_, state in before._states.items() if id_ in self._slots}

    def orders(self, now_ns: int) -> None:
        """Every reduction; of a charger that rises, one line a second; every contactor."""
        for charger, told in self._told.items():
            output = self._kernel.output(self._chargers[charger])
            before, told.newest = told.newest, output
            falls = _falls(before, output)
            if falls and before is not None and before.setpoint_ma != told.ma:
                self._tell(charger, told, before, now_ns)
            if output.setpoint_ma != told.ma and (falls or now_ns - told.at_ns >= RISING_EVERY_NS):
                self._tell(charger, told, output, now_ns)

        for contactor, index in self._contactors.items():
            state = self._kernel.contactor(index)
            if state.closed != self._closed.get(contactor):
                self._closed[contactor] = state.closed
                log.info(
                    "contactor",
                    contactor=contactor,
                    tick=state.changed_tick,
                    to="closed" if state.closed else "open",
                    **self._reasons.fields(state.why),
                )

    def doubted(self, source: str, suspicion: Suspicion | None) -> None:
        """At once: a meter or clamp that is not believed any more, or again."""
        if suspicion is None:
            log.info("source trusted again", source=source)
            self._events.happened("source_trusted", source)
        else:
            log.warning(
                "source not believed",
                source=source,
                suspicion=suspicion.kind,
                evidence=suspicion.evidence,
            )
            why, since_ns = str(suspicion), suspicion.since_ns
            self._events.happened("source_suspected", source, why, since_ns)

    def others(self, now_ns: int) -> None:
        """Devices, chargers, circuits and limits."""
        for driver in self._drivers:
            self._device(driver, now_ns)
        for charger, index in self._chargers.items():
            state = self._kernel.charger(index)
            self._proof(charger, state.unproven)
            self._moves(charger, state.frozen)
            self._charger(charger, state)
        for circuit, index in self._circuits.items():
            self._circuit(circuit, self._kernel.circuit(index), now_ns)
        for source, index in self._slots.items():
            slot = self._kernel.slot(index)
            if slot.state != self._states.get(source):
                self._states[source] = slot.state
                cap_a = None if slot.cap_ma is None else [ma / MA_PER_A for ma in slot.cap_ma]
                tell = log.warning if slot.state == "lost" else log.info
                tell("limit state", source=source, state=slot.state, cap_a=cap_a)
                why = "no cap" if cap_a is None else f"cap {_three(cap_a)} A"
                self._events.happened(f"limit_{slot.state}", source, why)

    def _charger(self, charger: str, state: ChargerState) -> None:
        obedience = _STUBBORN if state.stubborn else _SUSPECT if state.suspect else _OBEYS
        if obedience != self._obedience[charger]:
            self._obedience[charger] = obedience
            tell = log.info if obedience == _OBEYS else log.warning
            sentence, event, why = obedience
            tell(sentence, charger=charger)
            self._events.happened(event, charger, why)

    def _proof(self, charger: str, unproven: bool) -> None:
        if unproven == self._unproven[charger]:
            return
        self._unproven[charger] = unproven
        if unproven:
            log.warning("charger unproven", charger=charger)
            why = "it did not answer, or its fallback is not proven: counted at its maximum"
            self._events.happened("charger_unproven", charger, why)
        else:
            log.info("charger proven", charger=charger)
            self._events.happened("charger_proven", charger)

    def _moves(self, charger: str, frozen: bool) -> None:
        if frozen == self._frozen[charger]:
            return
        self._frozen[charger] = frozen
        if frozen:
            why = "it shows the same to the last digit although it was told to draw less"
            log.warning("charger's reports stand still", charger=charger, why=why)
            self._events.happened("charger_frozen", charger, why)
        else:
            log.info("charger's reports move again", charger=charger)
            self._events.happened("charger_moves", charger)

    def _circuit(self, circuit: str, state: CircuitState, now_ns: int) -> None:
        blind = state.reading_ma is None
        if blind != self._blind[circuit]:
            self._blind[circuit] = blind
            if blind:
                log.warning("circuit blind", circuit=circuit)
                why = "no fresh reading: its base load counts at its worst"
                since_ns = state.reading_at_ns or now_ns
                self._events.happened("circuit_blind", circuit, why, since_ns)
            else:
                log.info("circuit measured", circuit=circuit)
                self._events.happened("circuit_measured", circuit)
        cap_a = [ma / MA_PER_A for ma in state.cap_ma]
        if state.beyond_control != self._beyond[circuit]:
            self._beyond[circuit] = state.beyond_control
            if state.beyond_control:
                log.error(
                    "circuit beyond control: over its cap, and nothing is left to shed",
                    circuit=circuit,
                    load_a=state.reading_ma and [ma / MA_PER_A for ma in state.reading_ma],
                    cap_a=cap_a,
                )
                why = f"over its cap of {_three(cap_a)} A, and nothing is left to shed"
                self._events.happened("circuit_beyond_control", circuit, why)
            else:
                log.info("circuit under control again", circuit=circuit)
                self._events.happened("circuit_under_control", circuit)
        self._strain(circuit, state)
        if state.worst_base_ma != self._worst_ma[circuit]:
            self._worst_ma[circuit] = state.worst_base_ma
            log.error(
                "more base load measured than declared",
                circuit=circuit,
                worst_base_a=[ma / MA_PER_A for ma in state.worst_base_ma],
            )
            worst = _three([ma / MA_PER_A for ma in state.worst_base_ma])
            why = f"more was measured than declared: {worst} A is the worst case from now on"
            self._events.happened("base_load_disproved", circuit, why)

    def _strain(self, circuit: str, state: CircuitState) -> None:
        """What protects it carries more than it can for ever, and not for much longer.

        Full load alone brings it to 80 % and more; and of a blind circuit nobody knows.
        """
        if state.heat_ppm is None:
            return
        heat_pct = max(state.heat_ppm) // PPM_PER_PCT
        if state.trips_ns is None:
            if self._strained[circuit]:
                self._strained[circuit] = False
                log.info("protection is relieved", circuit=circuit, heat_pct=heat_pct)
                self._events.happened("protection_relieved", circuit, f"at {heat_pct} % of a trip")
        elif state.reading_ma is not None and heat_pct >= STRAINED_PCT:
            if self._strained[circuit]:
                return
            self._strained[circuit] = True
            load_a = [ma / MA_PER_A for ma in state.reading_ma]
            trips_s = state.trips_ns // (NS_PER_S // 10) / 10
            log.error(
                "protection may trip: more flows than it carries for ever",
                **{"circuit": circuit, "load_a": load_a, "heat_pct": heat_pct, "trips_s": trips_s},
            )
            why = f"{_three(load_a)} A flow, at {heat_pct} % of a trip: it may come in {trips_s} s"
            self._events.happened("protection_strained", circuit, why)

    def _tell(self, charger: str, told: _Told, output: Output, now_ns: int) -> None:
        log.info(
            "setpoint",
            charger=charger,
            tick=output.changed_tick,
            from_a=_amps(told.ma),
            to_a=_amps(output.setpoint_ma),
            **self._reasons.fields(output.cause),
        )
        self._pause(charger, told.ma, output)
        told.ma = output.setpoint_ma
        told.at_ns = now_ns

    def _pause(self, charger: str, before_ma: int | None, output: Output) -> None:
        """Of all orders, only those that end or begin charging are events."""
        now_ma = output.setpoint_ma
        if now_ma == 0 and before_ma:
            self._events.happened("charger_paused", charger, self._reasons.words(output.cause))
        elif now_ma and before_ma == 0:
            self._events.happened("charger_resumed", charger, self._reasons.words(output.cause))

    def _device(self, driver: Driver, now_ns: int) -> None:
        """Its coming and going at once; of its errors meanwhile, one line in 10 s."""
        health, told = driver.health(), self._devices[driver.id]
        if health.online != told.online and health.online:
            log.info("device online", device=health.id)
            self._events.happened("device_online", health.id, "", health.since_ns or None)
            told.online, told.error, told.at_ns = True, None, now_ns
        elif health.online != told.online:
            log.warning("device offline", device=health.id, error=health.error)
            self._events.happened(
                "device_offline", health.id, health.error or "", health.since_ns or None
            )
            told.online, told.error, told.at_ns = False, health.error, now_ns
        elif health.error is None:
            told.error = None
        elif health.error != told.error and now_ns - told.at_ns >= ERROR_EVERY_NS:
            log.warning("device error", device=health.id, online=told.online, error=health.error)
            self._events.happened("device_error", health.id, health.error, health.since_ns or None)
            told.error, told.at_ns = health.error, now_ns


def _falls(before: Output | None, now: Output) -> bool:
    if before is None or before.setpoint_ma is None or now.setpoint_ma is None:
        return True  # appeared or went: as worth a line as a fall
    return now.setpoint_ma < before.setpoint_ma


def _amps(ma: int | None) -> float | None:
    return None if ma is None else ma / MA_PER_A


def _three(amps: Sequence[float]) -> str:
    return " ".join(f"{each:g}" for each in (amps if len(set(amps)) > 1 else amps[:1]))
