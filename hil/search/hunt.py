"""Many cases, in several processes; what is found is cut down and kept."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import NamedTuple

from controller.commands.output import say
from hil.search.case import Case, told
from hil.search.days import draw_case
from hil.search.judge import Finding
from hil.search.shrink import Shrinker
from hil.search.world import World, crashed, tell_world

KEPT = Path("build/search")
SAID_EVERY_S = 60.0
LAST_EVENTS = 8
GUARDED = 8  # of so many seeds one is judged by the guard, too
AT_ONCE = 4  # seeds that a process is handed
AHEAD = 3  # such handfuls that wait for each process
STUCK_S = 900.0  # a handful takes seconds


class Told(NamedTuple):
    seed: int
    hours: float
    finding: Finding | None
    guarded: bool
    ticks: int
    events: dict[str, int]  # by kind
    judged_ns: int  # of circuits with chargers, added up
    blind_ns: int  # of that, where the judge would have let anything pass


class Found(NamedTuple):
    seed: int
    case: Case | None  # cut down; None: the seed makes none
    finding: Finding
    path: Path | None


class StuckError(Exception):
    """A process came to no end, or died, while it told these seeds."""


@dataclass(slots=True)
class Hunt:
    """Seeds one after the other until there are `hours` of them, or `most` are found.

    Each seed that `guarded` divides is judged by the guard, too; 0: none.
    """

    hours: float
    seed: int
    jobs: int | None
    most: int
    keep: Path
    guarded: int = GUARDED
    told: int = 0
    told_hours: float = 0.0
    guarded_hours: float = 0.0
    guarded_cases: int = 0
    ticks: int = 0
    judged_ns: int = 0
    blind_ns: int = 0
    took_s: float = 0.0
    stopped: str = ""  # why, before it was done
    events: Counter[str] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)

    def run(self) -> None:
        """Ends early, with all that was told until then, on SIGINT and SIGTERM."""
        began = said = perf_counter()
        jobs = self.jobs or len(os.sched_getaffinity(0))
        spawn = multiprocessing.get_context("spawn")
        before = signal.signal(signal.SIGTERM, _interrupt)
        pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_leave_signals)
        try:
            for each in self._tellings(pool, jobs):
                self._count(each)
                if each.finding is not None:
                    self._keep(each)
                self.took_s = perf_counter() - began
                if perf_counter() - said > SAID_EVERY_S:
                    said = perf_counter()
                    say(progress(self))
                if self.told_hours >= self.hours or len(self.found) >= self.most:
                    break
        except KeyboardInterrupt:
            self.stopped = "it was told to stop"
        except StuckError as error:
            self.stopped = str(error)
        finally:
            _end(pool)
            signal.signal(signal.SIGTERM, before)
        self.took_s = perf_counter() - began

    def _tellings(self, pool: ProcessPoolExecutor, jobs: int) -> Iterator[Told]:
        """In the order of their seeds, without an end."""
        waiting: deque[tuple[int, Future[list[Told]]]] = deque()
        first = self.seed
        while True:
            while len(waiting) < jobs * AHEAD:
                seeds = range(first, first + AT_ONCE)
                waiting.append((first, pool.submit(tell_seeds, seeds, self.guarded)))
                first += AT_ONCE
            begins, done = waiting.popleft()
            try:
                yield from done.result(STUCK_S)
            except (TimeoutError, BrokenProcessPool) as error:
                ends = begins + AT_ONCE * jobs * AHEAD
                what = "took too long" if isinstance(error, TimeoutError) else "died"
                raise StuckError(f"a process {what} at seeds from {begins} (to {ends})") from error

    def _count(self, each: Told) -> None:
        self.told += 1
        self.told_hours += each.hours
        self.ticks += each.ticks
        self.judged_ns += each.judged_ns
        self.blind_ns += each.blind_ns
        self.events.update(each.events)
        if each.guarded:
            self.guarded_cases += 1
            self.guarded_hours += each.hours

    def _keep(self, each: Told) -> None:
        assert each.finding is not None
        say(f"seed {each.seed}: {each.finding.what}")
        try:
            case = draw_case(each.seed)
        except Exception:  # noqa: BLE001  # said above; there is nothing to cut down
            self.found.append(Found(each.seed, None, each.finding, None))
            return
        shrinker = Shrinker(case, each.finding)
        shrinker.shrink()
        self.keep.mkdir(parents=True, exist_ok=True)
        path = self.keep / f"seed-{each.seed}.json"
        replace(shrinker.case, remark=shrinker.finding.what).write(path)
        self.found.append(Found(each.seed, shrinker.case, shrinker.finding, path))
        say(in_words(shrinker.case, shrinker.finding, path))

    @property
    def blind_percent(self) -> float:
        """Of the time of all circuits with chargers: anything would have passed there."""
        return 100 * self.blind_ns / max(self.judged_ns, 1)

    @property
    def next_seed(self) -> int:
        """Where another hunt goes on."""
        return self.seed + self.told

    def answer(self) -> dict[str, object]:
        """For --json."""
        return {
            "cases": self.told,
            "first_seed": self.seed,
            "last_seed": self.next_seed - 1,
            "next_seed": self.next_seed,
            "stopped": self.stopped,
            "depot_hours": round(self.told_hours, 2),
            "guarded_cases": self.guarded_cases,
            "guarded_depot_hours": round(self.guarded_hours, 2),
            "ticks": self.ticks,
            "blind_percent": round(self.blind_percent, 2),
            "events": dict(self.events.most_common()),
            "seconds": round(self.took_s, 1),
            "depot_hours_per_s": round(self.told_hours / max(self.took_s, 1e-9), 2),
            "found": [
                {
                    "seed": each.seed,
                    "kind": each.finding.kind,
                    "t_s": each.finding.t_s,
                    "what": each.finding.what,
                    "case": None if each.path is None else str(each.path),
                }
                for each in self.found
            ],
        }


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _leave_signals() -> None:
    """In each process: whoever stops the search stops it as a whole."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end(pool: ProcessPoolExecutor) -> None:
    """Without waiting for what is under way: nobody would count it."""
    processes = list((pool._processes or {}).values())  # it has no other door
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
    pool.shutdown(cancel_futures=True)


def tell_seeds(seeds: range, guarded: int) -> list[Told]:
    """In a process of its own."""
    return [tell_seed(seed, guarded > 0 and seed % guarded == 0) for seed in seeds]


def tell_seed(seed: int, guarded: bool) -> Told:
    """Any error is a finding: one seed never ends a hunt."""
    try:
        case = draw_case(seed)
        world = World(case, guarded=guarded)
    except Exception as error:  # noqa: BLE001
        return Told(seed, 0.0, crashed(error, 0), guarded, 0, {}, 0, 0)
    finding = tell_world(world)
    told_s = case.duration_s if finding is None else finding.t_s
    judge, happened = world.judge, dict(world.happened)
    times_ns = judge.judged_ns, judge.blind_ns
    return Told(seed, told_s / 3600, finding, guarded, world.gateway.ticks, happened, *times_ns)


def progress(hunt: Hunt) -> str:
    rate = hunt.told_hours / max(hunt.took_s, 1e-9)
    return (
        f"{hunt.told_hours:.1f} depot-hours, seeds {hunt.seed} to {hunt.next_seed - 1}, "
        f"in {hunt.took_s:.0f} s ({rate:.2f} depot-hours per second): found {len(hunt.found)}"
    )


def report(hunt: Hunt) -> str:
    """What was told and found, at the end."""
    lines = [
        progress(hunt),
        f"  {hunt.ticks:,} decisions; judged by the guard, too: {hunt.guarded_cases} cases, "
        f"{hunt.guarded_hours:.1f} depot-hours",
        f"  {hunt.blind_percent:.1f} % of all circuits' time was judged blind: a source lied and "
        "nothing honest counted there, or every charger below was ill",
        "  events: " + ", ".join(f"{kind} {count}" for kind, count in hunt.events.most_common()),
        *(f"  found: seed {each.seed}, {each.finding.kind}: {_kept(each)}" for each in hunt.found),
        f"  the next seed is {hunt.next_seed}",
    ]
    if hunt.stopped:
        lines.append(f"  STOPPED before {hunt.hours:g} depot-hours: {hunt.stopped}")
    return "\n".join(lines)


def _kept(found: Found) -> str:
    return f"no case; {found.finding.what}" if found.path is None else str(found.path)


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
