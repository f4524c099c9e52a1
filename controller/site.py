"""A site as the controller works with it: whole, checked, in milliamps and nanoseconds."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from controller.document.buses import Bus, host_and_port
from controller.document.circuits import Circuit, resolve_circuits
from controller.document.derogations import resolve_derogations
from controller.document.devices import Charger, Meter
from controller.document.draft import Draft
from controller.document.entries.derogation import Derogation
from controller.document.entries.limit import LimitSource
from controller.document.entries.site import Control
from controller.document.gpio import Contactor, DimInput, Gpio, HealthRelay, resolve_gpio
from controller.document.model import Document, json_schema
from controller.document.problems import DocumentError, Problem, found
from controller.document.resolve import resolve_chargers, resolve_meters
from controller.document.seats import Seats
from controller.document.text import BYTES_MAX, WHOLE, read_json, read_toml
from controller.facts import Profiles
from controller.units import amperes_text

__all__ = [
    "Bus",
    "Charger",
    "Circuit",
    "Contactor",
    "Control",
    "Derogation",
    "DimInput",
    "DocumentError",
    "Gpio",
    "HealthRelay",
    "LimitSource",
    "Link",
    "Meter",
    "Problem",
    "Site",
    "json_schema",
    "load",
    "parse",
]

MQTT_PORT = 1883
RATING = "rating"  # what binds where no limit source does: no source can have this id
OPERATION: Any = {
    "site": {"name"},
    "circuits": {"__all__": {"name"}},
    "chargers": {"__all__": {"name", "weight", "class_rank"}},
}
"""What may be changed without the installer, and is not part of the installation hash."""


@dataclass(frozen=True, slots=True)
class Link:
    host: str
    port: int
    client_id: str | None
    username: str | None
    password_file: Path | None


@dataclass(frozen=True)
class Site:
    document: Document
    id: str
    name: str
    timezone: str
    mode: Literal["control", "observe"]
    control: Control
    circuits: tuple[Circuit, ...]  # the root first, parents before their children
    meters: tuple[Meter, ...]
    chargers: tuple[Charger, ...]
    limit_sources: tuple[LimitSource, ...]
    derogations: tuple[Derogation, ...]
    gpio: Gpio | None
    link: Link | None

    @property
    def contactors(self) -> tuple[Contactor, ...]:
        return () if self.gpio is None else self.gpio.contactors

    @property
    def buses(self) -> tuple[Bus, ...]:
        """Those that devices hang on."""
        used = [meter.bus for meter in self.meters] + [charger.bus for charger in self.chargers]
        return tuple(dict.fromkeys(used))

    def installation_hash(self) -> str:
        """sha256 of the installation part in canonical JSON: changes when safety may."""
        return self._installation_hash

    @cached_property
    def _installation_hash(self) -> str:
        part = self.document.model_dump(mode="json", exclude=OPERATION, exclude_none=True)
        text = json.dumps(part, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def load(path: Path, profiles: Profiles) -> Site:
    """Reads a site document: JSON where its name ends so, else TOML.

    Raises OSError when it cannot be read, DocumentError with every problem found.
    """
    with path.open("rb") as file:
        raw = file.read(BYTES_MAX + 1)
    data = read_json(raw) if path.suffix.lower() == ".json" else read_toml(raw)
    return parse(data, profiles, str(path))


def parse(data: Mapping[str, Any], profiles: Profiles, source: str = "") -> Site:
    """The site that `data` describes; `source` is the file that relative paths refer to.

    Raises DocumentError with every problem found.
    """
    draft = Draft(data)
    circuits = resolve_circuits(draft)
    seats = Seats(draft)
    meters = resolve_meters(draft, seats, profiles)
    chargers = resolve_chargers(draft, seats, profiles)
    gpio = resolve_gpio(draft, seats, circuits, chargers)
    _check_limit_sources(draft)
    derogations = resolve_derogations(draft)
    _check_control(draft)
    link = _link(draft, Path(source).parent)
    if draft.problems or draft.document is None:
        raise DocumentError(draft.problems or [Problem(WHOLE, "cannot be used")])
    document = draft.document
    return Site(
        document=document,
        id=document.site.id,
        name=document.site.name,
        timezone=document.site.timezone,
        mode=document.mode,
        control=document.control,
        circuits=circuits,
        meters=meters,
        chargers=chargers,
        limit_sources=document.limit_sources,
        derogations=derogations,
        gpio=gpio,
        link=link,
    )


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


def _link(draft: Draft, directory: Path) -> Link | None:
    entry = draft.link
    if entry is None:
        return None
    if (entry.username is None) != (entry.password_file is None):
        draft.complain("needs both username and password_file, or neither", "link")
    try:
        if entry.broker.startswith("mqtts:"):
            raise ValueError("mqtts is not supported yet, only mqtt://host:port")
        host, port = host_and_port(entry.broker, "mqtt", MQTT_PORT)
    except ValueError as error:
        draft.complain(str(error), "link", "broker")
        return None
    password_file = None if entry.password_file is None else directory / entry.password_file
    return Link(host, port, entry.client_id, entry.username, password_file)
