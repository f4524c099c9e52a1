"""What goes on under a new document: what is still the same device."""

from dataclasses import replace
from typing import Any, cast

import pytest

from controller.depot import Depot, take_over
from controller.site import Site
from controller.tables import Tables
from tests.documents import CHARGERS, charger, site


def depot(made: Site) -> Depot:
    tables = Tables.of(made)
    kernel = tables.build_kernel()
    nothing = cast(Any, None)
    return Depot(made, tables, kernel, nothing, nothing, (), "observe")


def bays(first: int, second: int) -> Site:
    common = {"profile": "double", "bus": "tcp://192.0.2.9", "unit": 1}
    rows = [charger(id="a", connector=first, **common), charger(id="b", connector=second, **common)]
    return site(charger=rows)


def test_a_charger_at_another_connector_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel knew of the first connector says nothing of the second."""
    monkeypatch.setitem(CHARGERS, "double", replace(CHARGERS["plain"], name="double", connectors=2))
    assert take_over(depot(bays(1, 2)), depot(bays(1, 2))).chargers == {0: 0, 1: 1}
    assert take_over(depot(bays(1, 2)), depot(bays(2, 1))).chargers == {}
