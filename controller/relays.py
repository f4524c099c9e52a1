"""What drops chargers without us, and which wiring on the pins would not be safe by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

from controller.document.gpio import PULLED_UP, Contactor, DimInput
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

    A contactor's pin goes low with the process, and an order that nobody confirms expires within
    the dead-man time. A health relay drops when its pin stands still.
    """
    dead_man_ns = site.control.dead_man_ns
    contactors = (
        Relay(each.id, each.chargers, dead_man_ns + each.opens_ns, recloses_together=False)
        for each in site.contactors
        if each.opens_alone
    )
    health = (
        Relay(each.id, each.chargers, dead_man_ns + each.release_ns, recloses_together=True)
        for each in site.health_relays
    )
    return (*contactors, *health)


def unsafe(site: Site) -> tuple[Unsafe, ...]:
    """Every output and input that is wired the wrong way round, with what follows from it."""
    return (
        *(found for contactor in site.contactors for found in _contactor(contactor)),
        *(found for contact in site.inputs for found in _input(contact)),
    )


def _contactor(contactor: Contactor) -> Iterator[Unsafe]:
    pin = contactor.pin
    if not contactor.closed_energised:
        yield Unsafe(contactor.id, pin, "closes when its coil loses its supply")
    if not contactor.open_high and pin in PULLED_UP:
        yield Unsafe(
            contactor.id,
            pin,
            f"closes from power-up until the gateway drives it: GPIO{pin} is pulled up by itself "
            f"(GPIO9 to GPIO27 are not)",
        )
    if contactor.open_high:
        yield Unsafe(contactor.id, pin, "closes when the gateway's software dies: its pin goes low")
    if contactor.feedback is not None and not contactor.feedback.safe:
        yield Unsafe(
            contactor.id,
            contactor.feedback.pin,
            "seems open when the wire of its auxiliary contact breaks: a normally closed one "
            "would seem closed",
        )


def _input(contact: DimInput) -> Iterator[Unsafe]:
    if not contact.safe:
        yield Unsafe(contact.id, contact.pin, 'does not dim when its wire breaks: active = "open"')
