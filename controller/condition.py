"""In what condition the depot is, in a word: for whoever stands before the gateway."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from controller.driver import Driver


class Condition(Enum):
    """The worst first."""

    LATCHED = "latched"  # at the fail-safe setpoints until somebody resets it
    DEGRADED = "degraded"  # something does not answer, is not believed, or is to be looked at
    NO_LINK = "no link"  # nobody hears of it elsewhere, and no limit arrives
    RUNNING = "running"


def condition_of(
    *, latched: bool, drivers: Iterable[Driver], doubted: bool, linked: bool
) -> Condition:
    if latched:
        return Condition.LATCHED
    if doubted or any(_ails(driver) for driver in drivers):
        return Condition.DEGRADED
    return Condition.RUNNING if linked else Condition.NO_LINK


def _ails(driver: Driver) -> bool:
    health = driver.health()
    return not health.online or health.error is not None
