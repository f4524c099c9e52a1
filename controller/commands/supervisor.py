"""The enforcer's unit, as systemd has it. Without systemd, or without the unit, nobody is asked."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

UNIT = "loadkeeper.service"
WITHIN_S = 5.0
START_WITHIN_S = 45.0  # its TimeoutStartSec, and a stop before
_PROPERTIES = ("LoadState", "ActiveState", "Result", "NRestarts", "InactiveEnterTimestamp")
_EXIT = ("ExecMainCode", "ExecMainStatus")
_EXITED = "1"  # CLD_EXITED of waitid(2)
_WHYS = {
    "watchdog": "it hung, and its watchdog ended it",
    "timeout": "it did not come up, or did not end, in time",
    "signal": "it was killed",
    "core-dump": "it crashed",
    "oom-kill": "the machine ran out of memory",
    "resources": "systemd could not give it what its unit asks for",
    "start-limit-hit": "it was started too often",
}


class SupervisorError(Exception):
    """What systemd did not do, in its own words."""


@dataclass(frozen=True, slots=True)
class Unit:
    """`state` as systemctl's ActiveState."""

    state: str
    result: str
    restarts: int  # by systemd, since somebody started it last
    since: str  # when it came down, as systemd writes it; empty: it did not
    exit_status: int | None  # None: it did not exit by itself

    @property
    def latched(self) -> bool:
        """Down, and nobody starts it any more."""
        return self.state == "failed"

    @property
    def sentence(self) -> str:
        if not self.latched:
            tried = f", restarted {self.restarts} times" if self.restarts else ""
            return f"systemd says of {UNIT}: {self.state}{tried}"
        if self.exit_status is not None:
            why = f"exit status {self.exit_status}"
        else:
            why = _WHYS.get(self.result, self.result)
        starts = "1 failed start" if self.restarts == 0 else f"{self.restarts} failed starts"
        return (
            f"LATCHED: {starts}, the last: {why}; down since {self.since}. The chargers are at "
            "their own fallbacks, and systemd does not start it again. Find the cause "
            "(journalctl -u loadkeeper), then on this machine: loadkeeper reset"
        )


def ask() -> Unit | None:
    """None where there is no systemd, or it does not know the unit."""
    try:
        told = _systemctl("show", UNIT, "--property", ",".join((*_PROPERTIES, *_EXIT)))
    except SupervisorError:
        return None
    found = dict(line.partition("=")[::2] for line in told.splitlines())
    if found.get("LoadState") != "loaded":
        return None
    restarts = found.get("NRestarts", "")
    status = found.get("ExecMainStatus", "")
    exited = found.get("Result") == "exit-code" and found.get("ExecMainCode") == _EXITED
    return Unit(
        state=found.get("ActiveState", "unknown"),
        result=found.get("Result", "unknown"),
        restarts=int(restarts) if restarts.isdecimal() else 0,
        since=found.get("InactiveEnterTimestamp", ""),
        exit_status=int(status) if exited and status.isdecimal() else None,
    )


def start_again() -> None:
    """Forgets that it failed, and starts it; returns when it is ready. Raises SupervisorError."""
    _systemctl("reset-failed", UNIT)
    _systemctl("start", UNIT, within_s=START_WITHIN_S)


def _systemctl(*words: str, within_s: float = WITHIN_S) -> str:
    try:
        done = subprocess.run(
            ["systemctl", *words], capture_output=True, text=True, timeout=within_s, check=False
        )
    except OSError as error:
        raise SupervisorError(f"systemctl: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise SupervisorError(f"systemctl {words[0]}: no answer within {within_s:g} s") from error
    if done.returncode != 0:
        raise SupervisorError(done.stderr.strip() or f"systemctl {words[0]} failed")
    return done.stdout
