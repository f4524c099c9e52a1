"""`loadkeeper reset`: ends what has latched, on site.

Either the enforcer has given up, and systemd does not start it again. Or it runs, and holds all
chargers at their fail-safe setpoints. Whoever resets it has found the cause, or stands beside the
depot. Over MQTT only the installer's signature resets the second (`loadkeeper sign --reset-latch`),
and nothing the first.
"""

from __future__ import annotations

import asyncio
import os
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from controller.commands import supervisor
from controller.commands.output import FINE, NO, add_json_option, answer_json, complain, say
from controller.places import SOCKET, runtime_to_ask
from controller.status_report import LatchReport
from controller.wire import FrameError, ask_reset


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("reset", description=__doc__)
    parser.add_argument("--runtime", type=Path, metavar="DIR", help="its runtime directory")
    add_json_option(parser)


def run(args: Namespace) -> int:
    """0: it runs, and nothing is latched; 1: it does not, or it is not for us to reset."""
    unit = supervisor.ask() if args.runtime is None else None
    if unit is not None and unit.latched:
        return _start_again(args, unit)
    try:
        was = asyncio.run(ask_reset(runtime_to_ask(args.runtime) / SOCKET)).was
    except (FileNotFoundError, ConnectionRefusedError):
        return _nobody(unit)
    except (PermissionError, ConnectionResetError):
        complain("it is not for you to reset it (as root: sudo loadkeeper reset)")
        return NO
    except (OSError, FrameError) as error:
        complain(f"not reset: {str(error) or 'no answer in time'} (as root: sudo loadkeeper reset)")
        return NO
    return _said(args, None, was)


def _start_again(args: Namespace, unit: supervisor.Unit) -> int:
    if os.geteuid() != 0:
        complain(f"{unit.sentence} (as root: sudo loadkeeper reset)")
        return NO
    try:
        supervisor.start_again()
    except supervisor.SupervisorError as error:
        complain(f"it did not come up at once: {error}. systemd tries a few times more")
        return NO
    return _said(args, unit, None)  # a latch of its own may be closed besides: one at a time


def _nobody(unit: supervisor.Unit | None) -> int:
    if unit is None:
        complain(
            f"no enforcer answers, and there is no {supervisor.UNIT} under systemd here: nothing "
            "that could be latched. Start the enforcer as you did before"
        )
    else:
        complain(f"no enforcer answers: {unit.sentence}")
    return NO


def _said(args: Namespace, unit: supervisor.Unit | None, was: LatchReport | None) -> int:
    said = []
    if unit is not None:
        said.append("it runs again (is it latched still? See loadkeeper status)")
    if was is not None:
        since = "" if was.since is None else f" since {was.since}"
        said.append(f"the latch is reset: it was closed{since}: {was.why}")
    text = "; ".join(said) or "nothing is latched: it runs"
    if args.json:
        answer_json(
            {
                "was_latched": bool(said),
                "failed_starts": unit.restarts if unit else 0,
                "cause": was.cause if was else None,
                "said": text,
            }
        )
    else:
        say(text)
    return FINE
