"""What a test run says in the end, besides what pytest says."""

import pytest

RETOLD = pytest.StashKey[list[str]]()  # stories that were told more than once


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """A story that needed a second telling is no secret."""
    retold = config.stash.get(RETOLD, [])
    for each in retold:
        terminalreporter.write_line(f"told again: {each}")
    if retold:
        terminalreporter.write_line(f"{len(retold)} stories were told more than once")
