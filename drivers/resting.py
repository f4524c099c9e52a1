"""Pins that nobody drives any more: brought to rest, or left on to see what becomes of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from typing import NamedTuple, NoReturn

from controller.alone import nobody_else
from controller.document.gpio import Gpio
from controller.document.outputs import AtRest
from controller.driven import driven
from controller.places import PlaceError, Places
from controller.saver import UnreadableError
from drivers.device import PinError

WHY_CHARS = 1000


class Rested(NamedTuple):
    """How it went with one output; `error` is None where it is at rest."""

    output: AtRest
    error: str | None


def rest_what_was_left(places: Places, boot_id: str, gpio: Gpio | None) -> list[Rested]:
    """At a start: what an enforcer drove in this boot, and the document does not have any more.

    Nothing where another enforcer lives, or nobody knows.
    """
    try:
        before = driven(places.pins, boot_id)
        if before is None or not (left := before.left_by(gpio)):
            return []
        with nobody_else(places):
            return bring_to_rest(before.factory, left)
    except (UnreadableError, PlaceError):
        return []


def leave_on(factory: str, output: AtRest) -> str | None:
    """Has a process switch it on, and killed in the act; why it could not be, else None.

    Call it before this process has pins of its own: the other one is its copy.
    """
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        _switch_on(factory, output, tell)
    os.close(tell)
    with os.fdopen(told, encoding="utf-8") as words:
        why = words.read(WHY_CHARS)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return None if killed else why or "its process ended by itself"


def _switch_on(factory: str, output: AtRest, tell: int) -> NoReturn:
    """In the process that is killed: nothing of it may go back to who made it."""
    try:
        from drivers.pins import pins_of  # noqa: PLC0415 - as below

        pin = pins_of(factory).output(output.id, output.pin, output.high)
        pin.write(not output.high)
        os.kill(os.getpid(), signal.SIGKILL)
    except PinError as error:
        os.write(tell, str(error).encode()[:WHY_CHARS])
    finally:
        os._exit(1)


def bring_to_rest(factory: str, outputs: Iterable[AtRest]) -> list[Rested]:
    """Opens each pin at its level of rest, and lets it go; one that fails stops no other."""
    from drivers.pins import pins_of  # noqa: PLC0415 - gpiozero: 5 MB that only such a site needs

    outputs = tuple(outputs)
    try:
        pins = pins_of(factory)
    except PinError as error:
        return [Rested(each, str(error)) for each in outputs]
    found = []
    for each in outputs:
        try:
            pins.output(each.id, each.pin, each.high).close()
        except PinError as error:
            found.append(Rested(each, str(error)))
        else:
            found.append(Rested(each, None))
    return found
