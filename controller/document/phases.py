"""Which phases a meter measures, and what the others of its circuit must carry: nothing.

A reading is one number for each phase. Where a meter has fewer terminals the rest of it is 0, and
that must be true by the document: no worst case of base load there, and no charger.
"""

from collections.abc import Iterable, Iterator, Set

from cext.rows import NO_PHASE
from controller.document.draft import Draft
from controller.document.entries.meter import MeterEntry
from controller.document.problems import found
from controller.facts import MeterFacts
from controller.units import amperes_text

NAMES = ("L1", "L2", "L3")
_COUNTS = {1: "one phase", 2: "two phases"}


def check_measures(draft: Draft, index: int, meter: MeterEntry, facts: MeterFacts) -> None:
    """Complains unless the meter measures all that its circuit carries."""
    if not facts.tells_currents:
        draft.complain(
            f"{found(meter.profile)} tells no current of any phase, so it cannot guard a "
            f"circuit: take a meter that does; this one can be looked at with loadkeeper read",
            *("meter", index, "profile"),
        )
        return
    written = "ct" in draft.written("meter")[index]
    place = ("meter", index, "ct", "phases") if written else ("meter", index, "ct")
    wired = [phase for phase in meter.ct.phases if phase != NO_PHASE]
    if len(wired) == facts.phases == len(NAMES):
        return
    if facts.phases == len(NAMES):
        draft.complain(
            f"must name all of L1 L2 L3, each once, in the order of the terminals: "
            f"{found(meter.profile)} measures three phases; found {_text(wired)}",
            *place,
        )
        return
    if len(wired) != facts.phases:
        draft.complain(
            f"{found(meter.profile)} measures {_COUNTS[facts.phases]}: write on which it is wired, "
            f'such as ct = {{ phases = "{_text(range(facts.phases))}" }}; found {_text(wired)}',
            *place,
        )
        return
    other = next(_elsewhere(draft, meter, set(range(len(NAMES))) - set(wired)), None)
    if other is not None:
        draft.complain(
            f"{found(meter.profile)} measures {_text(wired)} and nothing else, but {other}. Guard "
            f"this circuit by a meter of three phases; or give what hangs on {_text(wired)} a "
            f"circuit of its own, with a worst_base_a of 0 on the other phases",
            *("meter", index, "profile"),
        )


def _elsewhere(draft: Draft, meter: MeterEntry, phases: Set[int]) -> Iterator[str]:
    """What may draw on these phases of its circuit."""
    inside = _inside(draft, meter.circuit)
    for circuit in draft.circuits.values():
        for phase in sorted(phases):
            if circuit.id in inside and circuit.worst_base_ma[phase]:
                base = amperes_text(circuit.worst_base_ma[phase])
                yield f"{found(circuit.id)} has a worst_base_a of {base} A on {NAMES[phase]}"
    for charger in draft.chargers.values():
        on = phases & set(charger.phases)
        if charger.circuit in inside and on:
            yield f"{found(charger.id)} there is wired to {_text(sorted(on))}"


def _inside(draft: Draft, top: str) -> Set[str]:
    """A circuit and all below it; cycles are told elsewhere, and end here."""
    inside = {top}
    for _ in draft.circuits:
        below = {each.id for each in draft.circuits.values() if each.parent in inside}
        if below <= inside:
            break
        inside |= below
    return inside


def _text(phases: Iterable[int]) -> str:
    return " ".join(NAMES[phase] for phase in phases)
