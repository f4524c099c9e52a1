"""Chargers that are commanded in watts, in the commissioning proof: what their currents mean."""

from collections.abc import Sequence
from typing import Any

from controller.commands.output import columns, say
from controller.document.devices import Charger
from controller.site import Site
from controller.units import MA_PER_A, PPM, PPM_PER_PCT, amperes_text
from controller.watts import LOWEST_PCT, Watts

HEADER = (
    *("chargers", "max A", "that is W", "efficiency %", "power factor", "tolerance %"),
    *("counts at A", "paused W", "counts at A"),
)


def say_powers(site: Site) -> None:
    """How watts become amperes, and the most that each of them may be."""
    rows = [_row(ids, charger, watts) for ids, charger, watts in _alike(site)]
    if not rows:
        return
    say("Commanded in watts: currents at nominal voltage, and what they count at, at the worst\n")
    for text in columns([HEADER, *rows], right=frozenset(range(1, 9))):
        say(f"   {text}")
    say(
        f"\n   counts at: max A x (1 + tolerance) / ({LOWEST_PCT / 100:g} of nominal voltage x "
        "efficiency x power factor), and its own consumption\n"
    )


def powers_json(site: Site) -> list[dict[str, Any]]:
    return [
        {
            "chargers": ids,
            "max_a": charger.max_ma / MA_PER_A,
            "max_w": watts.mw(charger.max_ma) // 1000,
            "efficiency_pct": watts.efficiency_ppm / PPM_PER_PCT,
            "power_factor": watts.power_factor_ppm / PPM,
            "counts_at_a": charger.draw_ma(charger.max_ma) / MA_PER_A,
            "pause_w": watts.pause_mw // 1000,
            "paused_a": charger.draw_ma(0) / MA_PER_A,
        }
        for ids, charger, watts in _alike(site)
    ]


def _alike(site: Site) -> list[tuple[list[str], Charger, Watts]]:
    """Chargers of which the same is to be said, and one of them."""
    found: dict[object, tuple[list[str], Charger, Watts]] = {}
    for each in site.chargers:
        if each.watts is not None:
            key = (each.watts, each.max_ma, each.own_tolerance_ppm, each.standby_ma)
            found.setdefault(key, ([], each, each.watts))[0].append(each.id)
    return list(found.values())


def _row(ids: Sequence[str], charger: Charger, watts: Watts) -> Sequence[str]:
    who = ids[0] if len(ids) == 1 else f"{ids[0]} … {ids[-1]} ({len(ids)})"
    return (
        who,
        amperes_text(charger.max_ma),
        str(watts.mw(charger.max_ma) // 1000),
        f"{watts.efficiency_ppm / PPM_PER_PCT:g}",
        f"{watts.power_factor_ppm / PPM:g}",
        f"{charger.own_tolerance_ppm / PPM_PER_PCT:g}",
        amperes_text(charger.draw_ma(charger.max_ma)),
        str(watts.pause_mw // 1000),
        amperes_text(charger.draw_ma(0)),
    )
