"""Pins that nobody drives any more: brought to rest, or left on to see what becomes of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import structlog

from controller.alone import lives_in
from controller.document.gpio import Gpio
from controller.document.outputs import AtRest
from controller.driven import driven, wanted
from controller.places import PlaceError, Places
from controller.saver import UnreadableError
from drivers.device import PinError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

WHY_CHARS = 1000
SWITCH_S = 20  # a factory that hangs is not waited for any longer

log: FilteringBoundLogger = structlog.get_logger()


class Rested(NamedTuple):
    """How it went with one output; `error` is None where it is at rest."""

    output: AtRest
    error: str | None
    factory: str


def rest_what_was_left(
    places: Places, boot_id: str, gpio: Gpio | None, *, drives: bool
) -> list[Rested]:
    """At a start: what an enforcer drove in this boot, and nobody will bring to rest now.

    That is what the document does not have any more; where it drives nothing, all of it. Nothing
    where another enforcer lives, or nobody knows. The caller has the pins' lock.
    """
    try:
        before = driven(places.pins, boot_id)
        if before is None:
            return []
        groups = before.left_by(gpio) if drives else wanted(gpio, before, drives=False)
        if not groups:
            return []
        if lives_in(places.runtime):
            log.warning(
                "pins stay as they were left: an enforcer runs", runtime=str(places.runtime)
            )
            return []
    except (UnreadableError, PlaceError) as error:
        log.error("nobody knows which pins were left on", path=str(places.pins), why=str(error))
        return []
    return [each for group in groups for each in bring_to_rest(*group)]


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
    signal.alarm(SWITCH_S)
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
        return [Rested(each, str(error), factory) for each in outputs]
    found = []
    for each in outputs:
        try:
            pins.output(each.id, each.pin, each.high).close()
        except PinError as error:
            found.append(Rested(each, str(error), factory))
        else:
            found.append(Rested(each, None, factory))
    return found
