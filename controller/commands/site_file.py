"""What commands that take a SITE share: reading it, and where its processes keep their files."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from controller.commands.output import complain
from controller.places import Places, places
from controller.site import DocumentError, Site, load
from drivers.profile import library


def load_site(path: Path) -> Site | None:
    """The site, or None after every problem of its document was said."""
    try:
        return load(path, library())
    except OSError as error:
        complain(f"{path}: {error.strerror}")
    except DocumentError as error:
        for problem in error.problems:
            complain(f"{path}: {problem}")
    return None


def add_place_options(parser: ArgumentParser) -> None:
    parser.add_argument("--runtime", type=Path, metavar="DIR", help="for the socket")
    parser.add_argument("--state", type=Path, metavar="DIR", help="for what outlives a restart")


def places_of(args: Namespace) -> Places:
    return places(args.runtime, args.state)
