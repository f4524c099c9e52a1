"""Times that a story is known by, read from its trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cext.rows import Phases
from hil.story.expect import Sample, Trace
from hil.story.gateway_events import CrashLoop, Kill, Leave, Stall, Stop
from hil.story.happenings import SetBase
from hil.story.script import Story
from hil.story.words import Event


def measure(
    story: Story, trace: Trace, ratings_ma: Sequence[Phases], alone_ma: Sequence[int] = ()
) -> dict[str, float]:
    """`base_step_s`: from a base step until back under every cap, the longest of them.
    `enforcer_killed_s`: from the enforcer's death until under every rating for good.
    `to_fallback_s`: from when the enforcer stood still, or went, until every charger offers no
    more than what it does alone (`alone_ma`), the longest of them.
    Nothing where nothing was exceeded.
    """

    def over_cap(sample: Sample) -> bool:
        return max(sample.excess_ma) > trace.tolerance_ma

    def over_rating(sample: Sample) -> bool:
        return any(
            load > most + trace.tolerance_ma
            for circuit in zip(sample.load_ma, ratings_ma, strict=True)
            for load, most in zip(*circuit, strict=True)
        )

    def above(sample: Sample) -> bool:
        pairs = zip(sample.offered_ma, alone_ma, strict=True)
        return any(offered > alone for offered, alone in pairs)

    steps = [each for each in story.events() if isinstance(each, SetBase) and each.t_s > 0]
    kills = [
        each for each in story.events() if isinstance(each, Kill) and each.process == "enforcer"
    ]
    found = {}
    if kills:
        last_s = [_last_s(_after(trace, event), over_rating) for event in kills]
        found["enforcer_killed_s"] = max(last_s)
    elif steps:
        found["base_step_s"] = max(_first_s(_after(trace, event), over_cap) for event in steps)
    gone = [each for each in story.events() if _goes(each)]
    if gone and alone_ma:
        found["to_fallback_s"] = max(_first_s(_after(trace, each), above) for each in gone)
    return {name: round(value_s, 2) for name, value_s in found.items() if value_s > 0}


def _goes(event: Event) -> bool:
    killed = isinstance(event, Kill) and event.process == "enforcer"
    return killed or isinstance(event, Stall | Stop | CrashLoop | Leave)


def _after(trace: Trace, event: Event) -> list[Sample]:
    """Samples from an event on, with the time since."""
    return [s._replace(t_s=s.t_s - event.t_s) for s in trace.samples if s.t_s >= event.t_s]


def _last_s(samples: Sequence[Sample], over: Callable[[Sample], bool]) -> float:
    return max((sample.t_s for sample in samples if over(sample)), default=0.0)


def _first_s(samples: Sequence[Sample], over: Callable[[Sample], bool]) -> float:
    """Until the first time under it again; 0 when it was not exceeded within a second."""
    began = False
    for sample in samples:
        if over(sample):
            began = True
        elif began or sample.t_s > 1:
            return sample.t_s if began else 0.0
    return samples[-1].t_s if began else 0.0
