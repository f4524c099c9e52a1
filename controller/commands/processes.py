"""What the commands that are long-lived processes share: their SITE, and where files go."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from controller.places import Places, places
from controller.site import DocumentError, Site, load
from controller.unencrypted import with_openssl
from drivers.library import library


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("site", type=Path, metavar="SITE", help="site document, TOML or JSON")
    parser.add_argument("--runtime", type=Path, metavar="DIR", help="for the socket")
    parser.add_argument("--state", type=Path, metavar="DIR", help="for what outlives a restart")


def places_of(args: Namespace) -> Places:
    return places(args.runtime, args.state)


def site_of(args: Namespace) -> Site | int:
    """The site, or the exit status after `check` said everything that is wrong with it."""
    try:
        return load(args.site, library())
    except (OSError, DocumentError):
        return refusal(args)


def refusal(args: Namespace) -> int:
    """Says everything that is wrong with the site, as `check` does; its exit status."""
    with_openssl()
    from controller.commands import check  # noqa: PLC0415 - only who is refused waits for it

    return check.run(args)
