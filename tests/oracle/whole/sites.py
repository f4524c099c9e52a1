"""Random depots for the whole tick: some plain, so that what is told is what is drawn."""

from __future__ import annotations

import random

from tests.oracle.site import MS, Charger, Circuit, Meter, Site, random_site


def random_depot(rng: random.Random) -> Site:
    """One to six chargers below one to four circuits."""
    site = random_site(rng, rng.randint(1, 6), rng.randint(1, 4), metered=rng.random() < 0.8)
    if rng.random() < 0.5:
        site = site._replace(chargers=[plain(row) for row in site.chargers])
    if rng.random() < 0.5:
        site = site._replace(circuits=[generous(rng, row) for row in site.circuits])
    if rng.random() < 0.3:
        more = [_another(rng, row) for row in site.meters if not row.unsigned]
        site = site._replace(meters=[*site.meters, *more])
    return site


def _another(rng: random.Random, row: Meter) -> Meter:
    """A second source of the same circuit."""
    return row._replace(error_ma=rng.choice([0, 300]), lag_ns=rng.choice([50, 1000]) * MS)


def plain(row: Charger) -> Charger:
    """Without tolerance, own consumption and pacing: what it is told is what it draws."""
    return row._replace(tolerance_ppm=0, standby_ma=0, error_ma=0, write_gap_ns=0, step_ma=1)


def generous(rng: random.Random, row: Circuit) -> Circuit:
    """Its phases differ."""
    low, mid = (rng.randint(0, row.rating_ma[0]) for _ in "ab")
    return row._replace(
        rating_ma=(row.rating_ma[0], row.rating_ma[0] - low // 4, row.rating_ma[2] + mid)
    )
