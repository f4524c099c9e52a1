"""Why an order is what it is, in words."""

from __future__ import annotations

from collections.abc import Sequence

from cext.rows import ALL_PHASES, BY_BUSBAR, Rule, Why
from controller.document.quantities import ROWS
from controller.site import RATING

_WORDS = {
    Rule.STARTING: "starting: has not yet told its setpoint in force",
    Rule.CAP: "{limit}",
    Rule.MAXIMUM: "at its own maximum",
    Rule.DEMAND: "does not use more",
    Rule.NO_VEHICLE: "no vehicle",
    Rule.TURN: "waits for its turn: not every minimum fits {place}",
    Rule.SHED: "lowered: {place} is over its cap ({limit})",
    Rule.BLIND: "{limit}; without a reading its base load counts at its worst",
    Rule.RAMP: "rising",
    Rule.DWELL: "may not rise: dwell after shedding",
    Rule.SLACK: "may not rise: no proven slack on {place}",
    Rule.CALM: "changes at the calm pace",
    Rule.SILENT: "silent: not raised",
    Rule.FALLBACK: "at its fail-safe setpoint, or lower: starts, stops, goes on after a stall, "
    "or fell back by itself",
    Rule.SUSPECT: "does not do as told: counted at its worst and not raised",
    Rule.STUBBORN: "stubborn: draws more than it may, counted at that and not raised",
    Rule.PAUSED: "stopped: does not do as told, and {place} is over its cap ({limit})",
    Rule.OPENED: "contactor open: {place} was over its cap ({limit})",
    Rule.RECLOSING: "contactor open: its power-on currents wait for room on {place}",
    Rule.PACED: "may not rise: its writes are paced, and {place} could need the next one",
    Rule.UNPROVEN: "unproven: did not answer, or its fallback is not proven; at its worst",
    Rule.IMBALANCE: "held back on {place}: drawing on one phase only, for its imbalance limit",
    Rule.PROBE: "lowered a little for a moment: its reports have stood still for five minutes",
    Rule.CLOSED: "closed",
    Rule.IDLE: "paused: draws nothing while others are short; it is offered current again at times",
    Rule.LATCHED: "latched at its fail-safe setpoint, or lower, until somebody resets it",
    Rule.ADVICE: "advised to have no more",
    Rule.OFF_TIME: "switched off a short while ago: stays off for its minimum time",
}


class Reasons:
    """Knows the names behind the kernel's indexes."""

    def __init__(self, circuits: Sequence[str], sources: Sequence[str]) -> None:
        """Ids in the order of the kernel's circuit and slot rows."""
        self._circuits = circuits
        self._sources = sources

    def words(self, why: Why) -> str:
        """A sentence for people, as "row-a L2 at its rating" or "limit from cloud on grid L1"."""
        place = self._place(why)
        limit = f"limit from {self.slot(why.slot)} on {place}"
        if why.slot < 0:
            limit = f"{place} at its {_own(why)}"
        return _WORDS[why.rule].format(place=place, limit=limit)

    def fields(self, why: Why) -> dict[str, str]:
        """The same for machines: rule, and circuit, phase and source where one is to blame."""
        fields = {"reason": self.words(why), "rule": why.rule.name.lower()}
        if why.circuit >= 0:
            fields["circuit"] = self._circuits[why.circuit]
            fields["source"] = self.slot(why.slot) if why.slot >= 0 else _own(why)
        if why.phase >= 0:
            fields["phase"] = _phase(why)
        return fields

    def slot(self, slot: int) -> str:
        """Who set what binds: the limit source, or "rating"."""
        return self._sources[slot] if slot >= 0 else RATING

    def _place(self, why: Why) -> str:
        if why.circuit < 0:
            return "the depot"
        phase = f" {_phase(why)}" if why.phase >= 0 else ""
        return self._circuits[why.circuit] + phase


def _phase(why: Why) -> str:
    return ROWS[why.phase]


def _own(why: Why) -> str:
    """Which of a circuit's own ratings it is, where no limit is."""
    if why.slot == BY_BUSBAR:
        return "bus-bar rating"
    return "apparent-power rating" if why.phase == ALL_PHASES else RATING
