"""One moment of the demo's depot, as it is to be seen."""

from __future__ import annotations

from cext.rows import Phases
from controller.wire import LinkReport
from hil.show import Show
from hil.view import ChargerTruth, CircuitTruth, Part, Scene

BASE_KEY, QUIT_KEY = "b", "q"


def scene(show: Show) -> Scene:
    depot, life = show.rig.depot, show.life
    plant = depot.plant
    show.rig.present()
    over = [plant.over(circuit) for circuit in range(len(depot.site.circuits))]
    depths: dict[str | None, int] = {None: -1}
    circuits = []
    for index, circuit in enumerate(depot.site.circuits):
        depths[circuit.id] = depths[circuit.parent] + 1
        circuits.append(
            CircuitTruth(
                circuit.id,
                depths[circuit.id],
                _amps(plant.load(index)),
                _amps(plant.cap(index)),
                _amps(circuit.rating_ma),
                metered=circuit.id in {meter.circuit for meter in depot.site.meters},
            )
        )
    chargers = []
    for index, charger in enumerate(depot.site.chargers):
        state, bay = plant.charger(index), life.bays[index]
        chargers.append(
            ChargerTruth(
                charger.id,
                bay.kind.name if bay.kind else "",
                life.charged(index),
                state.offered_ma / 1000,
                max(state.current_ma) / 1000,
            )
        )
    return Scene(
        site=depot.site.id,
        energy_kwh=show.energy_kwh(),
        worst_over_a=max(each.worst_ma for each in over) / 1000,
        longest_over_s=max(each.longest_ns for each in over) / 1e9,
        parts=_parts(show),
        circuits=circuits,
        chargers=chargers,
        report=show.report,
        stale=show.stale,
        events=list(show.events),
        keys=_legend(show),
    )


def _parts(show: Show) -> list[Part]:
    rig, report = show.rig, show.report
    troubles = show.troubles
    left_s = {key: (each.ends_s or 0) - show.t_s for key, each in troubles.items() if each.on}
    link = report.link if report and not show.stale else None
    age_s = report.circuits[0].reading_age_s if report and not show.stale else None
    memory = rig.enforcer.resident_mb()
    return [
        Part("enforcer", False, f"back in {left_s['k']:.0f} s")
        if "k" in left_s
        else Part("enforcer", not show.stale, f"{memory:.0f} MB" if memory else "gone"),
        Part("link", False, f"back in {left_s['l']:.0f} s")
        if "l" in left_s
        else Part("link", bool(link and link.connected), _link_words(link)),
        Part("cloud", not troubles["c"].on, "cut off" if troubles["c"].on else "reachable"),
        Part("meter", not troubles["m"].on, _meter_words(troubles["m"].on, age_s)),
    ]


def _link_words(link: LinkReport | None) -> str:
    if link is None:
        return "?"
    return "connected" if link.connected else "no broker" if link.attached else "gone"


def _meter_words(silent: bool, age_s: float | None) -> str:
    if age_s is None:
        return "silent" if silent else "?"
    return f"silent {age_s:.1f} s" if silent else f"{age_s:.1f} s old"


def _legend(show: Show) -> list[tuple[str, str]]:
    on = {key for key, trouble in show.troubles.items() if trouble.on}
    return [
        ("c", "mend cloud" if "c" in on else "cut cloud"),
        ("m", "mend meter" if "m" in on else "stop meter"),
        ("k", "start enforcer" if "k" in on else "kill enforcer"),
        ("l", "start link" if "l" in on else "kill link"),
        (BASE_KEY, "base off" if show.life.step else "base up"),
        (QUIT_KEY, "quit"),
    ]


def _amps(milliamps: Phases) -> tuple[float, float, float]:
    first, second, third = (ma / 1000 for ma in milliamps)
    return first, second, third
