"""What the proof counts of pins is what the plant draws when the process is killed, no less."""

from typing import Any

import pytest

from cext.plant import Car, Plant
from controller.document.lines import Line
from controller.hardware import build_plant, killed, let_go
from controller.plant import VirtualEnforcer
from controller.proof import prove
from controller.site import Site, parse
from hil.profiles import StoryProfiles

S = 1_000_000_000
WORST_A = 20


def site(pins_fall: bool, **gpio: Any) -> Site:
    """One that falls back to 6 A, one without a fallback behind a contactor, one on a pin."""
    bay = {"circuit": "grid", "max_a": 32, "poll_s": 0.5, "settle_s": 2}
    falls = {"profile": "alfen_eve", "fallback_a": 6, "fallback_delay_s": 5}
    guest = {"id": "guest", "circuit": "grid", "pin": 18, "rated_a": 16, "settle_s": 2}
    mirror = {"feedback_pin": 24, "feedback": "normally_closed", "min_on_s": 0}
    meter = {"id": "main", "circuit": "grid", "profile": "carlo_gavazzi_em24_ethernet"}
    return parse(
        {
            "schema": 1,
            "site": {"id": "virtual"},
            "control": {"dwell_s": 2, "calm_s": 5},
            "circuit": [{"id": "grid", "rating_a": 110, "worst_base_a": WORST_A}],
            "meter": [meter | {"bus": "tcp://192.0.2.99"}],
            "charger": [
                bay | falls | {"id": "falls", "bus": "tcp://192.0.2.1"},
                bay | {"id": "keeps", "profile": "alfen_eve", "bus": "tcp://192.0.2.2"},
                guest | mirror,
            ],
            "gpio": {"factory": "mock", "pins_fall": pins_fall},
            "output": [{"id": "cuts", "pin": 17, "charger": "keeps"}],
        },
        StoryProfiles(),
    )


def charging(depot: Site) -> Plant:
    """Every charger at work, with no base load beside them."""
    plant = build_plant(depot, seed=1)
    let_go(depot, plant)
    plant.advance(0)
    enforcer = VirtualEnforcer(depot, plant, 0)
    for index in range(len(depot.chargers)):
        plant.plug(index, Car(32_000, 3, S, energy_wh=60_000, taper_wh=0))
    enforcer.run_until(90 * S)
    assert plant.load(0)[0] > 78_000
    return plant


def drawn_ma(plant: Plant, until_s: int) -> int:
    """A while later, with all the base load that was declared."""
    plant.set_base(0, (WORST_A * 1000,) * 3)
    plant.advance(until_s * S)
    return plant.load(0)[0]


@pytest.mark.parametrize("pins_fall", [False, True])
def test_what_is_drawn_after_a_kill_is_what_the_proof_has_counted(pins_fall: bool) -> None:
    depot = site(pins_fall)
    counted = next(
        each.sum_ma
        for each in prove(depot).findings
        if (each.line, each.phase) == (Line.UNATTENDED, 0)
    )
    plant = charging(depot)
    killed(depot, plant)
    truth_ma = drawn_ma(plant, 110)
    assert truth_ma == WORST_A * 1000 + (6_000 if pins_fall else 6_000 + 32_000 + 16_000)
    assert truth_ma <= counted <= 103 * truth_ma // 100 + 500  # tolerance and standby


def test_without_power_every_pin_is_low() -> None:
    depot = site(pins_fall=False)
    plant = charging(depot)
    let_go(depot, plant)
    assert drawn_ma(plant, 110) == WORST_A * 1000 + 6_000


def test_the_next_start_opens_its_pins_at_rest() -> None:
    depot = site(pins_fall=False)
    plant = charging(depot)
    killed(depot, plant)
    plant.advance(110 * S)
    assert [plant.charger(2).offered_ma, plant.contactor(0)] == [16_000, True]
    enforcer = VirtualEnforcer(depot, plant, 110 * S)
    enforcer.run_until(110 * S + S // 10)
    assert [plant.charger(2).offered_ma, plant.contactor(0)] == [0, False]
