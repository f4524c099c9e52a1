"""Telling stories in real time: some at a time, each in a process of its own, and again where the
machine, or one accident, is to blame.

When the machine stalled, and the story failed, it is told again: then it was the machine that was
measured. Any other that failed is told once more, and says so: real time has its accidents, and
what is really broken fails twice.
"""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from controller.facts import Profiles
from hil.faults.process import die_with_parent
from hil.stage import Outcome
from hil.story import Problem, Story, StoryError

TELLINGS = 3  # at most, of a story that failed while the machine stalled; once more of any other
AT_ONCE = 6  # stories; each keeps four processes awake, a fifth of a core together

Tell = Callable[[Story, Profiles], Outcome]
"""Once, in this process. A module's own function, or a `functools.partial` of one: it goes to other
processes."""


def retold(tell: Tell, story: Story, profiles: Profiles) -> Outcome:
    """Until it passes, or is given up. Raises StoryError, DocumentError."""
    before: list[str] = []  # why earlier tellings failed
    quiet = 0  # how many of them while the machine did not stall
    for _ in range(TELLINGS):
        outcome = tell(story, profiles)
        outcome.tellings = len(before) + 1
        if outcome.passed:
            break
        quiet += not outcome.disturbed
        if quiet > 1:
            break
        failed = ", ".join(failure.expected.why for failure in outcome.failures)
        before.append(failed or outcome.broken)
    again = before[: outcome.tellings - 1]
    outcome.remarks += [f"told again, for it had failed: {why}" for why in again]
    return outcome


def tell_all(
    tell: Tell, stories: Sequence[Story], profiles: Profiles, at_once: int = AT_ONCE
) -> Iterator[Outcome]:
    """Some at a time, each in a process of its own; outcomes in the stories' order."""
    spawn = get_context("spawn")
    waiting = deque(enumerate(stories))
    telling: dict[int, tuple[Connection, SpawnProcess]] = {}
    told: dict[int, Outcome] = {}
    try:
        for wanted in range(len(stories)):
            while wanted not in told:
                while waiting and len(telling) < at_once:
                    index, story = waiting.popleft()
                    ours, theirs = spawn.Pipe(duplex=False)
                    given = theirs, tell, story, profiles
                    process = spawn.Process(target=_tell_alone, args=given)
                    process.start()
                    theirs.close()
                    telling[index] = ours, process
                ready = wait([ours for ours, _ in telling.values()])
                for index in [each for each, (ours, _) in telling.items() if ours in ready]:
                    ours, process = telling.pop(index)
                    told[index] = _outcome(stories[index], ours)
                    process.join()
            yield told.pop(wanted)
    finally:
        for _, process in telling.values():
            process.terminate()
        for _, process in telling.values():
            process.join()


def _outcome(story: Story, ours: Connection) -> Outcome:
    """Raises StoryError when the process has ended without one; it has said why."""
    try:
        told: Outcome = ours.recv()
    except EOFError as error:
        died = Problem("", "the process that told it has ended without an outcome")
        raise StoryError(story.name, [died]) from error
    return told


def _tell_alone(outcomes: Connection, tell: Tell, story: Story, profiles: Profiles) -> None:
    """In a process for this story: it ends with ours, and ends its own in order."""
    die_with_parent(signal.SIGTERM)
    with suppress(asyncio.CancelledError, KeyboardInterrupt):
        outcomes.send(retold(tell, story, profiles))
