"""A document under examination: what of it can be read, and everything wrong with it.

An entry that cannot be read is left out here, but its id is remembered, so that the
cross-checks still see all the others and blame nobody for referring to it.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from controller.document.diagnosis import explain, place
from controller.document.entries.base import Entry
from controller.document.entries.bus import BusEntry
from controller.document.entries.charger import ChargerEntry
from controller.document.entries.circuit import CircuitEntry
from controller.document.entries.clamp import ClampEntry
from controller.document.entries.derogation import Derogation
from controller.document.entries.gpio import GpioEntry, InputEntry, OutputEntry
from controller.document.entries.limit import LimitSource
from controller.document.entries.link import LinkEntry
from controller.document.entries.meter import MeterEntry
from controller.document.entries.site import Control, SiteEntry
from controller.document.model import Document
from controller.document.problems import PROBLEMS_MAX, Problem, found

Read = TypeVar("Read", bound=Entry)
ENTRIES_MAX = 5000  # looked at in a section; the model refuses longer ones


class Draft:
    """The readable entries by their position in the document, and the problems so far."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = dict(data)
        self.problems: list[Problem] = []
        self.document: Document | None = None
        try:
            self.document = Document.model_validate(self._data)
        except ValidationError as error:
            self.problems += explain(error, self._data)
        self._refused = {problem.path for problem in self.problems}
        self._names = {
            section: self._ids(section) for section in ("circuit", "bus", "meter", "limit_source")
        }
        self.circuits = self._entries("circuit", CircuitEntry)
        self.buses = self._entries("bus", BusEntry)
        self.meters = self._entries("meter", MeterEntry)
        self.clamps = self._entries("clamp", ClampEntry)
        self.chargers = self._entries("charger", ChargerEntry)
        self.limit_sources = self._entries("limit_source", LimitSource)
        self.derogations = self._entries("derogation", Derogation)
        self.outputs = self._entries("output", OutputEntry)
        self.inputs = self._entries("input", InputEntry)
        self.gpio = self._table("gpio", GpioEntry)
        self.site = self._table("site", SiteEntry)
        self.control = self._table("control", Control)
        self.link = self._table("link", LinkEntry)
        self._refer_unread("circuit", self.circuits, "parent")
        self._refer_unread("meter", self.meters, "circuit")
        self._refer_unread("clamp", self.clamps, "circuit")
        self._refer_unread("charger", self.chargers, "circuit")
        self._refer_unread("limit_source", self.limit_sources, "circuit")
        self._refer_unread("output", self.outputs, "drops")
        self._refer_unread("input", self.inputs, "source", "limit_source")

    def complain(self, message: str, *loc: str | int) -> None:
        """Notes a problem at a place such as ("charger", 3, "min_a").

        Not where the model has refused what is written: one complaint is enough.
        """
        path = place(self._data, loc)
        if path not in self._refused and not self.full:
            self.problems.append(Problem(path, message))

    @property
    def full(self) -> bool:
        """Whether nobody is shown further problems."""
        return len(self.problems) > PROBLEMS_MAX

    def written(self, section: str) -> Sequence[Any]:
        """A section's entries as written, readable or not."""
        entries = self._data.get(section)
        return entries[:ENTRIES_MAX] if isinstance(entries, list | tuple) else ()

    @property
    def timezone(self) -> str | None:
        """As written, whatever else is wrong in its table; None where it is no text."""
        table = self._data.get("site")
        name = table.get("timezone") if isinstance(table, Mapping) else None
        return name if isinstance(name, str) else None

    def has(self, section: str) -> bool:
        """Whether anything is written there."""
        return section in self._data

    def _ids(self, section: str) -> dict[str, None]:
        """The ids in a section, of unreadable entries, too."""
        ids = (entry.get("id") for entry in self.written(section) if isinstance(entry, Mapping))
        return dict.fromkeys(name for name in ids if isinstance(name, str))

    def refer(self, section: str, name: str, *loc: str | int, instead: str = "") -> bool:
        """Whether there is such an entry; complains when not. `instead`: what else may stand."""
        names = self._names[section]
        if name in names or self.full:
            return name in names
        near = get_close_matches(name, list(names)[:200], n=1)
        hint = f"did you mean {found(near[0])}?" if near else f"there is {_listed(list(names))}"
        self.complain(f"no [[{section}]] has the id {found(name)}; {hint}{instead}", *loc)
        return False

    def _refer_unread(
        self, section: str, readable: Mapping[int, Entry], key: str, to: str = "circuit"
    ) -> None:
        """Complains about references to nothing in entries that nobody else can look into."""
        for index, entry in enumerate(self.written(section)):
            if index not in readable and isinstance(entry, Mapping):
                name = entry.get(key)
                if isinstance(name, str):
                    self.refer(to, name, section, index, key)

    def unique(self, section: str) -> None:
        """Complains about every id that another entry of the section has, too."""
        first: dict[str, int] = {}
        for index, entry in enumerate(self.written(section)):
            name = entry.get("id") if isinstance(entry, Mapping) else None
            if isinstance(name, str) and first.setdefault(name, index) != index:
                self.complain(
                    f"{section}[{first[name]}] has this id, too; every id may stand once",
                    *(section, index, "id"),
                )

    def _entries(self, section: str, model: type[Read]) -> dict[int, Read]:
        readable = {}
        for index, entry in enumerate(self.written(section)):
            read = _read(model, entry)
            if read is not None:
                readable[index] = read
        return readable

    def _table(self, section: str, model: type[Read]) -> Read | None:
        return _read(model, self._data[section]) if section in self._data else None


def _read(model: type[Read], entry: object) -> Read | None:
    """The entry as if what was told already had been left out; None if it needs that."""
    try:
        return model.model_validate(entry)
    except ValidationError as error:
        refused = {detail["loc"][0] for detail in error.errors() if _dispensable(detail)}
    if not refused or not isinstance(entry, Mapping):
        return None
    try:
        return model.model_validate({k: v for k, v in entry.items() if k not in refused})
    except ValidationError:
        return None


def _dispensable(detail: ErrorDetails) -> bool:
    """Unknown keys, and quantities, but not what tells where something sits."""
    return detail["type"] in ("extra_forbidden", "value_error") and detail["loc"][0] != "unit"


def _listed(names: Sequence[str]) -> str:
    """At most eight names."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (", ".join(found(name) for name in names[:8]) or "none") + more
