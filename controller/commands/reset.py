"""`loadkeeper reset`: lets an enforcer that has given up start again, on site.

Whoever runs it has found the cause, or stands beside the depot. There is no such message over
MQTT.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace, _SubParsersAction

from controller.commands import supervisor
from controller.commands.output import FINE, NO, add_json_option, answer_json, complain, say


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("reset", description=__doc__)
    add_json_option(parser)


def run(args: Namespace) -> int:
    """0: it runs, or nothing was latched; 1: it does not, or it is not for us to start."""
    unit = supervisor.ask()
    if unit is None:
        complain(
            f"there is no {supervisor.UNIT} under systemd here: nothing that could be latched. "
            "Start the enforcer as you did before"
        )
        return NO
    if unit.latched:
        if os.geteuid() != 0:
            complain(f"{unit.sentence} (as root: sudo loadkeeper reset)")
            return NO
        try:
            supervisor.start_again()
        except supervisor.SupervisorError as error:
            complain(f"it did not come up at once: {error}. systemd tries a few times more")
            return NO
    text = "it runs again" if unit.latched else f"nothing is latched: {unit.state}"
    if args.json:
        answer_json({"was_latched": unit.latched, "failed_starts": unit.restarts, "said": text})
    else:
        say(text)
    return FINE
