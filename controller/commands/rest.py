"""`loadkeeper rest`: opens contactors and switches off what is on pins, while no enforcer runs.

Some boards leave a pin as it was when the process that drove it is killed. systemd runs this when
the enforcer has ended and is not started again; by hand it does the same. It takes the outputs of
the site document, and those that the last enforcer drove since the machine was started: so it works
with a document that cannot be read, too. Each pin is tried once.

With `--try OUTPUT` an installer finds out what his board does: a process that is killed at once
switches that output on, and everything is brought to rest a while later, or as soon as the command
is to end. What its relay does in between, he sees.
"""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
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
from controller.document.outputs import AtRest, at_rest
from controller.driven import Driven, driven, wanted
from controller.places import (
    PlaceError,
    Places,
    runtime_to_ask,
    runtimes_to_ask,
    state_to_count,
)
from controller.saver import UnreadableError
from controller.site import DocumentError, load
from drivers.library import library
from drivers.resting import Rested, bring_to_rest, leave_on

LOOK_S = 60.0
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)


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
    where = Places(runtime_to_ask(args.runtime), state_to_count(args.state))
    before, unreadable = _before(where.pins)
    nothing = before is None and unreadable is None
    if not args.site.exists() and (nothing or args.tried is not None):
        complain(f"loadkeeper rest: {args.site}: there is no such file")
        return MISUSED
    gpio, drives, unread = _documents(args.site)
    drives = drives or args.tried is not None
    tried_one = args.tried is not None
    if tried_one and (why := _why_not(gpio, args.tried)) is not None:
        complain(f"nothing is touched: {why}")
        return NO
    try:
        with (
            nobody_else(where, *runtimes_to_ask(args.runtime), surely=tried_one),
            _held_back() if tried_one else nullcontext(),
        ):
            problem = None
            try:
                if tried_one and gpio is not None:
                    problem = _try(gpio, args.tried, args.seconds)
            finally:
                groups = wanted(gpio, before, drives=drives)
                tried = [each for group in groups for each in bring_to_rest(*group)]
            for each in (unread, unreadable, problem):
                if each is not None:
                    complain(each)
            known = unread is None or before is not None
            whole = known and unreadable is None and problem is None
            return _answer(args, tried, whole=whole)
    except PlaceError as error:
        complain(f"nothing is touched: {error}")
        return NO


@contextmanager
def _held_back() -> Iterator[None]:
    """No signal but SIGKILL ends this process: what was switched on is brought to rest first."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _why_not(gpio: Gpio | None, name: str) -> str | None:
    """Why this output cannot be tried."""
    if gpio is not None:
        if any(each.id == name for each in gpio.relays):
            return (
                f"{name} is a health relay, which is held by pulses: it drops whatever this board "
                "does with its pins. Try a contactor, or a charger on a pin"
            )
        if any(each.id == name for each in gpio.leds):
            return f"{name} is a lamp, which shows no relay. Try a contactor, or a charger on a pin"
    outputs = [] if gpio is None else _triable(gpio)
    if any(each.id == name for each in outputs):
        return None
    known = ", ".join(each.id for each in outputs) or "none"
    return f"no contactor and no charger on a pin is called {name!a}; there are {known}"


def _triable(gpio: Gpio) -> list[AtRest]:
    """Those that one level holds, and not pulses."""
    pulsed = {each.pin for each in gpio.relays} | {each.pin for each in gpio.leds}
    return [each for each in at_rest(gpio) if each.pin not in pulsed]


def _try(gpio: Gpio, name: str, look_s: float) -> str | None:
    """Switches it on and has that process killed; returns when it was looked at, or why not."""
    output = next(each for each in _triable(gpio) if each.id == name)
    problem = leave_on(gpio.factory, output)
    if problem is not None:
        return f"not switched on: {problem}"
    try:
        say(f"{name} (GPIO{output.pin}) was switched on, and its process killed. Now its relay:")
        say("  it drops at once     this board lets its pins fall: pins_fall = true may be written")
        say("  it holds, or drops   it does not: leave pins_fall out, and fit a health relay")
        say("  some time later")
        say(f"In {look_s:g} s everything is brought to rest (Ctrl-C: now).")
        sys.stdout.flush()
    except OSError:
        return "nobody reads what is to be looked at"
    signal.sigtimedwait(ENDS, look_s)
    return None


def _documents(site: Path) -> tuple[Gpio | None, bool, str | None]:
    """What the document has on pins, whether it drives that, and why it cannot be read.

    Where the depot is only observed nobody drives anything, unless somebody asks for it now.
    """
    try:
        found = load(site, library())
    except (OSError, DocumentError):
        why = f"{site} cannot be read (see loadkeeper check): only what was driven is known"
        return None, False, why
    return found.gpio, found.mode != "observe", None


def _before(path: Path) -> tuple[Driven | None, str | None]:
    """What was driven since the machine was started, and why that cannot be told."""
    try:
        return driven(path, boot_id()), None
    except UnreadableError as error:
        return None, f"{path}: {error}: what was driven before is not known"


def _answer(args: Namespace, tried: Sequence[Rested], *, whole: bool) -> int:
    failed = [each for each in tried if each.error is not None]
    for each in failed:
        complain(f"not at rest: {each.error}")
    if args.json:
        outputs = [
            {
                "id": each.output.id,
                "pin": each.output.pin,
                "rest": "high" if each.output.high else "low",
                "error": each.error,
            }
            for each in tried
        ]
        answer_json({"outputs": outputs, "whole": whole})
    else:
        say("\n".join(_lines(tried)))
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
        for output, error, _ in tried
    ]
    return columns(rows)
