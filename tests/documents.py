"""Small site documents and made-up device facts to test with."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from controller.facts import ChargerFacts, MeterFacts
from controller.site import DocumentError, Site, parse

Facts = TypeVar("Facts", MeterFacts, ChargerFacts)

S = 1_000_000_000

METER = MeterFacts(name="meter", phases=3, error_ma=100, lag_ns=S // 5)
PLAIN = ChargerFacts(
    name="plain",
    min_ma=6_000,
    max_ma=None,
    step_ma=100,
    tolerance_ppm=0,
    standby_ma=0,
    settle_ns=6 * S,
    metered=True,
    error_ma=100,
    lag_ns=S // 2,
    watchdog_timeout_ns=60 * S,
    has_fallback=True,
    watchdog_armed_after_power_on=True,
    power_on_is_fallback=True,
)
CHARGERS = {
    "plain": PLAIN,
    "hungry": replace(PLAIN, name="hungry", tolerance_ppm=30_000, standby_ma=100),
    "stubborn": replace(
        PLAIN,
        name="stubborn",
        max_ma=32_000,
        watchdog_timeout_ns=None,
        has_fallback=False,
        watchdog_armed_after_power_on=False,
        power_on_is_fallback=False,
    ),
    "forgetful": replace(PLAIN, name="forgetful", power_on_is_fallback=False),
    "coarse": replace(PLAIN, name="coarse", min_ma=8_000, max_ma=20_000, step_ma=1_000),
    "vague": replace(PLAIN, name="vague", watchdog_timeout_ns=None),
}
METERS = {"meter": METER, "single": replace(METER, phases=1)}


class Shelf:
    """The profiles above."""

    def meter(self, name: str) -> MeterFacts:
        return _take(METERS, name)

    def charger(self, name: str) -> ChargerFacts:
        return _take(CHARGERS, name)


def _take(shelf: Mapping[str, Facts], name: str) -> Facts:
    if name == "broken":
        raise ValueError("this profile contradicts itself")
    if name not in shelf:
        raise KeyError(f"there is no profile {name}")
    return shelf[name]


SHELF = Shelf()

Table = dict[str, Any]


def document(**sections: Any) -> Table:
    """A depot with two circuits, a meter, four chargers and a limit source; None leaves out."""
    whole = {
        "schema": 1,
        "site": {"id": "depot"},
        "circuit": [circuit("grid"), circuit("row", parent="grid", rating_a=63, worst_base_a=0)],
        "meter": [
            {"id": "main", "circuit": "grid", "profile": "meter", "bus": "tcp://192.0.2.1:502"}
        ],
        "charger": [charger(count=4)],
        "limit_source": [source()],
    }
    return {key: value for key, value in (whole | sections).items() if value is not None}


def circuit(name: str, **keys: Any) -> Table:
    return {"id": name, "rating_a": 100, "worst_base_a": 20} | keys


def slow_breaker(ir_a: float = 100, **keys: Any) -> Table:
    """A protective device that carries a steep overload for a minute."""
    return {"kind": "electronic", "ir_a": ir_a, "tr_s": 24, "instant_a": 3 * ir_a} | keys


def charger(**keys: Any) -> Table:
    """A row with `count`; without, one charger."""
    row = "count" in keys
    common = {
        "id": "bay-{n}" if row else "bay",
        "circuit": "row",
        "profile": "plain",
        "bus": "tcp://192.0.2.{n+10}" if row else "tcp://192.0.2.9",
        "max_a": 32,
        "fallback_a": 6,
    }
    return {key: value for key, value in (common | keys).items() if value is not None}


def clamp(**keys: Any) -> Table:
    common = {"id": "ct", "circuit": "grid", "format": "rpict7v1", "port": "/dev/ttyAMA0"}
    return common | keys


def source(**keys: Any) -> Table:
    common = {"id": "cloud", "circuit": "grid", "kind": "grid", "lease_s": 300, "failsafe_a": 80}
    return common | keys


def site(**sections: Any) -> Site:
    return parse(document(**sections), SHELF)


def problems(**sections: Any) -> dict[str, str]:
    """What is wrong with such a document: messages by path."""
    try:
        site(**sections)
    except DocumentError as error:
        return {problem.path: problem.message for problem in error.problems}
    return {}


GRID, ROW = circuit("grid"), circuit("row", parent="grid", worst_base_a=0)
METER_ENTRY: Table = document()["meter"][0]
