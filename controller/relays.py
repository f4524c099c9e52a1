"""What drops chargers without us, and which wiring on the pins would not be safe by itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from controller.document.contacts import PULLED_UP, Feedback, Switch
from controller.document.gpio import Contactor
from controller.document.inputs import DimInput
from controller.site import Site


@dataclass(frozen=True, slots=True)
class Relay:
    """What chargers lose their supply by when nobody decides any more."""

    id: str
    chargers: tuple[str, ...]
    holds_ns: int  # at the most, after the last completed turn
    recloses_together: bool  # it gives all their supply back at once, whatever fits


@dataclass(frozen=True, slots=True)
class Unsafe:
    """Wiring that is not safe when nobody drives the pin, or when a wire breaks."""

    id: str
    pin: int
    what: str


def relays(site: Site) -> tuple[Relay, ...]:
    """Those that can be relied upon.

    An order that nobody confirms expires within the dead-man time; and where the pins of this board
    fall with the process, a contactor's does. A health relay drops when its pin stands still.
    """
    dead_man_ns = site.control.dead_man_ns
    pins_fall = site.gpio is not None and site.gpio.pins_fall
    contactors = (
        Relay(each.id, each.chargers, dead_man_ns + each.opens_ns, recloses_together=False)
        for each in site.contactors
        if pins_fall and each.opens_alone
    )
    health = (
        Relay(each.id, each.chargers, dead_man_ns + each.release_ns, recloses_together=True)
        for each in site.health_relays
    )
    return (*contactors, *health)


def unsafe(site: Site) -> tuple[Unsafe, ...]:
    """Every output and input that is wired the wrong way round, with what follows from it."""
    return (
        *_staying(site),
        *(found for contactor in site.contactors for found in _contactor(contactor)),
        *(found for switch in site.switches for found in _switch(switch)),
        *(found for contact in site.inputs for found in _input(contact)),
    )


def _staying(site: Site) -> Iterator[Unsafe]:
    """Outputs whose pins may stay high when the process dies, with no health relay behind them."""
    if site.gpio is None or site.gpio.pins_fall:
        return
    held = {charger for relay in site.health_relays for charger in relay.chargers}
    for contactor in site.contactors:
        if contactor.opens_alone and not held.issuperset(contactor.chargers):
            what = f"may stay closed {_untried(contactor.id)}"
            yield Unsafe(contactor.id, contactor.pin, what)
    for switch in site.switches:
        if switch.off_alone and switch.charger not in held:
            yield Unsafe(switch.charger, switch.pin, f"may stay on {_untried(switch.charger)}")


def _untried(output: str) -> str:
    return (
        "when the gateway's software dies, unless its pin falls then: try it (loadkeeper rest SITE "
        f"--try {output}), and where it does write pins_fall = true under [gpio]"
    )


def _contactor(contactor: Contactor) -> Iterator[Unsafe]:
    coil = _Coil(
        contactor.id, contactor.pin, contactor.closed_energised, contactor.open_high, "closes"
    )
    yield from _coil(coil)
    yield from _auxiliary(contactor.id, contactor.feedback, "open", "closed")


def _switch(switch: Switch) -> Iterator[Unsafe]:
    coil = _Coil(switch.charger, switch.pin, switch.on_energised, switch.off_high, "is switched on")
    yield from _coil(coil)
    yield from _auxiliary(switch.charger, switch.feedback, "off", "on")
    if switch.feedback is None and switch.meter is None:
        what = (
            "seems off when its relay is welded: an auxiliary contact or a meter of its own "
            "would tell"
        )
        yield Unsafe(switch.charger, switch.pin, what)


class _Coil(NamedTuple):
    """A relay's coil, and what happens to what it switches."""

    id: str
    pin: int
    on_energised: bool
    off_high: bool  # the pin's level that switches off
    verb: str


def _coil(coil: _Coil) -> Iterator[Unsafe]:
    if not coil.on_energised:
        yield Unsafe(coil.id, coil.pin, f"{coil.verb} when its coil loses its supply")
    if not coil.off_high and coil.pin in PULLED_UP:
        yield Unsafe(
            coil.id,
            coil.pin,
            f"{coil.verb} from power-up until the gateway drives it: GPIO{coil.pin} is pulled up "
            f"by itself (GPIO9 to GPIO27 are not)",
        )
    if coil.off_high:
        dies = f"{coil.verb} when the gateway's software dies: its pin goes low"
        yield Unsafe(coil.id, coil.pin, dies)


def _auxiliary(id_: str, feedback: Feedback | None, off: str, on: str) -> Iterator[Unsafe]:
    if feedback is not None and not feedback.safe:
        yield Unsafe(
            id_,
            feedback.pin,
            f"seems {off} when the wire of its auxiliary contact breaks: a normally closed one "
            f"would seem {on}",
        )


def _input(contact: DimInput) -> Iterator[Unsafe]:
    if not contact.safe:
        misses = "takes a generator for the grid" if contact.kind == "generator" else "does not dim"
        what = f'{misses} when its wire breaks: active = "open"'
        yield Unsafe(contact.id, contact.steps[0].pin, what)
