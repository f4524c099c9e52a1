"""Lines 3 and 5 of the proof, against what protects a circuit."""

import json
from pathlib import Path
from typing import Any

import pytest

from controller.__main__ import main
from controller.proof import Proof, prove
from controller.site import Site
from controller.transition import Transition
from tests.documents import Table, charger, circuit, problems, site, slow_breaker
from tests.test_derogations import derogation

S = 1_000_000_000
ROW = circuit("row", parent="grid", rating_a=100, worst_base_a=0)
EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "north-depot.toml"


def depot(protection: Table | None = None, chargers: Table | None = None, **keys: Any) -> Site:
    """A measured grid of 100 A with 20 A base load; four chargers of 32 A could fill it."""
    others = ("meter", "output", "gpio", "derogation")
    sections = {key: keys.pop(key) for key in others if key in keys}
    grid = circuit("grid", **({"protection": protection} if protection else {}), **keys)
    entries = [charger(**({"count": 4, "fallback_delay_s": 30} | (chargers or {})))]
    return site(circuit=[grid, ROW], charger=entries, limit_source=None, **sections)


def grid(made: Site | Proof, phase: int = 0) -> Transition:
    proof = made if isinstance(made, Proof) else prove(made)
    return [each for each in proof.transitions if each.circuit == "grid"][phase]


def test_the_worst_moment_is_full_load_and_then_the_worst_base_load() -> None:
    found = grid(depot(slow_breaker()))
    assert (found.base_ma, found.chargers_ma, found.sum_ma) == (20_000, 100_000, 120_000)
    assert found.needs_ns == (2 + 30 + 6) * S  # dead man, watchdog, vehicle
    assert found.excess_ma == 20_000
    assert found.passed
    assert not found.remedies


def test_what_nobody_stated_carries_no_excess() -> None:
    proof = prove(depot())
    found = grid(proof)
    assert (found.device, found.trips_ns, found.passed) == (None, 0, False)
    assert not proof.passed
    assert found.remedies[0].action.startswith("state what protects grid")
    assert prove(depot(rating_a=120)).passed, "where there is no excess nothing has to carry it"


def test_a_base_load_above_its_rating_where_no_charger_draws_is_refused_and_not_a_crash() -> None:
    proof = prove(depot(slow_breaker(), {"phases": "L1"}, worst_base_a=[0, 130, 0]))
    assert not proof.passed
    assert [each.phase for each in proof.findings if not each.passed] == [1, 1]
    assert grid(proof, 1).slowest == ""


def test_a_device_that_is_too_fast_fails_and_each_remedy_would_help() -> None:
    mcb = {"kind": "mcb", "in_a": 100, "curve": "C", "ambient_c": 30}
    found = grid(depot(mcb))
    assert not found.passed
    assert found.trips_ns is not None
    assert found.trips_ns < 5 * S
    told = [each.action for each in found.remedies]
    assert any("fallback_delay_s" in action for action in told)
    assert any("fastest" in action for action in told)
    (reserve,) = (action for action in told if "reserve_a" in action)
    assert reserve.endswith("reserve_a = 7")  # 120 A less the 113 A that it carries for an hour
    assert grid(depot(mcb, reserve_a=7)).passed
    assert not grid(depot(mcb, reserve_a=6.9)).passed
    slow = mcb | {"ambient_c": 30, "fastest": {"times": 2.5, "s": 100}}
    assert grid(depot(slow)).passed
    assert not grid(depot(slow, chargers={"fallback_delay_s": 600})).passed


def test_chargers_behind_a_relay_are_gone_sooner() -> None:
    keys: Any = {
        "gpio": {"factory": "lgpio", "pins_fall": True},
        "output": [{"id": "k", "pin": 17, "drops": "row", "opens_s": 0.2}],
    }
    found = grid(depot(slow_breaker(), **keys))
    assert found.needs_ns == 2 * S + S // 5


def test_one_that_nobody_knows_when_it_falls_back_draws_for_ever() -> None:
    keys = {"profile": "stubborn", "fallback_a": None, "fallback_delay_s": None}
    found = grid(depot(slow_breaker(), keys))
    assert (found.needs_ns, found.passed) == (None, False)
    assert any("fallback_delay_s" in each.action for each in found.remedies)


def test_only_those_that_have_not_fallen_back_draw_on() -> None:
    """Two fall after 38 s, two after 98 s: meanwhile 2 x 6 A + 2 x 32 A + 20 A = 96 A."""
    entries = [
        charger(count=2, fallback_delay_s=30),
        charger(count=2, id="x-{n}", bus="tcp://x{n}", fallback_delay_s=90),
    ]
    made = site(
        circuit=[circuit("grid", protection=slow_breaker()), ROW],
        charger=entries,
        limit_source=None,
    )
    found = grid(made)
    assert found.needs_ns == 38 * S
    assert found.slowest.startswith("x-")


def test_where_nothing_measures_the_room_is_kept() -> None:
    found = grid(depot(None, meter=None))
    assert (found.sum_ma, found.passed) == (100_000, True)


def test_credited_export_bounds_nothing() -> None:
    """What is fed in may be given away, and may be gone the next moment."""
    found = grid(depot(slow_breaker(), credit_export=True))
    assert found.sum_ma == 20_000 + 100_000, "the row's rating does"
    wide = site(
        circuit=[circuit("grid", protection=slow_breaker(), credit_export=True)],
        charger=[charger(count=4, circuit="grid")],
        limit_source=None,
    )
    assert grid(wide).sum_ma == 20_000 + 128_000


def test_it_is_derogated_by_excess_and_time() -> None:
    mcb = {"kind": "mcb", "in_a": 100, "curve": "C", "ambient_c": 30}

    def proof(**keys: Any) -> Proof:
        entries = [
            derogation(
                **({"line": "transition", "circuit": "grid", "excess_a": 20} | keys),
                trips_after_s=keys.get("trips_after_s", 38),
            )
            if "trips_after_s" not in keys
            else derogation(**({"line": 3, "circuit": "grid", "excess_a": 20} | keys)),
            derogation(line="reaction", circuit="grid", excess_a=20, trips_after_s=60),
        ]
        return prove(depot(mcb, derogation=entries))

    assert proof().passed
    assert proof().derogated
    assert not proof(trips_after_s=37).passed
    assert not proof(excess_a=19.9).passed


def test_the_reaction_is_held_against_the_device_too() -> None:
    mccb = {"kind": "mccb", "in_a": 100}
    proof = prove(depot(mccb))
    (reaction,) = proof.reactions
    assert (reaction.circuit, reaction.source, reaction.device) == ("grid", None, "MCCB 100 A")
    assert reaction.peak_ma == (120_000,) * 3
    assert reaction.allowed_ns == pytest.approx(8.2 * S, rel=0.01)
    assert reaction.passed
    slow = depot(mccb, base_step_a=20, chargers={"settle_s": 9})
    assert not prove(slow).reactions[0].passed
    (hour,) = prove(depot(mccb, base_step_a=3)).reactions
    assert hour.allowed_ns == 3600 * S, "103 A are carried for an hour, by no standard for ever"


def test_a_rating_beyond_what_warm_air_leaves_is_refused() -> None:
    hot = {"kind": "mcb", "in_a": 100, "curve": "C", "ambient_c": 60}
    told = problems(circuit=[circuit("row", protection=hot)], meter=None, limit_source=None)
    assert "at 60 °C (ambient_c), 70 A; found 100" in told["circuit[0].rating_a (row)"]


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"ambient_c": 90}, "circuit[0].protection.ambient_c (row)"),
        ({"ambient_c": 20.5}, "circuit[0].protection.ambient_c (row)"),
        ({"fastest": {"times": 2.5}}, "circuit[0].protection.fastest.s (row)"),
        ({"fastest": {"times": 9, "s": 1}}, "circuit[0].protection.fastest.times (row)"),
        ({"instant_a": 500}, "circuit[0].protection.instant_a (row)"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(keys: Table, path: str) -> None:
    mcb = {"kind": "mcb", "in_a": 100, "curve": "C"} | keys
    told = problems(circuit=[circuit("row", protection=mcb)], meter=None, limit_source=None)
    assert list(told) == [path]


def test_a_small_fuse_is_known_by_its_maker_only() -> None:
    fuse = {"kind": "fuse", "in_a": 10}
    told = problems(
        circuit=[circuit("row", rating_a=8, protection=fuse)], meter=None, limit_source=None
    )
    assert "a fuse below 16 A" in told["circuit[0].protection.fastest (row)"]


def test_check_prints_current_factor_and_times(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLE)]) == 0
    out = capsys.readouterr().out
    assert "3  Transition" in out
    row = next(line for line in out.splitlines() if "electronic release 400 A, tr 16 s" in line)
    assert row.split()[-7:] == ["120", "310", "430", "1.07", "8", "-", "ok"]
    assert main(["check", "--json", str(EXAMPLE)]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["transitions"][0]["times_in"] == 1.075
    assert told["reactions"][0]["device"] == "electronic release 400 A, tr 16 s"
