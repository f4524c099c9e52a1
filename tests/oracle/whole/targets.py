"""What each should have: exact fair shares under what the caps leave, by the shares oracle."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tests.oracle.shares import Want, exact_shares
from tests.oracle.site import Charger, Site, Triple
from tests.oracle.whole.limits import lower


def want(row: Charger, most_ma: int) -> Want:
    return Want(row.circuit, row.phases, row.min_ma, most_ma, row.weight, row.class_rank)


def shares(site: Site, rooms_ma: Sequence[Triple], most_ma: Sequence[int]) -> list[Fraction]:
    """Before rounding; for chargers without tolerance and consumption of their own."""
    parents = [row.parent for row in site.circuits]
    wants = [want(row, most) for row, most in zip(site.chargers, most_ma, strict=True)]
    return exact_shares(parents, list(rooms_ma), wants)


def on_step(row: Charger, share_ma: Fraction | int) -> int:
    """Rounded down to a setpoint that it takes; 0 below its minimum."""
    setpoint = share_ma.__floor__() // row.step_ma * row.step_ma
    return setpoint if setpoint >= row.min_ma else 0


def failsafe_rooms(site: Site, worst_ma: Sequence[Triple]) -> list[Triple]:
    """What ratings and fail-safe caps leave beside the worst-case base loads."""
    rooms = []
    for circuit, row in enumerate(site.circuits):
        cap = row.rating_ma
        for slot in site.slots:
            if slot.circuit == circuit:
                cap = lower(cap, slot.failsafe_ma)
        worst = worst_ma[circuit]
        rooms.append((cap[0] - worst[0], cap[1] - worst[1], cap[2] - worst[2]))
    return rooms


def failsafe(site: Site, worst_ma: Sequence[Triple]) -> list[int]:
    """Each charger's fail-safe setpoint: its fair share then, and never more than its fallback.

    Nobody is given more than its fallback to begin with: what it may not have, others may.
    """
    rooms = failsafe_rooms(site, worst_ma)
    fair = shares(site, rooms, [min(row.max_ma, row.fallback_ma) for row in site.chargers])
    return [on_step(row, share) for row, share in zip(site.chargers, fair, strict=True)]


def is_plain(site: Site) -> bool:
    """Whether what a charger is told is what it draws: then shares are exact."""
    return all(row.tolerance_ppm == 0 and row.standby_ma == 0 for row in site.chargers)
