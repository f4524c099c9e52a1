"""`python -m hil mutate-profiles`: is a wrong field noticed, when it is loaded or by a capture?

Each field of each profile is changed in turn. A change is noticed where the profile is then
refused, or where one of its captured exchanges no longer means what it should.
"""

from __future__ import annotations

import asyncio
import tomllib
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from os import sched_getaffinity
from typing import Any

from controller.commands.output import FINE, MISUSED, NO, answer_json, complain, say
from drivers.decode import Value
from drivers.device import DeviceError
from drivers.library import ProfileError, library, parse
from hil.proving.captures import (
    Capture,
    captures,
    codes,
    marks,
    means_them,
    understood,
)
from hil.proving.changes import changes
from hil.proving.judged import judged, judgements
from hil.proving.orders import in_range, tells, told

Survivor = tuple[str, str, str]  # profile, field, change
Shown = tuple[Capture, dict[str, Value | bool]]  # a capture, and which marks it shows
LOAD, CAPTURE = "load", "capture"


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "mutate-profiles", help="change each field of each profile; is it noticed?"
    )
    parser.add_argument("profile", nargs="*", help="names of some; else all")
    parser.add_argument("--jobs", type=int, default=len(sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")


def run(args: Namespace) -> int:
    """0: what nobody notices is judged; 1: not so; 2: no such profile."""
    known = library().names()
    names = args.profile or sorted(known)
    if strange := [name for name in names if name not in known]:
        complain(f"no such profile: {', '.join(strange)}")
        return MISUSED
    killed = {LOAD: 0, CAPTURE: 0}
    survivors: list[Survivor] = []
    with ProcessPoolExecutor(max(1, min(args.jobs, len(names)))) as pool:
        for name, (by, left) in zip(names, pool.map(mutated, names), strict=True):
            total = sum(by.values()) + len(left)
            say(f"{name}: {total - len(left)}/{total} noticed")
            survivors += ((name, field, change) for field, change in left)
            for means, count in by.items():
                killed[means] += count
    return _answered(killed, survivors, args, whole=not args.profile)


def _answered(
    killed: dict[str, int], survivors: list[Survivor], args: Namespace, whole: bool
) -> int:
    counts, unjudged = judged(survivors, judgements())
    noticed, total = sum(killed.values()), sum(killed.values()) + len(survivors)
    idle = [each for each, count in counts.items() if not count] if whole else []
    for judgement, count in counts.items():
        if count:
            say(f"{count} survived, judged: {judgement.field}: {judgement.why}")
    for profile, field, change in unjudged:
        complain(f"{profile}: {field}: {change}: nobody notices")
    for judgement in idle:
        complain(f"a judgement that nothing needs any more: {judgement.field}")
    say(
        f"{noticed}/{total} noticed ({killed[LOAD]} when loaded, {killed[CAPTURE]} by captures), "
        f"{len(survivors) - len(unjudged)} judged, {len(unjudged)} not"
    )
    if args.json:
        answer_json(
            {
                "killed": noticed,
                "total": total,
                "by_load": killed[LOAD],
                "by_capture": killed[CAPTURE],
                "judged": len(survivors) - len(unjudged),
                "unjudged": [": ".join(each) for each in unjudged],
            }
        )
    return NO if unjudged or idle else FINE


def mutated(name: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """How many changes of a profile were noticed by whom, and those that were not."""
    data = tomllib.loads(library().names()[name].read_text(encoding="utf-8"))
    profile = library().find(name)
    shown = [(each, marks(profile, each)) for each in captures(name)]
    fits = all(found is not False for _, shows in shown for found in shows.values())
    if not shown or not fits or noticed_by(data, name, shown):
        raise AssertionError(f"{name}: as it is, its captures do not mean what they should")
    killed = {LOAD: 0, CAPTURE: 0}
    left = []
    for change in changes(data):
        by = noticed_by(change.applied(data), name, shown)
        if by:
            killed[by] += 1
        else:
            left.append((change.field, change.what))
    return killed, left


def noticed_by(data: dict[str, Any], name: str, shown: Sequence[Shown]) -> str:
    """Empty where nobody notices anything."""
    try:
        profile = parse(data, name)
    except ProfileError:
        return LOAD

    async def misread() -> bool:
        for capture, shows in shown:
            try:
                found = await understood(profile, capture)
                if found != capture.expected(profile) or marks(profile, capture) != shows:
                    return True
            except (DeviceError, ValueError):  # ValueError: its numbers are no text, or none
                return True
        return False

    held = tells(profile, list(told(name))) and in_range(profile, name)
    held = held and means_them(profile, codes(name))
    return CAPTURE if not held or asyncio.run(misread()) else ""
