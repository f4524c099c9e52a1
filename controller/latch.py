"""The latch: a depot that goes on at its fail-safe setpoints until somebody resets it.

What closes it has shown that decisions cannot be relied upon. So nothing but a person ends it:
somebody on site, or whoever holds the installer's key. It outlives restarts, documents and power
cuts: a file says that it is closed, and one that cannot be read says so too.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field

from controller.clock import WallClock
from controller.events import Events
from controller.saver import Saver, UnreadableError, read_back
from controller.status_report import LatchReport
from controller.units import NS_PER_S

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from cext.tick import Kernel

FILE_BYTES = 64 << 10
WHY_CHARS = 1000
ID_BYTES = 4


def _new_id() -> str:
    return secrets.token_hex(ID_BYTES)


log: FilteringBoundLogger = structlog.get_logger()


class _Closed(BaseModel):
    """Why, in a word for machines and a sentence for people, and since when by the clock."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)

    cause: Annotated[str, Field(max_length=64)]
    why: Annotated[str, Field(max_length=WHY_CHARS)]
    since: Annotated[str, Field(max_length=64)] | None  # UTC; None: the clock was not trusted
    # Of this closing and no other: what resets it from afar names it.
    id: Annotated[str, Field(min_length=1, max_length=64)] = Field(default_factory=_new_id)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    format: Literal[1] = 1
    closed: _Closed | None


class Latch:
    """One for the whole depot. Used from the I/O thread only."""

    def __init__(self, path: Path, events: Events, wall: WallClock) -> None:
        """As it was saved. Changes nothing yet."""
        self._path = path
        self._events = events
        self._wall = wall
        self._saver: Saver | None = None
        self._kernel: Kernel | None = None
        self._named = True  # its id stands in the file
        self._closed = self._stored()
        self.closings = 0  # how often it was closed, or would have been, in this process

    @property
    def closed(self) -> bool:
        return self._closed is not None

    @property
    def report(self) -> LatchReport | None:
        """None while it is open."""
        return None if self._closed is None else LatchReport(**self._closed.model_dump())

    @property
    def problem(self) -> str | None:
        """Why it cannot be saved, if it cannot."""
        return self._saver.problem if self._saver else None

    def hold(self, kernel: Kernel) -> None:
        """From now on this kernel is the one that is latched. Before its first tick."""
        starts, self._kernel = self._kernel is None, kernel
        kernel.latch(self.closed)
        if self._closed is not None and starts:
            if not self._named:  # a reset that names it must hold after the next start, too
                self._named = True
                self._save()
            self._tell(self._closed)

    def close(self, cause: str, why: str) -> None:
        """Fail-safe from the next tick on. The first cause stays until it is reset."""
        self.closings += 1
        if self._closed is not None:
            return
        self._closed = _Closed(cause=cause[:64], why=why[:WHY_CHARS], since=self._now())
        if self._kernel is not None:
            self._kernel.latch(True)
        self._save()
        self._tell(self._closed)

    def reset(self, by: str) -> LatchReport | None:
        """What it was closed by; None where it was open."""
        was = self.report
        if was is None:
            return None
        self._closed = None
        self._save()
        if self._kernel is not None:
            self._kernel.latch(False)
        log.warning("latch reset", by=by, cause=was.cause, since=was.since)
        self._events.happened("latch_reset", was.cause, f"by {by}")
        return was

    def stop(self) -> None:
        """Writes what is pending, if the disk takes it soon."""
        if self._saver is not None:
            self._saver.close()

    def _tell(self, closed: _Closed) -> None:
        self._events.happened("latched", closed.cause, closed.why)
        log.critical(
            "LATCHED: all chargers stay at their fail-safe setpoints until somebody resets it "
            "(on site: sudo loadkeeper reset)",
            cause=closed.cause,
            why=closed.why,
            since=closed.since,
        )

    def _save(self) -> None:
        if self._saver is None:
            self._saver = Saver(self._path)
        self._saver.save(_File(closed=self._closed).model_dump_json().encode(), urgent=True)

    def _stored(self) -> _Closed | None:
        try:
            file = read_back(self._path, _File, FILE_BYTES)
            closed = None if file is None else file.closed
            self._named = closed is None or "id" in closed.model_fields_set
            return closed
        except UnreadableError as error:
            self._named = False
            said = f"{self._path} cannot be read: {error}. "
            said += "It is only there where it was latched before"
            return _Closed(cause="unreadable", why=said[:WHY_CHARS], since=None)

    def _now(self) -> str | None:
        if not self._wall.trusted():
            return None
        moment = datetime.fromtimestamp(self._wall.utc_ns() // NS_PER_S, UTC)
        return moment.isoformat().replace("+00:00", "Z")
