"""Where the running parts keep their files: the runtime and the state directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOCKET = "enforcer.sock"
LOCK = "enforcer.lock"
INSTALLED = Path("/run/loadkeeper")  # where the unit's enforcer has it
INSTALLED_STATE = Path("/var/lib/loadkeeper")


class PlaceError(Exception):
    """A directory that cannot be used, with the reason in words."""


@dataclass(frozen=True, slots=True)
class Places:
    """`runtime` is gone after a reboot, `state` stays."""

    runtime: Path
    state: Path

    @property
    def socket(self) -> Path:
        return self.runtime / SOCKET

    @property
    def lock(self) -> Path:
        return self.runtime / LOCK

    @property
    def limits(self) -> Path:
        return self.state / "limits.json"

    @property
    def heat(self) -> Path:
        """In memory: it is worth a minute at the most."""
        return self.runtime / "heat.json"

    @property
    def bases(self) -> Path:
        return self.state / "bases.json"

    @property
    def documents(self) -> Path:
        return self.state / "documents.json"

    @property
    def latch(self) -> Path:
        return self.state / "latch.json"

    @property
    def pins(self) -> Path:
        """Which are driven, and how they are at rest."""
        return self.state / "pins.json"

    @property
    def wear(self) -> Path:
        """How often what wears out in the chargers was written."""
        return self.state / "wear.json"

    @property
    def blackbox(self) -> Path:
        return self.state / "blackbox"

    def prepare(self) -> None:
        """Makes both directories, private where they are new. Raises PlaceError."""
        for directory in (self.runtime, self.state):
            try:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                found = directory.stat()
            except OSError as error:
                raise PlaceError(f"{directory}: {error.strerror}") from error
            if found.st_uid not in (os.getuid(), 0):
                raise PlaceError(f"{directory} belongs to another user")
            if found.st_mode & stat.S_IWOTH:
                raise PlaceError(f"{directory} can be written by everybody")


def trusted_owners(runtime: Path) -> set[int]:
    """The users whose enforcer may live in a runtime directory. Raises OSError.

    Ourselves and root; and the directory's owner, when nobody else could have put it there.
    """
    trusted = {os.getuid(), 0}
    directory = runtime.resolve()
    above = directory.parent.stat()
    if above.st_uid in trusted and not above.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        trusted.add(directory.stat().st_uid)
    return trusted


def places(
    runtime: Path | None = None,
    state: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Places:
    """What was asked for, else what systemd gives, else the user's own directories."""
    return Places(
        runtime=runtime or _given(environ, "RUNTIME_DIRECTORY") or _own_runtime(environ),
        state=state or _given(environ, "STATE_DIRECTORY") or _own_state(environ),
    )


def runtime_to_ask(
    runtime: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    installed: Path = INSTALLED,
) -> Path:
    """Of whose enforcer is asked: as `places`, but where nobody is there, the installed one's."""
    own = places(runtime, None, environ).runtime
    elsewhere = runtime is None and not (own / SOCKET).exists() and installed.is_dir()
    return installed if elsewhere else own


def runtimes_to_ask(
    runtime: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    installed: Path = INSTALLED,
) -> tuple[Path, ...]:
    """Wherever an enforcer may live that nobody named: the user's own place, and the installed."""
    if runtime is not None:
        return (runtime,)
    return places(None, None, environ).runtime, installed


def state_to_ask(
    state: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    installed: Path = INSTALLED_STATE,
) -> Path:
    """Of whose enforcer is read: as `places`; else the installed one's, for who may read it."""
    if state is None and "STATE_DIRECTORY" not in environ and os.access(installed, os.R_OK):
        return installed
    return places(None, state, environ).state


def state_to_count(
    state: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    installed: Path = INSTALLED_STATE,
) -> Path:
    """Where the enforcer of this gateway counts: as `state_to_ask`, but the installed one's also
    for who may not read it. There is no counting beside it."""
    if state is None and "STATE_DIRECTORY" not in environ and installed.is_dir():
        return installed
    return places(None, state, environ).state


def _given(environ: Mapping[str, str], name: str) -> Path | None:
    first = environ.get(name, "").split(":")[0]  # systemd lists several with colons
    return Path(first) if first else None


def _own_runtime(environ: Mapping[str, str]) -> Path:
    session = _given(environ, "XDG_RUNTIME_DIR")
    return session / "loadkeeper" if session else Path(f"/tmp/loadkeeper-{os.getuid()}")


def _own_state(environ: Mapping[str, str]) -> Path:
    home = _given(environ, "XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return home / "loadkeeper"
