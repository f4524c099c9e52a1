"""Contactors, health relays and contacts on the gateway's pins, with everything filled in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from controller.document.circuits import Circuit
from controller.document.contacts import PULLED_UP, Feedback, Switch
from controller.document.devices import Charger
from controller.document.draft import Draft
from controller.document.entries.gpio import OutputEntry
from controller.document.entries.site import Control
from controller.document.inputs import DimInput, check_sources, resolve_input
from controller.document.patterns import expand
from controller.document.problems import found
from controller.document.seats import Seats
from controller.units import NS_PER_S, seconds_text

OPENS_NS = NS_PER_S // 2
IDS_MAX = 10_000
_OF_KINDS: dict[tuple[str, ...], dict[str, str]] = {  # fields, and how they are written
    ("contactor",): {
        "energised": "energised",
        "feedback_pin": "feedback_pin",
        "feedback": "feedback",
        "opens_ns": "opens_s",
    },
    ("contactor", "led"): {"active_high": "active_high"},
    ("contactor", "health"): {"drops": "drops", "charger": "charger"},
    ("health",): {"release_ns": "release_s"},
}


@dataclass(frozen=True, slots=True)
class Contactor:
    """Opened and closed by decisions."""

    id: str
    name: str
    pin: int
    active_high: bool
    closed_energised: bool
    circuit: str | None  # the circuit it drops; None: one charger's own
    chargers: tuple[str, ...]  # all behind it, in the site's order
    feedback: Feedback | None
    opens_ns: int  # the longest from its order until it has opened

    @property
    def group(self) -> bool:
        return self.circuit is not None

    @property
    def drops(self) -> str:
        return self.chargers[0] if self.circuit is None else self.circuit

    @property
    def open_high(self) -> bool:
        """The pin's level that opens it."""
        return self.active_high != self.closed_energised

    @property
    def opens_alone(self) -> bool:
        """Whether it opens when nobody drives its pin, and when its coil has no power."""
        return self.active_high and self.closed_energised and self.pin not in PULLED_UP


@dataclass(frozen=True, slots=True)
class HealthRelay:
    """Holds while its pin toggles; drops within `release_ns` of the last pulse."""

    id: str
    name: str
    pin: int
    circuit: str | None
    chargers: tuple[str, ...]
    release_ns: int

    @property
    def drops(self) -> str:
        return self.chargers[0] if self.circuit is None else self.circuit


@dataclass(frozen=True, slots=True)
class StatusLed:
    """Shows in what condition the depot is."""

    id: str
    name: str
    pin: int
    active_high: bool  # a high pin lights it


@dataclass(frozen=True, slots=True)
class Gpio:
    """Everything on the pins, and the pin factory by name."""

    factory: str
    contactors: tuple[Contactor, ...] = ()
    relays: tuple[HealthRelay, ...] = ()
    inputs: tuple[DimInput, ...] = ()
    switches: tuple[Switch, ...] = ()  # of chargers without a bus
    leds: tuple[StatusLed, ...] = ()
    pins_fall: bool = False  # with the process that drives them: the installer has tried it

    @property
    def used(self) -> bool:
        drives = self.contactors or self.relays or self.switches or self.leds
        return bool(drives or self.inputs)


@dataclass(slots=True)
class _Behind:
    """Who is behind an output: found by circuit or by charger."""

    chargers: Sequence[Charger]
    parents: Mapping[str, str | None]
    known: frozenset[str]  # ids of all chargers written, readable or not
    own: dict[str, str] = field(default_factory=dict)  # charger: its own contactor


def resolve_gpio(
    draft: Draft, seats: Seats, circuits: Sequence[Circuit], chargers: Sequence[Charger]
) -> Gpio | None:
    """None without [gpio]; complains about everything in an output's or an input's way."""
    parents = {circuit.id: circuit.parent for circuit in circuits}
    behind = _Behind(chargers, parents, frozenset(islice(_ids_written(draft), IDS_MAX)))
    pins: dict[int, str] = {}
    contactors, relays, leds = [], [], []
    for index, charger in draft.chargers.items():
        for key, pin in (("pin", charger.pin), ("feedback_pin", charger.feedback_pin)):
            if pin is not None:
                _take_pin(draft, pins, pin, "charger", index, key)
    for index, output in draft.outputs.items():
        seats.take_id("output", index, output.id)
        _take_pin(draft, pins, output.pin, "output", index, "pin")
        _check_kind(draft, index, output)
        if output.kind == "led":
            lit_high = output.active_high is not False
            leds.append(StatusLed(output.id, output.name, output.pin, lit_high))
            continue
        dropped = _dropped(draft, behind, index, output)
        if output.kind == "contactor":
            feedback = _feedback(draft, pins, index, output)
            if dropped:
                contactors.append(_contactor(output, dropped, feedback))
        else:
            _check_release(draft, index, output)
            if dropped and output.release_ns is not None:
                relays.append(_relay(output, dropped, output.release_ns))
    inputs = _inputs(draft, seats, pins, circuits)
    check_sources(draft)
    _check_factory(draft)
    if draft.gpio is None:
        return None
    switches = tuple(each.switch for each in chargers if each.switch is not None)
    return Gpio(
        draft.gpio.factory,
        tuple(contactors),
        tuple(relays),
        inputs,
        switches,
        tuple(leds),
        draft.gpio.pins_fall,
    )


def _inputs(
    draft: Draft, seats: Seats, pins: dict[int, str], circuits: Sequence[Circuit]
) -> tuple[DimInput, ...]:
    inputs: list[DimInput] = []
    for index, contact in draft.inputs.items():
        seats.take_id("input", index, contact.id)
        if contact.pin is not None:
            _take_pin(draft, pins, contact.pin, "input", index, "pin")
        for at, each in enumerate(contact.contacts or ()):
            _take_pin(draft, pins, each.pin, "input", index, "contacts", at, "pin")
        made = resolve_input(draft, index, contact, circuits)
        inputs += [] if made is None else [made]
    return tuple(inputs)


def _contactor(
    entry: OutputEntry, chargers: tuple[str, ...], feedback: Feedback | None
) -> Contactor:
    return Contactor(
        id=entry.id,
        name=entry.name,
        pin=entry.pin,
        active_high=entry.active_high is not False,
        closed_energised=entry.energised != "open",
        circuit=entry.drops,
        chargers=chargers,
        feedback=feedback,
        opens_ns=OPENS_NS if entry.opens_ns is None else entry.opens_ns,
    )


def _relay(entry: OutputEntry, chargers: tuple[str, ...], release_ns: int) -> HealthRelay:
    return HealthRelay(
        id=entry.id,
        name=entry.name,
        pin=entry.pin,
        circuit=entry.drops,
        chargers=chargers,
        release_ns=release_ns,
    )


def _take_pin(draft: Draft, pins: dict[int, str], pin: int, *loc: str | int) -> None:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    place = "".join(parts)[1:]
    other = pins.setdefault(pin, place)
    if other != place:
        draft.complain(f"is the pin of {other}, too; found {pin}", *loc)


def _check_kind(draft: Draft, index: int, entry: OutputEntry) -> None:
    """Whether the keys belong to an output of this kind."""
    for kinds, keys in _OF_KINDS.items():
        for attribute, key in keys.items():
            if entry.kind not in kinds and getattr(entry, attribute) is not None:
                whose = " or ".join(f'"{kind}"' for kind in kinds)
                draft.complain(f"belongs to an output of kind {whose} only", "output", index, key)


def _dropped(
    draft: Draft, behind: _Behind, index: int, entry: OutputEntry
) -> tuple[str, ...] | None:
    """The chargers behind an output; None after a complaint."""
    if (entry.drops is None) == (entry.charger is None):
        draft.complain(
            "needs either drops, the circuit that it switches off, or charger, the one behind it",
            *("output", index),
        )
        return None
    if entry.drops is not None:
        if not draft.refer("circuit", entry.drops, "output", index, "drops"):
            return None
        below = tuple(c.id for c in behind.chargers if _is_below(behind, c.circuit, entry.drops))
        if not below and len(behind.chargers) >= len(behind.known):
            draft.complain(
                f"drops nothing: no charger hangs on {found(entry.drops)}",
                *("output", index, "drops"),
            )
        return below or None
    assert entry.charger is not None
    if entry.charger not in behind.known:
        draft.complain(
            f"no [[charger]] has the id {found(entry.charger)}", "output", index, "charger"
        )
        return None
    if entry.kind == "contactor":
        other = behind.own.setdefault(entry.charger, entry.id)
        if other != entry.id:
            draft.complain(
                f"{found(entry.charger)} is behind {found(other)} already: a charger has one "
                f"contactor of its own at most",
                *("output", index, "charger"),
            )
            return None
    return (entry.charger,)


def _is_below(behind: _Behind, circuit: str | None, top: str) -> bool:
    while circuit is not None and circuit != top:
        circuit = behind.parents.get(circuit)
    return circuit == top


def _ids_written(draft: Draft) -> Iterable[str]:
    """Ids of all chargers, of unreadable entries, too; rows counted out."""
    for entry in draft.written("charger"):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("id"), str):
            continue
        count, first = entry.get("count", 1), entry.get("first", 1)
        if not isinstance(count, int) or not isinstance(first, int):
            continue
        try:
            yield from (expand(entry["id"], first + n) for n in range(min(count, IDS_MAX)))
        except ValueError:
            continue


def _feedback(
    draft: Draft, pins: dict[int, str], index: int, entry: OutputEntry
) -> Feedback | None:
    if (entry.feedback_pin is None) != (entry.feedback is None):
        draft.complain(
            'needs both feedback_pin and feedback, "normally_closed" or "normally_open"',
            *("output", index),
        )
    if entry.feedback_pin is None:
        return None
    _take_pin(draft, pins, entry.feedback_pin, "output", index, "feedback_pin")
    return Feedback(entry.feedback_pin, entry.feedback != "normally_open")


def _check_release(draft: Draft, index: int, entry: OutputEntry) -> None:
    place = ("output", index, "release_s")
    if entry.release_ns is None:
        draft.complain("is missing: how long the relay holds without a pulse", *place)
        return
    control = draft.control or Control()
    if entry.release_ns < 2 * control.dead_man_ns:
        draft.complain(
            f"must be at least twice dead_man_s, {seconds_text(2 * control.dead_man_ns)} s: "
            f"it must hold while the gateway's software starts anew; "
            f"found {seconds_text(entry.release_ns)}",
            *place,
        )


def _check_factory(draft: Draft) -> None:
    needed = [f"[[{key}]]" for key in ("output", "input") if draft.written(key)]
    if any(charger.pin is not None for charger in draft.chargers.values()):
        needed.append("a [[charger]] with a pin")
    if needed and not draft.has("gpio"):
        draft.complain(
            f'is missing: {needed[0]} needs the name of the pin factory, such as factory = "lgpio"',
            "gpio",
        )
