"""`loadkeeper check SITE`: everything wrong with a document, or its commissioning proof."""

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from controller import credentials
from controller.commands.live_options import add_live_options, misused
from controller.commands.output import (
    FINE,
    MISUSED,
    NO,
    add_json_option,
    answer_json,
    columns,
    complain,
    say,
)
from controller.commands.powers import powers_json, say_powers
from controller.commands.timings import (
    reaction_json,
    say_reactions,
    say_transitions,
    transition_json,
)
from controller.commands.verdicts import TITLES, remedy_text, say_derogation, word
from controller.configuration import Ground
from controller.document.entries.derogation import Derogation
from controller.document.problems import DocumentError, Problem
from controller.document.quantities import ROWS
from controller.places import places
from controller.proof import Finding, Line, Proof, Watchdogs, prove
from controller.relays import Relay, Unsafe
from controller.saved import Saved, saved
from controller.site import Site, load, read
from controller.units import MA_PER_A, NS_PER_S, amperes_text, seconds_text
from drivers.library import library


def register(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    parser = subparsers.add_parser("check", description=__doc__)
    parser.add_argument("site", type=Path, metavar="SITE", help="site document, TOML or JSON")
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="also look whether what came over MQTT, and was saved there, would be taken up",
    )
    add_live_options(parser)
    add_json_option(parser)


def run(args: Namespace) -> int:
    """0: the depot keeps its ratings by itself; 1: it does not, or a document is wrong.

    With --live also 1 where anything at the depot must be mended.
    """
    live = args.command == "check" and args.live
    if args.command == "check" and (misuse := misused(args)) is not None:
        complain(f"loadkeeper check: {misuse}")
        return MISUSED
    try:
        site = load(args.site, library())
        left = _saved(args)
    except OSError as error:
        complain(f"loadkeeper check: {args.site}: {error.strerror or error}")
        return MISUSED
    except DocumentError as error:
        return _refuse(args, error.problems)
    theirs = None if args.command == "run" else site.link  # the enforcer may not even look
    if theirs is not None and (unusable := credentials.problems(theirs)):
        return _refuse(args, unusable)
    proof = prove(site)
    if not args.json:
        _say_proof(site, proof)
        _say_saved(left)
    in_order, seen = _look(args, site, proof) if live else (True, {})
    if args.json:
        answer_json({**_answer(site, proof), "saved": left and asdict(left), **seen})
    holds = proof.passed and (left is None or left.usable)
    return FINE if holds and in_order else NO


def _look(args: Namespace, site: Site, proof: Proof) -> tuple[bool, dict[str, Any]]:
    """Whether the depot is as its document says, and what was found in JSON."""
    from controller.commands import live  # noqa: PLC0415 - all drivers: only who looks needs them

    found, seen = live.look(args, site, proof)
    if not args.json:
        live.say_live(found, seen)
    return live.passed(found), seen


def _saved(args: Namespace) -> Saved | None:
    """Raises OSError, DocumentError."""
    state: Path | None = getattr(args, "state", None)
    if state is None or args.command != "check":  # `run` has said it in its log
        return None
    ground = Ground(read(args.site), str(args.site), library())
    return saved(places(state=state).documents, ground)


def _say_saved(left: Saved | None) -> None:
    match left:
        case None | Saved("none"):
            return
        case Saved("unreadable"):
            say(f"The documents that came over MQTT cannot be read: {left.why}.")
            say("A start would go on with this document alone.")
        case Saved("outdated"):
            say(f"Revision {left.revision}, from MQTT, stands on another document: it is void.")
        case Saved("refused"):
            say(f"Revision {left.revision}, from MQTT, was in force, and cannot be again:")
            say(f"   {left.why}")
        case _:
            say(f"Revision {left.revision}, from MQTT, would be taken up again.")


def _refuse(args: Namespace, problems: Sequence[Problem]) -> int:
    if args.json:
        answer_json({"passed": False, "problems": [_problem(each) for each in problems]})
    else:
        _say_problems(args.site, problems)
    return NO


def _say_problems(path: Path, problems: Sequence[Problem]) -> None:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    say(f"{path} cannot be used: {count}\n")
    for problem in problems:
        say(f"{problem.path}\n    {problem.message}")


def _say_proof(site: Site, proof: Proof) -> None:
    say(f"{site.name or site.id}: commissioning proof\n")
    _say_lines(proof)
    if proof.on_generator is not None:
        say("While a generator feeds it, by the generator's ratings\n")
        _say_lines(proof.on_generator)
    say_powers(site)
    _say_unsafe(proof.unsafe)
    _say_needless(proof.needless)
    say(_verdict(proof))


def _say_lines(proof: Proof) -> None:
    told: dict[object, Line] = {}
    told_transitions = False
    for line, findings in groupby(proof.findings, lambda finding: finding.line):
        if line > Line.TRANSITION and not told_transitions:
            say_transitions(proof)
            told_transitions = True
        say(f"{line}  {TITLES[line]}\n")
        same = list(_same_phases(findings))
        rows = [_row(each, proof) for each in same]
        for text in columns([HEADER, *rows], right=frozenset({2, 3, 4, 5, 6})):
            say(f"   {text}")
        say()
        if line is Line.UNATTENDED:
            _say_relays(proof.relays)
        if line is Line.POWER_CUT:
            _say_watchdogs(proof.watchdogs)
        for phases, finding in same:
            if not finding.passed:
                sums = (finding.circuit, phases, finding.allowed_ma, finding.terms)
                _say_failure(phases, finding, told.setdefault(sums, line))
                say_derogation(proof.concerning(finding), finding, proof)
    if not told_transitions:
        say_transitions(proof)
    say_reactions(proof)


def _verdict(proof: Proof) -> str:
    if not proof.passed:
        return "Failed: this site must not be left to itself."
    return "Passed, by derogation." if proof.derogated else "Passed."


HEADER = ("circuit", "phase", "base A", "chargers A", "sum A", "allowed A", "free A", "")
Same = tuple[str, Finding]


def _same_phases(findings: Iterator[Finding]) -> Iterator[Same]:
    """Findings of one circuit that differ in nothing but the phase, with all their phases."""
    alike: dict[object, tuple[list[str], Finding]] = {}
    for finding in findings:
        key = (finding.circuit, finding.source, finding.allowed_ma, finding.terms)
        alike.setdefault(key, ([], finding))[0].append(ROWS[finding.phase])
    return ((" ".join(phases), finding) for phases, finding in alike.values())


def _row(same: Same, proof: Proof) -> Sequence[str]:
    phases, finding = same
    base_ma = finding.terms[0].each_ma
    amperes = (
        base_ma,
        finding.sum_ma - base_ma,
        finding.sum_ma,
        finding.allowed_ma,
        finding.allowed_ma - finding.sum_ma,
    )
    whose = finding.circuit if finding.source is None else f"{finding.source} on {finding.circuit}"
    return (whose, phases, *map(amperes_text, amperes), word(finding, proof))


def _say_watchdogs(watchdogs: Sequence[Watchdogs]) -> None:
    for dogs in watchdogs:
        armed = "arm it by themselves" if dogs.armed else "wait for the gateway to arm it"
        say(f"   watchdog after a reboot: {dogs.count} x {dogs.profile} in {dogs.circuit} {armed}")
    if watchdogs:
        say()


def _say_relays(relays: Sequence[Relay]) -> None:
    for relay in relays:
        say(
            f"   {relay.id} drops {_count(relay)} without us, "
            f"at most {seconds_text(relay.holds_ns)} s after the last decision"
        )
    if relays:
        say()


def _count(relay: Relay) -> str:
    return relay.chargers[0] if len(relay.chargers) == 1 else f"{len(relay.chargers)} chargers"


def _say_unsafe(every: Sequence[Unsafe]) -> None:
    if every:
        say("Not safe by itself, and not relied upon:")
    for each in every:
        say(f"   {each.id} (GPIO{each.pin}) {each.what}")
    if every:
        say()


def _say_failure(phases: str, finding: Finding, told: Line) -> None:
    """The terms and remedies, unless an earlier line has told just the same."""
    over = amperes_text(finding.sum_ma - finding.allowed_ma)
    if told is not finding.line:
        say(f"   {finding.circuit} {phases} is {over} A over: as under {told}\n")
        return
    say(f"   {finding.circuit} {phases} is {over} A over:")
    for term in finding.terms:
        say(f"      {term.count} x {amperes_text(term.each_ma)} A  {term.what}")
    say("   what would help, the cheapest first:")
    for remedy in finding.remedies:
        say(f"    - {remedy_text(remedy, phases)}")
    say()


def _say_needless(derogations: Sequence[Derogation]) -> None:
    for each in derogations:
        name = each.line.name.lower()
        say(f"not needed: the derogation of {name} on {each.place} by {each.by} ({each.date});")
        say("   take it out of the document")
    if derogations:
        say()


def _answer(site: Site, proof: Proof) -> dict[str, Any]:
    return {
        "passed": proof.passed,
        "problems": [],
        "site": site.id,
        "mode": site.mode,
        "installation_hash": site.installation_hash,
        **_lines(proof),
        "on_generator": proof.on_generator and _lines(proof.on_generator),
        "watts": powers_json(site),
        "derogated": proof.derogated,
        "derogations": [
            {**each.terms(), "needed": each not in proof.needless} for each in proof.derogations
        ],
        "relays": [
            {
                "id": relay.id,
                "chargers": relay.chargers,
                "holds_s": relay.holds_ns / NS_PER_S,
            }
            for relay in proof.relays
        ],
        "unsafe": [{"id": each.id, "pin": each.pin, "what": each.what} for each in proof.unsafe],
        "watchdogs": [
            {
                "circuit": dogs.circuit,
                "profile": dogs.profile,
                "count": dogs.count,
                "armed_after_power_on": dogs.armed,
            }
            for dogs in proof.watchdogs
        ],
    }


def _lines(proof: Proof) -> dict[str, Any]:
    return {
        "findings": [_finding(finding, proof) for finding in proof.findings],
        "transitions": [transition_json(each, proof) for each in proof.transitions],
        "reactions": [reaction_json(each, proof) for each in proof.reactions],
    }


def _finding(finding: Finding, proof: Proof) -> dict[str, Any]:
    return {
        "line": int(finding.line),
        "name": finding.line.name.lower(),
        "circuit": finding.circuit,
        "phase": ROWS[finding.phase],
        "source": finding.source,
        "passed": finding.passed,
        "derogated": not finding.passed and proof.covering(finding) is not None,
        "sum_a": finding.sum_ma / MA_PER_A,
        "allowed_a": finding.allowed_ma / MA_PER_A,
        "terms": [
            {"what": term.what, "count": term.count, "each_a": term.each_ma / MA_PER_A}
            for term in finding.terms
        ],
        "remedies": [
            {
                "kind": remedy.cost.name.lower(),
                "action": remedy.action,
                "saves_a": remedy.saves_ma / MA_PER_A,
                "lacks_a": remedy.lacks_ma / MA_PER_A,
            }
            for remedy in finding.remedies
        ],
    }


def _problem(problem: Problem) -> dict[str, str]:
    return {"path": problem.path, "message": problem.message}
