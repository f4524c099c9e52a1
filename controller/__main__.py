"""The command line: `loadkeeper COMMAND …`. Exit status: 0 fine, 1 the answer is no, 2 misused."""

import gc
import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from types import ModuleType
from typing import NoReturn

from controller.commands.output import MISUSED, answer_json, complain, speaking
from controller.unencrypted import without_openssl
from controller.unplugged import without_plugins
from controller.version import VERSION

COMMANDS = {
    "check": "read a site document and compute its commissioning proof",
    "run": "hold a site under its ratings and limits (the enforcer)",
    "link": "connect a running enforcer to its MQTT broker",
    "status": "show what a running enforcer believes and orders",
    "unit": "write what systemd has to permit for a site",
    "reset": "let an enforcer that has given up start again, on site",
    "read": "read a meter or charger once, by its profile",
    "scan": "find the devices on a line, and the profiles that fit them",
    "identify": "vary one charger, and tell from the meters where it hangs",
    "set": "try one setpoint on a charger, and put back what was in force",
    "rest": "bring all pins to rest, while no enforcer runs",
    "prooftest": "open contactors one at a time, and close them again",
    "keys": "make an installer's key",
    "sign": "sign a site document for its way over MQTT",
    "verify": "say whether a gateway would take a signed document",
    "simulate": "let a day pass at a site, on the virtual depot",
    "replay": "decide again what the black box has recorded; say why a charger did what it did",
    "bench": "measure the kernel on this machine",
}
"""Each is a module of `controller.commands` that offers `register(subparsers)` and
`run(args) -> int`. Only the one asked for is imported."""


class Parser(ArgumentParser):
    """Says what is wrong where all commands say it."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        complain(f"{self.prog}: error: {message}")
        self.exit(MISUSED)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status.

    With `--json` the last line is one object, also where the command came to no answer.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None and _chosen(arguments) == "run":  # as a process of its own
        without_openssl()
        without_plugins()
    with speaking() as said:
        status = _main(arguments)
        if status and "--json" in arguments and not said.answered:
            answer_json({"error": "; ".join(said.complaints) or None, "status": status})
    return status


def _chosen(arguments: Sequence[str]) -> str | None:
    return next((word for word in arguments if not word.startswith("-")), None)


def _command(name: str) -> ModuleType:
    """Without collecting garbage: loading makes none, and looking for it takes a sixth of it."""
    gc.disable()
    try:
        return import_module(f"controller.commands.{name}")
    finally:
        gc.enable()


def _main(arguments: Sequence[str]) -> int:
    if isinstance(sys.stdout, TextIOWrapper):  # a terminal that lacks a letter gets its number
        sys.stdout.reconfigure(errors="backslashreplace")
    chosen = _chosen(arguments)
    parser = Parser(
        prog="loadkeeper",
        description="Keeps every fuse, cable and transformer of a depot inside its rating.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"loadkeeper {VERSION}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    module = None
    for name, summary in COMMANDS.items():
        if name == chosen:
            module = _command(name)
            module.register(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    try:
        args = parser.parse_args(arguments)
    except SystemExit as ended:  # argparse has said why: 0 for --help, 2 for wrong use
        return ended.code if isinstance(ended.code, int) else 2
    assert module is not None
    try:
        status = int(module.run(args))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
