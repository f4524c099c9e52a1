"""What a circuit bears beside its caps: its three phases together, and a bus bar for its chargers.

A phase that exports adds nothing to the sum, and takes something off only where export is
credited. No meter shows what a bus bar carries: it counts by what the chargers may draw.
"""

from collections.abc import Sequence

from tests.oracle.beliefs import Beliefs
from tests.oracle.site import NEVER_PAUSED, Circuit, Triple

PHASES = range(3)


def flows(row: Circuit, amps: Sequence[int]) -> int:
    """What the phases add to the sum."""
    return sum(amps if row.credit_export else (max(0, ma) for ma in amps))


def bar(row: Circuit, worst_ma: Triple, phase: int) -> int:
    """What a bus bar leaves to the chargers: nobody sees the base load on it."""
    assert row.busbar_ma is not None
    return max(0, row.busbar_ma[phase] - max(worst_ma[phase], row.worst_base_ma[phase]))


def crowded(
    beliefs: Beliefs, circuit: int, phases: set[int], worst_ma: Triple, now_ns: int
) -> str | None:
    """Why nothing that draws on these phases may rise; `worst_ma` is what was proved of the base
    load since it was declared."""
    row = beliefs.site.circuits[circuit]
    drawn = [beliefs.draw_hi(circuit, phase, now_ns) for phase in PHASES]
    for phase in phases if row.busbar_ma is not None else ():
        if drawn[phase] > (most := bar(row, worst_ma, phase)):
            return f"bus bar of {circuit}.{phase}: draw {drawn[phase]} > {most}"
    if row.sum_ma is None:
        return None
    base = sum(beliefs.base_hi(circuit, phase, now_ns) for phase in PHASES)
    if base + sum(drawn) > row.sum_ma:
        return f"sum of {circuit}: base {base} + draw {sum(drawn)} > {row.sum_ma}"
    for _, _, amps in beliefs.fresh(circuit, now_ns):
        if flows(row, amps) > row.sum_ma:
            return f"sum of {circuit}: reads {amps} > {row.sum_ma}"
    return None


def left_over(
    beliefs: Beliefs,
    circuit: int,
    ordered: Triple,
    taken: Sequence[Triple],
    floors: Sequence[bool],
    worst_ma: Triple,
    now_ns: int,
) -> str | None:
    """What is exceeded even by what is ordered, though something is left to shed there.

    `taken` are, for each fresh reading in turn, how much of it the orders will take away.
    """
    row = beliefs.site.circuits[circuit]
    for phase in PHASES:
        most = None if row.busbar_ma is None else bar(row, worst_ma, phase)
        if most is not None and ordered[phase] > most and not floors[phase]:
            return f"bus bar of {circuit}.{phase}: ordered {ordered[phase]} > {most}"
    if row.sum_ma is None or all(floors):
        return None
    after = sum(beliefs.base_hi(circuit, phase, now_ns) for phase in PHASES) + sum(ordered)
    readings = beliefs.fresh(circuit, now_ns)
    if not readings and after > row.sum_ma:
        return f"sum of {circuit}: blind, ordered is {after} > {row.sum_ma}"
    for (_, _, amps), off_ma in zip(readings, taken, strict=True):
        left = [ma - off for ma, off in zip(amps, off_ma, strict=True)]
        sheds = any(ma > 0 and not at for ma, at in zip(left, floors, strict=True))
        if flows(row, left) > row.sum_ma < after and sheds:
            return f"sum of {circuit}: reads {amps}, after orders {left}, of {row.sum_ma}"
    return None


def unsafe(beliefs: Beliefs, setpoints: Sequence[int], worst_ma: Sequence[Triple]) -> str | None:
    """Which fail-safe setpoint is too high, alone or together with others, for the worst case.

    What may never be paused draws its minimum whatever fits, and standby currents flow.
    """
    site = beliefs.site
    for i, (charger, ma) in enumerate(zip(site.chargers, setpoints, strict=True)):
        never = charger.may_pause == NEVER_PAUSED
        most = max(charger.fallback_ma, charger.min_ma if never else 0)
        if ma and not charger.min_ma <= ma <= most:
            return f"charger {i}: fail-safe setpoint {ma}, fallback {charger.fallback_ma}"
        if never and not ma:
            return f"charger {i}: fail-safe setpoint 0, and it may never be paused"
    for circuit, row in enumerate(site.circuits):
        left, least = [], []
        for phase in PHASES:
            below = [i for i in beliefs.below[circuit] if phase in site.chargers[i].phases]
            left.append(sum(beliefs.chargers[i].told(setpoints[i]) for i in below))
            least.append(sum(_always(beliefs, i) for i in below))
            caps = [slot.failsafe_ma[phase] for slot in site.slots if slot.circuit == circuit]
            room = min([row.rating_ma[phase], *caps]) - worst_ma[circuit][phase]
            if row.busbar_ma is not None:
                room = min(room, bar(row, worst_ma[circuit], phase))
            if left[phase] > max(room, least[phase]):
                return f"fail-safe on {circuit}.{phase}: {left[phase]} > {room}, {least[phase]}"
        if row.sum_ma is not None:
            room = row.sum_ma - sum(worst_ma[circuit])
            if sum(left) > max(room, sum(least)):
                return f"fail-safe on the sum of {circuit}: {sum(left)} > {room}, {sum(least)}"
    return None


def _always(beliefs: Beliefs, charger: int) -> int:
    """What a charger draws whatever it is told."""
    row = beliefs.site.chargers[charger]
    return beliefs.chargers[charger].told(row.min_ma if row.may_pause == NEVER_PAUSED else 0)


def overloads(row: Circuit, load: Triple, drawn: Triple) -> list[tuple[str, set[int], int, int]]:
    """What is truly exceeded: its name, the phases that could relieve it, load and bound."""
    found = []
    for phase in PHASES:
        most = None if row.busbar_ma is None else bar(row, row.worst_base_ma, phase)
        if most is not None and drawn[phase] > most:
            found.append((f"bar {phase}", {phase}, drawn[phase], most))
    if row.sum_ma is not None and flows(row, load) > row.sum_ma:
        importing = {phase for phase in PHASES if load[phase] > 0 or row.credit_export}
        found.append(("sum", importing, flows(row, load), row.sum_ma))
    return found
