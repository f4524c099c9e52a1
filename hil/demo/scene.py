"""One moment of the demo's depot, as it is to be seen."""

from __future__ import annotations

from cext.rows import Phases
from controller.status_report import LinkReport
from hil.demo.bays import ChargerTruth
from hil.demo.show import Show
from hil.demo.view import CircuitTruth, Key, Part, Scene

BASE_KEY, QUIT_KEY = "b", "q"
_AT_REST = ("closed", "holds", "rests")  # of what is on the pins


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
        keys=_keys(show),
    )


def _parts(show: Show) -> list[Part]:
    """The processes, and what they hang on; a fault of the viewer's is named where it is."""
    rig, report = show.rig, None if show.stale else show.report
    on = {key: (each.ends_s or 0) - show.t_s for key, each in show.troubles.items() if each.on}
    link = report.link if report else None
    memory = rig.enforcer.resident_mb()
    online = {device.id: device.online for device in report.devices} if report else {}
    return [
        Part("enforcer", False, f"back in {on['k']:.0f} s")
        if "k" in on
        else Part("enforcer", not show.stale, f"{memory:.0f} MB" if memory else "gone"),
        Part("link", False, f"back in {on['l']:.0f} s")
        if "l" in on
        else Part("link", bool(link and link.connected), _link_words(link)),
        Part("cloud", "c" not in on, "cut off" if "c" in on else "reachable"),
        *(
            Part(meter, online.get(meter, False), _heard(online.get(meter)))
            for meter in (*rig.meters, *rig.clamps)
        ),
        *(
            Part(pin.id, pin.state in _AT_REST, pin.state)
            for pin in (report.pins if report else ())
        ),
    ]


def _heard(online: bool | None) -> str:
    return {None: "?", True: "heard", False: "not heard"}[online]


def _link_words(link: LinkReport | None) -> str:
    if link is None:
        return "?"
    return "connected" if link.connected else "no broker" if link.attached else "gone"


def _keys(show: Show) -> list[Key]:
    return [
        *(Key(key, each.word, each.on) for key, each in show.troubles.items()),
        Key(BASE_KEY, "base load", show.life.step),
        Key(QUIT_KEY, "quit"),
    ]


def _amps(milliamps: Phases) -> tuple[float, float, float]:
    first, second, third = (ma / 1000 for ma in milliamps)
    return first, second, third
