"""A site as the controller works with it: whole, checked, in milliamps and nanoseconds."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from pathlib import Path
from typing import Any, Literal

from cext.rows import Phases
from controller.devices import Bus, Charger, Meter
from controller.document import Control, Document, LimitSource, Protection
from controller.facts import Profiles
from controller.problems import DocumentError, Problem

__all__ = [
    "Bus",
    "Charger",
    "Circuit",
    "Control",
    "DocumentError",
    "LimitSource",
    "Link",
    "Meter",
    "Problem",
    "Site",
    "load",
    "parse",
]

OPERATION: Any = {
    "site": {"name"},
    "circuits": {"__all__": {"name"}},
    "chargers": {"__all__": {"name", "weight", "class_rank"}},
}
"""What may be changed without the installer, and is not part of the installation hash."""


@dataclass(frozen=True, slots=True)
class Circuit:
    id: str
    name: str
    parent: str | None  # None: the root circuit
    rating_ma: Phases
    worst_base_ma: Phases  # includes the children's
    nominal_v: int  # line to line
    protection: Protection | None
    credit_export: bool

    @property
    def phase_mv(self) -> int:
        """Nominal voltage, line to neutral."""
        return isqrt(self.nominal_v**2 * 1_000_000 // 3)


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
    buses: tuple[Bus, ...]  # those in use
    meters: tuple[Meter, ...]
    chargers: tuple[Charger, ...]
    limit_sources: tuple[LimitSource, ...]
    link: Link | None

    def installation_hash(self) -> str:
        """sha256 of the installation part in canonical JSON: changes when safety may."""
        return self._installation_hash

    @cached_property
    def _installation_hash(self) -> str:
        part = self.document.model_dump(mode="json", exclude=OPERATION)
        text = json.dumps(part, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def load(path: Path, profiles: Profiles) -> Site:
    """Reads a site document, TOML or (by its suffix) JSON. OSError when it cannot be read."""
    raise NotImplementedError


def parse(data: Mapping[str, Any], profiles: Profiles, source: str = "") -> Site:
    """Raises DocumentError with every problem found."""
    raise NotImplementedError
