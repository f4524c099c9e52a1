"""`loadkeeper check SITE`: everything wrong with a document, or its commissioning proof."""

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from controller import credentials
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
from controller.document.problems import DocumentError, Problem
from controller.document.quantities import GRID_PHASES
from controller.proof import Finding, Line, Proof, Watchdogs, prove
from controller.remedies import Cost, Remedy
from controller.site import Site, load
from controller.units import MA_PER_A, amperes_text
from drivers.profile import library

TITLES = {
    Line.UNATTENDED: "Unattended: base load and what chargers do alone, within the rating",
    Line.POWER_CUT: "After a power cut: the same, with what chargers do before they hear anything",
    Line.FAILSAFE_CAP: "Fail-safe caps: the unattended sum, within what each source relies on",
}


def register(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    parser = subparsers.add_parser("check", description=__doc__)
    parser.add_argument("site", type=Path, metavar="SITE", help="site document, TOML or JSON")
    add_json_option(parser)


def run(args: Namespace) -> int:
    """0: the depot keeps its ratings by itself; 1: it does not, or the document is wrong."""
    try:
        site = load(args.site, library())
    except OSError as error:
        complain(f"loadkeeper check: {args.site}: {error.strerror or error}")
        return MISUSED
    except DocumentError as error:
        return _refuse(args, error.problems)
    if site.link is not None and (unusable := credentials.problems(site.link)):
        return _refuse(args, unusable)
    proof = prove(site)
    if args.json:
        answer_json(_answer(site, proof))
    else:
        _say_proof(site, proof)
    return FINE if proof.passed else NO


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
    told: dict[object, Line] = {}
    for line, findings in groupby(proof.findings, lambda finding: finding.line):
        say(f"{line}  {TITLES[line]}\n")
        same = list(_same_phases(findings))
        for text in columns([HEADER, *map(_row, same)], right=frozenset({2, 3, 4, 5, 6})):
            say(f"   {text}")
        say()
        if line is Line.POWER_CUT:
            _say_watchdogs(proof.watchdogs)
        for phases, finding in same:
            if not finding.passed:
                sums = (finding.circuit, phases, finding.allowed_ma, finding.terms)
                _say_failure(phases, finding, told.setdefault(sums, line))
    say("Passed." if proof.passed else "Failed: this site must not be left to itself.")


HEADER = ("circuit", "phase", "base A", "chargers A", "sum A", "allowed A", "free A", "")
Same = tuple[str, Finding]


def _same_phases(findings: Iterator[Finding]) -> Iterator[Same]:
    """Findings of one circuit that differ in nothing but the phase, with all their phases."""
    alike: dict[object, tuple[list[str], Finding]] = {}
    for finding in findings:
        key = (finding.circuit, finding.source, finding.allowed_ma, finding.terms)
        alike.setdefault(key, ([], finding))[0].append(GRID_PHASES[finding.phase])
    return ((" ".join(phases), finding) for phases, finding in alike.values())


def _row(same: Same) -> Sequence[str]:
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
    verdict = "ok" if finding.passed else "FAILS"
    return (whose, phases, *map(amperes_text, amperes), verdict)


def _say_watchdogs(watchdogs: Sequence[Watchdogs]) -> None:
    for dogs in watchdogs:
        armed = "arm it by themselves" if dogs.armed else "wait for the gateway to arm it"
        say(f"   watchdog after a reboot: {dogs.count} x {dogs.profile} in {dogs.circuit} {armed}")
    if watchdogs:
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
        say(f"    - {_remedy(remedy, phases)}")
    say()


def _remedy(remedy: Remedy, phases: str) -> str:
    enough = f"{amperes_text(remedy.lacks_ma)} A short" if remedy.lacks_ma else "enough"
    if remedy.cost > Cost.STOP:
        return f"{remedy.action} ({enough})"
    return f"{remedy.action}: saves {amperes_text(remedy.saves_ma)} A on {phases} ({enough})"


def _answer(site: Site, proof: Proof) -> dict[str, Any]:
    return {
        "passed": proof.passed,
        "problems": [],
        "site": site.id,
        "installation_hash": site.installation_hash(),
        "findings": [_finding(finding) for finding in proof.findings],
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


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "line": int(finding.line),
        "name": finding.line.name.lower(),
        "circuit": finding.circuit,
        "phase": GRID_PHASES[finding.phase],
        "source": finding.source,
        "passed": finding.passed,
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
