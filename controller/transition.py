"""Line 3 of the proof: the load between the gateway's last decision and the depot's own fallbacks.

The worst moment for a gateway to die is when every charger stands at its highest setpoint because
the base load is low, and the base load then goes to its worst. Until each charger has noticed,
fallen back and been followed by its vehicle, the protective device carries the sum.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from cext.rows import Phases
from controller.curves import HELD_NS, NEVER_NS, Curve, curve, trips_after_ns
from controller.document.circuits import Circuit
from controller.document.devices import Charger
from controller.relays import relays
from controller.remedies import Overload, Remedy, sturdier
from controller.site import Site


@dataclass(frozen=True, slots=True)
class Transition:
    """What one phase of a circuit carries, and how long it can."""

    circuit: str
    phase: int  # 0..2
    device: Curve | None  # None: nobody said what protects it; it counts as one that trips at once
    base_ma: int
    chargers_ma: int  # at the most, before anybody falls back
    allowed_ma: int  # the rating: so much for ever
    needs_ns: int | None  # until the load is within the rating again; None: nobody knows
    trips_ns: int | None  # when the device may trip; None: it does not
    slowest: str  # who is the last to fall back; "": nobody has to
    remedies: tuple[Remedy, ...]

    @property
    def sum_ma(self) -> int:
        return self.base_ma + self.chargers_ma

    @property
    def excess_ma(self) -> int:
        return max(0, self.sum_ma - self.allowed_ma)

    @property
    def source(self) -> None:
        """It is always the circuit's own."""

    @property
    def passed(self) -> bool:
        return self.trips_ns is None


@dataclass(frozen=True, slots=True)
class Falling:
    """A charger on its own way down."""

    charger: Charger
    after_ns: int | None  # since the last decision; None: nobody knows when
    alone_ma: int  # what it draws from then on


class Draws:
    """What chargers draw at the most while the controller holds every circuit under its cap."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._measured = {meter.circuit for meter in site.meters}
        self._measured |= {clamp.circuit for clamp in site.clamps}

    def before_ma(self, circuit: Circuit, phase: int) -> int:
        """The most that flows there in good order."""
        return max(0, circuit.rating_ma[phase] - circuit.reserve_ma[phase])

    def most_ma(self, circuit: Circuit, phase: int, chargers: frozenset[str]) -> int:
        """Of these chargers, with as little base load as there can be.

        Where nothing measures, room for the whole worst case is kept all the time. Where power
        that is fed in may be given to chargers, no rating bounds them.
        """
        below: dict[str, int] = {each.id: 0 for each in self._site.circuits}
        for charger in self._site.chargers:
            if charger.id in chargers and phase in charger.phases:
                below[charger.circuit] += charger.draw_ma(charger.max_ma)
        for each in reversed(self._site.circuits):  # children before their parents
            if not each.credit_export:
                kept_ma = 0 if each.id in self._measured else each.worst_base_ma[phase]
                room_ma = max(0, self.before_ma(each, phase) - kept_ma)
                below[each.id] = min(below[each.id], room_ma)
            if each.id == circuit.id:
                return below[each.id]
            if each.parent is not None:
                below[each.parent] += below[each.id]
        raise KeyError(circuit.id)


def transitions(site: Site) -> tuple[Transition, ...]:
    """For each circuit with chargers below, and phase."""
    draws, falling = Draws(site), _falling(site)
    found: list[Transition] = []
    for circuit in site.circuits:
        inside = site.inside(circuit.id)
        if those := [each for each in falling if each.charger.circuit in inside]:
            found += (_transition(site, draws, circuit, phase, those) for phase in range(3))
    return tuple(found)


def _falling(site: Site) -> list[Falling]:
    """The last write may come as late as the dead-man time; only then does a watchdog begin."""
    held = {name: relay.holds_ns for relay in relays(site) for name in relay.chargers}
    found = []
    for charger in site.chargers:
        after_ns = None
        if charger.facts.has_fallback and charger.fallback_delay_ns is not None:
            after_ns = site.control.dead_man_ns + charger.fallback_delay_ns + charger.settle_ns
        alone_ma = charger.draw_ma(charger.alone_ma)
        if charger.id in held:
            after_ns, alone_ma = held[charger.id], 0
        found.append(Falling(charger, after_ns, alone_ma))
    return found


def _transition(
    site: Site, draws: Draws, circuit: Circuit, phase: int, falling: list[Falling]
) -> Transition:
    those = [each for each in falling if phase in each.charger.phases]
    base_ma = circuit.worst_base_ma[phase]
    rating_ma = circuit.rating_ma[phase]
    load = list(_load(draws, circuit, phase, those))
    device = None if circuit.protection is None else curve(circuit.protection)
    over = [until_ns for ma, _, until_ns in load if ma > rating_ma]
    trips_ns: int | None = None
    if device is not None:
        steps = [(ma, lasts_ns) for ma, lasts_ns, _ in load]
        trips_ns = trips_after_ns(device, draws.before_ma(circuit, phase), steps)
    elif over:
        trips_ns = 0
    needs_ns = (None if over[-1] == NEVER_NS else over[-1]) if over else 0
    chargers_ma = load[0][0] - base_ma
    overload = Overload(
        circuit=circuit.id,
        rating_ma=rating_ma,
        sum_ma=load[0][0],
        known=device is not None,
        needs_ns=needs_ns,
        unknown=tuple(each.charger.id for each in those if each.after_ns is None),
        base_ma=base_ma,
        carries_ma=rating_ma if device is None else _carries_ma(device, needs_ns),
        export=circuit.credit_export,
    )
    return Transition(
        circuit=circuit.id,
        phase=phase,
        device=device,
        base_ma=base_ma,
        chargers_ma=chargers_ma,
        allowed_ma=rating_ma,
        needs_ns=needs_ns,
        trips_ns=trips_ns,
        slowest=_slowest(those) if over and those else "",  # a base load may exceed it alone
        remedies=sturdier(overload) if trips_ns is not None else (),
    )


def _carries_ma(device: Curve, lasts_ns: int | None) -> int:
    """For so long; None: for ever."""
    return device.pickup_ma if lasts_ns is not None and lasts_ns < HELD_NS else device.carried_ma


def _load(
    draws: Draws, circuit: Circuit, phase: int, those: list[Falling]
) -> Iterator[tuple[int, int, int]]:
    """So many mA for so many ns, until an instant after the last decision: until all have fallen.

    Who has fallen counts beside the most that those who have not can draw. What is left when all
    have is line 1's to judge; who never falls by all that is known draws on for ever.
    """
    begins_ns, fallen_ma = 0, 0
    waiting = {each.charger.id for each in those}
    base_ma = circuit.worst_base_ma[phase]
    ordered = sorted(those, key=_when)
    for when_ns, group in groupby(ordered, key=_when):
        if when_ns > begins_ns:
            ma = base_ma + fallen_ma + draws.most_ma(circuit, phase, frozenset(waiting))
            yield ma, when_ns - begins_ns, when_ns
        begins_ns = when_ns
        for each in group:
            waiting.discard(each.charger.id)
            fallen_ma += each.alone_ma
    if begins_ns == 0:
        yield base_ma, 0, 0  # nobody draws on this phase


def _when(each: Falling) -> int:
    return NEVER_NS if each.after_ns is None else each.after_ns


def _slowest(those: list[Falling]) -> str:
    return max(those, key=_when).charger.id


def peaks(site: Site, circuit: Circuit) -> Phases:
    """The most that flows in good order when the base load has just risen by its largest step."""
    draws = Draws(site)
    every = frozenset(charger.id for charger in site.chargers)
    first, second, third = (
        min(
            draws.before_ma(circuit, phase) + circuit.step_ma[phase],
            draws.most_ma(circuit, phase, every) + circuit.worst_base_ma[phase],
        )
        for phase in range(3)
    )
    return first, second, third
