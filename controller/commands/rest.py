"""`loadkeeper rest`: opens contactors and switches off what is on pins, while no enforcer runs.

Some boards leave a pin as it was when the process that drove it is killed. systemd runs this when
the enforcer has ended and is not started again; by hand it does the same. It takes the outputs of
the site document, and those that the last enforcer drove since the machine was started: so it works
with a document that cannot be read, too. Each pin is tried once.

With `--try OUTPUT` an installer finds out what his board does: a process that is killed at once
switches that output on, and everything is brought to rest a while later. What its relay does in
between, he sees.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from controller.alone import nobody_else
from controller.clock import boot_id
from controller.commands.arguments import seconds
from controller.commands.output import (
    FINE,
    MISUSED,
    NO,
    add_json_option,
    answer_json,
    columns,
    complain,
    say,
)
from controller.document.gpio import Gpio
from controller.document.outputs import at_rest
from controller.driven import Driven, driven, wanted
from controller.places import PlaceError, Places, runtime_to_ask, state_to_ask
from controller.saver import UnreadableError
from controller.site import DocumentError, load
from drivers.library import library
from drivers.resting import Rested, bring_to_rest, leave_on

LOOK_S = 60.0


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("rest", description=__doc__)
    parser.add_argument("site", type=Path, metavar="SITE", help="site document, TOML or JSON")
    parser.add_argument(
        "--try", dest="tried", metavar="OUTPUT", help="switch this one on first, and be killed"
    )
    parser.add_argument(
        "--seconds",
        type=seconds(1, 600),
        default=LOOK_S,
        metavar="N",
        help=f"to look at it then; {LOOK_S:g} if left out",
    )
    parser.add_argument("--runtime", type=Path, metavar="DIR", help="the enforcer's, for its lock")
    parser.add_argument("--state", type=Path, metavar="DIR", help="the enforcer's")
    add_json_option(parser)


def run(args: Namespace) -> int:
    """0: everything that there is on pins is at rest; 1: something is not, or nobody knows."""
    where = Places(runtime_to_ask(args.runtime), state_to_ask(args.state))
    if not args.site.exists():
        complain(f"loadkeeper rest: {args.site}: there is no such file")
        return MISUSED
    gpio, known = _documents(args.site, even_observed=args.tried is not None)
    before, remembered = _before(where.pins)
    try:
        with nobody_else(where):
            if args.tried is not None and not _try(gpio, args.tried, args.seconds):
                return NO
            tried = [
                each
                for factory, outputs in wanted(gpio, before)
                for each in bring_to_rest(factory, outputs)
            ]
    except PlaceError as error:
        complain(f"nothing is touched: {error}")
        return NO
    return _answer(args, tried, whole=known or (remembered and before is not None))


def _try(gpio: Gpio | None, name: str, look_s: float) -> bool:
    """Whether the output was switched on and its process killed; returns when it was looked at."""
    outputs = {each.id: each for each in at_rest(gpio)} if gpio is not None else {}
    if gpio is None or name not in outputs:
        known = ", ".join(outputs) or "none"
        complain(f"nothing is touched: no output is called {name!a}; there are {known}")
        return False
    output = outputs[name]
    problem = leave_on(gpio.factory, output)
    if problem is not None:
        complain(f"not switched on: {problem}")
        return False
    with suppress(KeyboardInterrupt):
        say(f"{name} (GPIO{output.pin}) was switched on, and its process killed. Now its relay:")
        say("  it drops at once     this board lets its pins fall: pins_fall = true may be written")
        say("  it holds, or drops   it does not: leave pins_fall out, and fit a health relay")
        say("  some time later")
        say(f"In {look_s:g} s everything is brought to rest (Ctrl-C: now).")
        sys.stdout.flush()
        time.sleep(look_s)
    return True


def _documents(site: Path, *, even_observed: bool) -> tuple[Gpio | None, bool]:
    """What the document drives, and whether it can be read at all.

    Where the depot is only observed nobody drives anything, unless somebody asks for it now.
    """
    try:
        found = load(site, library())
    except (OSError, DocumentError):
        complain(f"{site} cannot be read (see loadkeeper check): only what was driven is known")
        return None, False
    return (found.gpio if even_observed or found.mode != "observe" else None), True


def _before(path: Path) -> tuple[Driven | None, bool]:
    """What was driven since the machine was started, and whether that can be told."""
    try:
        return driven(path, boot_id()), True
    except UnreadableError as error:
        complain(f"{path}: {error}")
        return None, False


def _answer(args: Namespace, tried: Sequence[Rested], *, whole: bool) -> int:
    failed = [each for each in tried if each.error is not None]
    if args.json:
        outputs = [
            {
                "id": output.id,
                "pin": output.pin,
                "rest": "high" if output.high else "low",
                "error": error,
            }
            for output, error in tried
        ]
        answer_json({"outputs": outputs, "whole": whole})
    else:
        say("\n".join(_lines(tried)))
    for each in failed:
        complain(f"not at rest: {each.error}")
    return FINE if whole and not failed else NO


def _lines(tried: Sequence[Rested]) -> list[str]:
    if not tried:
        return ["no output is on a pin"]
    rows = [
        (
            output.id,
            f"GPIO{output.pin}",
            "NOT AT REST" if error else f"at rest, {'high' if output.high else 'low'}",
        )
        for output, error in tried
    ]
    return columns(rows)
