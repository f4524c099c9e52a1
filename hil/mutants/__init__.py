"""`python -m hil mutants`: is a fault in the kernel noticed? One at a time, each in a copy."""

from __future__ import annotations

import tomllib
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import sched_getaffinity
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from controller.commands.output import FINE, MISUSED, NO, answer_json, complain, say
from hil.mutants.bed import ROOT, Bed, Outcome

FAULTS = Path(__file__).parent / "faults.toml"


@dataclass(frozen=True, slots=True)
class Fault:
    """`old` becomes `new` in a file of cext/."""

    name: str
    file: str
    old: str
    new: str

    def patched(self, text: str) -> str:
        """Raises ValueError where the kernel is no longer what this fault was made for."""
        count = text.count(self.old)
        if count != 1:
            raise ValueError(f"{self.file}: what {self.name!r} changes is there {count} times")
        return text.replace(self.old, self.new)


def faults() -> list[Fault]:
    whole = tomllib.loads(FAULTS.read_text(encoding="utf-8"))
    return [Fault(**each) for each in whole["fault"]]


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("mutants", help="put faults into the kernel; are they noticed?")
    parser.add_argument("fault", nargs="*", help="words of the names of some; else all")
    parser.add_argument("--jobs", type=int, default=len(sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")


def run(args: Namespace) -> int:
    """0: every fault is noticed, and without one nothing is; 1: not so."""
    every = faults()
    chosen = [each for each in every if all(word in each.name for word in args.fault)]
    try:
        for each in every:
            each.patched((ROOT / "cext" / each.file).read_text(encoding="utf-8"))
    except ValueError as error:
        complain(str(error))
        return MISUSED
    began = perf_counter()
    with TemporaryDirectory(prefix="mutants-") as home, ThreadPoolExecutor(args.jobs) as pool:
        sound = Bed(Path(home) / "sound", None).judge()
        if sound.caught_by:
            say(f"without any fault: {sound.words}")
            return NO
        outcomes = []
        for fault, outcome in zip(chosen, pool.map(_try, _beds(home, chosen)), strict=True):
            say(f"{fault.name}: {outcome.words}")
            outcomes.append(outcome)
    survived = [
        f.name for f, outcome in zip(chosen, outcomes, strict=True) if not outcome.caught_by
    ]
    took_s = perf_counter() - began
    say(f"{len(chosen)} faults in {took_s:.0f} s, {len(survived)} not noticed")
    if args.json:
        caught = {f.name: o.words for f, o in zip(chosen, outcomes, strict=True)}
        answer_json({"faults": caught, "survived": survived, "seconds": round(took_s)})
    return NO if survived else FINE


def _beds(home: str, chosen: list[Fault]) -> Iterator[tuple[Path, Fault]]:
    return ((Path(home) / str(number), fault) for number, fault in enumerate(chosen))


def _try(bed: tuple[Path, Fault]) -> Outcome:
    place, fault = bed
    text = fault.patched((ROOT / "cext" / fault.file).read_text(encoding="utf-8"))
    return Bed(place, (fault.file, text)).judge()
