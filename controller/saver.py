"""Files that survive a power cut, written where no disk can hold control up."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from controller.threads import name_this_thread
from controller.wire import complaints

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

LAZY_S = 5.0
Form = TypeVar("Form", bound=BaseModel)

log: FilteringBoundLogger = structlog.get_logger()


def write_atomically(path: Path, data: bytes) -> None:
    """Leaves the old or the new content, whole, wherever power is cut. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)  # before the name points to it
    finally:
        os.close(descriptor)
    os.replace(fresh, path)  # noqa: PTH105  # all of this module's system calls are os's
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class UnreadableError(Exception):
    """A file is there and cannot be used. Says why."""


def read_back(path: Path, form: type[Form], most_bytes: int) -> Form | None:
    """What a file holds, if it is there. Raises UnreadableError."""
    try:
        with path.open("rb") as file:
            return form.model_validate_json(file.read(most_bytes))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    except ValidationError as error:
        raise UnreadableError(complaints(error, most=1)[0]) from error


class Saver:
    """Keeps the newest of what it is given in one file. A failing disk is tried every 5 s."""

    def __init__(
        self,
        path: Path,
        lazy_s: float = LAZY_S,
        on_attempt: Callable[[bytes, str | None], None] = lambda data, problem: None,
    ) -> None:
        """`lazy_s`: how long what is not urgent may wait for something newer.

        `on_attempt` hears, in the saver's thread, what was written, or why it was not.
        """
        self._on_attempt = on_attempt
        self._path = path
        self._lazy_s = lazy_s
        self._changed = threading.Condition()
        self._newest: bytes | None = None
        self._urgent = False
        self._closing = False
        self._problem: str | None = None
        # A daemon: a write that hangs in the kernel must not hold up the process's end.
        self._thread = threading.Thread(target=self._work, name="saver", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str | None:
        """Why the last write failed; None when it did not."""
        return self._problem

    def save(self, data: bytes, *, urgent: bool) -> None:
        """Never waits for the disk."""
        with self._changed:
            self._newest = data
            self._urgent = self._urgent or urgent
            self._changed.notify()

    def close(self, within_s: float = 1.0) -> None:
        """Writes what is pending, if the disk takes it in that time."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(within_s)

    def _work(self) -> None:
        name_this_thread("saver")
        while (data := self._next()) is not None:
            try:
                write_atomically(self._path, data)
            except OSError as error:
                self._failed(f"{self._path}: {error.strerror}", data)
            else:
                if self._problem is not None:
                    log.info("saved again", path=str(self._path))
                self._problem = None
                self._on_attempt(data, None)

    def _next(self) -> bytes | None:
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._urgent or self._closing, self._lazy_s)
                self._urgent = False
                if self._newest is not None:
                    data, self._newest = self._newest, None
                    return data
                if self._closing:
                    return None

    def _failed(self, problem: str, data: bytes) -> None:
        if problem != self._problem:
            log.error("not saved", problem=problem)
        self._problem = problem
        with self._changed:
            if self._newest is None and not self._closing:
                self._newest = data
        self._on_attempt(data, problem)
