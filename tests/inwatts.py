"""Chargers that are commanded in watts, as documents and drivers in tests know them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from controller.document.devices import Charger
from controller.facts import ChargerFacts, WattsFacts
from controller.units import PPM
from controller.watts import Watts
from drivers.library import library
from tests.documents import CHARGERS, METER, PLAIN
from tests.driven import charger as alike

HYC = "alpitronic_hyc"
PROFILE = library().charger_profile(HYC)
WALL = WattsFacts(
    commands_dc=False,
    per_phase=False,
    evenly=False,
    efficiency_ppm=PPM,
    power_factor_ppm=950_000,
    min_mw=4_140_000,
    max_mw=22_000_000,
    step_mw=100_000,
    writable_mw=None,
    pause_mw=0,
    zero_ends_session=False,
    measures=None,
)
FAST = replace(
    WALL,
    evenly=True,
    min_mw=5_000_000,
    max_mw=None,
    pause_mw=1_547_000,
    measures="dc",
    efficiency_ppm=920_000,
    zero_ends_session=True,
)


class Shelf:
    """Meters as elsewhere; chargers in amperes and in watts."""

    def meter(self, name: str) -> Any:
        return METER

    def charger(self, name: str) -> ChargerFacts:
        shelf = {
            **CHARGERS,
            "wall": replace(PLAIN, name="wall", watts=WALL),
            "fast": replace(PLAIN, name="fast", watts=FAST, standby_ma=500, connectors=2),
            "abrupt": replace(PLAIN, name="abrupt", watts=replace(FAST, pause_mw=0)),
            HYC: PROFILE.facts,
        }
        return shelf[name]


def charger_of(port: int = 502, **changes: Any) -> Charger:
    facts = PROFILE.facts
    assert facts.watts is not None
    watts = Watts.of(facts.watts)
    return alike(
        port,
        profile=HYC,
        facts=watts.in_amperes(facts),
        min_ma=7_250,
        max_ma=145_000,
        step_ma=145,
        fallback_ma=10_000,
        watts=watts,
        tolerance_ppm=watts.tolerance_ppm(30_000),
        **changes,
    )
