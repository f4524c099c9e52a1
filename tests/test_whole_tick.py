"""The kernel and the oracle's whole-tick model side by side (tests/whole.py), a few histories."""

import random
from typing import Any

import pytest

from cext.rows import Rule
from tests import still
from tests.door import kernel_of
from tests.oracle.whole import targets
from tests.oracle.whole.sites import random_depot
from tests.whole import BEYOND, DifferentError, Tally, tell


@pytest.mark.parametrize("block", range(4))
def test_the_kernel_decides_within_what_the_rules_permit(block: int) -> None:
    tally = Tally()
    for seed in range(10_000 + block, 10_016, 4):
        tell(seed, tally, ticks=120)
    assert tally.known.keys() <= {BEYOND}, "no other difference is let pass"
    assert tally.compared["order"] > 500
    least = {"slot": 95, "cap": 99, "fresh": 100, "draw_hi": 70, "excess": 90, "order": 15}
    for kind, percent in least.items():
        assert 100 * tally.pinned[kind] >= percent * tally.compared[kind], kind


@pytest.mark.parametrize("seed", [109, 137])
def test_a_charger_that_falls_silent_before_a_tick_saw_it_settle(seed: int) -> None:
    """It still counts with what it was told, and a suspected one with what it drew."""
    tell(seed, Tally())


@pytest.mark.parametrize("seed", [1253, 1309, 1352])
def test_several_sources_and_chargers_that_were_not_heard_yet(seed: int) -> None:
    """Each source has credits of its own; what is read after a start lowers whoever listens."""
    tell(seed, Tally())


def test_failsafe_setpoints_are_exact_shares() -> None:
    for seed in range(300):
        site = random_depot(random.Random(seed))
        if not targets.is_plain(site):
            continue
        kernel = kernel_of(site)
        worst = [row.worst_base_ma for row in site.circuits]
        for index, should in enumerate(targets.failsafe(site, worst)):
            row, said = site.chargers[index], kernel.failsafe_ma(index)
            off_by_one = targets.on_step(row, should - 1)
            assert said in (should, off_by_one), f"seed {seed}, charger {index}: {said}, {should}"


def test_a_still_depot_settles_on_exact_shares() -> None:
    """Nobody has more than his share; what is missing to it is too little to be worth a change."""
    exact = orders = 0
    for seed in range(16):
        site, base_ma = still.still_depot(seed)
        ordered, shares = still.settle(site, base_ma, 240), still.fair(site, base_ma)
        for index, (ma, share) in enumerate(zip(ordered, shares, strict=True)):
            assert share - 500 <= ma <= share + 1, f"seed {seed}, charger {index}: {ma} of {share}"
            orders, exact = orders + 1, exact + (share - ma <= 1)
    assert exact >= 0.9 * orders


@pytest.mark.parametrize("what", ["draw_hi_ma", "base_hi_ma", "cap_ma", "excess_ma"])
def test_the_model_notices(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel tells is bent a little: some history finds it."""

    class Liar:
        def __init__(self, kernel: Any) -> None:
            self._kernel = kernel

        def __getattr__(self, name: str) -> Any:
            real = getattr(self._kernel, name)
            if name != "circuit":
                return real
            return lambda index: bent(real(index))

    def bent(state: Any) -> Any:
        more = 700 if what in ("excess_ma", "cap_ma") else -700
        return state._replace(**{what: tuple(ma + more for ma in getattr(state, what))})

    monkeypatch.setattr("tests.whole.kernel_of", lambda site: Liar(kernel_of(site)))
    with pytest.raises(DifferentError, match="seed 1, tick"):
        for _ in range(3):
            tell(1, Tally(), ticks=60)


def test_the_model_notices_an_order_above_what_is_permitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Bold:
        def __init__(self, kernel: Any) -> None:
            self._kernel = kernel

        def __getattr__(self, name: str) -> Any:
            real = getattr(self._kernel, name)
            if name == "output":
                return lambda index: bold(real(index))
            return real

    def bold(out: Any) -> Any:
        if out.why.rule != Rule.SILENT or out.setpoint_ma is None:
            return out
        return out._replace(setpoint_ma=out.setpoint_ma + 1000)

    monkeypatch.setattr("tests.whole.kernel_of", lambda site: Bold(kernel_of(site)))
    with pytest.raises(DifferentError, match="silent"):
        for seed in range(1, 60):
            tell(seed, Tally())
