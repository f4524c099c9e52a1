"""`loadkeeper verify SITE MESSAGE`: would a gateway with this document try that message?

SITE is what the gateway has now, with its keys; MESSAGE is what would be published.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from controller.canonical import NotCanonicalError, digest
from controller.commands.output import (
    FINE,
    MISUSED,
    NO,
    add_json_option,
    answer_json,
    complain,
    say,
)
from controller.desired import Base, RefusedDocumentError, judge, read_message, too_large
from controller.document.problems import DocumentError
from controller.document.text import BYTES_MAX
from controller.site import parse, read
from drivers.library import library


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("verify", description=__doc__)
    parser.add_argument("site", type=Path, metavar="SITE", help="the document in force")
    parser.add_argument(
        "message", type=Path, metavar="MESSAGE", help="as `loadkeeper sign` made it"
    )
    parser.add_argument(
        "--last", type=int, default=0, metavar="N", help="the last revision that was tried"
    )
    add_json_option(parser)


def run(args: Namespace) -> int:
    """0: it would be tried; 1: it would be refused, or SITE is wrong."""
    try:
        base = _base(args)
        with args.message.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)
    except OSError as error:
        complain(f"loadkeeper verify: {error.filename}: {error.strerror}")
        return MISUSED
    except DocumentError as error:
        complain(f"{args.site}: {error}")
        return NO
    try:
        if len(raw) > BYTES_MAX:
            raise too_large(args.message.stat().st_size)
        message, sha256 = read_message(raw.decode(errors="replace"))
        candidate = judge(message, sha256, base, library())
    except RefusedDocumentError as refused:
        _say_refusal(args, refused)
        return NO
    changed = candidate.installation is not None
    if args.json:
        facts = {"revision": candidate.revision, "sha256": sha256, "installation_changed": changed}
        hashed = {"installation_hash": candidate.site.installation_hash}
        answer_json({"passed": True, **facts, **hashed, "step": None, "errors": []})
    else:
        what = "installation and operation" if changed else "operation only"
        say(f"revision {candidate.revision} would be tried: {what}")
    return FINE


def _base(args: Namespace) -> Base:
    """Raises OSError, DocumentError."""
    installation = read(args.site)
    site = parse(installation, library(), str(args.site))
    try:
        hashed = digest(installation)
    except NotCanonicalError:
        hashed = None
    return Base(installation, hashed, site, str(args.site), args.last)


def _say_refusal(args: Namespace, refused: RefusedDocumentError) -> None:
    if args.json:
        errors = [{"path": each.path, "message": each.message} for each in refused.problems]
        facts = {"revision": refused.revision, "sha256": refused.sha256}
        answer_json({"passed": False, **facts, "step": refused.step, "errors": errors})
        return
    say(f"would be refused: {refused.step}")
    for problem in refused.problems:
        say(f"{problem.path}\n    {problem.message}")
