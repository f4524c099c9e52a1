"""Where devices sit: ids and bus addresses, each taken once; rows counted out."""

import re
from typing import NamedTuple

from controller.document.buses import Bus, Buses, SerialAddress
from controller.document.draft import Draft
from controller.document.entries.base import SLUG
from controller.document.entries.charger import ChargerEntry
from controller.document.entries.clamp import ClampEntry
from controller.document.entries.meter import MeterEntry
from controller.document.patterns import expand, is_pattern
from controller.document.problems import found

UNIT_MAX = 247  # of a Modbus serial line; 0 speaks to all, and nobody answers


class Seat(NamedTuple):
    id: str
    name: str
    bus: Bus
    unit: int  # of its own, if it is a connector that has one


class _Place(NamedTuple):
    """Where a device is asked; one unit is one device's, and its connectors' if they share it."""

    unit: int
    device: str = ""  # the kind of device whose connectors have one unit in common
    connector: int = 1
    above: int = 0  # by so much the unit is higher than the document's, for its connector

    def clashes(self, other: "_Place") -> bool:
        shared = self.device and self.device == other.device
        return not shared or self.connector == other.connector


class Seats:
    """Hands out the seats of all devices; complains about what is wrong or taken."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._buses = Buses(draft)
        self._ids: dict[str, str] = {}
        self._taken: dict[tuple[str, int], list[tuple[_Place, str]]] = {}  # by bus and unit

    def of_meter(self, index: int, meter: MeterEntry) -> Seat | None:
        return self._seat("meter", index, meter.id, "", meter.bus, _Place(meter.unit))

    def of_clamp(self, index: int, clamp: ClampEntry) -> str | None:
        """The path of its port; None after a complaint. Call it after all buses were named."""
        self.take_id("clamp", index, clamp.id)
        return self._buses.take_port(clamp.port, clamp.id, "clamp", index, "port")

    def of_row(self, index: int, row: ChargerEntry, bus: str, unit_stride: int = 0) -> list[Seat]:
        """One seat for each member; fewer, after a complaint, when one is in the way.

        `unit_stride`: from the unit of one connector to the next one's; 0: all have the same.
        """
        unit = str(row.unit)
        if not self._patterns_fit(index, row, bus):
            return []
        seats = []
        for n in range(row.first, row.first + (row.count or 1)):
            texts = [expand(text, n) for text in (row.id, row.name, bus, unit)]
            seat = self._member(index, row, unit_stride, *texts)
            if seat is None:
                break  # the others would only say the same
            seats.append(seat)
        return seats

    def take_id(self, section: str, index: int, name: str) -> None:
        """Complains when another device has the id."""
        if name in self._ids:
            self._draft.complain(
                f"{self._ids[name]} has the id {found(name)}, too; every device needs its own",
                *(section, index, "id"),
            )
        self._ids.setdefault(name, f"{section}[{index}]")

    def _patterns_fit(self, index: int, row: ChargerEntry, bus: str) -> bool:
        """Whether braces stand only where a row counts, and its id does count."""
        fits = True
        for key, text in (("id", row.id), ("name", row.name), ("bus", bus), ("unit", row.unit)):
            try:
                expand(str(text), 0)
            except ValueError as error:
                self._draft.complain(f"{error}; found {found(text)}", "charger", index, key)
                fits = False
            if row.count is None and is_pattern(str(text)):
                self._draft.complain(
                    f"counts, but without a count this is one charger: {found(text)}",
                    *("charger", index, key),
                )
                fits = False
        if (row.count or 1) > 1 and not is_pattern(row.id):
            self._draft.complain(
                f'must count, such as "bay-{{n:02}}"; found {found(row.id)}', "charger", index, "id"
            )
            fits = False
        return fits

    def _member(
        self,
        index: int,
        row: ChargerEntry,
        unit_stride: int,
        name: str,
        title: str,
        bus: str,
        unit: str,
    ) -> Seat | None:
        if not re.fullmatch(SLUG, name):
            self._draft.complain(
                f"must be small letters, digits and -, such as bay-01; found {found(name)}",
                *("charger", index, "id"),
            )
            return None
        above = (row.connector - 1) * unit_stride
        if not unit.isdecimal() or int(unit) + above > 255:
            said = found(str(int(unit) + above)) if above and unit.isdecimal() else found(unit)
            self._draft.complain(
                f"must be a whole number from 0 to 255; found {said} for {found(name)}"
                f"{_with(above, row.connector)}",
                *("charger", index, "unit"),
            )
            return None
        if unit_stride:
            place = _Place(int(unit) + above, "", row.connector, above)
        else:
            place = _Place(int(unit), row.profile or "", row.connector)
        return self._seat("charger", index, name, title, bus, place)

    def _seat(
        self, section: str, index: int, name: str, title: str, bus_name: str, place: _Place
    ) -> Seat | None:
        self.take_id(section, index, name)
        bus = self._buses.find(bus_name, section, index, "bus")
        if bus is None:
            return None
        unit = place.unit
        if isinstance(bus.address, SerialAddress) and not 1 <= unit <= UNIT_MAX:
            self._draft.complain(
                f"must be from 1 to {UNIT_MAX} on a serial line; found {unit} for {found(name)}"
                f"{_with(place.above, place.connector)}",
                *(section, index, "unit"),
            )
            return None
        taken = self._taken.setdefault((bus.url, unit), [])
        for there, other in taken:
            if there.clashes(place):
                self._draft.complain(
                    f"{found(name)} has the address of {found(other)}: unit {unit} at {bus.url}"
                    f"{_why(place, there, other)}",
                    *(section, index, "bus"),
                )
                break
        else:
            taken.append((place, name))
        return Seat(name, title, bus, unit)


def _why(place: _Place, there: _Place, other: str) -> str:
    """What is not to be seen in the document at a glance."""
    if place.above:
        own = place.unit - place.above
        return f" (its own unit, {own}, and {place.above} more for connector {place.connector})"
    if there.above:
        own = there.unit - there.above
        more = f"{there.above} more for connector {there.connector}"
        return f" ({found(other)} has unit {own}, and {more})"
    return f", connector {place.connector}" if place.connector > 1 else ""


def _with(above: int, connector: int) -> str:
    return f", with {above} for connector {connector}" if above else ""
