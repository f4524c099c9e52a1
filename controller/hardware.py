"""A site's depot on the plant: what stands there, and what its pins do when nobody drives them."""

from __future__ import annotations

from collections.abc import Iterable

from cext.plant import Plant, PlantCharger
from cext.rows import ROOT
from controller.document.devices import Charger
from controller.site import Site
from controller.units import PPM
from controller.watts import Watts


def hardware(site: Site) -> tuple[PlantCharger, ...]:
    """The chargers as their document describes them; what it does not know, at its worst."""
    circuits = [circuit.id for circuit in site.circuits]
    return tuple(
        PlantCharger(
            circuit=circuits.index(charger.circuit),
            phases=charger.phases,
            max_ma=charger.max_ma,
            power_on_ma=_power_on_ma(charger),
            fallback_ma=charger.alone_ma,
            watchdog_ns=charger.fallback_delay_ns or 0,
            draws_ppm=0 if charger.watts is None else charger.watts.draws_ppm,
            shows_ppm=_shows_ppm(charger.watts),
        )
        for charger in site.chargers
    )


def _power_on_ma(charger: Charger) -> int:
    """One without a bus is as its pin is: nobody drives it, or an order that has cut it off."""
    if charger.switch is None:
        return charger.restart_ma
    return charger.switch.rated_ma if charger.switch.off_high else 0


def _shows_ppm(watts: Watts | None) -> int:
    """What it makes of its current, where it tells the power that it was told to draw."""
    if watts is None or watts.measured_ppm is None:
        return 0
    return PPM * PPM // watts.draws_ppm


def build_plant(
    site: Site, seed: int, chargers: Iterable[PlantCharger] | None = None, step_ns: int = 10_000_000
) -> Plant:
    """The site's depot, empty, with meters that show the present."""
    circuits = [circuit.id for circuit in site.circuits]
    parents = [ROOT if c.parent is None else circuits.index(c.parent) for c in site.circuits]
    rows = hardware(site) if chargers is None else tuple(chargers)
    chargers_of = [charger.id for charger in site.chargers]
    plant = Plant(
        parents,
        rows,
        site.circuits[0].phase_mv,
        seed,
        step_ns,
        contactors=[[chargers_of.index(c) for c in each.chargers] for each in site.contactors],
    )
    for meter in site.meters:
        plant.set_meter(circuits.index(meter.circuit), 0, 0)
    for index, circuit in enumerate(site.circuits):
        plant.set_cap(index, circuit.rating_ma)
    return plant


def let_go(site: Site, plant: Plant) -> None:
    """Nobody drives the pins: the gateway has no power, or took leave in order."""
    for index, contactor in enumerate(site.contactors):
        plant.set_contactor(index, not contactor.opens_alone)
    for index, charger in enumerate(site.chargers):
        if (switch := charger.switch) is not None:  # a low pin
            plant.write_setpoint(index, switch.rated_ma if switch.off_high else 0)


def killed(site: Site, plant: Plant) -> None:
    """The process is gone at once: its pins fall where they were tried to, and else stay."""
    if site.gpio is not None and site.gpio.pins_fall:
        let_go(site, plant)
