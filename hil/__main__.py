"""The rig's command line: `python -m hil COMMAND …`. Exit status as `loadkeeper`'s."""

import signal
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

COMMANDS = {
    "run": "tell stories on a bench, and judge them",
    "demo": "a live depot, with faults to cause",
    "bench": "measure what is claimed, and judge it",
    "search": "search random depots for a broken promise",
    "mutants": "put faults into the kernel; are they noticed?",
    "mutate-profiles": "change each field of each profile; is it noticed?",
    "abroad": "test the wheel on other machines and other Pythons",
    "bundle": "what goes to a gateway, from the wheels in dist/",
    "schemas": "write the JSON Schemas in docs/",
    "capture": "record one reading of a real device, for its capture file",
    "devices": "write docs/devices.md: each device, and what is proven about it",
}
ROOMS = {
    "run": "hil.story.run",
    "demo": "hil.demo.depot",
    "mutate-profiles": "hil.proving.mutate",
    "devices": "hil.proving.page",
    "capture": "hil.proving.record",
    "abroad": "hil.making.abroad",
    "bundle": "hil.making.bundle",
}
"""Each command is a module of that name in `hil`, or the one named here. It offers
`register(subparsers)` and `run(args) -> int`. Only the one asked for is imported."""


def _room(command: str) -> ModuleType:
    return import_module(ROOMS.get(command, f"hil.{command}"))


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    asked = next((word for word in arguments if not word.startswith("-")), None)
    parser = ArgumentParser(prog="python -m hil", description=__doc__, allow_abbrev=False)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        if name == asked:
            _room(name).register(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    args = parser.parse_args(arguments)
    try:
        return int(_room(args.command).run(args))
    except KeyboardInterrupt:
        return 130  # as a shell says of a program that Ctrl-C ended


def _end(number: int, _: object) -> NoReturn:
    """What was begun is tidied up, as after Ctrl-C."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def start(argv: Sequence[str] | None = None) -> NoReturn:
    """As a program of its own."""
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main(argv))


if __name__ == "__main__":
    start()
