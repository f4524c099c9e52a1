"""The commissioning proof: does the depot stay inside its ratings when nobody controls it?

Sums of whole milliamps, per circuit and phase. What is unknown counts at its worst: a
charger whose fallback nobody knows counts at its maximum, and every charger draws its
tolerance and its standby current on top of what it is set to. What is behind a relay that
drops it without us counts nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from cext.rows import ALL_PHASES, NO_PHASE, Phases
from controller.document.circuits import Circuit
from controller.document.devices import Charger
from controller.document.entries.derogation import Derogation
from controller.document.lines import Line
from controller.reaction import Reaction, reactions
from controller.relays import Relay, Unsafe, relays, unsafe
from controller.remedies import Excess, Group, Remedy, Setting, remedies
from controller.site import Site
from controller.transition import Transition, transitions

__all__ = ["Counted", "Finding", "Line", "Proof", "Term", "Watchdogs", "prove"]


@dataclass(frozen=True, slots=True)
class Term:
    """Part of a sum: `count` times `each_ma`."""

    what: str
    count: int
    each_ma: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One sum, and what it may be."""

    line: Line
    circuit: str
    phase: int  # 0..2, or ALL_PHASES together
    source: str | None  # the limit source whose fail-safe cap is at stake; None: the rating
    sum_ma: int
    allowed_ma: int
    terms: tuple[Term, ...]
    remedies: tuple[Remedy, ...]  # the cheapest first; none where it passed

    @property
    def passed(self) -> bool:
        return self.sum_ma <= self.allowed_ma


@dataclass(frozen=True, slots=True)
class Watchdogs:
    """Chargers of one kind on a circuit: is their watchdog armed by itself after a reboot?"""

    circuit: str
    profile: str
    count: int
    armed: bool


Verdict = Finding | Transition | Reaction


@dataclass(frozen=True, slots=True)
class Proof:
    """`watchdogs` belongs to line POWER_CUT: what is not armed stays at its power-on current."""

    findings: tuple[Finding, ...]
    watchdogs: tuple[Watchdogs, ...]
    transitions: tuple[Transition, ...] = ()
    reactions: tuple[Reaction, ...] = ()
    derogations: tuple[Derogation, ...] = ()
    relays: tuple[Relay, ...] = ()  # that drop chargers without us
    unsafe: tuple[Unsafe, ...] = ()  # named, and not relied upon
    on_generator: "Proof | None" = (
        None  # of the circuits that one feeds now and then, by its ratings
    )

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """What does not hold by itself."""
        every: tuple[Verdict, ...] = (*self.findings, *self.transitions, *self.reactions)
        failed = tuple(each for each in every if not each.passed)
        return failed if self.on_generator is None else (*failed, *self.on_generator.failed)

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """What does not hold, and nobody answers for as much."""
        return tuple(each for each in self.failed if self.covering(each) is None)

    @property
    def passed(self) -> bool:
        """Every line holds, or an installer answers for as much as it does not."""
        return not self.refused

    @property
    def derogated(self) -> bool:
        """Whether it passes only because somebody answers for it."""
        return self.passed and bool(self.failed)

    @property
    def needless(self) -> tuple[Derogation, ...]:
        """Derogations of what holds without them."""
        wanted = [self.concerning(each) for each in self.failed]
        return tuple(each for each in self.derogations if each not in wanted)

    def covering(self, failed: Verdict) -> Derogation | None:
        """The derogation that reaches as far as this one fails."""
        derogation = self.concerning(failed)
        return derogation if derogation is not None and _reaches(derogation, failed) else None

    def concerning(self, failed: Verdict) -> Derogation | None:
        """The derogation for its line and place, however far it reaches."""
        line = _line(failed)
        place = (None, failed.source) if failed.source is not None else (failed.circuit, None)
        for each in self.derogations:
            if (each.line, each.circuit, each.source) == (line, *place):
                return each
        return None


def _line(failed: Verdict) -> Line:
    match failed:
        case Finding():
            return failed.line
        case Transition():
            return Line.TRANSITION
        case Reaction():
            return Line.REACTION


def _reaches(derogation: Derogation, failed: Verdict) -> bool:
    """A sum, by its excess; what passes, by the excess and by how long it lasts."""
    match failed:
        case Finding():
            return failed.sum_ma - failed.allowed_ma <= derogation.excess_ma
        case Transition():
            excess_ma, lasts_ns = failed.excess_ma, failed.needs_ns
        case Reaction():
            excess_ma, lasts_ns = max(failed.excess_ma), failed.takes_ns
    return (
        excess_ma <= derogation.excess_ma
        and lasts_ns is not None
        and lasts_ns <= derogation.trips_after_ns
    )


class Counted(NamedTuple):
    """At which setpoint a charger counts, and why."""

    setting: Setting
    known: bool
    setpoint_ma: int
    floor_ma: int  # lower than this the setting alone cannot bring it
    relay: str = ""  # what drops it


Count = Callable[[Charger], Counted]


def prove(site: Site) -> Proof:
    """All lines that can be computed, in their order."""
    proof = _prove(site)
    fed = frozenset(circuit.id for circuit in site.circuits if circuit.generator is not None)
    if not fed:
        return proof
    return replace(proof, on_generator=_of(fed, _prove(_on_generator(site))))


def _on_generator(site: Site) -> Site:
    """The site while every generator that it has runs."""
    return replace(
        site,
        circuits=tuple(
            each
            if each.generator is None
            else replace(
                each,
                rating_ma=each.generator.rating_ma,
                reserve_ma=_least(each.reserve_ma, each.generator.rating_ma),
                protection=each.generator.protection,
            )
            for each in site.circuits
        ),
    )


def _of(circuits: frozenset[str], proof: Proof) -> Proof:
    """Only what is about these circuits; a fail-safe cap is the same whatever feeds them."""
    return Proof(
        tuple(each for each in proof.findings if each.circuit in circuits and each.source is None),
        (),
        tuple(each for each in proof.transitions if each.circuit in circuits),
        tuple(each for each in proof.reactions if each.circuit in circuits),
        proof.derogations,
    )


def _least(one: Phases, other: Phases) -> Phases:
    first, second, third = map(min, one, other)
    return first, second, third


def _prove(site: Site) -> Proof:
    depot = _Depot(site)
    findings = [*_unattended(depot), *_after_power_cut(depot), *_failsafe_caps(depot)]
    armed = Counter(
        (charger.circuit, charger.profile, charger.facts.watchdog_armed_after_power_on)
        for charger in site.chargers
        if charger.switch is None
    )
    return Proof(
        tuple(findings),
        tuple(
            Watchdogs(circuit, profile, count, by_itself)
            for (circuit, profile, by_itself), count in armed.items()
        ),
        transitions(site),
        reactions(site),
        site.derogations,
        relays(site),
        unsafe(site),
    )


class _Depot:
    """A site with the chargers below each circuit at hand."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.circuits = {circuit.id: circuit for circuit in site.circuits}
        self._relays: dict[str, Relay] = {}
        for relay in sorted(relays(site), key=lambda relay: relay.recloses_together, reverse=True):
            self._relays |= dict.fromkeys(relay.chargers, relay)  # contactors last: they count
        self._below: dict[str, list[Charger]] = {circuit.id: [] for circuit in site.circuits}
        for charger in site.chargers:
            above: str | None = charger.circuit
            while above is not None:
                self._below[above].append(charger)
                above = self.circuits[above].parent

    def alone(self, charger: Charger) -> Counted:
        relay = self._relays.get(charger.id)
        return _at_least(charger, _alone(charger) if relay is None else _dropped(relay))

    def restarted(self, charger: Charger) -> Counted:
        return _at_least(charger, self._restarted(charger))

    def _restarted(self, charger: Charger) -> Counted:
        """A relay that recloses for all together gives them their power-on currents.

        What they do alone comes only after the relay has dropped them again.
        """
        relay = self._relays.get(charger.id)
        if relay is None:
            return _restarted(charger)
        if not relay.recloses_together:
            return _dropped(relay)
        return Counted(Setting.POWER_ON, charger.power_on_ma is not None, charger.restart_ma, 0)

    def finding(
        self,
        line: Line,
        circuit: Circuit,
        phase: int,
        count: Count,
        allowed_ma: int,
        source: str | None = None,
    ) -> Finding:
        """Adds up a circuit's phase, or all three of them, each charger as `count` says."""
        together = phase == ALL_PHASES
        base_ma = sum(circuit.worst_base_ma) if together else circuit.worst_base_ma[phase]
        groups = self._groups(circuit.id, phase, count)
        sum_ma = base_ma + sum(group.times * group.each_ma for group in groups)
        rating_ma = allowed_ma if together else circuit.rating_ma[phase]
        together_mv = circuit.phase_mv if together else None
        excess = Excess(
            circuit.id, source, sum_ma, allowed_ma, rating_ma, base_ma, groups, together_mv
        )
        return Finding(
            line=line,
            circuit=circuit.id,
            phase=phase,
            source=source,
            sum_ma=sum_ma,
            allowed_ma=allowed_ma,
            terms=(
                Term("base load", 1, base_ma),
                *(
                    Term(f"{group.who}: {group.what}", group.times, group.each_ma)
                    for group in groups
                ),
            ),
            remedies=remedies(excess) if sum_ma > allowed_ma else (),
        )

    def _groups(self, circuit: str, phase: int, count: Count) -> list[Group]:
        """Those that draw on the phase; alike are those that differ in nothing that counts."""
        alike: dict[object, list[Charger]] = {}
        for charger in self._below[circuit]:
            wired = 3 - charger.phases.count(NO_PHASE) if phase == ALL_PHASES else 1
            if phase in charger.phases or phase == ALL_PHASES:
                key = (
                    wired,
                    charger.circuit,
                    charger.profile,
                    count(charger),
                    charger.min_ma,
                    charger.tolerance_ppm,
                    charger.standby_ma,
                )
                alike.setdefault(key, []).append(charger)
        return [
            Group(
                chargers[0],
                len(chargers),
                *count(chargers[0]),
                phases=3 - chargers[0].phases.count(NO_PHASE) if phase == ALL_PHASES else 1,
            )
            for chargers in alike.values()
        ]


def _unattended(depot: _Depot) -> Iterator[Finding]:
    """Line 1: worst-case base load and what chargers do alone, against the rating.

    A bus bar carries at least the rating, so what fits that fits it, too.
    """
    for circuit in depot.site.circuits:
        for phase, allowed_ma in _ratings(circuit):
            yield depot.finding(Line.UNATTENDED, circuit, phase, depot.alone, allowed_ma)


def _ratings(circuit: Circuit) -> Iterator[tuple[int, int]]:
    """What each phase may carry, and all three together where that is bounded."""
    yield from enumerate(circuit.rating_ma)
    if circuit.sum_ma is not None:
        yield ALL_PHASES, circuit.sum_ma


def _after_power_cut(depot: _Depot) -> Iterator[Finding]:
    """Line 2: the same when every charger has just got its power back.

    One after the other they go on from their power-on current to their fallback, so each
    counts at the higher of the two: the mixture must fit, too.
    """
    for circuit in depot.site.circuits:
        for phase, allowed_ma in _ratings(circuit):
            yield depot.finding(Line.POWER_CUT, circuit, phase, depot.restarted, allowed_ma)


def _failsafe_caps(depot: _Depot) -> Iterator[Finding]:
    """Line 4: line 1's sum for the source's circuit, against the source's fail-safe cap.

    The fail-safe cap is a promise for the time without contact. What takes the contact away
    may take the gateway, too; then only the chargers' fallbacks keep the promise. A cap below
    what the depot draws unattended would hold only as long as the controller lives.
    """
    for source in depot.site.limit_sources:
        circuit = depot.circuits[source.circuit]
        for phase in range(3):
            yield depot.finding(
                Line.FAILSAFE_CAP, circuit, phase, depot.alone, source.failsafe_ma[phase], source.id
            )


def _at_least(charger: Charger, counted: Counted) -> Counted:
    """One that may never be paused: while the gateway lives nothing brings it below its minimum."""
    if counted.setpoint_ma >= charger.always_ma:
        return counted._replace(floor_ma=max(counted.floor_ma, charger.always_ma))
    return Counted(Setting.ALWAYS, True, charger.always_ma, charger.always_ma)


def _alone(charger: Charger) -> Counted:
    setting = Setting.FALLBACK if charger.facts.has_fallback else Setting.NONE
    return Counted(setting, charger.fallback_ma is not None, charger.alone_ma, 0)


def _dropped(relay: Relay) -> Counted:
    return Counted(Setting.DROPPED, known=True, setpoint_ma=0, floor_ma=0, relay=relay.id)


def _restarted(charger: Charger) -> Counted:
    alone, restart_ma = _alone(charger), charger.restart_ma
    if charger.facts.power_on_is_fallback and charger.power_on_ma == charger.fallback_ma:
        return alone
    known = charger.power_on_ma is not None
    if restart_ma > alone.setpoint_ma:
        return Counted(Setting.POWER_ON, known, restart_ma, alone.setpoint_ma)
    if restart_ma == alone.setpoint_ma and alone.setting is Setting.FALLBACK:
        return Counted(Setting.BOTH, known and alone.known, restart_ma, 0)
    return alone._replace(floor_ma=restart_ma)
