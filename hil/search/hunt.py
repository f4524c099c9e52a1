"""Many cases, in several processes; what is found is cut down and kept."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from controller.commands.output import say
from hil.search.case import Case, told
from hil.search.days import draw_case, seeds
from hil.search.judge import Finding
from hil.search.shrink import Shrinker
from hil.search.world import tell

KEPT = Path("build/search")
SAID_EVERY_S = 60.0
LAST_EVENTS = 8


class Told(NamedTuple):
    seed: int
    hours: float
    finding: Finding | None


class Found(NamedTuple):
    seed: int
    case: Case  # cut down
    finding: Finding
    path: Path


@dataclass(slots=True)
class Hunt:
    """Seeds one after the other until there are `hours` of them, or `most` are found."""

    hours: float
    seed: int
    jobs: int | None
    most: int
    keep: Path
    told: int = 0
    told_hours: float = 0.0
    took_s: float = 0.0
    found: list[Found] = field(default_factory=list)

    def run(self) -> None:
        began = said = perf_counter()
        jobs = self.jobs or len(os.sched_getaffinity(0))
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            for each in pool.imap(tell_seed, self._seeds(), chunksize=4):
                self.told += 1
                self.told_hours += each.hours
                if each.finding is not None:
                    self._keep(each)
                self.took_s = perf_counter() - began
                if perf_counter() - said > SAID_EVERY_S:
                    said = perf_counter()
                    say(report(self))
                if self.told_hours >= self.hours or len(self.found) >= self.most:
                    break
            pool.terminate()
        self.took_s = perf_counter() - began

    def _seeds(self) -> Any:
        """As many as can be needed: a case lasts five minutes at least."""
        every = seeds(self.seed)
        return [next(every) for _ in range(int(self.hours * 12) + 8)]

    def _keep(self, each: Told) -> None:
        assert each.finding is not None
        case = draw_case(each.seed)
        say(f"seed {each.seed}: {each.finding.what}")
        shrinker = Shrinker(case, each.finding)
        shrinker.shrink()
        self.keep.mkdir(parents=True, exist_ok=True)
        path = self.keep / f"seed-{each.seed}.json"
        replace(shrinker.case, remark=shrinker.finding.what).write(path)
        self.found.append(Found(each.seed, shrinker.case, shrinker.finding, path))
        say(in_words(shrinker.case, shrinker.finding, path))

    def answer(self) -> dict[str, object]:
        """For --json."""
        return {
            "cases": self.told,
            "first_seed": self.seed,
            "last_seed": self.seed + self.told - 1,
            "depot_hours": round(self.told_hours, 2),
            "seconds": round(self.took_s, 1),
            "depot_hours_per_s": round(self.told_hours / max(self.took_s, 1e-9), 2),
            "found": [
                {
                    "seed": each.seed,
                    "kind": each.finding.kind,
                    "t_s": each.finding.t_s,
                    "what": each.finding.what,
                    "case": str(each.path),
                }
                for each in self.found
            ],
        }


def tell_seed(seed: int) -> Told:
    """In a process of its own."""
    case = draw_case(seed)
    finding = tell(case)
    told_s = case.duration_s if finding is None else finding.t_s
    return Told(seed, told_s / 3600, finding)


def report(hunt: Hunt) -> str:
    rate = hunt.told_hours / max(hunt.took_s, 1e-9)
    return (
        f"{hunt.told_hours:.1f} depot-hours, seeds {hunt.seed} to {hunt.seed + hunt.told - 1}, "
        f"in {hunt.took_s:.0f} s ({rate:.2f} depot-hours per second): found {len(hunt.found)}"
    )


def in_words(case: Case, finding: Finding, path: Path) -> str:
    """What is over, where, when, after what, and how to see it again."""
    site = case.site
    shape = ", ".join(
        f"{len(site.get(section, []))} {section.replace('_', ' ')}(s)"
        for section in ("circuit", "charger", "meter", "clamp", "limit_source", "output")
        if site.get(section)
    )
    lines = [
        f"{finding.kind} at {finding.t_s:.1f} s: {finding.what}",
        f"  {shape}; from seed {case.seed}",
        *(f"  {event['t_s']:.1f} s: {told(event)}" for event in case.events[-LAST_EVENTS:]),
        f"  again: python -m hil search --case {path}",
    ]
    return "\n".join(lines)
