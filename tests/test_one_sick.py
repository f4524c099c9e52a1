"""One sick charger changes nothing for the others but their share.

Twins: the same depot through the same ten minutes, one of them with a charger that is ill. The
transformer is wide, the two rows are narrow. Where the sick one stands, the others lose what it may
draw and no more; in the other row nobody notices, order for order.
"""

from collections.abc import Callable
from typing import Any

import pytest

from cext.plant import Car, Plant
from controller.hardware import build_plant
from controller.plant import VirtualEnforcer
from controller.site import Site, parse
from hil.profiles import StoryProfiles
from tests.depots import S

SICK = 1  # the second of four in row-a
MAX_MA = 32_000
ROW_MA = 80_000


def site(profile: str) -> Site:
    chargers = [
        {
            "id": f"{row}-{{n}}",
            "count": 4,
            "circuit": row,
            "profile": profile,
            "bus": f"tcp://{row}-{{n}}:502",
            "max_a": 32,
            "fallback_a": 6,
            "fallback_delay_s": 10,
            "poll_s": 1,
            "settle_s": 5,
        }
        for row in ("row-a", "row-b")
    ]
    rows = [
        {"id": row, "parent": "grid", "rating_a": ROW_MA // 1000, "worst_base_a": 5}
        for row in ("row-a", "row-b")
    ]
    meters = [
        {
            "id": f"{each}-meter",
            "circuit": each,
            "profile": "carlo_gavazzi_em24_ethernet",
            "bus": f"tcp://{each}:502",
            "poll_s": 0.5,
        }
        for each in ("grid", "row-a", "row-b")
    ]
    document: dict[str, Any] = {
        "schema": 1,
        "site": {"id": "twins"},
        "control": {"dwell_s": 4, "calm_s": 10, "turn_s": 60},
        "circuit": [{"id": "grid", "rating_a": 630, "worst_base_a": 100}, *rows],
        "meter": meters,
        "charger": chargers,
    }
    return parse(document, StoryProfiles())


class Twin:
    """A depot through ten minutes; `ill` happens to its charger SICK."""

    def __init__(self, of: Site, ill: Callable[["Twin", int], None]) -> None:
        self.site = of
        self.plant: Plant = build_plant(of, 1)
        self.plant.advance(0)
        self.silent: set[str] = set()
        self.deaf: set[str] = set()
        self.enforcer = VirtualEnforcer(of, self.plant, 0, self.silent, deaf=self.deaf)
        self.orders: list[list[int | None]] = []
        for second in range(600):
            if second in (5, 200, 400):  # vehicles come, at last in every bay
                for index in range(0, 8, {5: 4, 200: 2, 400: 1}[second]):
                    self.plant.plug(index, Car(MAX_MA, 3, 2 * S, 80_000, 0))
            if second % 60 == 30:
                base_ma = 4_000 if second % 120 == 30 else 0
                for row in (1, 2):
                    self.plant.set_base(row, (base_ma,) * 3)
            ill(self, second)
            self.enforcer.run_until((second + 1) * S)
            outputs = [self.enforcer.kernel.output(index) for index in range(8)]
            self.orders.append([output.setpoint_ma for output in outputs])

    @property
    def sick(self) -> str:
        return self.site.chargers[SICK].id


def healthy(_: Twin, __: int) -> None:
    """Nothing."""


def silent(twin: Twin, second: int) -> None:
    (twin.silent.add if second >= 250 else twin.silent.discard)(twin.sick)


def stubborn(twin: Twin, second: int) -> None:
    if second == 401:
        twin.plant.set_obeys(SICK, obeys=False)


def lying(twin: Twin, second: int) -> None:
    twin.plant.set_told(SICK, (0, 3_000, MAX_MA)[second // 7 % 3])


def rebooting(twin: Twin, second: int) -> None:
    if second % 20 == 0:
        twin.plant.power_cycle(SICK)


def nervous(twin: Twin, second: int) -> None:
    if second > 400:
        twin.plant.set_car_max(SICK, MAX_MA if second % 3 else 0)


def deaf(twin: Twin, second: int) -> None:
    (twin.deaf.add if second % 90 > 45 else twin.deaf.discard)(twin.sick)


ILLS = [silent, stubborn, lying, rebooting, nervous, deaf]


@pytest.mark.parametrize("profile", ["alfen_eve", "unmetered"])
def test_one_sick_charger_changes_nothing_for_the_others_but_their_share(profile: str) -> None:
    of = site(profile)
    well = Twin(of, healthy)
    assert well.orders[-1][4:] != [MAX_MA] * 4, "the rows are too narrow for all"
    others = [0, 2, 3]
    for ill in ILLS:
        twin = Twin(of, ill)
        assert [row[4:] for row in twin.orders] == [row[4:] for row in well.orders], ill.__name__
        # In its own row the others keep their share of what it leaves at its worst.
        worst_ma = MAX_MA * (1_000_000 + of.chargers[SICK].tolerance_ppm) // 1_000_000
        left_ma = ROW_MA - 5_000 - worst_ma - of.chargers[SICK].standby_ma
        tail = twin.orders[-60:]
        for second in range(60):
            given = [tail[second][index] or 0 for index in others]
            assert all(ma >= 6_000 for ma in given), (ill.__name__, given)
        best_ma = max(sum(row[index] or 0 for index in others) for row in tail)
        assert best_ma >= left_ma * 3 // 4, (ill.__name__, best_ma, left_ma)
