"""What an enforcer recorded on a bench must be decided again alike: every story tests it."""

from __future__ import annotations

from pathlib import Path

from controller.blackbox.recorder import WRITE_EVERY_S
from controller.blackbox.replay import NotReplayableError, find, replay
from hil.story.gateway_events import CrashLoop, Kill, Leave, Stall, Stop
from hil.story.script import Story

BLACKBOX = "blackbox"  # in an enforcer's state directory
TICKS_PER_S = 5.0  # fewer were not recorded: nobody ticks slower


def unlike(blackbox: Path, ran_s: float) -> str:
    """What is wrong with a recording, or nothing. `ran_s`: how long an enforcer ran, at least."""
    try:
        outcome = replay(find(blackbox))
    except NotReplayableError as error:
        return f"the black box cannot be replayed: {error}"
    found = outcome.difference
    if found is not None:
        return (
            f"replayed otherwise: {found.path.name} tick {found.tick} {found.what}\n"
            f"  recorded: {found.recorded}\n  replayed: {found.replayed}"
        )
    if outcome.damaged:
        return f"what was recorded is damaged, and no disk was: {outcome.gaps}"
    if outcome.ticks < ran_s * TICKS_PER_S:
        return f"only {outcome.ticks} decisions were recorded in {ran_s:.0f} s: {outcome.gaps}"
    return ""


def up_s(story: Story) -> float:
    """How long its enforcer runs at least; what a crash takes with it is not counted."""
    down_s = WRITE_EVERY_S
    for event in story.events():
        match event:
            case CrashLoop():
                return 0.0
            case Kill(process="enforcer") | Leave():
                down_s += (event.restart_after_s or story.duration_s) + WRITE_EVERY_S
            case Stall() | Stop():
                down_s += event.for_s
            case _:
                pass
    return max(0.0, story.duration_s - down_s)
