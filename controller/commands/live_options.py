"""What `loadkeeper check --live` is asked with; without it none of what it needs is loaded."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from controller.commands.arguments import seconds

LOOKS_S = 8.0


def add_live_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group(
        "at the depot",
        "Reads every device for some seconds and writes nothing. Run it while no enforcer controls "
        "from here, with a vehicle charging on each row. Reading alone already keeps chargers "
        "awake whose watchdog any request feeds: they leave their fallback meanwhile.",
    )
    group.add_argument("--live", action="store_true", help="is the depot as the document says?")
    group.add_argument(
        "--looks", type=seconds(2, 600), default=LOOKS_S, metavar="S", help=f"else {LOOKS_S:g} s"
    )
    group.add_argument(
        "--contactors",
        action="store_true",
        help="also close and open each contactor once: this switches",
    )
    group.add_argument("--report", type=Path, metavar="NAME", help="write NAME.md and NAME.json")
    group.add_argument("--by", metavar="WHO", help="who looked, for the report")
    group.add_argument("--runtime", type=Path, metavar="DIR", help="of an enforcer that may run")


def misused(args: Namespace) -> str | None:
    """What is asked for without --live that goes with it alone."""
    if args.live:
        return None
    wanted = [name for name in ("contactors", "report", "by") if getattr(args, name, None)]
    return f"--{wanted[0]} goes with --live" if wanted else None
