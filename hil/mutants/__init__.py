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
from hil.mutants.bed import Bed, NoticedError, Outcome, Sound, copied, tried
from hil.mutants.fault import Fault, faults, unfit
from hil.mutants.means import CRASH, ENDLESS, MEANS, ORACLES, PROPERTIES, missing
from hil.mutants.verdicts import Verdicts, kernel_digest


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("mutants", help="put faults into the kernel; are they noticed?")
    parser.add_argument("fault", nargs="*", help="words of the names or files of some; else all")
    parser.add_argument("--jobs", type=int, default=len(sched_getaffinity(0)))
    parser.add_argument(
        "--all-means", action="store_true", help="ask everybody, whoever has noticed before"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        help="file of verdicts: each is added to it, and what it knows to be noticed is not tried "
        "again as long as kernel and fault are the same",
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
    kept = Verdicts(None if args.all_means else args.keep)
    outcomes = [known for each in chosen if (known := kept.of(each))]
    left = [each for each in chosen if kept.of(each) is None]
    say(f"kernel {kernel_digest()}: {len(left)} faults to try")
    if outcomes:
        say(f"{len(outcomes)} were noticed before, as {args.keep} tells")
    try:
        for fault, outcome in _tried(left, args):
            kept.add(fault, outcome)
            outcomes.append(outcome)
            say(outcome.words)
    except NoticedError as error:
        say(f"without any fault: {error}")
        return NO
    return _answered(outcomes, perf_counter() - began, args)


def _tried(left: list[Fault], args: Namespace) -> Iterator[tuple[Fault, Outcome]]:
    """Each with its outcome, as they come. Raises NoticedError."""
    if not left:
        return
    with (
        TemporaryDirectory(prefix="mutants-") as home,
        ThreadPoolExecutor(max(1, args.jobs)) as pool,
    ):
        try:
            with copied(None, Path(home)) as bed:
                sound = Sound(bed)
                asked = {
                    pool.submit(tried, each, Path(home), sound, args.all_means): each
                    for each in left
                }
                for done in as_completed(asked):
                    yield asked[done], done.result()
        except RuntimeError as error:
            raise NoticedError(str(error)) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _problems(every: list[Fault], chosen: list[Fault], words: list[str]) -> list[str]:
    """Why nothing can be tried as it stands."""
    problems = unfit(every)
    named = {name for each in every for name in each.tests} | {*PROPERTIES, *ORACLES}
    problems += [f"{file}: there is no such file" for file in missing(tuple(sorted(named)))]
    if not chosen:
        problems.append(f"no fault's name or file has all of these words: {' '.join(words)}")
    return problems


def _answered(outcomes: list[Outcome], took_s: float, args: Namespace) -> int:
    survived = [each.fault for each in outcomes if each.survived]
    for line in _table(outcomes, args.all_means):
        say(line)
    tried_s = sum(each.took_s for each in outcomes)
    say(
        f"{len(outcomes)} faults, {len(survived)} not noticed; {tried_s:.0f} s of trials, "
        f"this run took {took_s:.0f} s"
    )
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
        yield f"by the tests of their own rooms: {sum(each.own for each in outcomes)}"
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
