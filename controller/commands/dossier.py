"""The commissioning report: one file for people (Markdown), one for machines (JSON), and what has
become of each device since the report before it.

A device's place in the depot is its id: a new one with the same id goes on there, with its history.
"""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controller.commands.timings import reaction_json, transition_json
from controller.commands.verdicts import TITLES, word
from controller.document.quantities import ROWS
from controller.proof import Proof
from controller.site import Site
from controller.units import amperes_text
from controller.version import VERSION
from drivers.finding import Finding, Weight
from drivers.survey import Survey

SIZE_MAX = 8 * 1024 * 1024
KEPT = 50  # of a device's, and the report's, earlier entries
HEADS = {
    Weight.WRONG: "To mend",
    Weight.DOUBT: "To look at",
    Weight.UNSEEN: "Not told here",
    Weight.FINE: "In order",
}


class ReportError(Exception):
    """An earlier report that cannot be gone on with, or one that cannot be written."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who looked, from where, and when."""

    name: str
    host: str
    at: str  # of the day, UTC

    @classmethod
    def here(cls, name: str | None) -> Author:
        now = datetime.now(UTC).replace(microsecond=0)
        return cls(name or getpass.getuser(), socket.gethostname(), now.isoformat())


def places_of(report: Path) -> tuple[Path, Path]:
    """The Markdown and the JSON file of a report's name."""
    base = report.with_suffix("") if report.suffix in (".md", ".json") else report
    return base.with_name(base.name + ".md"), base.with_name(base.name + ".json")


def earlier(report: Path, site: Site) -> dict[str, Any]:
    """The report before this one; empty where there is none. Raises ReportError."""
    path = places_of(report)[1]
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_MAX + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror or error}") from error
    try:
        if len(raw) > SIZE_MAX:
            raise ValueError("is too large")
        found = json.loads(raw)
        if found["site"]["id"] != site.id:
            raise ReportError(f"{path} is the report of another site, {found['site']['id']}")
        _sound(found)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        what = "is no commissioning report: give another name, or move it away"
        raise ReportError(f"{path} {what} ({error})") from error
    return dict(found)


def _sound(report: Mapping[str, Any]) -> None:
    """Raises KeyError, TypeError where what is gone on with is not there."""
    for device in report["devices"].values():
        for key in ("serial", "profile", "since", "before"):
            device[key]
    report["history"][:0]


def identity_findings(survey: Survey, before: Mapping[str, Any]) -> Iterator[Finding]:
    """Devices that are others than they were, told by their serial numbers."""
    known = {
        id_: device["serial"]
        for id_, device in before.get("devices", {}).items()
        if device["serial"] is not None
    }
    whose = {serial: id_ for id_, serial in known.items()}
    here: dict[str, str] = {}
    for id_, seen in survey.seen.items():
        serial = seen.who.get("serial")
        if serial is None:
            continue
        twin = here.setdefault(serial, id_)
        if twin != id_ and seen.place.split(",")[0] != survey.seen[twin].place.split(",")[0]:
            what = f"has the serial number {serial} of {twin}: both ids reach one device"
            mend = "write the address of the other one"
            where = f'"{id_}" and "{twin}": bus, unit'
            yield Finding(id_, "one_device", Weight.WRONG, what, mend, where)
        was = known.get(id_)
        if was is None or was == serial:
            continue
        if serial in whose:
            what = f"is the device that {whose[serial]} was (serial number {serial})"
            mend = "their addresses are exchanged: exchange bus and unit, or the devices' own"
            where = f'"{id_}" and "{whose[serial]}": bus, unit'
            yield Finding(id_, "exchanged", Weight.WRONG, what, mend, where)
        else:
            what = f"is another device than before: serial number {serial}, and was {was}"
            mend = (
                "it keeps its place and history. Where it was replaced: see that its fallback is "
                "set, and the proof unchanged; where nobody did, its address is another's"
            )
            yield Finding(id_, "replaced", Weight.DOUBT, what, mend)


def compose(
    survey: Survey,
    proof: Proof,
    findings: Sequence[Finding],
    author: Author,
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """The report as JSON; the Markdown is made of it."""
    site = survey.site
    entry = {
        "at": author.at,
        "by": author.name,
        "host": author.host,
        "version": VERSION,
        "installation_hash": site.installation_hash,
        "passed": proof.passed,
        "wrong": sum(each.weight is Weight.WRONG for each in findings),
    }
    history = [entry, *before.get("history", ())][:KEPT]
    old = before.get("devices", {})
    devices = {id_: _device(survey, id_, author, old.get(id_)) for id_ in survey.seen}
    gone = {id_: old[id_] for id_ in old if id_ not in devices}
    return {
        "report": 1,
        "site": {"id": site.id, "name": site.name, "mode": site.mode},
        **entry,
        "derogated": proof.derogated,
        "proof": [_line(each, proof) for each in proof.findings],
        "transitions": [transition_json(each, proof) for each in proof.transitions],
        "reactions": [reaction_json(each, proof) for each in proof.reactions],
        "devices": {**devices, **gone},
        "present": list(devices),
        "findings": [each.as_json() for each in findings],
        "history": history,
    }


def _device(
    survey: Survey, id_: str, author: Author, before: Mapping[str, Any] | None
) -> dict[str, Any]:
    seen = survey.seen[id_]
    serial = seen.who.get("serial")
    now = {
        "kind": seen.kind,
        "profile": seen.profile,
        "place": seen.place,
        "answers": seen.heard,
        "serial": serial,
        "firmware": seen.who.get("firmware"),
        "model": seen.who.get("model"),
        "since": author.at,
        "before": [],
    }
    if before is None:
        return now
    if serial is None:  # it did not tell, or did not answer: it is taken for the one that was there
        now |= {"serial": before["serial"], "since": before["since"], "before": before["before"]}
    elif before["serial"] in (None, serial):
        now |= {"since": before["since"], "before": before["before"]}
    else:
        was = {key: before.get(key) for key in ("serial", "profile", "firmware", "since")}
        now["before"] = [{**was, "until": author.at}, *before["before"]][:KEPT]
    return now


def _line(finding: Any, proof: Proof) -> dict[str, Any]:
    return {
        "line": finding.line.name.lower(),
        "title": TITLES[finding.line],
        "circuit": finding.circuit,
        "phase": ROWS[finding.phase],
        "source": finding.source,
        "sum_a": amperes_text(finding.sum_ma),
        "allowed_a": amperes_text(finding.allowed_ma),
        "passed": finding.passed,
        "word": word(finding, proof),
    }


def write(report: Path, composed: Mapping[str, Any]) -> tuple[Path, Path]:
    """Both files, each whole or not at all. Raises ReportError."""
    paths = places_of(report)
    texts = "\n".join(markdown(composed)) + "\n", json.dumps(composed, indent=1) + "\n"
    for path, text in zip(paths, texts, strict=True):
        made = path.with_name(path.name + ".new")
        try:
            made.write_text(text, encoding="utf-8")
            made.replace(path)
        except OSError as error:
            raise ReportError(f"{path}: {error.strerror or error}") from error
    return paths


def markdown(report: Mapping[str, Any]) -> Iterator[str]:
    """For the installer's folder, and the network operator's."""
    site = report["site"]
    yield f"# Commissioning of {_cell(site['name'] or site['id'])}\n"
    yield f"- site `{site['id']}`, mode {site['mode']}"
    yield f"- installation {report['installation_hash']}"
    yield f"- looked at by {_cell(report['by'])} on {report['host']}, {report['at']}"
    yield f"- loadkeeper {report['version']}"
    verdict = "passed" if report["passed"] else "FAILED: this site must not be left to itself"
    yield f"- commissioning proof: {verdict}{', by derogation' if report['derogated'] else ''}"
    yield f"- to mend: {report['wrong']}\n"
    for weight, head in HEADS.items():
        same = [each for each in report["findings"] if each["weight"] == weight.name.lower()]
        if same:
            yield f"## {head}\n"
            yield from map(_bullet, same)
            yield ""
    yield "## Devices\n"
    yield from _table(
        ("id", "profile", "place", "serial number", "firmware", "since", "before it"),
        [
            (
                id_,
                each["profile"],
                each["place"] if id_ in report["present"] else "no longer in the document",
                each["serial"],
                each["firmware"],
                each["since"][:10],
                ", ".join(f"{was['serial']} until {was['until'][:10]}" for was in each["before"]),
            )
            for id_, each in report["devices"].items()
        ],
    )
    yield "\n## Proof\n"
    yield from _table(
        ("line", "circuit", "phase", "sum A", "allowed A", ""),
        [
            (
                each["line"],
                each["circuit"],
                each["phase"],
                each["sum_a"],
                each["allowed_a"],
                each["word"],
            )
            for each in report["proof"]
        ],
    )
    yield "\n## Earlier\n"
    yield from _table(
        ("when", "by", "installation", "to mend"),
        [
            (each["at"], each["by"], each["installation_hash"][:12], each["wrong"])
            for each in report["history"]
        ],
    )


def _bullet(finding: Mapping[str, Any]) -> str:
    text = f"- **{finding['about']}**: {_cell(finding['what'])}"
    if finding["mend"]:
        text += f". *{_cell(finding['mend'])}*"
    if finding["where"]:
        text += f" (`{finding['where']}`)"
    return text


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join('' if cell is None else _cell(cell) for cell in row)} |"


def _cell(value: object) -> str:
    """Text that ends neither its cell nor its line."""
    return " ".join(str(value).replace("|", "/").split())
