"""Lines 3 and 5 of the commissioning proof, as tables and JSON: what flows, and how long."""

from collections.abc import Iterator, Sequence
from typing import Any

from controller.commands.output import columns, say
from controller.commands.verdicts import TITLES, remedy_text, say_derogation, word
from controller.document.lines import Line
from controller.document.quantities import GRID_PHASES
from controller.proof import Proof
from controller.reaction import Reaction
from controller.transition import Transition
from controller.units import MA_PER_A, NS_PER_S, amperes_text, seconds_text

TRANSITION_HEADER = (
    *("circuit", "phase", "protected by", "base A", "chargers A", "sum A", "x In", "needs s"),
    *("trips s", ""),
)


def say_transitions(proof: Proof) -> None:
    if not proof.transitions:
        return
    say(f"{Line.TRANSITION}  {TITLES[Line.TRANSITION]}\n")
    same = list(_same_phases(proof.transitions))
    rows = [_transition_row(phases, each, proof) for phases, each in same]
    for text in columns([TRANSITION_HEADER, *rows], right=frozenset(range(3, 9))):
        say(f"   {text}")
    say()
    for phases, each in same:
        if each.passed:
            continue
        say(f"   {each.circuit} {phases}: {_transition_sentence(each)}")
        say("   what would help, the cheapest first:")
        for remedy in each.remedies:
            say(f"    - {remedy_text(remedy, '')}")
        say_derogation(proof.concerning(each), each, proof)
        say()


def _same_phases(every: Sequence[Transition]) -> Iterator[tuple[str, Transition]]:
    """Those of one circuit that differ in nothing but the phase, with all their phases."""
    alike: dict[object, tuple[list[str], Transition]] = {}
    for each in every:
        key = (each.circuit, each.base_ma, each.chargers_ma, each.needs_ns, each.trips_ns)
        alike.setdefault(key, ([], each))[0].append(GRID_PHASES[each.phase])
    return ((" ".join(phases), each) for phases, each in alike.values())


def _transition_row(phases: str, each: Transition, proof: Proof) -> Sequence[str]:
    amperes = (each.base_ma, each.chargers_ma, each.sum_ma)
    return (
        each.circuit,
        phases,
        "not stated" if each.device is None else each.device.device,
        *map(amperes_text, amperes),
        f"{each.sum_ma / _rated_ma(each):.2f}",
        "for ever" if each.needs_ns is None else seconds_text(each.needs_ns),
        "-" if each.trips_ns is None else _tenths(each.trips_ns),
        word(each, proof),
    )


def _rated_ma(each: Transition) -> int:
    """Of a device that nobody stated, the rating; 0 A carry nothing: told against 1 mA."""
    return each.device.rated_ma if each.device is not None else max(1, each.allowed_ma)


def _tenths(ns: int) -> str:
    return f"{ns // (NS_PER_S // 10) / 10:g}"  # never more than it is


def _transition_sentence(each: Transition) -> str:
    assert each.trips_ns is not None
    carried = f"{amperes_text(each.sum_ma)} A may trip it after {_tenths(each.trips_ns)} s"
    if each.device is None:
        carried = f"{amperes_text(each.sum_ma)} A trip what nobody has stated"
    if each.needs_ns is None:
        return f"{carried}, and nobody knows when {each.slowest} falls back"
    needs = f"{seconds_text(each.needs_ns)} s until the chargers have fallen back"
    return f"{carried}; it takes {needs} ({each.slowest} is the last)"


def transition_json(each: Transition, proof: Proof) -> dict[str, Any]:
    return {
        "line": int(Line.TRANSITION),
        "name": Line.TRANSITION.name.lower(),
        "circuit": each.circuit,
        "phase": GRID_PHASES[each.phase],
        "source": None,
        "passed": each.passed,
        "derogated": not each.passed and proof.covering(each) is not None,
        "device": None if each.device is None else each.device.device,
        "base_a": each.base_ma / MA_PER_A,
        "chargers_a": each.chargers_ma / MA_PER_A,
        "sum_a": each.sum_ma / MA_PER_A,
        "allowed_a": each.allowed_ma / MA_PER_A,
        "times_in": round(each.sum_ma / _rated_ma(each), 3),
        "needs_s": None if each.needs_ns is None else each.needs_ns / NS_PER_S,
        "trips_s": None if each.trips_ns is None else each.trips_ns / NS_PER_S,
        "slowest": each.slowest or None,
        "remedies": [
            {"kind": remedy.cost.name.lower(), "action": remedy.action} for remedy in each.remedies
        ],
    }


REACTION_HEADER = (
    *("who", "measured by", "detect s", "write s", "follow s", "sum s", "allowed s", "reserve A"),
    *("allowed by", ""),
)


def say_reactions(proof: Proof) -> None:
    if not proof.reactions:
        return
    say(f"{Line.REACTION}  {TITLES[Line.REACTION]}\n")
    rows = [_reaction_row(each, proof) for each in proof.reactions]
    for text in columns([REACTION_HEADER, *rows], right=frozenset(range(2, 8))):
        say(f"   {text}")
    say()
    for each in proof.reactions:
        for text in _reaction_remarks(each):
            say(f"   {text}")
        if not each.passed:
            say("   what would help, the cheapest first:")
            for remedy in each.remedies:
                say(f"    - {remedy_text(remedy, '')}")
            say_derogation(proof.concerning(each), each, proof)
        if not each.in_time or each.contactor is not None:
            say()


def _reaction_row(each: Reaction, proof: Proof) -> Sequence[str]:
    times_ns = (each.detect_ns, each.write_ns, each.follow_ns, each.takes_ns)
    return (
        each.circuit if each.source is None else f"{each.source} on {each.circuit}",
        each.measured_by or "nothing",
        *map(seconds_text, times_ns),
        seconds_text(each.allowed_ns) if each.device is None else _tenths(each.allowed_ns),
        "all of it" if each.measured_by is None else amperes_text(min(each.reserve_ma)),
        _allowed_by(each),
        word(each, proof),
    )


def _allowed_by(each: Reaction) -> str:
    return "clear_within_s" if each.device is None else f"protection: {each.device}"


def _reaction_remarks(each: Reaction) -> Iterator[str]:
    """What the figures do not say by themselves."""
    if each.contactor is not None:
        yield f"{each.circuit}: {each.contactor} must open, for its chargers would answer too late"
    if each.in_time:
        return
    late = f"{seconds_text(each.takes_ns)} s instead of {seconds_text(each.allowed_ns)} s"
    if each.device is not None and not each.reserved:
        peak = f"a step of base load makes {amperes_text(max(each.peak_ma))} A"
        trips = f"for {seconds_text(each.takes_ns)} s, and it may trip after"
        yield f"{each.circuit}: {peak} {trips} {_tenths(each.allowed_ns)} s"
        return
    if not each.reserved:
        step = amperes_text(max(each.step_ma))
        yield f"{each.circuit}: a step of {step} A flows for {late} ({each.slowest} is the slowest)"
        return
    if each.measured_by is None:
        yield f"{each.circuit} is not measured: room for all its base load is kept all the time"
    else:
        yield f"{each.circuit}: the largest step of base load finds its reserve"
    if each.source is not None:
        yield f"   a lower limit of {each.source} is obeyed in {late}: the reserve is no help there"


def reaction_json(each: Reaction, proof: Proof) -> dict[str, Any]:
    return {
        "line": int(Line.REACTION),
        "name": Line.REACTION.name.lower(),
        "circuit": each.circuit,
        "source": each.source,
        "passed": each.passed,
        "derogated": not each.passed and proof.covering(each) is not None,
        "measured_by": each.measured_by,
        "slowest": each.slowest,
        "contactor": each.contactor,
        "detect_s": each.detect_ns / NS_PER_S,
        "write_s": each.write_ns / NS_PER_S,
        "follow_s": each.follow_ns / NS_PER_S,
        "takes_s": each.takes_ns / NS_PER_S,
        "allowed_s": each.allowed_ns / NS_PER_S,
        "device": each.device,
        "peak_a": [ma / MA_PER_A for ma in each.peak_ma],
        "in_time": each.in_time,
        "reserved": each.reserved,
        "step_a": [ma / MA_PER_A for ma in each.step_ma],
        "reserve_a": [ma / MA_PER_A for ma in each.reserve_ma],
        "remedies": [
            {"kind": remedy.cost.name.lower(), "action": remedy.action} for remedy in each.remedies
        ],
    }
