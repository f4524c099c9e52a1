"""`python -m hil search`: random sites, days and faults, and whether any circuit is ever over.

Each run comes from one number, its seed. What is found is cut down, said in words, and written to
a file that tells it again.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from controller.commands.output import FINE, MISUSED, NO, answer_json, complain, say
from hil.search.case import read
from hil.search.hunt import GUARDED, KEPT, Hunt, in_words, report
from hil.search.world import tell


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("search", help="search random depots for a broken promise")
    parser.add_argument("--hours", type=float, default=50.0, help="depot-hours (50)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed; the next ones follow")
    parser.add_argument("--jobs", type=int, help="processes; left out: one for each processor")
    parser.add_argument("--most", type=int, default=5, help="stop when so many were found (5)")
    parser.add_argument(
        "--guarded",
        type=int,
        default=GUARDED,
        help=f"of so many seeds one is judged by the guard, too; 0: none ({GUARDED})",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--case", type=Path, help="tell one that was kept, and nothing else")
    parser.add_argument(
        "--keep", type=Path, default=KEPT, help=f"folder for what is found ({KEPT})"
    )


def run(args: Namespace) -> int:
    """0: as many hours as asked, and nothing was found; 1: something was, or it was stopped."""
    if args.case is not None:
        return _retell(args.case)
    if args.hours <= 0 or (args.jobs is not None and args.jobs < 1):
        complain("--hours must be above 0, and --jobs 1 or more")
        return MISUSED
    if args.guarded < 0:
        complain("--guarded must be 0 or more")
        return MISUSED
    hunt = Hunt(args.hours, args.seed, args.jobs, args.most, args.keep, args.guarded)
    hunt.run()
    say(report(hunt))
    if args.json:
        answer_json(hunt.answer())
    return NO if hunt.found or hunt.stopped else FINE


def _retell(path: Path) -> int:
    try:
        case = read(path)
    except (OSError, ValueError) as error:
        complain(f"{path}: {error}")
        return MISUSED
    finding = tell(case, guarded=True)
    if finding is None:
        say(f"{path.name}: nothing was found")
        return FINE
    say(in_words(case, finding, path))
    return NO
