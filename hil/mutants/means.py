"""Who may notice a fault, asked one after the other: what they are, and what their answers mean.

A *property* is a test of what the kernel must always do, the room's own ones first; the *guard*
and the *search* look at simulated days; an *oracle* is a second model, which imports nothing of
ours. Only a test that failed, a dispute or a finding has noticed something; a run that breaks down
has not.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import NamedTuple

from hil.mutants.fault import ROOT

PROPERTY, GUARD, SEARCH, ORACLE = "property", "guard", "search", "oracle"
CRASH, ENDLESS = "crash", "never ended"
MEANS = (PROPERTY, GUARD, SEARCH, ORACLE)

# Tests of single rooms and of all of them together: a few seconds each, and longer.
QUICK = (
    *("kernel_edges", "rules", "bears", "unproven", "hand_over", "contactors", "export", "ramp"),
    *("contactors_in_doubt", "escalation", "circuit_bounds", "turns", "undeclared"),
    *("frozen", "thermal", "timed_by_curve", "sums", "parked", "bounds", "limits", "swing"),
    *("advised", "expired", "left_over", "claims", "window", "credits", "unheard"),
    *("journal", "edge_reports", "unseen_silence", "lost_readings", "pacing", "paced", "suspects"),
)
SLOW = (
    "doubt_stories",
    "one_sick",
    "snapshot",
    "latch",
    "balance",
    "pause",
    "adopt",
    "spoilt",
    "phases",
)
PROPERTIES = (*QUICK, *SLOW)
# What a process does to itself; any other signal came from elsewhere (no memory was left).
OWN_SIGNALS = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
ORACLES = ("shares", "whole_tick", "switched_promises", "promises")


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one who was asked. Without `by` it did not notice anything."""

    by: str = ""
    how: str = ""  # the test, or the seed and what was found
    broken: str = ""  # why it is no answer at all

    @property
    def words(self) -> str:
        if self.broken:
            return f"BROKE DOWN: {self.broken}"
        return f"caught by {self.by}: {self.how}" if self.by else "SURVIVED"


def test_files(names: tuple[str, ...]) -> list[str]:
    return [f"tests/test_{name}.py" for name in names]


def missing(names: tuple[str, ...]) -> list[str]:
    """Those of them that are not there: an error, never a reason to ask fewer."""
    return [file for file in test_files(names) if not (ROOT / file).exists()]


def judged_by_status(by: str, status: int | None, endless: bool) -> Answer | None:
    """What only the end of a run says; None: what it printed says more. `status` None: it was ended
    after its time. `endless`: that was several times what the same takes without a fault."""
    if status is None:
        if endless:
            return Answer(ENDLESS, f"asked as {by}, it was ended after its time")
        return Answer(broken=f"asked as {by}, it took too long, and nobody knows what it takes")
    if status >= 0 and status < 128:
        return None
    number = abs(status) % 128
    what = f"asked as {by}, the process died of signal {number}"
    return Answer(CRASH, what) if number in OWN_SIGNALS else Answer(broken=what)


def judged_by_pytest(by: str, status: int | None, said: str, endless: bool = False) -> Answer:
    """What a run of pytest says.

    Of a run by several processes (and of one whose process dies) a test that was running is
    reported as crashed; a signal that ends the run itself is a crash, too.
    """
    answer = judged_by_status(by, status, endless)
    if answer is not None:
        return answer
    if status == 0:
        return Answer()
    failed = re.search(r"^FAILED (\S+)", said, re.MULTILINE)
    if status == 1 and failed:
        return Answer(by, failed[1])
    return Answer(broken=f"pytest ended with {status}: {said.strip()[-300:]}")


class Turn(NamedTuple):
    """Files, in the order in which they are asked; none twice."""

    own: list[str]
    own_oracles: list[str]
    quick: list[str]
    slow: list[str]
    oracles: list[str]


def in_turn(own: tuple[str, ...]) -> Turn:
    """Those of the room itself before all others, oracles apart."""

    def others(names: tuple[str, ...]) -> list[str]:
        return test_files(tuple(name for name in names if name not in own))

    return Turn(
        test_files(tuple(name for name in own if name not in ORACLES)),
        test_files(tuple(name for name in own if name in ORACLES)),
        others(QUICK),
        others(SLOW),
        others(ORACLES),
    )


def by_own(own: tuple[str, ...], answer: Answer) -> bool:
    """Whether a test of the room itself has noticed."""
    return answer.how.partition("::")[0] in test_files(own)
