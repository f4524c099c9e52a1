"""What the service manager hears, over real sockets."""

import ast
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from controller.notify import Notifier

CONTROLLER = Path(__file__).parents[1] / "controller"


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    name = str(tmp_path / "n") if request.param == "path" else f"@loadkeeper-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0", 1))
        listening.setblocking(False)
        yield name, listening


def test_it_is_told_in_its_own_words(manager: tuple[str, socket.socket]) -> None:
    name, listening = manager
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "2000000"})
    assert notifier.watchdog_ns == 2_000_000_000
    notifier.ready()
    notifier.feed()
    notifier.status("in control\nof all")
    notifier.starts_late(55.0)
    notifier.stopping()
    words = [listening.recv(100).decode() for _ in range(5)]
    assert words[:3] == ["READY=1", "WATCHDOG=1", "STATUS=in control of all"]
    assert words[3:] == ["EXTEND_TIMEOUT_USEC=55000000", "STOPPING=1"]
    with pytest.raises(BlockingIOError):
        listening.recv(100)


@pytest.mark.parametrize(
    ("environ", "watchdog_ns"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "500000"}, 500_000_000),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),  # meant for another process
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 500_000_000),
    ],
)
def test_a_watchdog_counts_when_it_is_ours(
    environ: dict[str, str], watchdog_ns: int | None
) -> None:
    assert Notifier(environ).watchdog_ns == watchdog_ns


def test_without_a_watchdog_nothing_is_fed(manager: tuple[str, socket.socket]) -> None:
    name, listening = manager
    Notifier({"NOTIFY_SOCKET": name}).feed()
    with pytest.raises(BlockingIOError):
        listening.recv(100)


def test_one_that_does_not_listen_costs_a_log_line_and_no_wait(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1"})
    with capture_logs() as logs:
        for _ in range(3):
            notifier.feed()
    assert [each["log_level"] for each in logs] == ["warning"]


def test_one_that_does_not_read_any_more_holds_nobody_up(
    manager: tuple[str, socket.socket],
) -> None:
    name, _ = manager
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1"})
    with capture_logs() as logs:
        for _ in range(10_000):
            notifier.feed()
    assert logs


def test_completed_turns_and_rounds_feed_the_watchdog_and_nothing_else_does() -> None:
    """Above all no timer: that would go on while nothing is decided."""
    feeders = {
        (path.name, function.name)
        for path in CONTROLLER.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Attribute) and call.attr == "feed"
    }
    assert feeders == {("vigil.py", "_completed"), ("rounds.py", "turned")}
