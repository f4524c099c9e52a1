"""What a document drives on the gateway's pins, and the level of each that is safe."""

from collections.abc import Iterator
from typing import NamedTuple

from controller.document.contacts import Feedback
from controller.document.gpio import Gpio


class AtRest(NamedTuple):
    """An output, and the level of its pin that is safe."""

    id: str
    pin: int
    high: bool


def at_rest(gpio: Gpio) -> tuple[AtRest, ...]:
    """Every output: off, open, dark, and a health relay without a pulse."""
    return (
        *(AtRest(each.charger, each.pin, each.off_high) for each in gpio.switches),
        *(AtRest(each.id, each.pin, each.open_high) for each in gpio.contactors),
        *(AtRest(each.id, each.pin, high=False) for each in gpio.relays),
        *(AtRest(each.id, each.pin, not each.active_high) for each in gpio.leds),
    )


def pins_used(gpio: Gpio) -> frozenset[int]:
    """All of them, outputs and inputs."""
    inputs = (step.pin for each in gpio.inputs for step in each.steps)
    return frozenset(
        (*(each.pin for each in at_rest(gpio)), *(each.pin for each in _auxiliary(gpio)), *inputs)
    )


def _auxiliary(gpio: Gpio) -> Iterator[Feedback]:
    for contactor in gpio.contactors:
        if contactor.feedback is not None:
            yield contactor.feedback
    for switch in gpio.switches:
        if switch.feedback is not None:
            yield switch.feedback
