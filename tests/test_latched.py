"""An enforcer that has given up: what `status` says of it, and what `reset` does.

systemctl is played by a script that answers as systemd 252 did when it was tried.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.__main__ import main
from controller.commands import supervisor
from controller.places import SOCKET, runtime_to_ask

HUNG = """LoadState=loaded
ActiveState=failed
Result=watchdog
NRestarts=5
InactiveEnterTimestamp=Sun 2026-11-22 21:47:49 UTC
ExecMainCode=2
ExecMainStatus=9
"""
REFUSED = HUNG.replace("watchdog", "exit-code").replace("Code=2", "Code=1").replace("=9", "=1")
RUNS = """LoadState=loaded
ActiveState=active
Result=success
NRestarts=0
InactiveEnterTimestamp=
ExecMainCode=0
ExecMainStatus=0
"""
UNKNOWN = "LoadState=not-found\nActiveState=inactive\n"
Play = Callable[..., Path]


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Plays it; the file of what was asked, apart from `show`."""

    def play(shown: str, start: str = "exit 0") -> Path:
        asked, answer = tmp_path / "asked", tmp_path / "answer"
        answer.write_text(shown, encoding="utf-8")
        asked.touch()
        script = tmp_path / "systemctl"
        script.write_text(
            "#!/bin/sh\n"
            f'case $1 in show) cat {answer} ;; *) echo "$@" >>{asked} ;; esac\n'
            f"case $1 in start) {start} ;; esac\n",
            encoding="utf-8",
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
        return asked

    return play


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (HUNG, "5 failed starts, the last: it hung, and its watchdog ended it"),
        (REFUSED, "5 failed starts, the last: exit status 1"),
        (REFUSED.replace("NRestarts=5", "NRestarts=0"), "1 failed start, the last: exit status 1"),
    ],
)
def test_status_says_that_it_gave_up_and_what_to_do(
    systemctl: Play, capsys: pytest.CaptureFixture[str], shown: str, why: str
) -> None:
    systemctl(shown)
    assert main(["status", "--json"]) == 1
    out, err = capsys.readouterr()
    for said in (err, json.loads(out)["error"]):
        assert "no enforcer" in said
        assert f"LATCHED: {why}; down since Sun 2026-11-22 21:47:49 UTC" in said
        assert "loadkeeper reset" in said


def test_status_of_another_directory_is_no_matter_of_systemd_s(
    systemctl: Play, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    systemctl(HUNG)
    assert main(["status", "--runtime", str(tmp_path)]) == 1
    assert "LATCHED" not in capsys.readouterr().err


def test_status_without_the_unit_says_nothing_of_it(
    systemctl: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    systemctl(UNKNOWN)
    assert main(["status"]) == 1
    assert "systemd" not in capsys.readouterr().err


def test_reset_starts_it_again(
    systemctl: Play, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = systemctl(HUNG)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main(["reset", "--json"]) == 0
    assert asked.read_text().splitlines() == [
        "reset-failed loadkeeper.service",
        "start loadkeeper.service",
    ]
    assert json.loads(capsys.readouterr().out)["was_latched"] is True


def test_reset_is_for_root(
    systemctl: Play, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = systemctl(HUNG)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["reset"]) == 1
    assert asked.read_text() == ""
    assert "sudo loadkeeper reset" in capsys.readouterr().err


def test_reset_says_when_it_fails_again(
    systemctl: Play, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    systemctl(HUNG, start="echo Job for loadkeeper.service failed >&2; exit 1")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main(["reset"]) == 1
    assert "Job for loadkeeper.service failed" in capsys.readouterr().err


def test_reset_of_one_that_runs_and_does_not_answer_is_no_reset(
    systemctl: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = systemctl(RUNS)
    assert main(["reset"]) == 1
    assert asked.read_text() == ""
    assert "no enforcer answers" in capsys.readouterr().err


def test_reset_without_systemd_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert supervisor.ask() is None
    assert main(["reset"]) == 1
    assert "nothing that could be latched" in capsys.readouterr().err


def test_the_installed_enforcer_is_asked_where_nobody_else_is_there(tmp_path: Path) -> None:
    own, installed = tmp_path / "own", tmp_path / "run"
    environ = {"RUNTIME_DIRECTORY": str(own)}
    own.mkdir()
    assert runtime_to_ask(None, environ, installed) == own  # nothing is installed
    installed.mkdir()
    assert runtime_to_ask(None, environ, installed) == installed
    assert runtime_to_ask(tmp_path, environ, installed) == tmp_path  # who names one means it
    (own / SOCKET).touch()
    assert runtime_to_ask(None, environ, installed) == own
