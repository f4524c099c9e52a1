"""`loadkeeper prooftest`: opens contactors one at a time, and closes them again.

Each with an auxiliary contact is opened, must say so in its time, and is closed when what wakes
behind it fits. Where somebody charges, or may, it is left as it is unless told otherwise: a
contactor that opens under load wears. To be done by somebody on site, at commissioning and once a
year.
"""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Sequence
from pathlib import Path

from controller.commands.output import (
    FINE,
    NO,
    add_json_option,
    answer_json,
    columns,
    complain,
    say,
)
from controller.places import SOCKET, runtime_to_ask
from controller.wire import FrameError, ProoftestAnswer, ask_status, ask_test

WORDS = {
    "follows": "ok",
    "welded": "WELDED",
    "unread": "CANNOT BE TOLD",
    "not_closed": "DOES NOT CLOSE",
    "stays_open": "STAYS OPEN",
    "refused": "not tested",
}


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("prooftest", description=__doc__)
    parser.add_argument("contactor", nargs="*", metavar="CONTACTOR", help="its id; else all")
    parser.add_argument(
        "--even-charging", action="store_true", help="also where somebody charges, or may"
    )
    parser.add_argument("--runtime", type=Path, metavar="DIR", help="the enforcer's, to ask it")
    add_json_option(parser)


def run(args: Namespace) -> int:
    """0: each that was tested opened and closed, and one was; 1: not so."""
    path = runtime_to_ask(args.runtime) / SOCKET
    try:
        tested = asyncio.run(_test(path, args.contactor, args.even_charging))
    except (FileNotFoundError, ConnectionRefusedError):
        complain("no enforcer answers: contactors are tested by the one that holds their pins")
        return NO
    except (PermissionError, ConnectionResetError):
        complain("it is not for you to open contactors (as root: sudo loadkeeper prooftest)")
        return NO
    except (OSError, FrameError) as error:
        complain(f"not tested: {str(error) or 'no answer in time'}")
        return NO
    passed = _passed(tested, named=bool(args.contactor))
    if args.json:
        told = [each.model_dump(exclude={"type"}) for each in tested]
        answer_json({"passed": passed, "contactors": told})
        return FINE if passed else NO
    for text in columns([(each.contactor, WORDS[each.outcome], each.why) for each in tested]):
        say(text)
    if not tested:
        say("This site has no contactor.")
    return FINE if passed else NO


def _passed(tested: Sequence[ProoftestAnswer], named: bool) -> bool:
    """Of all, those that cannot be tested now do not count, if there is one that was."""
    done = [each for each in tested if each.outcome != "refused"]
    skipped = len(tested) - len(done)
    return (
        bool(done) and all(each.outcome == "follows" for each in done) and not (named and skipped)
    )


async def _test(path: Path, wanted: Sequence[str], even_charging: bool) -> list[ProoftestAnswer]:
    """One after the other."""
    pins = (await ask_status(path)).pins
    every = wanted or [each.id for each in pins if each.kind == "contactor"]
    return [await ask_test(path, each, even_charging) for each in every]
