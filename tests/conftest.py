"""How tests are run, and what a run says in the end besides what pytest says."""

import os

import pytest
from hypothesis import Phase, settings

from hil.stage import Outcome

TOLD = pytest.StashKey[list[Outcome]]()  # on the rig
WORKERS_PER_CORE = 3  # most tests wait for something most of the time

settings.register_profile("loadkeeper", deadline=None)  # how fast, the bench measures
settings.register_profile(  # where only counts whether anything is found: planted faults
    "unshrunk", deadline=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("loadkeeper")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """What `-n auto` means here."""
    return WORKERS_PER_CORE * len(os.sched_getaffinity(0))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """What the machine did to the stories is no secret."""
    told = config.stash.get(TOLD, [])
    for outcome in told:
        for remark in outcome.remarks if outcome.tellings > 1 else ():
            terminalreporter.write_line(f"{outcome.story}: {remark}")
    if told:
        again = sum(outcome.tellings - 1 for outcome in told)
        stalled = sum(outcome.disturbed for outcome in told)
        terminalreporter.write_line(
            f"{len(told)} stories on the rig, {again} tellings repeated because the machine had "
            f"stalled; it stalled in {stalled} of the last tellings"
        )
