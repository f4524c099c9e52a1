"""One unit on a line is one device's, also where a device's connectors are units of their own."""

from dataclasses import replace
from typing import Any

import pytest

from controller.facts import ChargerFacts
from controller.site import DocumentError, Site, parse
from tests.documents import CHARGERS, METER_ENTRY, PLAIN, Shelf, charger, document

LINE = "rtu:///dev/ttyUSB0?baud=19200&parity=E&stop=1"
KINDS = {
    "twins": replace(PLAIN, name="twins", connectors=2),  # by registers of their own
    "units": replace(PLAIN, name="units", connectors=4, unit_stride=10),
}


class Kinds(Shelf):
    def charger(self, name: str) -> ChargerFacts:
        return (CHARGERS | KINDS)[name]


def at(name: str, unit: int, connector: int = 1, profile: str = "units") -> dict[str, Any]:
    return charger(id=name, bus=LINE, unit=unit, connector=connector, profile=profile)


def depot(*chargers: dict[str, Any], meter: dict[str, Any] | None = None) -> Site:
    meters = [METER_ENTRY | ({"bus": "tcp://192.0.2.1:502"} if meter is None else meter)]
    return parse(document(charger=list(chargers), meter=meters), Kinds())


def refused(*chargers: dict[str, Any], meter: dict[str, Any] | None = None) -> dict[str, str]:
    with pytest.raises(DocumentError) as caught:
        depot(*chargers, meter=meter)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_connectors_that_are_units_of_their_own_have_addresses_of_their_own() -> None:
    found = depot(*(at(f"c{n}", unit=1, connector=n) for n in (1, 2, 3, 4))).chargers
    assert [each.unit for each in found] == [1, 11, 21, 31]


@pytest.mark.parametrize("other", [at("b", 21), at("b", 21, profile="plain"), at("b", 11, 2)])
def test_a_connectors_unit_is_nobody_elses(other: dict[str, Any]) -> None:
    words = refused(at("a", unit=1, connector=3), other)["charger[1].bus (b)"]
    assert '"b" has the address of "a": unit 21 at rtu://' in words
    assert '"a" has the address of "b"' in refused(other, at("a", 1, 3))["charger[1].bus (a)"]


def test_nor_is_it_a_meters() -> None:
    words = refused(at("a", 1, 2), meter={"bus": LINE, "unit": 11})["charger[0].bus (a)"]
    assert words.startswith('"a" has the address of "main": unit 11 at rtu://')
    assert words.endswith("(its own unit, 1, and 10 more for connector 2)")


def test_nor_is_it_a_row_members() -> None:
    row = charger(id="b{n}", bus=LINE, unit="{n}", count=12, profile="plain")
    assert '"b11" has the address of "a"' in refused(at("a", 1, 2), row)["charger[1].bus (b{n})"]


def test_only_connectors_of_one_kind_of_device_share_a_unit() -> None:
    assert [each.unit for each in depot(at("a", 5, 1, "twins"), at("b", 5, 2, "twins")).chargers]
    words = refused(at("a", 5, 1, "plain"), at("b", 5, 2, "twins"))["charger[1].bus (b)"]
    assert '"b" has the address of "a": unit 5' in words
    words = refused(at("b", 5, 2, "twins"), meter={"bus": LINE, "unit": 5})["charger[0].bus (b)"]
    assert '"b" has the address of "main": unit 5' in words


@pytest.mark.parametrize(("unit", "connector", "found"), [(217, 4, 247), (218, 4, None)])
def test_a_connectors_unit_is_one_that_the_line_knows(
    unit: int, connector: int, found: int | None
) -> None:
    entry = at("a", unit, connector)
    if found is not None:
        assert depot(entry).chargers[0].unit == found
    else:
        assert 'found 248 for "a"' in refused(entry)["charger[0].unit (a)"]


def test_nor_is_it_more_than_an_address_can_say() -> None:
    entry = at("a", 250, 2) | {"bus": "tcp://192.0.2.9"}
    assert 'from 0 to 255; found "260" for "a"' in refused(entry)["charger[0].unit (a)"]
