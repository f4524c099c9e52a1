"""`loadkeeper check SITE --live`: the installed depot against its document."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from controller.commands.dossier import (
    HEADS,
    Author,
    ReportError,
    compose,
    earlier,
    identity_findings,
    write,
)
from controller.commands.gateway import enforcer_here
from controller.commands.output import complain, say
from controller.proof import Proof
from controller.site import Site
from drivers.finding import Finding, Weight
from drivers.flows import flow_findings
from drivers.survey import Survey, survey
from drivers.wiring import device_findings


def look(args: Namespace, site: Site, proof: Proof) -> tuple[list[Finding], dict[str, Any]]:
    """All findings, the heaviest first, and their part of the answer in JSON."""
    reason = asyncio.run(enforcer_here(args.runtime))
    if reason is not None:
        refused = Finding(
            "enforcer", "busy", Weight.WRONG, f"not looked: {reason}", "stop it first"
        )
        return [refused], {"live": [refused.as_json()], "report": None}
    before: dict[str, Any] = {}
    problems = []
    if args.report is not None:
        try:
            before = earlier(args.report, site)
        except ReportError as error:
            problems.append(_unwritten(error))
    found, seen = asyncio.run(_look(args, site))
    found = sorted([*found, *identity_findings(seen, before)], key=lambda each: each.weight)
    answer: dict[str, Any] = {
        "devices": {
            id_: {"answers": each.heard, "place": each.place, **each.who}
            for id_, each in seen.seen.items()
        },
        "report": None,
    }
    if args.report is not None and not problems:
        composed = compose(seen, proof, found, Author.here(args.by), before)
        try:
            answer["report"] = [str(path) for path in write(args.report, composed)]
        except ReportError as error:
            problems.append(_unwritten(error))
    found = [*problems, *found]
    return found, {**answer, "live": [each.as_json() for each in found]}


def _unwritten(error: ReportError) -> Finding:
    return Finding("report", "report", Weight.WRONG, str(error), "nothing was written there")


async def _look(args: Namespace, site: Site) -> tuple[list[Finding], Survey]:
    complain(f"looking at {site.name or site.id} for {args.looks:g} s; nothing is written")
    seen = await survey(site, args.looks)
    found = [*device_findings(seen), *flow_findings(seen)]
    if args.contactors:
        from drivers.switching import contactor_findings  # noqa: PLC0415 - gpiozero

        found += await contactor_findings(seen)
    elif site.contactors:
        ids = ", ".join(each.id for each in site.contactors)
        what = f"{ids}: not switched, so nobody knows whether they follow"
        mend = "run it with --contactors while nobody charges"
        found.append(Finding("contactors", "contactor", Weight.UNSEEN, what, mend))
    return found, seen


def passed(found: Sequence[Finding]) -> bool:
    return not any(each.weight is Weight.WRONG for each in found)


def say_live(found: Sequence[Finding], answer: dict[str, Any]) -> None:
    say("\nAt the depot\n")
    for weight, same in groupby(found, lambda each: each.weight):
        say(f"{HEADS[weight]}:")
        for each in same:
            for line in each.lines():
                say(f"   {line}")
        say()
    if answer["report"]:
        say(f"report: {', '.join(answer['report'])}")
