"""A site as the controller works with it: whole, checked, in milliamps and nanoseconds."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from controller.document.buses import Bus
from controller.document.circuits import Circuit, resolve_circuits
from controller.document.clamps import Clamp, resolve_clamps
from controller.document.contacts import Switch
from controller.document.derogations import resolve_derogations
from controller.document.devices import Charger, Meter
from controller.document.draft import Draft
from controller.document.entries.derogation import Derogation
from controller.document.entries.gpio import GpioEntry, InputEntry, OutputEntry
from controller.document.entries.key import KeyEntry
from controller.document.entries.limit import LimitSource
from controller.document.entries.site import Control
from controller.document.gpio import Contactor, Gpio, HealthRelay, resolve_gpio
from controller.document.inputs import DimInput, generator_sources
from controller.document.link import Link, Tls, resolve_link
from controller.document.model import Document, json_schema
from controller.document.operation import lay_over, with_waits
from controller.document.problems import DocumentError, Problem, found
from controller.document.resolve import resolve_chargers, resolve_meters
from controller.document.seats import Seats
from controller.document.text import BYTES_MAX, WHOLE, read_json, read_toml
from controller.facts import Profiles
from controller.units import amperes_text
from controller.watts import DEFAULT_PHASE_MV

__all__ = [
    "Bus",
    "Charger",
    "Circuit",
    "Clamp",
    "Contactor",
    "Control",
    "Derogation",
    "DimInput",
    "DocumentError",
    "Gpio",
    "HealthRelay",
    "KeyEntry",
    "LimitSource",
    "Link",
    "Meter",
    "Problem",
    "Site",
    "Tls",
    "json_schema",
    "load",
    "operated",
    "parse",
    "read",
]

RATING = "rating"  # what binds where no limit source does: no source can have this id
OPERATION: Any = {
    "site": {"name"},
    "circuits": {"__all__": {"name"}},
    "chargers": {"__all__": {"name", "weight", "class_rank"}},
    "classes": True,
}
"""What may be changed without the installer, and is not part of the installation hash."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """What a running process cannot change, as it is written in the document."""

    gpio: GpioEntry | None
    outputs: tuple[OutputEntry, ...]
    inputs: tuple[InputEntry, ...]


@dataclass(frozen=True)
class Site:
    """A site that can be run. Of its document it keeps what nothing else tells: that is large."""

    fixed: Fixed
    installation_hash: str
    """sha256 of the installation part in canonical JSON: changes when safety may."""
    id: str
    name: str
    timezone: str
    mode: Literal["control", "observe"]
    control: Control
    circuits: tuple[Circuit, ...]  # the root first, parents before their children
    meters: tuple[Meter, ...]
    clamps: tuple[Clamp, ...]
    chargers: tuple[Charger, ...]
    limit_sources: tuple[LimitSource, ...]
    derogations: tuple[Derogation, ...]
    gpio: Gpio | None
    link: Link | None
    keys: tuple[KeyEntry, ...] = ()
    class_waits_ns: Mapping[int, int] = field(default_factory=dict)

    @property
    def source_ids(self) -> tuple[str, ...]:
        """Of all that measures a circuit: meters, then clamps."""
        return (*(meter.id for meter in self.meters), *(clamp.id for clamp in self.clamps))

    def inside(self, circuit: str) -> frozenset[str]:
        """The ids of a circuit and of all below it."""
        found = {circuit}
        for each in self.circuits:
            if each.parent in found:
                found.add(each.id)
        return frozenset(found)

    @property
    def contactors(self) -> tuple[Contactor, ...]:
        return () if self.gpio is None else self.gpio.contactors

    @property
    def health_relays(self) -> tuple[HealthRelay, ...]:
        return () if self.gpio is None else self.gpio.relays

    @property
    def inputs(self) -> tuple[DimInput, ...]:
        return () if self.gpio is None else self.gpio.inputs

    @property
    def switches(self) -> tuple[Switch, ...]:
        """Of the chargers on pins."""
        return () if self.gpio is None else self.gpio.switches

    @property
    def buses(self) -> tuple[Bus, ...]:
        """Those that devices hang on; no pins."""
        used = [meter.bus for meter in self.meters]
        used += [charger.bus for charger in self.chargers if charger.switch is None]
        return tuple(dict.fromkeys(used))


def load(path: Path, profiles: Profiles) -> Site:
    """Reads a site document: JSON where its name ends so, else TOML.

    Raises OSError when it cannot be read, DocumentError with every problem found.
    """
    return parse(read(path), profiles, str(path))


def read(path: Path) -> dict[str, Any]:
    """A document's plain data. Raises OSError, DocumentError as load."""
    with path.open("rb") as file:
        raw = file.read(BYTES_MAX + 1)
    return read_json(raw) if path.suffix.lower() == ".json" else read_toml(raw)


def parse(data: Mapping[str, Any], profiles: Profiles, source: str = "") -> Site:
    """The site that `data` describes; `source` is the file that relative paths refer to.

    Raises DocumentError with every problem found.
    """
    draft = Draft(data)
    circuits = resolve_circuits(draft)
    seats = Seats(draft)
    meters = resolve_meters(draft, seats, profiles)
    phase_mv = circuits[0].phase_mv if circuits else DEFAULT_PHASE_MV
    chargers = resolve_chargers(draft, seats, profiles, phase_mv, meters)
    clamps = resolve_clamps(draft, seats)
    gpio = resolve_gpio(draft, seats, circuits, chargers)
    _check_limit_sources(draft)
    derogations = resolve_derogations(draft)
    _check_control(draft)
    draft.unique("key")
    _check_classes(draft)
    link = resolve_link(draft, Path(source).parent)
    if draft.problems or draft.document is None:
        raise DocumentError(draft.problems or [Problem(WHOLE, "cannot be used")])
    document = draft.document
    waits_ns = {each.rank: each.wait_ns for each in document.classes}
    return Site(
        fixed=Fixed(document.gpio, document.outputs, document.inputs),
        installation_hash=_hash_of(document),
        id=document.site.id,
        name=document.site.name,
        timezone=document.site.timezone,
        mode=document.mode,
        control=document.control,
        circuits=circuits,
        meters=meters,
        clamps=clamps,
        chargers=with_waits(chargers, waits_ns),
        limit_sources=(
            *document.limit_sources,
            *generator_sources(() if gpio is None else gpio.inputs, circuits),
        ),
        derogations=derogations,
        gpio=gpio,
        link=link,
        keys=document.keys,
        class_waits_ns=waits_ns,
    )


def _hash_of(document: Document) -> str:
    part = document.model_dump(mode="json", exclude=OPERATION, exclude_none=True)
    text = json.dumps(part, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def operated(site: Site, operation: Mapping[str, Any]) -> Site:
    """The site with an operation part laid over it; its installation stays what it was.

    Raises DocumentError with every problem found.
    """
    laid = lay_over(operation, site.name, site.circuits, site.chargers, site.class_waits_ns)
    name, circuits, chargers = laid
    return replace(site, name=name, circuits=circuits, chargers=chargers)


def _check_limit_sources(draft: Draft) -> None:
    draft.unique("limit_source")
    ratings = {entry.id: entry.rating_ma for entry in draft.circuits.values()}
    for index, entry in draft.limit_sources.items():
        draft.refer("circuit", entry.circuit, "limit_source", index, "circuit")
        if entry.id == RATING:
            draft.complain(f"cannot be {found(RATING)}", "limit_source", index, "id")
        rating_ma = ratings.get(entry.circuit, entry.failsafe_ma)
        for phase in range(3):
            if entry.failsafe_ma[phase] > rating_ma[phase]:
                draft.complain(
                    f"must not exceed the rating of {found(entry.circuit)}, "
                    f"{amperes_text(rating_ma[phase])} A on L{phase + 1}; "
                    f"found {amperes_text(entry.failsafe_ma[phase])}",
                    *("limit_source", index, "failsafe_a"),
                )
                break


def _check_classes(draft: Draft) -> None:
    ranks = [
        entry.get("rank") if isinstance(entry, Mapping) else None
        for entry in draft.written("class")
    ]
    for index, rank in enumerate(ranks):
        if rank is not None and rank in ranks[:index]:
            why = f"class[{ranks.index(rank)}] has this rank, too; every class may stand once"
            draft.complain(why, "class", index, "rank")


def _check_control(draft: Draft) -> None:
    if draft.control is not None and draft.control.dead_man_ns < 3 * draft.control.tick_ns:
        draft.complain("must be at least three ticks", "control", "dead_man_s")
    timezone = draft.timezone
    if timezone not in (None, "UTC"):
        try:
            ZoneInfo(timezone)
        except (KeyError, ValueError, OSError):
            draft.complain(
                f"must be a time zone's name, such as Europe/Berlin; found {found(timezone)}",
                *("site", "timezone"),
            )
