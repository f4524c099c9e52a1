"""Kernels that count wrongly, each in one thing: the guard, which does not, disputes them.

A kernel that was built from other rows than the guard is one that forgot a lag, a tolerance, a
parent. Nobody else watches here: what would also be seen from outside is not looked at.
"""

from collections.abc import Callable
from typing import Any

import pytest

from cext.tick import Kernel
from tests.door import Door, FalseVetoError, Rows, rows_of
from tests.oracle.depot import Car
from tests.oracle.promises import Watch
from tests.oracle.site import MS, Charger, Circuit, Meter, S, Site, Slot, flat
from tests.oracle.truth import Truth
from tests.oracle.world import World

Bend = Callable[[Rows], Rows]


def each(table: str, **changes: Any) -> Bend:
    """Every row of that table, with other values; a function makes one of the row."""

    def bend(rows: Rows) -> Rows:
        bent = [
            row._replace(**{k: v(row) if callable(v) else v for k, v in changes.items()})
            for row in getattr(rows, table)
        ]
        return Rows(**{**rows._asdict(), table: bent})

    return bend


def more(field: str, ma: int) -> Callable[[Any], Any]:
    return lambda row: tuple(each + ma for each in getattr(row, field))


def site() -> Site:
    """A feeder under a connection, six chargers, a slow meter that is a little off."""
    singles = [(i % 3, -1, -1) for i in range(6)]
    row = Charger(1, (0, 1, 2), tolerance_ppm=30_000, standby_ma=100, settle_ns=6 * S, step_ma=1)
    row = row._replace(lag_ns=S, error_ma=100, fallback_ma=28_000, power_on_ma=28_000)
    return Site(
        [
            Circuit(-1, flat(72_000), flat(60_000)),
            Circuit(0, flat(50_000), flat(6000)),
        ],
        [Meter(0, 500, S, 2 * S, 200 * MS)],
        [row._replace(phases=phases) for phases in singles],
        (Slot(0, flat(40_000), 30 * S),),
    )


def live(world: World) -> None:
    """Cars come and go, the building wakes and sleeps, a charger falls silent, a limit lapses."""
    world.limit(0, None, 1e6, 1e6)
    for index in range(6):
        world.plug(index, Car(32_000, 1, 2 * S, 1_030_000))
    world.run(40)
    for moment in range(6):
        world.base(0, flat(20_000 + 9_000 * (moment % 3)))
        world.want(moment % 6, 7000 if moment % 2 else 32_000)
        world.run(8)
        world.want((moment + 1) % 6, 32_000)
        world.run(8)
    world.want(0, 7000)
    world.want(3, 7000)
    world.run(30)
    world.silence(0, True)
    world.want(3, 32_000)
    world.base(0, flat(5000))
    world.run(40)
    world.silence(0, False)
    world.run(10)
    world.cut_meters.add(0)
    world.run(10)
    world.cut_meters.clear()
    world.run(20)
    world.limit(0, flat(30_000), 1e6, 5)
    world.run(60)


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watch, "_broken", lambda self, what: None)
    monkeypatch.setattr(Truth, "circuit", lambda self, circuit: None)
    monkeypatch.setattr(Truth, "_untrue", lambda self, *what: None)


def run(bend: Bend, metered: bool = True) -> None:
    class Bent(Door):
        def __init__(self, site: Site) -> None:
            super().__init__(site)
            self.kernel = Kernel(*bend(rows_of(site)))

    depot = site()
    chargers = [row._replace(metered=metered) for row in depot.chargers]
    live(World(depot._replace(chargers=chargers), Bent, seed=1))


WRONG: dict[str, Bend] = {
    "lag": each("sources", lag_ns=0),
    "meter_error": each("sources", error_ma=0),
    "meter_age": each("sources", max_age_ns=60 * S),
    "tolerance": each("chargers", tolerance_ppm=0),
    "standby": each("chargers", standby_ma=0),
    "settle": each("chargers", settle_ns=1),
    "charger_lag": each("chargers", lag_ns=0),
    "charger_error": each("chargers", error_ma=0),
    "charger_age": each("chargers", max_age_ns=60 * S),
    "fallback": each("chargers", fallback_ma=0, power_on_ma=0),
    "phase": each("chargers", phases=lambda row: ((row.phases[0] + 2) % 3, -1, -1)),
    "rating": each("circuits", rating_ma=more("rating_ma", 5000)),
    "worst_base": each("circuits", worst_base_ma=(0, 0, 0)),
    "parent": each("chargers", circuit=0),  # nobody is below the feeder
    "failsafe_cap": each("slots", failsafe_ma=more("failsafe_ma", 9000)),
    "hold": each("slots", hold_ns=0),
}


def test_a_kernel_that_counts_right_is_never_disputed() -> None:
    live(World(site(), Door, seed=1))


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("wrong", WRONG)
def test_a_kernel_that_counts_wrong_is_disputed(wrong: str) -> None:
    with pytest.raises(FalseVetoError):
        # A report of currents on other phases than the kernel's is none to it, and holds it back.
        run(WRONG[wrong], metered=wrong != "phase")
