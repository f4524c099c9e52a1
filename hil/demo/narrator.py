"""Tells in sentences what changed, from one look at the depot to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cext.rows import Vehicle
from controller.status_report import LimitReport, StatusReport
from hil.rig import Rig


class Narrator:
    """Compares each report with the one before, and the chargers' own timers likewise."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._before: StatusReport | None = None
        self._alone: set[str] = set()

    def believed(self, report: StatusReport) -> list[str]:
        """What Loadkeeper has noticed since its last report."""
        before, self._before = self._before, report
        if before is None:
            return []
        if report.uptime_s < before.uptime_s:
            return ["Loadkeeper starts anew, from the setpoints in force"]
        return [*_circuits(before, report), *_link(before, report), *_limits(before, report)]

    def true(self) -> list[str]:
        """What chargers do on their own."""
        plant = self._rig.depot.plant
        alone = {
            charger.id
            for index, charger in enumerate(self._rig.depot.site.chargers)
            if (state := plant.charger(index)).valid_ns == 0
            and state.vehicle is not Vehicle.A
            and plant.answers(index)
            and self._rig.sockets[charger.id].writes
        }
        fell, returned = sorted(alone - self._alone), sorted(self._alone - alone)
        self._alone = alone
        told = []
        if fell:
            told.append(f"no word for too long, on their own fallback: {_several(fell)}")
        if returned:
            told.append(f"under control again: {_several(returned)}")
        return told


def _circuits(before: StatusReport, now: StatusReport) -> Iterator[str]:
    blind = {circuit.id: circuit.blind for circuit in before.circuits}
    metered = {circuit.id for circuit in before.circuits if circuit.reading_age_s is not None}
    for circuit in now.circuits:
        if circuit.id in metered and circuit.blind != blind[circuit.id]:
            yield (
                f"{circuit.id} is not measured any more: counted at its worst base load"
                if circuit.blind
                else f"{circuit.id} is measured again"
            )


def _link(before: StatusReport, now: StatusReport) -> Iterator[str]:
    if before.link.attached and not now.link.attached:
        yield "Loadkeeper has lost its link process"
    elif before.link.connected and not now.link.connected:
        yield "the link has lost its session with the broker"
    elif now.link.connected and not before.link.connected:
        yield "the link has a session with the broker"


def _limits(before: StatusReport, now: StatusReport) -> Iterator[str]:
    old: Mapping[str, LimitReport] = {limit.source: limit for limit in before.limits}
    for limit in now.limits:
        was = old[limit.source]
        if limit.state == "lost" and was.state != "lost":
            yield f"limit {limit.source} was not renewed: its fail-safe cap holds"
        elif limit.state == "live" and (was.state, was.limit_a) != (limit.state, limit.limit_a):
            assert limit.limit_a is not None
            yield f"limit {limit.source} on {limit.circuit} is now {limit.limit_a[0]:g} A"


def _several(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
