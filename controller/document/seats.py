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
    unit: int


class Seats:
    """Hands out the seats of all devices; complains about what is wrong or taken."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._buses = Buses(draft)
        self._ids: dict[str, str] = {}
        self._addresses: dict[tuple[str, int, int], str] = {}

    def of_meter(self, index: int, meter: MeterEntry) -> Seat | None:
        return self._seat("meter", index, meter.id, "", meter.bus, meter.unit)

    def of_clamp(self, index: int, clamp: ClampEntry) -> str | None:
        """The path of its port; None after a complaint. Call it after all buses were named."""
        self.take_id("clamp", index, clamp.id)
        return self._buses.take_port(clamp.port, clamp.id, "clamp", index, "port")

    def of_row(self, index: int, row: ChargerEntry, bus: str) -> list[Seat]:
        """One seat for each member; fewer, after a complaint, when one is in the way."""
        unit = str(row.unit)
        if not self._patterns_fit(index, row, bus):
            return []
        seats = []
        for n in range(row.first, row.first + (row.count or 1)):
            texts = [expand(text, n) for text in (row.id, row.name, bus, unit)]
            seat = self._member(index, row.connector, *texts)
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
        self, index: int, connector: int, name: str, title: str, bus: str, unit: str
    ) -> Seat | None:
        if not re.fullmatch(SLUG, name):
            self._draft.complain(
                f"must be small letters, digits and -, such as bay-01; found {found(name)}",
                *("charger", index, "id"),
            )
            return None
        if not unit.isdecimal() or int(unit) > 255:
            self._draft.complain(
                f"must be a whole number from 0 to 255; found {found(unit)} for {found(name)}",
                *("charger", index, "unit"),
            )
            return None
        return self._seat("charger", index, name, title, bus, int(unit), connector)

    def _seat(
        self,
        section: str,
        index: int,
        name: str,
        title: str,
        bus_name: str,
        unit: int,
        connector: int = 1,
    ) -> Seat | None:
        self.take_id(section, index, name)
        bus = self._buses.find(bus_name, section, index, "bus")
        if bus is None:
            return None
        if isinstance(bus.address, SerialAddress) and not 1 <= unit <= UNIT_MAX:
            self._draft.complain(
                f"must be from 1 to {UNIT_MAX} on a serial line; found {unit} for {found(name)}",
                *(section, index, "unit"),
            )
            return None
        other = self._addresses.setdefault((bus.url, unit, connector), name)
        if other != name:
            which = f", connector {connector}" if connector > 1 else ""
            self._draft.complain(
                f"{found(name)} has the address of {found(other)}: unit {unit} at {bus.url}{which}",
                *(section, index, "bus"),
            )
        return Seat(name, title, bus, unit)
