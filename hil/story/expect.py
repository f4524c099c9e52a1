"""Judges a run by the recorded truth of the plant, never by what the controller believed.

Pure functions: a trace and an expectation in, a failure with what was measured, or
nothing, out. A bench that shares its machine with others gets its slack here and nowhere
else, added to every time a story allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from itertools import pairwise
from typing import Any, NamedTuple

from cext.plant import Plant
from cext.rows import Phases
from hil.story.expectations import (
    Apart,
    Down,
    Energy,
    Expect,
    NotRising,
    Offered,
    Over,
    Restarts,
    Settles,
    Stays,
    Switched,
    Window,
)
from hil.story.script import chosen

RIG_SLACK_S = 0.5
SLACK_S = {"plant": 0.0, "rig": RIG_SLACK_S, "gateway": RIG_SLACK_S}

Measured = dict[str, float | str]


class Sample(NamedTuple):
    """The plant at an instant: circuits and chargers in the order of the trace."""

    t_s: float
    load_ma: tuple[Phases, ...]
    cap_ma: tuple[Phases, ...]
    excess_ma: tuple[int, ...]  # highest above the cap on any phase since the sample before
    offered_ma: tuple[int, ...]
    drawn_ma: tuple[int, ...]  # on the highest phase
    energy_mwh: int  # delivered by all chargers since the start
    closed: tuple[bool, ...] = ()  # each contactor as it is


@dataclass(slots=True)
class Trace:
    """What a run is judged by."""

    circuits: list[str]
    chargers: list[str]
    contactors: list[str] = field(default_factory=list)
    tolerance_ma: int = 500  # a meter's error, not an excess
    samples: list[Sample] = field(default_factory=list)
    restarts_s: list[float] = field(default_factory=list)  # of the enforcer
    lapses_s: list[float] = field(default_factory=list)  # of any charger's watchdog
    _guarded: bytes = b""  # 1 for each charger whose watchdog runs

    def record(self, plant: Plant, t_s: float) -> None:
        """Takes a sample and begins the plant's next measuring window."""
        circuits = range(len(self.circuits))
        offered_ma, drawn_ma, energy_mwh, guarded = plant.glance()
        self.samples.append(
            Sample(
                t_s,
                tuple([plant.load(i) for i in circuits]),
                tuple([plant.cap(i) for i in circuits]),
                tuple([plant.over(i).worst_ma for i in circuits]),
                offered_ma,
                drawn_ma,
                energy_mwh,
                tuple(plant.contactor(i) for i in range(len(self.contactors))),
            )
        )
        plant.mark()
        if guarded != self._guarded:
            lapsed = [was > runs for was, runs in zip(self._guarded, guarded, strict=False)]
            self.lapses_s += [t_s] * sum(lapsed)
            self._guarded = guarded

    def between(self, from_s: float, to_s: float | None) -> list[Sample]:
        return [s for s in self.samples if s.t_s >= from_s and (to_s is None or s.t_s <= to_s)]

    def energy_kwh(self) -> float:
        return self.samples[-1].energy_mwh / 1e6 if self.samples else 0.0


class Excess(NamedTuple):
    """How a circuit stood against its true cap."""

    circuit: str
    worst_a: float
    longest_s: float
    until_s: float  # end of the longest time


class Failure(NamedTuple):
    """An expectation that was not met."""

    expected: Expect
    measured: Measured

    def as_json(self) -> dict[str, Any]:
        return {**self.expected.model_dump(exclude_defaults=True), "measured": self.measured}


def judge(trace: Trace, expectations: Iterable[Expect], slack_s: float = 0.0) -> list[Failure]:
    """Every expectation that the trace does not meet, with what was measured instead."""
    found = ((e, measure(e, trace, slack_s)) for e in expectations)
    return [Failure(e, measured) for e, measured in found if measured is not None]


@singledispatch
def measure(expected: Expect, trace: Trace, slack_s: float) -> Measured | None:
    """None where the expectation holds; otherwise what was measured."""
    raise TypeError(f"nothing measures {type(expected).__name__}")


@measure.register
def _over(expected: Over, trace: Trace, slack_s: float) -> Measured | None:
    found = excesses(trace, _begin_s(expected, slack_s), expected.to_s)
    if expected.circuit is not None:
        found = [excess for excess in found if excess.circuit == expected.circuit]
    if not found:
        return {"samples": 0}
    for excess in found:
        if excess.worst_a > expected.worst_a or excess.longest_s > expected.longest_s + slack_s:
            return {**excess._asdict()}
    return None


@measure.register
def _down(expected: Down, trace: Trace, slack_s: float) -> Measured | None:
    window = trace.between(expected.after_s, expected.after_s + expected.within_s + slack_s)
    which = chosen(expected.charger, trace.chargers)
    sums = [_sum_a(sample, which, expected.what) for sample in window]
    if not sums:
        return {"samples": 0}
    return None if min(sums) <= expected.to_a else {"lowest_a": min(sums)}


@measure.register
def _energy(expected: Energy, trace: Trace, slack_s: float) -> Measured | None:
    kwh = trace.energy_kwh()
    return None if kwh >= expected.at_least_kwh else {"energy_kwh": kwh}


@measure.register
def _not_rising(expected: NotRising, trace: Trace, slack_s: float) -> Measured | None:
    window = trace.between(_begin_s(expected, slack_s), expected.to_s)
    which = chosen(expected.charger, trace.chargers)
    if not window:
        return {"samples": 0}
    alone_ma = round(expected.alone_a * 1000)
    for index in which:
        lowest_ma = window[0].offered_ma[index]
        for sample in window:
            if sample.offered_ma[index] > max(lowest_ma, alone_ma):
                return {
                    "charger": trace.chargers[index],
                    "from_a": lowest_ma / 1000,
                    "to_a": sample.offered_ma[index] / 1000,
                    "at_s": sample.t_s,
                }
            lowest_ma = sample.offered_ma[index]
    return None


@measure.register
def _restarts(expected: Restarts, trace: Trace, slack_s: float) -> Measured | None:
    if not trace.samples:
        return {"samples": 0}
    instants_s = trace.restarts_s if expected.of == "enforcer" else trace.lapses_s
    begin_s = _begin_s(expected, slack_s)
    end_s = trace.samples[-1].t_s if expected.to_s is None else expected.to_s
    found = [each for each in instants_s if begin_s <= each <= end_s]
    if expected.least <= len(found) <= expected.most:
        return None
    return {"restarts": len(found), "at_s": ", ".join(f"{each:.1f}" for each in found[:10])}


@measure.register
def _settles(expected: Settles, trace: Trace, slack_s: float) -> Measured | None:
    window = trace.between(_begin_s(expected, slack_s), expected.to_s)
    circuit = trace.circuits.index(expected.circuit)
    if not window:
        return {"samples": 0}
    for phase, around_a in enumerate(expected.around_a):
        loads = [(sample.load_ma[circuit][phase] / 1000, sample.t_s) for sample in window]
        load_a, at_s = max(loads, key=lambda load: abs(load[0] - around_a))
        if abs(load_a - around_a) > expected.band_a:
            return {"phase": f"L{phase + 1}", "load_a": load_a, "at_s": at_s}
    return None


@measure.register
def _offered(expected: Offered, trace: Trace, slack_s: float) -> Measured | None:
    """At the first sample at or after the instant; with slack, at any one within it."""
    following = trace.between(expected.at_s, None)
    last_s = expected.at_s + expected.within_s + slack_s
    window = [s for s in following if s.t_s <= last_s] or following[:1]
    if not window:
        return {"samples": 0}
    wrong = [_wrongly_offered(expected, trace, sample) for sample in window]
    if expected.within_s:
        ever = set(wrong[0]).intersection(*wrong)
        return {each: wrong[-1][each] for each in sorted(ever)} or None
    return None if not all(wrong) else wrong[-1]


def _wrongly_offered(expected: Offered, trace: Trace, sample: Sample) -> Measured:
    offers_a = {
        trace.chargers[i]: sample.offered_ma[i] / 1000
        for i in chosen(expected.charger, trace.chargers)
    }
    return {
        each: offered_a
        for each, offered_a in offers_a.items()
        if not expected.min_a <= offered_a <= expected.max_a
    }


@measure.register
def _switched(expected: Switched, trace: Trace, slack_s: float) -> Measured | None:
    """At some sample of the window; a bench that is late gets its slack at the end."""
    contactor = trace.contactors.index(expected.contactor)
    window = trace.between(expected.after_s, expected.after_s + expected.within_s + slack_s)
    if any(sample.closed[contactor] == expected.closed for sample in window):
        return None
    return {"samples": len(window)}


@measure.register
def _stays(expected: Stays, trace: Trace, slack_s: float) -> Measured | None:
    contactor = trace.contactors.index(expected.contactor)
    window = trace.between(_begin_s(expected, slack_s), expected.to_s)
    if not window:
        return {"samples": 0}
    for sample in window:
        if sample.closed[contactor] != expected.closed:
            return {"closed": float(sample.closed[contactor]), "at_s": sample.t_s}
    return None


@measure.register
def _apart(expected: Apart, trace: Trace, slack_s: float) -> Measured | None:
    """From offering nothing to offering anything; what a sample shows is up to one sample old."""
    window = trace.between(_begin_s(expected, slack_s), expected.to_s)
    begun = sorted(
        after.t_s
        for before, after in pairwise(window)
        for i in chosen(expected.charger, trace.chargers)
        if before.offered_ma[i] == 0 < after.offered_ma[i]
    )
    gaps = [later - earlier for earlier, later in pairwise(begun)]
    if len(begun) < expected.count:
        return {"begun": len(begun)}
    return None if min(gaps) >= expected.at_least_s - slack_s else {"apart_s": min(gaps)}


def excesses(trace: Trace, from_s: float = 0.0, to_s: float | None = None) -> list[Excess]:
    """Per circuit, how far and how long without pause it stood above its true cap.

    Needs two samples. The time between two of them counts as a whole if the cap was
    exceeded in it by more than the trace's tolerance.
    """
    window = trace.between(from_s, to_s)
    return [_excess(trace, window, i) for i in range(len(trace.circuits))] if window[1:] else []


def _excess(trace: Trace, window: Sequence[Sample], circuit: int) -> Excess:
    since_s, longest_s, until_s = window[0].t_s, 0.0, 0.0
    for sample in window[1:]:
        if sample.excess_ma[circuit] <= trace.tolerance_ma:
            since_s = sample.t_s
        elif sample.t_s - since_s > longest_s:
            longest_s, until_s = sample.t_s - since_s, sample.t_s
    worst_ma = max(sample.excess_ma[circuit] for sample in window[1:])
    return Excess(trace.circuits[circuit], worst_ma / 1000, round(longest_s, 3), until_s)


def _begin_s(expected: Window, slack_s: float) -> float:
    """A run begins when it begins; what happens later may happen late."""
    return expected.from_s + slack_s if expected.from_s > 0 else 0.0


def _sum_a(sample: Sample, which: Sequence[int], what: str = "offered") -> float:
    values = sample.offered_ma if what == "offered" else sample.drawn_ma
    return sum(values[i] for i in which) / 1000
