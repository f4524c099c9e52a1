"""The locks: one enforcer at a time lives in a runtime directory, and one at a time has the pins.

The pins' lock is the state directory itself. It is there also when systemd has taken the runtime
directory away, belongs to whom it has to, and whoever may only read can lock it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.places import LOCK, PlaceError, Places

PATIENCE_S = 25.0  # longer than loadkeeper-rest.service takes
LOOK_S = 0.1


@contextmanager
def only_one(places: Places) -> Iterator[None]:
    """For an enforcer, which holds it as long as it lives. Raises PlaceError."""
    lock = _opened(places.lock, os.O_RDWR | os.O_CREAT)
    with _held(lock, f"another enforcer is running in {places.runtime}"):
        yield


@contextmanager
def with_the_pins(
    places: Places, waits: Callable[[], None], patience_s: float = PATIENCE_S
) -> Iterator[None]:
    """For an enforcer, before it opens a pin, and as long as it lives. Raises PlaceError.

    Waits for the end of whoever brings pins to rest, and tells `waits` once that it does.
    """
    places.prepare()
    lock = _opened(places.state, os.O_RDONLY | os.O_DIRECTORY)
    taken = f"another enforcer, or loadkeeper rest, is still at work with {places.state}"
    with _held(lock, taken, waits, patience_s):
        yield


@contextmanager
def nobody_else(places: Places, *elsewhere: Path, surely: bool = False) -> Iterator[None]:
    """For who drives what is an enforcer's while none lives there, and none starts meanwhile.

    `elsewhere`: other runtime directories in which none may live. Where there can be no state
    directory there is no lock either: who must have one is refused `surely`. Raises PlaceError.
    """
    lock = _state(places, surely)
    taken = f"an enforcer, or another loadkeeper rest, is at work with {places.state}"
    with _held(lock, taken):
        for runtime in (places.runtime, *elsewhere):
            if lives_in(runtime):
                raise PlaceError(f"an enforcer is running in {runtime}, and holds the pins itself")
        yield


def lives_in(runtime: Path) -> bool:
    """Whether an enforcer does. Raises PlaceError where that cannot be told."""
    try:
        lock = _opened(runtime / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _state(places: Places, surely: bool) -> int | None:
    try:
        places.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        if surely:
            raise PlaceError(f"{places.state}: {error.strerror}") from error
        return None
    return _opened(places.state, os.O_RDONLY | os.O_DIRECTORY)


def _opened(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ENOENT and not flags & os.O_CREAT:
            raise
        raise PlaceError(f"{path}: {error.strerror}") from error


@contextmanager
def _held(
    lock: int | None,
    taken: str,
    waits: Callable[[], None] = lambda: None,
    patience_s: float = 0.0,
) -> Iterator[None]:
    if lock is None:
        yield
        return
    try:
        if not _locked(lock):
            if patience_s:
                waits()
            end_s = time.monotonic() + patience_s
            while not _locked(lock):
                if time.monotonic() >= end_s:
                    raise PlaceError(taken)
                time.sleep(LOOK_S)
        yield
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
