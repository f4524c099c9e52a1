"""`python -m hil run`: tells stories on a bench, and says how they went."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from controller.commands.output import FINE, MISUSED, NO, complain, say
from controller.site import DocumentError
from hil.profiles import StoryProfiles
from hil.stage import Outcome, Stage
from hil.story.report import markdown
from hil.story.script import Bench, Problem, Story, StoryError, find, load

BENCHES: dict[Bench, str] = {
    "plant": "hil.bench_plant",
    "rig": "hil.bench_rig",
    "gateway": "hil.bench_gateway",
}
"""Each offers `run_all(stories, profiles)`, an iterator of outcomes in the stories' order. Only
the one asked for is imported."""


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("run", help="tell stories on a bench")
    parser.add_argument("story", nargs="*", help="names or files; all of them where none is given")
    parser.add_argument("--bench", choices=BENCHES, default="plant")
    parser.add_argument(
        "--if-possible",
        action="store_true",
        help="where this machine cannot have that bench, say so and call it no failure; "
        "it is one in CI, where only packages are missing",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a story, one a line")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a report in Markdown")


def run(args: Namespace) -> int:
    if args.if_possible and (lacks := _lacks(args.bench)):
        complain(
            f"NO STORY WAS TOLD on the {args.bench} bench: this machine lacks {'; '.join(lacks)}"
        )
        could = all("apt-get install" in each for each in lacks)
        return NO if could and os.environ.get("CI") == "true" else FINE
    try:
        stories = chosen(args.story, args.bench)
        told = [(story, _told(outcome, args)) for story, outcome in _tell(stories, args.bench)]
    except (StoryError, DocumentError) as error:
        for problem in error.problems:
            complain(str(problem))
        return MISUSED
    if args.report is not None:
        args.report.write_text(markdown(told), encoding="utf-8")
    return FINE if all(outcome.passed for _, outcome in told) else NO


def _lacks(bench: Bench) -> list[str]:
    """What a bench needs and does not find; only one of them ever does."""
    found: list[str] = getattr(import_module(BENCHES[bench]), "missing", list)()
    return found


def chosen(names: list[str], bench: Bench) -> list[Story]:
    """The stories of a bench; one that is named must be made for it. Raises StoryError,
    and DocumentError for a site that cannot be used."""
    stories = [load(path) for path in find(names)]
    for story in stories:
        Stage(story, StoryProfiles())  # before anything is begun
    if names:
        for story in stories:
            if bench not in story.benches:
                raise StoryError(story.name, [Problem("benches", f"not told on {bench}")])
    return [story for story in stories if bench in story.benches]


def _tell(stories: list[Story], bench: Bench) -> Iterator[tuple[Story, Outcome]]:
    outcomes: Iterator[Outcome] = import_module(BENCHES[bench]).run_all(stories, StoryProfiles())
    return zip(stories, outcomes, strict=True)


def _told(outcome: Outcome, args: Namespace) -> Outcome:
    if args.json:
        say(json.dumps(outcome.as_json(), ensure_ascii=False))
    else:
        _say(outcome)
    sys.stdout.flush()
    if outcome.last_words:
        complain(outcome.last_words)
    return outcome


def _say(outcome: Outcome) -> None:
    line = outcome.as_json()
    say(
        f"{'passed' if outcome.passed else 'FAILED'}  {outcome.story:20} on {outcome.bench}: "
        f"at worst {line['worst_over_a']:.1f} A over, {line['longest_over_s']:.1f} s at a stretch, "
        f"{line['energy_kwh']:.2f} kWh"
    )
    for name, seconds in outcome.measured.items():
        say(f"        {name.removesuffix('_s')}: {seconds:.2f} s")
    for remark in outcome.remarks:
        say(f"        {remark}")
    for failed in line["failed"]:
        say(f"        {failed['why']}: {json.dumps(failed['measured'], ensure_ascii=False)}")
