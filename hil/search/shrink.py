"""A case cut down to what is needed to find the same: shorter, with less in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from controller.proof import prove
from hil.search.case import Case, Table
from hil.search.judge import Finding
from hil.search.world import World, tell_world

MOST_S = 30.0  # of this machine's time
AFTER_S = 1.0

Row = dict[str, Any]


class Shrinker:
    """Tries smaller cases as long as they find the same kind of thing."""

    def __init__(self, case: Case, finding: Finding, most_s: float = MOST_S) -> None:
        self.case = case
        self.finding = finding
        self._until_s = perf_counter() + most_s

    def shrink(self) -> None:
        self._try(self._shortened(self.case))
        before: Case | None = None
        while before is not self.case and not self._over():
            before = self.case
            self._fewer(lambda case: case.events, lambda case, rows: replace(case, events=rows))
            self._fewer(lambda case: case.vehicles, lambda case, rows: replace(case, vehicles=rows))
            self._fewer(lambda case: case.site["charger"], _with_chargers)
            self._fewer(lambda case: case.site.get("output", []), _with_outputs)
            for section in ("meter", "clamp", "limit_source"):
                self._fewer(
                    lambda case, section=section: case.site[section],  # type: ignore[misc]
                    lambda case, rows, section=section: _with(case, section, rows),  # type: ignore[misc]
                )
            for smaller in _without_leaves(self.case):
                self._try(smaller)
            self._try(_quiet(self.case))
            self._try(self._shortened(self.case))

    def _over(self) -> bool:
        return perf_counter() > self._until_s

    def _shortened(self, case: Case) -> Case:
        end_s = round(self.finding.t_s + AFTER_S, 1)
        events = [event for event in case.events if event["t_s"] <= self.finding.t_s]
        return replace(case, duration_s=min(case.duration_s, end_s), events=events)

    def _fewer(
        self, rows_of: Callable[[Case], list[Row]], with_rows: Callable[[Case, list[Row]], Case]
    ) -> None:
        """Without halves, quarters, … single rows."""
        size = len(rows_of(self.case))
        while size:
            at = 0
            while at < len(rows_of(self.case)) and not self._over():
                rows = rows_of(self.case)
                if not self._try(with_rows(self.case, rows[:at] + rows[at + size :])):
                    at += size
            size //= 2

    def _try(self, case: Case) -> bool:
        if self._over():
            return False
        try:
            world = World(case, guarded=self.finding.kind == "guard")
        except Exception:  # noqa: BLE001
            return False  # something in it still needs what was left out
        if not prove(world.site).passed:
            return False  # nobody could commission that
        finding = tell_world(world)
        if finding is None or finding.kind != self.finding.kind:
            return False
        self.case, self.finding = case, finding
        return True


def _with(case: Case, section: str, rows: list[Row]) -> Case:
    gone = {row["id"] for row in case.site[section]} - {row["id"] for row in rows}
    events = [event for event in case.events if event.get("source") not in gone]
    return replace(case, site=case.site | {section: rows}, events=events)


def _with_chargers(case: Case, rows: list[Row]) -> Case:
    stay = {row["id"] for row in rows}
    circuits = {row["circuit"] for row in rows}
    outputs = [
        row
        for row in case.site.get("output", [])
        if row.get("charger") in stay or row.get("drops") in circuits
    ]
    smaller = replace(
        case,
        site=case.site | {"charger": rows},
        vehicles=_of(stay, case.vehicles),
        events=_of(stay, case.events),
    )
    return _with_outputs(smaller, outputs) if "output" in case.site else smaller


def _of(chargers: set[str], rows: Sequence[Table]) -> list[Table]:
    return [row for row in rows if "charger" not in row or row["charger"] in chargers]


def _with_outputs(case: Case, rows: list[Row]) -> Case:
    site = {key: value for key, value in case.site.items() if key not in ("output", "gpio")}
    if rows:
        site["output"] = rows
    if rows or any("pin" in row for row in case.site["charger"]):
        site["gpio"] = case.site["gpio"]
    return replace(case, site=site)


def _without_leaves(case: Case) -> Iterator[Case]:
    """Without one circuit that nothing hangs on but its own base load."""
    rows = case.site["circuit"]
    parents = {row.get("parent") for row in rows}
    used = {
        row["circuit"]
        for section in ("meter", "clamp", "charger", "limit_source")
        for row in case.site[section]
    }
    for row in rows:
        name = row["id"]
        if name in parents or name in used or "parent" not in row:
            continue
        yield replace(
            case,
            site=case.site | {"circuit": [each for each in rows if each is not row]},
            base=[each for each in case.base if each["circuit"] != name],
            events=[each for each in case.events if each.get("circuit") != name],
        )


def _quiet(case: Case) -> Case:
    """Without noise."""

    def still(rows: Sequence[Table]) -> list[Table]:
        return [row | {"noise_a": 0} if "noise_a" in row else row for row in rows]

    return replace(case, base=still(case.base), events=still(case.events))
