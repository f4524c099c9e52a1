"""What one run of the search is made of: plain data, to be kept, cut down and told again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from controller.facts import ChargerFacts, MeterFacts, WattsFacts

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A site, what stands there at first, and what happens. Times in seconds from the start.

    `events` are tables with `t_s` and `do`, in order of time; docs/search.md lists them.
    """

    seed: int
    duration_s: float
    site: Table  # a site document
    meters: Table  # facts of its profiles, by name
    chargers: Table
    base: list[Table]  # circuit, load_a, noise_a
    vehicles: list[Table]  # as in the event "plug"
    events: list[Table]
    lags: Table = field(default_factory=dict)  # how late meters really are, in s
    step_ms: int = 50  # of the plant
    remark: str = ""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Case:
    """A case that was kept. Raises OSError, ValueError."""
    whole = json.loads(path.read_text(encoding="utf-8"))
    known = {each.name for each in fields(Case)}
    if strange := whole.keys() - known:
        raise ValueError(f"{path.name}: a case has no {', '.join(sorted(strange))}")
    return Case(**whole)


class CaseProfiles:
    """The device facts that a case brings along."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def meter(self, name: str) -> MeterFacts:
        return MeterFacts(name=name, **self._case.meters[name])

    def charger(self, name: str) -> ChargerFacts:
        facts = dict(self._case.chargers[name])
        if facts.get("watts") is not None:
            facts["watts"] = WattsFacts(**facts["watts"])
        return ChargerFacts(name=name, **facts)


def told(event: Table) -> str:
    """An event in words."""
    rest = {key: value for key, value in event.items() if key not in ("t_s", "do")}
    return " ".join([event["do"], *(f"{key} {value}" for key, value in rest.items())])
