"""`python -m hil bench`: every speed that is claimed, measured on this machine and judged."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Sequence
from difflib import get_close_matches

from controller.commands.output import FINE, MISUSED, NO, answer_json, complain, say
from hil.figures import all_figures
from hil.figures.measuring import Result, measured, sentence
from hil.performance import PAGE, machine, table, written


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("bench", help="measure what is claimed, and judge it")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument(
        "--only", action="append", metavar="FIELD", help="this one; may be given several times"
    )
    parser.add_argument("--table", action="store_true", help="print the table in Markdown")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE}")


def run(args: Namespace) -> int:
    """0: all that was asked for was measured and is as it must be; 1: not so."""
    figures = all_figures()
    known = [figure.field for figure in figures]
    strange = [field for field in args.only or () if field not in known]
    for field in strange:
        close = get_close_matches(field, known, n=3, cutoff=0.4) or known
        complain(f'--only: there is no figure "{field}"; did you mean {", ".join(close)}?')
    if strange:
        return MISUSED
    asked = [figure for figure in figures if not args.only or figure.field in args.only]
    results = []
    for result in measured(asked, say):
        say(sentence(result))
        sys.stdout.flush()
        results.append(result)
    rows = {result.figure.field: result for result in results}
    if args.table:
        say(table(figures, rows))
    if args.write:
        written(figures, rows)
    if args.json:
        answer_json(answer(results))
    return FINE if all(result.met for result in results) else NO


def answer(results: Sequence[Result]) -> dict[str, object]:
    """Every field measured, and what is to be said of them."""
    return {
        **{each.figure.field: each.value for each in results if each.value is not None},
        "disturbed": [each.figure.field for each in results if each.disturbed],
        "missed": [
            each.figure.field for each in results if each.value is not None and not each.met
        ],
        "not_measured": {each.figure.field: each.why for each in results if each.value is None},
        "machine": machine(),
    }
