"""Where a command counts what it writes into memories that wear out: where the enforcer does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.clock import MonotonicClock
from controller.commands.output import complain
from controller.places import Places, state_to_count
from drivers.chargerprofile import ChargerProfile
from drivers.wear import Wear

STATE_HELP = "of this gateway's enforcer: where is counted what wears out chargers' memories"


class UncountedError(Exception):
    """Why nothing may be written: nobody could count it."""


def wears(profile: ChargerProfile) -> bool:
    """Whether an order does, and so has to be counted."""
    return profile.order_wears_ns is not None


@contextmanager
def wear_of(profile: ChargerProfile, state: Path | None) -> Iterator[Wear]:
    """Kept in that state directory, without one in the user's own, else the installed one.

    Where an order wears nothing out no file is touched. Raises UncountedError.
    """
    now_ns = MonotonicClock().now_ns
    if not wears(profile):
        yield Wear(now_ns)
        return
    path = Places(Path(), state_to_count(state)).wear
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = path.parent.stat()
        readable = not path.exists() or os.access(path, os.R_OK)
    except OSError as error:
        raise UncountedError(_cannot(path, error.strerror or str(error))) from error
    if not os.access(path.parent, os.W_OK) or not readable:
        raise UncountedError(_cannot(path, "no permission"))
    wear = Wear(now_ns, path)
    try:
        yield wear
    finally:
        wear.close()
        if not wear.saved:
            complain(f"{path}: what was written to it could not be counted")
        elif os.getuid() == 0 and path.exists():
            os.chown(path, owner.st_uid, owner.st_gid)  # the enforcer must be able to read it


def _cannot(path: Path, why: str) -> str:
    return (
        f"nothing written: orders wear this charger's memory out, and {path}, where that is "
        f"counted, cannot be used ({why}). Try with sudo, or name --state"
    )
