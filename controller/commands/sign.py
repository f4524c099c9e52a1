"""`loadkeeper sign SITE`: a document with the installer's signature, ready for `site/desired`."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from controller import trust
from controller.canonical import SAFE_INTEGER, NotCanonicalError, digest
from controller.commands.output import (
    FINE,
    MISUSED,
    NO,
    add_json_option,
    answer_json,
    complain,
    say,
)
from controller.document.problems import DocumentError, Problem
from controller.proof import prove
from controller.site import Site, operated, parse, read
from drivers.library import library


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("sign", description=__doc__)
    parser.add_argument("site", type=Path, metavar="SITE", help="the installation, TOML or JSON")
    parser.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="as `loadkeeper keys` wrote it"
    )
    parser.add_argument(
        "--revision", type=int, required=True, metavar="N", help="higher than any before"
    )
    parser.add_argument(
        "--operation", type=Path, metavar="FILE", help="the operation part, TOML or JSON"
    )
    parser.add_argument(
        "--reset-latch", metavar="ID", help="ends the latch of that id (`status`), from afar"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the message there")
    add_json_option(parser)


def run(args: Namespace) -> int:
    """1: the documents are not fit to be signed, or the key cannot be used."""
    if not 1 <= args.revision <= SAFE_INTEGER:
        complain(f"--revision: must be from 1 to {SAFE_INTEGER}")
        return MISUSED
    try:
        key = trust.read_key(args.key)
        document, site = _document(args)
        signature = trust.sign(key, site.id, args.revision, document)
        message = {"revision": args.revision, "document": document, "signature": signature}
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        if args.output is not None:
            args.output.write_text(text, encoding="utf-8")
    except OSError as error:
        complain(f"loadkeeper sign: {error.filename}: {error.strerror}")
        return MISUSED
    except (trust.KeyFileError, NotCanonicalError) as error:
        complain(f"loadkeeper sign: {error}")
        return NO
    except DocumentError as error:
        _complain_all(error.problems)
        return NO
    if not prove(site).passed:
        complain("not signed: this site would not keep its ratings by itself (loadkeeper check)")
        return NO
    if args.json:
        facts = {"site": site.id, "installation_hash": site.installation_hash}
        answer_json({**facts, "sha256": digest(document), "message": message})
    elif args.output is None:
        say(text)
    return FINE


def _document(args: Namespace) -> tuple[dict[str, Any], Site]:
    """Both parts, and the site that they make. Raises OSError, DocumentError."""
    installation = read(args.site)
    site = parse(installation, library(), str(args.site))
    document: dict[str, Any] = {"installation": _as_json(installation)}
    if args.reset_latch is not None:
        document["reset"] = args.reset_latch
    if args.operation is not None:
        document["operation"] = read(args.operation)
        site = operated(site, document["operation"])
    return document, site


def _as_json(value: Any) -> Any:
    """What TOML says with a date of its own, JSON says with text; the site is the same."""
    if isinstance(value, dict):
        return {key: _as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_json(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value


def _complain_all(problems: Sequence[Problem]) -> None:
    for problem in problems:
        complain(str(problem))
