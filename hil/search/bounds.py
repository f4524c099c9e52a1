"""How long each circuit may take to answer what happens, from what its site declares."""

from __future__ import annotations

from typing import NamedTuple

from controller.document.clamps import Clamp
from controller.document.devices import Charger, Meter
from controller.plant import EXCHANGE_NS
from controller.reaction import age_ns
from controller.site import Site
from controller.units import NS_PER_S, PPM
from hil.search import flows
from hil.search.flows import Flow

WRITING_NS = EXCHANGE_NS + 50_000_000  # an order on its way to its charger, and a plant's step
FOUND_OUT_NS = 8 * NS_PER_S  # until somebody who disobeys is known to, beside what is declared
WORTH_MA, PACED_WORTH_MA = 500, 2000  # a smaller change of a setpoint waits for more
TRUSTED_NS = 12 * NS_PER_S  # from a lie's end until its source counts again


class Bound(NamedTuple):
    """Of one circuit."""

    react_ns: int  # one cause, answered
    calm_ns: int  # until what is permitted and not drawn has been taken back
    ill_ns: int  # more of that while a charger below does not do as it should
    blind_ns: int  # more of that while a source here is not what it should be
    alone_ns: int  # until the chargers below are at what they do alone
    measured: bool
    error_ma: int  # largest of its sources
    kept_ma: Flow  # what may stay permitted, and not drawn, beside what fits: not worth a write


class Tree:
    """Who is below whom, by index in the site's order."""

    def __init__(self, site: Site) -> None:
        index = {circuit.id: i for i, circuit in enumerate(site.circuits)}
        self.index = index
        self.parent = [-1 if c.parent is None else index[c.parent] for c in site.circuits]
        self.below: list[list[int]] = [[] for _ in site.circuits]
        self.paths: list[list[int]] = [self._path(index[c.circuit]) for c in site.chargers]
        for charger, path in enumerate(self.paths):
            for circuit in path:
                self.below[circuit].append(charger)

    def _path(self, circuit: int) -> list[int]:
        path = []
        while circuit >= 0:
            path.append(circuit)
            circuit = self.parent[circuit]
        return path

    def above(self, circuit: str) -> list[int]:
        """A circuit and all that feed it."""
        return self._path(self.index[circuit])


def bounds(site: Site, tree: Tree) -> list[Bound]:
    return [_bound(site, tree, index) for index in range(len(site.circuits))]


def _bound(site: Site, tree: Tree, index: int) -> Bound:
    circuit = site.circuits[index].id
    meters = [each for each in site.meters if each.circuit == circuit]
    clamps = [each for each in site.clamps if each.circuit == circuit]
    every: list[Meter | Clamp] = [*meters, *clamps]
    chargers = [site.chargers[i] for i in tree.below[index]]
    counting: list[Meter | Clamp] = [*meters] if meters else [*clamps]
    seen_ns = max((_age_ns(each) for each in counting), default=0)
    slowest_ns = max((_age_ns(each) for each in every), default=0)
    lost_ns = max((each.max_age_ns for each in every), default=0)
    obeyed_ns = max((_obeys_ns(each) for each in chargers), default=0)
    once_ns = site.control.tick_ns + seen_ns + obeyed_ns + WRITING_NS
    shown_ns = _slowest_above(site, tree, index) + obeyed_ns
    reports_ns = max(
        (c.facts.lag_ns + c.poll_ns + c.facts.confirm_gap_ns for c in chargers), default=0
    )
    return Bound(
        react_ns=once_ns,
        calm_ns=max(site.control.calm_ns, shown_ns) + slowest_ns + reports_ns + obeyed_ns,
        ill_ns=once_ns + FOUND_OUT_NS + reports_ns + obeyed_ns,
        blind_ns=lost_ns + slowest_ns - seen_ns + reports_ns,
        alone_ns=max((_alone_ns(each) for each in chargers), default=0),
        measured=bool(every),
        error_ma=max((each.error_ma for each in every), default=0),
        kept_ma=_kept_ma(chargers),
    )


def _kept_ma(chargers: list[Charger]) -> Flow:
    """A setpoint that is less than that above its share stays; a bus bar knows no such."""
    phases_ma = [0, 0, 0]
    for charger in chargers:
        worth_ma = PACED_WORTH_MA if charger.facts.write_gap_ns else WORTH_MA
        for phase in charger.phases:
            if phase >= 0:
                phases_ma[phase] += worth_ma + worth_ma * charger.facts.tolerance_ppm // PPM
    first, second, third = phases_ma
    return flows.load((first, second, third))


def standby_ma(site: Site, charger: Charger) -> int:
    """What it draws besides charging, in the plant a part of the load beside it.

    The plant knows no standby: who stands behind a contactor draws none, for with that open he
    must not.
    """
    return 0 if switched(site, charger) else charger.standby_ma


def switched(site: Site, charger: Charger) -> bool:
    """Whether it stands behind a contactor or a relay, its own one included."""
    behind = any(charger.id in each.chargers for each in site.contactors)
    return behind or charger.switch is not None


def _age_ns(source: Meter | Clamp) -> int:
    return age_ns(source) + EXCHANGE_NS


def _obeys_ns(charger: Charger) -> int:
    return charger.facts.write_gap_ns + charger.settle_ns


def _alone_ns(charger: Charger) -> int:
    return (charger.fallback_delay_ns or 0) + charger.settle_ns + WRITING_NS


def _slowest_above(site: Site, tree: Tree, index: int) -> int:
    above = {site.circuits[i].id for i in tree.above(site.circuits[index].id)}
    every: list[Meter | Clamp] = [*site.meters, *site.clamps]
    return max((_age_ns(each) for each in every if each.circuit in above), default=0)
