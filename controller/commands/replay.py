"""`loadkeeper replay FILE|DIR`: decides again what the black box has recorded, and compares.

The first decision that comes out otherwise ends it: exit status 1, with the tick, what it was, and
both reasons. Exit status 1, too, where a file is damaged (one that a crash cut off is not), or
where there is no decision at all: nothing is proved then. With `--explain TIME CHARGER` it answers
why that charger had that setpoint then. TIME is in the site's time zone ("02:14",
"2027-02-11 02:14:30", ISO 8601), or in seconds of the monotonic clock, as the log has them.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from controller.blackbox.explain import Explanation, explain
from controller.blackbox.explained import lines
from controller.blackbox.moments import MomentError, local_time
from controller.blackbox.replay import Difference, NotReplayableError, Outcome, find, replay
from controller.commands.output import (
    FINE,
    MISUSED,
    NO,
    add_json_option,
    answer_json,
    complain,
    say,
)
from controller.units import NS_PER_S


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("replay", description=__doc__)
    parser.add_argument(
        "path", type=Path, metavar="FILE|DIR", help="a segment, or the black box's directory"
    )
    parser.add_argument(
        "--explain",
        nargs=2,
        metavar=("TIME", "CHARGER"),
        help="say why that charger had its setpoint then",
    )
    add_json_option(parser)


def run(args: Namespace) -> int:
    if not args.path.exists():
        complain(f"{args.path}: no such file or directory")
        return MISUSED
    try:
        paths = find(args.path)
        if args.explain:
            when, charger = args.explain
            return _explain(paths, when, charger, args.json)
        return _replay(paths, args.json)
    except NotReplayableError as error:
        complain(str(error))
        return NO


def _explain(paths: list[Path], when: str, charger: str, as_json: bool) -> int:
    try:
        answer = explain(paths, when, charger)
    except (MomentError, LookupError) as error:
        complain(str(error.args[0]))
        return MISUSED
    if as_json:
        answer_json(_as_json(answer))
    else:
        for line in lines(answer):
            say(line)
    return FINE


def _as_json(answer: Explanation) -> dict[str, Any]:
    return asdict(answer) | {
        "at": answer.at.isoformat(),
        "change": asdict(answer.change) | {"at": answer.change.at.isoformat()},
        "state": answer.state._asdict(),
        "places": [
            asdict(each) | {"together": each.together and each.together._asdict()}
            for each in answer.places
        ],
    }


def _replay(paths: list[Path], as_json: bool) -> int:
    outcome = replay(paths)
    if as_json:
        answer_json(_outcome_json(outcome))
        return FINE if outcome.proves else NO
    for gap in outcome.gaps:
        say(f"gap: {gap}")
    if outcome.difference is not None:
        for line in _difference(outcome.difference):
            say(line)
        return NO
    counted = f"{outcome.ticks} decisions, {outcome.records} records, {outcome.segments} segments"
    if outcome.ticks == 0:
        say(f"nothing is proved: there is no decision in it ({counted})")
    elif outcome.damaged:
        say(f"as far as it can be read, decided again alike: {counted}")
        say(f"{outcome.damaged} damaged: of what cannot be read, nothing is proved")
    else:
        say(f"decided again alike, bit for bit: {counted}")
    return FINE if outcome.proves else NO


def _difference(found: Difference) -> list[str]:
    at = local_time(found.stamp, found.at_ns, ZoneInfo("UTC")).isoformat(timespec="milliseconds")
    what = found.what or "the tick itself"
    return [
        f"{found.path.name}: tick {found.tick}, {found.at_ns / NS_PER_S:.3f} s ({at}): {what}",
        f"  recorded: {found.recorded}",
        f"  replayed: {found.replayed}",
    ]


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    difference = outcome.difference
    return {
        "alike": outcome.proves,
        "damaged": outcome.damaged,
        "segments": outcome.segments,
        "ticks": outcome.ticks,
        "records": outcome.records,
        "gaps": outcome.gaps,
        "difference": difference
        and {
            "file": str(difference.path),
            "tick": difference.tick,
            "at_s": difference.at_ns / NS_PER_S,
            "what": difference.what or None,
            "recorded": difference.recorded,
            "replayed": difference.replayed,
        },
    }
