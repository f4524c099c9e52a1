"""What a circuit bears beside its caps: its three phases together, and a bus bar for its chargers.

A phase that exports adds nothing to the sum, and takes something off only where export is
credited. No meter shows what a bus bar carries: it counts by what the chargers may draw.
"""

from collections.abc import Sequence

from tests.oracle.beliefs import Beliefs
from tests.oracle.site import Circuit, Triple

PHASES = range(3)


def flows(row: Circuit, amps: Sequence[int]) -> int:
    """What the phases add to the sum."""
    return sum(amps if row.credit_export else (max(0, ma) for ma in amps))


def crowded(beliefs: Beliefs, circuit: int, phases: set[int], now_ns: int) -> str | None:
    """Why nothing that draws on these phases may rise."""
    row = beliefs.site.circuits[circuit]
    drawn = [beliefs.draw_hi(circuit, phase, now_ns) for phase in PHASES]
    for phase in phases if row.busbar_ma is not None else ():
        assert row.busbar_ma is not None
        if drawn[phase] > row.busbar_ma[phase]:
            return f"bus bar of {circuit}.{phase}: draw {drawn[phase]} > {row.busbar_ma[phase]}"
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
    now_ns: int,
) -> str | None:
    """What is exceeded even by what is ordered, though something is left to shed there.

    `taken` are, for each fresh reading in turn, how much of it the orders will take away.
    """
    row = beliefs.site.circuits[circuit]
    for phase in PHASES:
        bar = None if row.busbar_ma is None else row.busbar_ma[phase]
        if bar is not None and ordered[phase] > bar and not floors[phase]:
            return f"bus bar of {circuit}.{phase}: ordered {ordered[phase]} > {bar}"
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


def overloads(row: Circuit, load: Triple, drawn: Triple) -> list[tuple[str, set[int], int, int]]:
    """What is truly exceeded: its name, the phases that could relieve it, load and bound."""
    found = []
    for phase in PHASES:
        if row.busbar_ma is not None and drawn[phase] > row.busbar_ma[phase]:
            found.append((f"bar {phase}", {phase}, drawn[phase], row.busbar_ma[phase]))
    if row.sum_ma is not None and flows(row, load) > row.sum_ma:
        importing = {phase for phase in PHASES if load[phase] > 0 or row.credit_export}
        found.append(("sum", importing, flows(row, load), row.sum_ma))
    return found
