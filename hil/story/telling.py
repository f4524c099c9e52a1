"""Telling stories in real time: many at a time, each in a process of its own, and again where the
machine is to blame.

A story that failed while the machine stalled is told again, twice at the most: then it was the
machine that was measured. One that failed while it did not has failed: what goes wrong now and
then goes wrong. Either way its outcome says how often it was told, and whether the machine stalled.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from controller.facts import Profiles
from hil.canary import Canary
from hil.faults.process import die_with_parent
from hil.stage import Outcome, Stage
from hil.story.script import Bench, Problem, Story, StoryError

TELLINGS = 3  # at most, of a story that failed while the machine stalled
AT_ONCE = 16  # stories; all that one keeps awake takes a twentieth of a core
STARTS_EVERY_S = 1.0  # one story comes up in that time: it takes a core for as long

Tell = Callable[[Story, Profiles], Outcome]
"""Once, in this process. A module's own function, or a `functools.partial` of one: it goes to other
processes."""


def retold(tell: Tell, story: Story, profiles: Profiles) -> Outcome:
    """Until it passes, or is given up. Raises StoryError, DocumentError."""
    tellings = [tell(story, profiles)]
    while _is_due_again(tellings):
        tellings.append(tell(story, profiles))
    return _summed(tellings)


def ends_in_order() -> None:
    """SIGTERM cancels the task that asks for this, once: a second one would end its tidying up."""
    task = asyncio.current_task()
    assert task is not None

    def cancel() -> None:
        if not task.cancelling():
            task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, cancel)


def concluded(
    stage: Stage, bench: Bench, directory: Path, canary: Canary, broken: str, last_words: str
) -> Outcome:
    """What became of a telling. What it wrote is kept only where it failed."""
    outcome = stage.outcome(bench)
    outcome.broken = broken
    outcome.disturbed = canary.disturbed
    if canary.disturbed:
        outcome.remarks.append(f"disturbed: the machine stalled for {canary.worst_ns / 1e6:.0f} ms")
    if outcome.passed:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        outcome.last_words = last_words
        outcome.remarks.append(f"all that was written is in {directory}")
    return outcome


def tell_all(
    tell: Tell, stories: Sequence[Story], profiles: Profiles, at_once: int = AT_ONCE
) -> Iterator[Outcome]:
    """Some at a time, the longest first; outcomes in the stories' order."""
    tellers = _Tellers(tell, stories, profiles, at_once)
    try:
        for index in range(len(stories)):
            yield tellers.outcome(index)
    finally:
        tellers.end()


class _Tellers:
    """Processes, each of which tells one story once. What is told again comes last, when the
    machine has less to do."""

    def __init__(
        self, tell: Tell, stories: Sequence[Story], profiles: Profiles, at_once: int
    ) -> None:
        self._tell = tell
        self._stories = stories
        self._profiles = profiles
        self._at_once = at_once
        self._context = get_context("forkserver")  # what all of them import is imported once
        self._context.set_forkserver_preload(["hil.bench_rig"])
        self._waiting = deque(sorted(range(len(stories)), key=lambda i: -stories[i].duration_s))
        self._at_it: dict[Connection, tuple[int, ForkServerProcess]] = {}
        self._tellings: dict[int, list[Outcome]] = {index: [] for index in self._waiting}
        self._next_s = time.monotonic()  # when one more may start

    def outcome(self, index: int) -> Outcome:
        """Once it has been told for the last time. Raises StoryError."""
        tellings = self._tellings[index]
        while not tellings or _is_due_again(tellings):
            within_s = None
            if self._waiting and len(self._at_it) < self._at_once:
                within_s = self._next_s - time.monotonic()
                if within_s <= 0:
                    self._start(self._waiting.popleft())
                    continue
            for ours in wait([*self._at_it], within_s):
                assert isinstance(ours, Connection)
                self._hear(ours)
        return _summed(tellings)

    def end(self) -> None:
        for _, process in self._at_it.values():
            process.terminate()
        for _, process in self._at_it.values():
            process.join()

    def _start(self, index: int) -> None:
        ours, theirs = self._context.Pipe(duplex=False)
        given = theirs, self._tell, self._stories[index], self._profiles
        process = self._context.Process(target=_tell_alone, args=given)
        process.start()
        theirs.close()
        self._at_it[ours] = index, process
        self._next_s = time.monotonic() + STARTS_EVERY_S

    def _hear(self, ours: Connection) -> None:
        index, process = self._at_it.pop(ours)
        self._tellings[index].append(_outcome(self._stories[index], ours))
        process.join()
        if _is_due_again(self._tellings[index]):
            self._waiting.append(index)


def _is_due_again(tellings: Sequence[Outcome]) -> bool:
    last = tellings[-1]
    return not last.passed and last.disturbed and len(tellings) < TELLINGS


def _summed(tellings: Sequence[Outcome]) -> Outcome:
    """The last one, which counts, with what is to be said of those before."""
    *before, outcome = tellings
    outcome.tellings = len(tellings)
    for each in before:
        failed = ", ".join(failure.expected.why for failure in each.failures) or each.broken
        outcome.remarks.append(f"told again, for the machine had stalled, and failed: {failed}")
    return outcome


def _outcome(story: Story, ours: Connection) -> Outcome:
    """Raises StoryError when the process has ended without one; it has said why."""
    try:
        told: Outcome = ours.recv()
    except EOFError as error:
        died = Problem("", "the process that told it has ended without an outcome")
        raise StoryError(story.name, [died]) from error
    return told


def _tell_alone(outcomes: Connection, tell: Tell, story: Story, profiles: Profiles) -> None:
    """In a process for this story: it ends with ours, and ends its own in order. Ctrl-C reaches it
    too, and is ours alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGTERM)
    with suppress(asyncio.CancelledError, KeyboardInterrupt):
        outcomes.send(tell(story, profiles))
