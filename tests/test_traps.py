"""Two traps for a controller whose meter is slower than its chargers' reports."""

from copy import deepcopy

import pytest

from hil.bench_plant import run
from hil.profiles import StoryProfiles
from hil.story.expect import Trace, excesses
from hil.story.script import STORIES, Story, load, parse

LAGS_S = (0.2, 1.0, 2.0)
REACTION_S = 2.0  # of the vehicles
SEEN_S = 0.1 + 0.2 + 0.1  # the meter's refresh and poll, a tick and a write


def tell(name: str, lag_s: float) -> Trace:
    """The story with another meter lag, declared as it is."""
    story = load(STORIES / f"{name}.toml")
    site = deepcopy(story.site_document())
    site["meter"][0]["lag_s"] = lag_s + 0.1
    slow = story.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    slow |= {"site": site, "schema": 1}
    slow["meter"] = [{"id": "meter", "lag_s": lag_s, "refresh_s": 0.1}]
    changed: Story = parse(slow, name)
    return run(changed, StoryProfiles()).trace


def offered_a(trace: Trace, from_s: float, to_s: float | None = None) -> list[float]:
    return [sum(sample.offered_ma) / 1000 for sample in trace.between(from_s, to_s)]


@pytest.mark.parametrize("lag_s", LAGS_S)
def test_a_base_step_settles_once_near_the_fair_value(lag_s: float) -> None:
    trace = tell("trap_base_step", lag_s)  # 20 chargers, 60 A to 100 A of 400 A at 100 s
    before = offered_a(trace, 95, 99)
    after = offered_a(trace, 100)
    assert min(before) > 0.9 * 340
    (grid,) = excesses(trace)
    assert grid.longest_s <= lag_s + SEEN_S + REACTION_S
    assert min(after) >= 0.9 * 300  # never far below the fair value
    assert max(after[1:]) <= before[-1]  # never above what it was
    settled = offered_a(trace, 130)
    assert min(settled) > 0.92 * 300
    assert settled == sorted(settled, reverse=True)
    late = trace.between(130, None)
    for each in range(20):  # at the calm pace, what is kept above the targets goes
        assert len({sample.offered_ma[each] for sample in late}) <= 2, "once"
    least = min(min(sample.offered_ma) for sample in trace.between(100, None))
    assert least >= 13_000  # nobody was stopped


@pytest.mark.parametrize("lag_s", LAGS_S)
def test_unmetered_cars_that_wake_together_cost_one_reaction(lag_s: float) -> None:
    trace = tell("trap_wake", lag_s)  # 20 cars, 10 A of 32 A each; 500 A of base; 900 A
    assert min(offered_a(trace, 79, 79.5)) > 0.95 * 640
    (grid,) = excesses(trace)
    assert grid.worst_a > 200  # the trap is one
    assert grid.longest_s <= lag_s + SEEN_S + REACTION_S
    woke_s = 81 + REACTION_S / 2  # their ramp
    quiet = excesses(trace, woke_s + lag_s + SEEN_S + REACTION_S)
    assert quiet[0].worst_a == 0
    settled = offered_a(trace, 95)
    assert 0.9 * 400 <= min(settled) <= max(settled) <= 400
