"""The operation part: what those who run a depot change without its installer.

Names, weights and classes as they like; currents only downwards. It is laid over the installed
document and names circuits and chargers by their ids, those of rows counted out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, StrictInt, ValidationError, model_validator

from cext.rows import Advice, Phases
from controller.document.circuits import Circuit
from controller.document.devices import Charger
from controller.document.diagnosis import explain, place
from controller.document.entries.base import Entry, Slug, Title
from controller.document.entries.classes import CLASS_WAIT_S, ClassEntry
from controller.document.problems import DocumentError, Problem, found
from controller.document.quantities import CircuitAmperes, DeviceAmperes, written
from controller.units import NS_PER_S, amperes_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OperationSite(Entry):
    name: Title | None = None


class OperationCircuit(Entry):
    id: Slug
    name: Title | None = None
    limit_ma: CircuitAmperes | None = Field(
        default=None,
        alias="limit_a",
        description="A lasting limit, no more than the rating; 0 is a limit.",
    )


class OperationCharger(Entry):
    id: Slug
    name: Title | None = None
    weight: Annotated[StrictInt, Field(ge=1, le=1000)] | None = None
    class_rank: Annotated[StrictInt, Field(ge=0, le=100)] | None = Field(
        default=None, alias="class", description="Lower goes first."
    )
    max_ma: DeviceAmperes | None = Field(
        default=None,
        alias="max_a",
        description="The highest setpoint it may get, no more than the installed max_a; "
        "below its min_a it gets none.",
    )
    advice: "OperationAdvice | None" = None


def _moment(value: object) -> int:
    """An instant with its offset from UTC, in ns since 1970."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(
            "must be an instant with its offset from UTC, such as 2027-01-10T06:00:00Z; "
            f"found {found(value)}"
        )
    return max(0, (moment - _EPOCH) // timedelta(microseconds=1) * 1_000)


class OperationAdvice(Entry):
    """A planner's wish for a charger. It lifts nothing, and counts nothing once it is over."""

    weight: Annotated[StrictInt, Field(ge=1, le=1000)] | None = Field(
        default=None, description="In place of its own."
    )
    floor_ma: DeviceAmperes | None = Field(
        default=None,
        alias="floor_a",
        description="Met before others of its class have more than theirs; and it goes before "
        "those without where not all can have their minimum.",
    )
    cap_ma: DeviceAmperes | None = Field(
        default=None,
        alias="cap_a",
        description="It is not to want more; below its minimum it pauses.",
    )
    until_ns: Annotated[int, written(_moment, {"type": "string", "format": "date-time"})] = Field(
        alias="until", description="When it is over; unused while the clock is not trusted."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.weight is self.floor_ma is self.cap_ma is None:
            raise ValueError("must say at least one of weight, floor_a and cap_a")
        if None not in (self.floor_ma, self.cap_ma) and self.floor_ma > self.cap_ma:  # type: ignore[operator]
            raise ValueError("floor_a must not exceed cap_a")
        return self


class Operation(Entry):
    """The operation part of a document that comes over MQTT."""

    site: OperationSite = Field(default_factory=OperationSite)
    circuits: tuple[OperationCircuit, ...] = Field(default=(), alias="circuit", max_length=1000)
    chargers: tuple[OperationCharger, ...] = Field(default=(), alias="charger", max_length=5000)
    classes: tuple[ClassEntry, ...] = Field(default=(), alias="class", max_length=101)


Named = TypeVar("Named", OperationCircuit, OperationCharger)


class _Overlay:
    """The entries by what they name, and everything wrong with them."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self.problems: list[Problem] = []
        self.operation = Operation()
        try:
            self.operation = Operation.model_validate(dict(data))
        except ValidationError as error:
            self.problems += explain(error, data, Operation)

    def complain(self, message: str, *loc: str | int) -> None:
        self.problems.append(Problem(place(self._data, loc), message))

    def by_id(
        self, section: str, entries: Sequence[Named], known: Collection[str]
    ) -> dict[str, tuple[int, Named]]:
        """Entries with their positions; complains of ids that nobody has, or that stand twice."""
        first: dict[str, tuple[int, Named]] = {}
        for index, entry in enumerate(entries):
            if entry.id not in known:
                self.complain(f"this site has no {section} {found(entry.id)}", section, index, "id")
            elif entry.id in first:
                self.complain("stands twice; every id may stand once", section, index, "id")
            else:
                first[entry.id] = index, entry
        return first


def faults(data: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with its form, whatever the site."""
    return _Overlay(data).problems


def lay_over(
    data: Mapping[str, Any],
    name: str,
    circuits: tuple[Circuit, ...],
    chargers: tuple[Charger, ...],
    waits_ns: Mapping[int, int],
) -> tuple[str, tuple[Circuit, ...], tuple[Charger, ...]]:
    """The site's name, circuits and chargers with the operation part laid over them.

    Raises DocumentError with every problem found.
    """
    overlay = _Overlay(data)
    stated = overlay.operation
    of_circuits = overlay.by_id("circuit", stated.circuits, {each.id for each in circuits})
    of_chargers = overlay.by_id("charger", stated.chargers, {each.id for each in chargers})
    changed_circuits = tuple(
        _circuit(overlay, circuit, *of_circuits[circuit.id])
        if circuit.id in of_circuits
        else circuit
        for circuit in circuits
    )
    changed_chargers = tuple(
        _charger(overlay, charger, *of_chargers[charger.id])
        if charger.id in of_chargers
        else charger
        for charger in chargers
    )
    ranks = [entry.rank for entry in stated.classes]
    for index, rank in enumerate(ranks):
        if rank in ranks[:index]:
            overlay.complain("stands twice; every class may stand once", "class", index, "rank")
    if overlay.problems:
        raise DocumentError(overlay.problems)
    waits_ns = {**waits_ns, **{entry.rank: entry.wait_ns for entry in stated.classes}}
    return _or(stated.site.name, name), changed_circuits, with_waits(changed_chargers, waits_ns)


def with_waits(chargers: tuple[Charger, ...], waits_ns: Mapping[int, int]) -> tuple[Charger, ...]:
    """Each with the waiting time of its class."""
    default_ns = CLASS_WAIT_S * NS_PER_S
    return tuple(
        replace(each, class_wait_ns=waits_ns.get(each.class_rank, default_ns)) for each in chargers
    )


def _circuit(overlay: _Overlay, circuit: Circuit, index: int, entry: OperationCircuit) -> Circuit:
    limit_ma: Phases | None = entry.limit_ma
    if limit_ma is not None and any(map(int.__gt__, limit_ma, circuit.rating_ma)):
        overlay.complain(
            f"can only lower: the rating is {_amperes(circuit.rating_ma)} A; "
            f"found {_amperes(limit_ma)}",
            *("circuit", index, "limit_a"),
        )
    return replace(circuit, name=_or(entry.name, circuit.name), limit_ma=limit_ma)


def _charger(overlay: _Overlay, charger: Charger, index: int, entry: OperationCharger) -> Charger:
    if entry.max_ma is not None and entry.max_ma > charger.max_ma:
        overlay.complain(
            f"can only lower: {amperes_text(charger.max_ma)} A are installed; "
            f"found {amperes_text(entry.max_ma)}",
            *("charger", index, "max_a"),
        )
    if entry.max_ma is not None and entry.max_ma < charger.always_ma:
        overlay.complain(
            f"must be at least its min_a, {amperes_text(charger.always_ma)}, for it may never be "
            f"paused; found {amperes_text(entry.max_ma)}",
            *("charger", index, "max_a"),
        )
    return replace(
        charger,
        name=_or(entry.name, charger.name),
        weight=_or(entry.weight, charger.weight),
        class_rank=_or(entry.class_rank, charger.class_rank),
        ceiling_ma=entry.max_ma,
        advice=None if entry.advice is None else Advice(**entry.advice.model_dump()),
    )


def _amperes(each_ma: Phases) -> str:
    return " ".join(dict.fromkeys(map(amperes_text, each_ma)))


def _or(stated: Any, installed: Any) -> Any:
    return installed if stated is None else stated
