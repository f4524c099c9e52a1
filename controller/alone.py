"""The lock by which one enforcer at a time lives in a runtime directory."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from controller.places import PlaceError, Places


@contextmanager
def only_one(places: Places) -> Iterator[None]:
    """For an enforcer, which holds it as long as it lives. Raises PlaceError."""
    with _held(_opened(places, os.O_RDWR | os.O_CREAT), f"another enforcer {_runs(places)}"):
        yield


@contextmanager
def nobody_else(places: Places) -> Iterator[None]:
    """For who drives what is an enforcer's while none lives there, and none starts meanwhile.

    Where none has made a lock, none lives, and none is made: the first enforcer is to own it.
    Raises PlaceError.
    """
    try:
        lock = _opened(places, os.O_RDONLY)
    except FileNotFoundError:
        yield
        return
    with _held(lock, f"an enforcer {_runs(places)}, and holds the pins itself"):
        yield


def _runs(places: Places) -> str:
    return f"is running in {places.runtime}"


def _opened(places: Places, flags: int) -> int:
    try:
        return os.open(places.lock, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ENOENT and not flags & os.O_CREAT:
            raise
        raise PlaceError(f"{places.lock}: {error.strerror}") from error


@contextmanager
def _held(lock: int, taken: str) -> Iterator[None]:
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PlaceError(taken) from error
        yield
    finally:
        os.close(lock)
