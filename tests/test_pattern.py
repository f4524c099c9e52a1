"""Whether a current follows a pattern of steps: never by chance, and never without enough of it."""

from __future__ import annotations

import random

import pytest

from drivers.pattern import CODE, ROUNDS, Motion, slope

STEPS = [4_000.0 if stepped else 0.0 for stepped in CODE]


def seen(
    factor: float, noise_ma: float = 0, drift_ma: float = 0, seed: int = 1
) -> list[float | None]:
    chance = random.Random(seed)
    return [
        20_000 + factor * step + drift_ma * k + chance.uniform(-noise_ma, noise_ma)
        for k, step in enumerate(STEPS)
    ]


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.5, 2.0, -0.34])
def test_what_follows_is_told_with_its_size_and_direction(factor: float) -> None:
    found = slope(STEPS, seen(factor, noise_ma=100))
    assert found is not None
    assert found.motion is Motion.MOVED
    assert found.ratio == pytest.approx(factor, abs=0.06)


def test_what_stands_still_is_told_as_that() -> None:
    found = slope(STEPS, seen(0, noise_ma=100))
    assert found is not None
    assert found.motion is Motion.STILL


def test_a_drift_is_no_step() -> None:
    found = slope(STEPS, seen(0, drift_ma=1_500))
    assert found is not None
    assert found.motion is Motion.STILL
    found = slope(STEPS, seen(1, drift_ma=-1_500))
    assert found is not None
    assert found.ratio == pytest.approx(1)


def test_beside_a_load_as_large_as_the_steps_nobody_can_tell() -> None:
    found = slope(STEPS, seen(1, noise_ma=12_000))
    assert found is not None
    assert found.motion is Motion.UNKNOWN


def test_more_rounds_tell_what_one_does_not() -> None:
    chance = random.Random(3)
    steps = STEPS * ROUNDS
    values: list[float | None] = [step + chance.uniform(-2_000, 2_000) for step in steps]
    whole = slope(steps, values)
    first = slope(steps[: len(CODE)], values[: len(CODE)])
    assert first is not None
    assert whole is not None
    assert (first.motion, whole.motion) == (Motion.UNKNOWN, Motion.MOVED)


def test_chance_is_hardly_ever_taken_for_a_charger() -> None:
    """Loads that have nothing to do with it, stepping up to three times as far as it does."""
    fooled = 0
    for seed in range(2_000):
        chance = random.Random(seed)
        values: list[float | None] = [chance.choice((0, 12_000)) + 0.0 for _ in STEPS]
        found = slope(STEPS, values)
        assert found is not None
        fooled += found.motion is Motion.MOVED
    assert fooled <= 2_000 * 0.01


def test_a_load_that_comes_and_goes_regularly_is_not_the_code() -> None:
    for period in (1, 2, 3, 4):
        values: list[float | None] = [8_000.0 * (k // period % 2) for k in range(len(STEPS))]
        found = slope(STEPS, values)
        assert found is not None
        assert found.motion is not Motion.MOVED


def test_with_too_little_known_nothing_is_concluded() -> None:
    values: list[float | None] = [*seen(1)[:5], None, None, None]
    assert slope(STEPS, values) is None
    assert slope([0.0] * 8, seen(1)) is None  # nothing was varied
    known = seen(1)
    known[2] = None
    found = slope(STEPS, known)
    assert found is not None
    assert found.motion is Motion.MOVED
