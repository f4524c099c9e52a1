"""`python -m hil mutants`: is a fault in the kernel noticed? One at a time, each in a copy."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from os import sched_getaffinity
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from controller.commands.output import FINE, MISUSED, NO, answer_json, complain, say
from hil.mutants.bed import DAYS, Bed, Outcome, Took, copied, tried
from hil.mutants.fault import Fault, faults, unfit
from hil.mutants.means import (
    CRASH,
    ENDLESS,
    MEANS,
    ORACLE,
    ORACLES,
    PROPERTIES,
    PROPERTY,
    SEARCH,
    missing,
    test_files,
)


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("mutants", help="put faults into the kernel; are they noticed?")
    parser.add_argument("fault", nargs="*", help="words of the names or files of some; else all")
    parser.add_argument("--jobs", type=int, default=len(sched_getaffinity(0)))
    parser.add_argument(
        "--all-means", action="store_true", help="ask everybody, whoever has noticed before"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")


def run(args: Namespace) -> int:
    """0: every fault is noticed, and without one nothing is; 1: not so; 2: it cannot be tried."""
    every = faults()
    chosen = [
        each for each in every if all(word in f"{each.file} {each.name}" for word in args.fault)
    ]
    if problems := _problems(every, chosen, args.fault):
        for problem in problems:
            complain(problem)
        return MISUSED
    began = perf_counter()
    with (
        TemporaryDirectory(prefix="mutants-") as home,
        ThreadPoolExecutor(max(1, args.jobs)) as pool,
    ):
        wrong, took_s = _noticed_without(Path(home), chosen, pool)
        if wrong:
            for each in wrong:
                say(f"without any fault: {each}")
            return NO
        say(f"without any fault: nobody notices anything ({perf_counter() - began:.0f} s)")
        asked = [pool.submit(tried, fault, Path(home), took_s, args.all_means) for fault in chosen]
        outcomes = []
        for done in as_completed(asked):
            outcomes.append(done.result())
            say(outcomes[-1].words)
    return _answered(outcomes, perf_counter() - began, args)


def _problems(every: list[Fault], chosen: list[Fault], words: list[str]) -> list[str]:
    """Why nothing can be tried as it stands."""
    problems = unfit(every)
    named = {name for each in every for name in each.tests} | {*PROPERTIES, *ORACLES}
    problems += [f"{file}: there is no such file" for file in missing(tuple(sorted(named)))]
    if not chosen:
        problems.append(f"no fault's name or file has all of these words: {' '.join(words)}")
    return problems


def _noticed_without(
    home: Path, chosen: list[Fault], pool: ThreadPoolExecutor
) -> tuple[list[str], Took]:
    """What somebody notices in the kernel as it is (then nobody's word counts), and how long each
    took: every one who is asked about a fault is asked here, too, by himself."""
    named = dict.fromkeys(name for each in chosen for name in each.tests)
    rest = [name for name in dict.fromkeys([*named, *PROPERTIES]) if name not in ORACLES]
    asks = {
        DAYS: SEARCH,
        **dict.fromkeys(test_files(ORACLES), ORACLE),
        **dict.fromkeys(test_files(tuple(rest)), PROPERTY),
    }
    try:
        with copied(None, home) as sound:
            answers = list(pool.map(sound.timed, asks.values(), asks))
    except RuntimeError as error:
        return [str(error)], {}
    wrong = [each.words for each, _ in answers if each.by or each.broken]
    return wrong, {file: took_s for file, (_, took_s) in zip(asks, answers, strict=True)}


def _answered(outcomes: list[Outcome], took_s: float, args: Namespace) -> int:
    survived = [each.fault for each in outcomes if each.survived]
    for line in _table(outcomes, args.all_means):
        say(line)
    say(f"{len(outcomes)} faults in {took_s:.0f} s, {len(survived)} not noticed")
    for name in survived:
        say(f"  not noticed: {name}")
    if args.json:
        answer_json(
            {
                "faults": {each.fault: each.first.words for each in outcomes},
                "means": {
                    each.fault: {by: each.all[by].words for by in MEANS if by in each.all}
                    for each in outcomes
                    if each.all
                },
                "caught_by": Counter(each.first.by for each in outcomes),
                "survived": survived,
                "seconds": round(took_s),
            }
        )
    return NO if survived else FINE


def _table(outcomes: list[Outcome], by_all: bool) -> Iterator[str]:
    """How many each means has caught: as the first, or at all."""
    kinds = (*MEANS, CRASH, ENDLESS)
    if not by_all:
        first = Counter(each.first.by for each in outcomes)
        yield "caught first by " + ", ".join(f"{by}: {first[by]}" for by in kinds if first[by])
        return
    for each in sorted(outcomes, key=lambda each: each.fault):
        marks = (f"{by} {'yes' if each.all[by].by else '-'}" for by in MEANS if by in each.all)
        yield f"  {each.fault}: {', '.join(marks)}"
    for by in MEANS:
        noticed = [each for each in outcomes if by in each.all and each.all[by].by]
        alone = [
            each for each in noticed if sum(bool(answer.by) for answer in each.all.values()) == 1
        ]
        yield f"caught by {by}: {len(noticed)} of {len(outcomes)}, by nobody else {len(alone)}"


__all__ = ["Bed", "Outcome", "register", "run"]
