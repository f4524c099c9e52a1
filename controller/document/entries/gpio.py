"""What hangs on the gateway's own pins: contactors, the health relay, contacts that ask to dim."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt

from controller.document.entries.base import Entry, Pin, Slug, Text, Title, optional
from controller.document.quantities import (
    CircuitAmperes,
    DebounceSeconds,
    ReleaseSeconds,
    ReplySeconds,
)


class GpioEntry(Entry):
    factory: Text = Field(
        description="gpiozero's pin factory, by its name in the entry-point group "
        "gpiozero_pin_factories: lgpio on a Raspberry Pi. It is never guessed."
    )
    pins_fall: StrictBool = Field(
        default=False,
        description="Whether a driven pin falls when the process that drives it is killed: tried "
        "on this very board, as the install guide tells. Unless it is true, no contactor and no "
        "relay of a charger counts as one that opens when the software dies.",
    )


class OutputEntry(Entry):
    """A relay or an LED. Wire a relay so that it drops its chargers when the pin is low."""

    id: Slug
    name: Title = ""
    kind: Literal["contactor", "health", "led"] = Field(
        default="contactor",
        description="contactor: opened and closed by decisions. health: a relay that holds while "
        "its pin toggles, and drops by itself when the pin stands still. led: blinks in a code "
        "that says in what condition the depot is.",
    )
    pin: Pin
    drops: Slug | None = Field(
        default=None, description="The circuit whose chargers lose their supply with it."
    )
    charger: Slug | None = Field(
        default=None, description="Instead of `drops`: the one charger behind it."
    )
    active_high: StrictBool | None = Field(
        default=None,
        description="Contactor: whether a high pin energises the coil; LED: whether it lights it; "
        "left out: true.",
    )
    energised: Literal["closed", "open"] | None = Field(
        default=None,
        description="Contactor: what it is while its coil is energised; left out: closed.",
    )
    feedback_pin: Pin | None = Field(
        default=None,
        description="Contactor: pin of an auxiliary contact that connects it to ground.",
    )
    feedback: Literal["normally_closed", "normally_open"] | None = Field(
        default=None,
        description="The auxiliary contact, with feedback_pin. normally_closed: closed while the "
        "contactor is open, so that a broken wire reads as a closed contactor.",
    )
    opens_ns: ReplySeconds | None = Field(
        default=None,
        alias="opens_s",
        description="Contactor: the longest from its order until it has opened; left out: 0.5.",
    )
    release_ns: ReleaseSeconds | None = Field(
        default=None,
        alias="release_s",
        description="Health relay: the longest from the last pulse until it has dropped.",
    )


class StepEntry(Entry):
    """One of several contacts, of which just one is active at a time."""

    pin: Pin
    percent: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        description="Of limit_a, that it asks for while active."
    )


class InputEntry(Entry):
    """A contact that connects its pin to ground, or several, and what it asks for."""

    id: Slug
    name: Title = ""
    kind: Literal["dim", "steps", "generator"] = Field(
        default="dim",
        description="dim: one contact that asks for a limit while active. steps: several "
        "contacts, as of a ripple-control receiver, each for a part of limit_a; impossible "
        "combinations count as the lowest that they could mean. generator: active while a "
        "generator feeds the circuit, whose generator ratings hold then.",
    )
    pin: Pin | None = Field(default=None, description="Of a kind with one contact.")
    contacts: tuple[StepEntry, ...] | None = Field(
        default=None, description="Of kind steps; one of them is 100 percent."
    )
    source: Slug | None = Field(
        default=None,
        description="The [[limit_source]] that it speaks for, and nobody else; not of a generator.",
    )
    circuit: Slug | None = Field(
        default=None, description="Of kind generator: the circuit that it feeds."
    )
    limit_ma: CircuitAmperes | None = Field(
        default=None,
        alias="limit_a",
        description="dim: what it asks for while active; inactive asks for nothing. "
        "steps: what 100 percent is.",
    )
    active: Literal["closed", "open"] = Field(
        description="A contact's state that counts as active. Of one contact, open: a broken "
        "wire counts as active, too."
    )
    debounce_ns: DebounceSeconds = optional(
        0.05, "debounce_s", "How long a contact must be still to be believed."
    )
