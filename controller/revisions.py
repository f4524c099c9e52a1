"""The documents that came over the air: which is in force, which was before, which is tried.

They are kept in one file with its checksum, which is replaced whole: a power cut leaves the old
state or the new one. The installer's own file is the ground they stand on: when that has
changed, all of them are discarded; only the count of revisions goes on, so that nothing old can
be sent again. A trial that the process did not survive has failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.canonical import NotCanonicalError, digest
from controller.desired import Candidate, Step
from controller.reported import Reported
from controller.saver import Saver
from controller.wire import complaints

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

FILE_BYTES = 16 << 20  # four documents of 1 MiB, escaped at their worst
SAVE_WITHIN_S = 10.0
WHY_CHARS = 2000
_MAGIC = b"loadkeeper documents 1 "

log: FilteringBoundLogger = structlog.get_logger()


class DamagedError(Exception):
    """The file is not as it was written, with the reason in words."""


class NotSavedError(Exception):
    """The disk did not take it, with the reason in words."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class Kept(_Model):
    """A document that came over the air, whole."""

    revision: int
    sha256: str
    operation: dict[str, Any]
    installation: dict[str, Any] | None  # None: that of the installer's file


class Memory(_Model):
    """What outlives a restart."""

    format: Literal[1] = 1
    installer: str  # sha256 of the installer's file: of its content, not its spelling
    last: int = 0  # the highest revision that was ever tried
    active: Kept | None = None  # None: the installer's file
    previous: Kept | None = None  # what was in force before
    trial: Kept | None = None
    failed: Reported | None = Field(default=None)  # the last one that was tried and not kept


def fingerprint(installation: Mapping[str, Any]) -> str:
    """Of what an installer's file says, however it is spelt."""
    try:
        return digest(installation)
    except NotCanonicalError:
        return sha256(repr(installation).encode(errors="backslashreplace")).hexdigest()


def pack(memory: Memory) -> bytes:
    body = memory.model_dump_json().encode()
    return _MAGIC + sha256(body).hexdigest().encode() + b"\n" + body


def unpack(data: bytes) -> Memory:
    """Raises DamagedError."""
    head, _, body = data.partition(b"\n")
    if head != _MAGIC + sha256(body).hexdigest().encode():
        raise DamagedError("its checksum does not fit: it is not what was written")
    try:
        return Memory.model_validate_json(body)
    except ValidationError as error:
        raise DamagedError(complaints(error, most=1)[0]) from error


def stored(path: Path) -> Memory | None:
    """What was saved; None where nothing was. Raises DamagedError."""
    try:
        if path.exists() and not path.is_file():
            raise DamagedError("it is no file")  # a pipe would be waited for, without an end
        with path.open("rb") as file:
            data = file.read(FILE_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedError(error.strerror or str(error)) from error
    return unpack(data)


class Revisions:
    """The documents of one gateway."""

    def __init__(self, path: Path, installer: str) -> None:
        """`installer`: sha256 of what the installer's file says now."""
        self._path = path
        self._installer = installer
        self.unreadable: str | None = None  # why nothing is known of what came over MQTT before
        stored = self._stored()
        self.memory = self._resumed(stored)
        self._changed = self.memory != stored and stored is not None
        self._waiting: tuple[bytes, asyncio.Future[str | None]] | None = None
        self._saver: Saver | None = None

    @property
    def problem(self) -> str | None:
        """Why documents cannot be saved, or could not be read at the start."""
        return self._saver.problem or self.unreadable if self._saver else self.unreadable

    @property
    def active_revision(self) -> int | None:
        """None while the installer's file is in force."""
        return self.memory.active.revision if self.memory.active else None

    def start(self) -> None:
        """Saves what was decided at the start. Call it from the loop, and only when alone."""
        if self._changed:
            self._changed = False
            self._hand_over()

    def forget_active(self, active: Kept, step: Step, why: str) -> None:
        """`active` cannot be used any more: the one before it is, or the installer's."""
        failed = Reported(
            revision=active.revision,
            sha256=active.sha256,
            state="rolled_back",
            step=step,
            reason=f"it was in force, and was not taken up again after a start: {why}"[:WHY_CHARS],
        )
        before = {"active": self.memory.previous, "previous": None, "failed": failed}
        self.memory = self.memory.model_copy(update=before)
        self._changed = True

    async def begin(self, candidate: Candidate) -> None:
        """A document goes on trial. Raises NotSavedError: then nothing has changed."""
        memory = self.memory
        trial = Kept(
            revision=candidate.revision,
            sha256=candidate.sha256,
            operation=dict(candidate.operation),
            installation=_installation(candidate.installation, memory.active),
        )
        await self._save(memory.model_copy(update={"trial": trial, "last": candidate.revision}))

    async def keep(self) -> None:
        """The trial becomes active. Raises NotSavedError: then it is still on trial."""
        memory = self.memory
        update = {"active": memory.trial, "previous": memory.active, "trial": None}
        await self._save(memory.model_copy(update=update))
        self.unreadable = None  # there is a good file again

    def roll_back(self, failed: Reported) -> None:
        """The trial is over. Saved when the disk takes it: a restart would come to the same."""
        self.memory = self.memory.model_copy(update={"trial": None, "failed": failed})
        self._hand_over()

    def close(self) -> None:
        """Writes what is pending, if the disk takes it soon."""
        if self._saver is not None:
            self._saver.close()

    async def _save(self, memory: Memory) -> None:
        before, self.memory = self.memory, memory
        loop = asyncio.get_running_loop()
        self._waiting = pack(memory), loop.create_future()
        answer = self._waiting[1]
        self._hand_over()
        try:
            async with asyncio.timeout(SAVE_WITHIN_S):
                problem = await answer
        except TimeoutError:
            problem = f"{self._path}: the disk has not answered within {SAVE_WITHIN_S:g} s"
        finally:
            self._waiting = None
        if problem is not None:
            self.memory = before
            self._hand_over()  # whenever the disk wakes up, this is what it is to keep
            raise NotSavedError(problem)

    def _hand_over(self) -> None:
        if self._saver is None:
            loop = asyncio.get_running_loop()

            def attempted(data: bytes, problem: str | None) -> None:
                with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                    loop.call_soon_threadsafe(self._attempted, data, problem)

            self._saver = Saver(self._path, on_attempt=attempted)
        self._saver.save(pack(self.memory), urgent=True)

    def _attempted(self, data: bytes, problem: str | None) -> None:
        if self._waiting is not None and self._waiting[0] == data:
            answer = self._waiting[1]
            if not answer.done():
                answer.set_result(problem)

    # At the start.

    def _resumed(self, memory: Memory | None) -> Memory:
        if memory is None:
            return Memory(installer=self._installer)
        if memory.installer != self._installer:
            log.warning("the installer's file has changed: what came over MQTT is discarded")
            return Memory(installer=self._installer, last=memory.last)
        if memory.trial is None:
            return memory
        failed = Reported(
            revision=memory.trial.revision,
            sha256=memory.trial.sha256,
            state="rolled_back",
            step="trial",
            reason="the enforcer ended while this document was tried",
        )
        log.warning("rolled back", revision=memory.trial.revision, why=failed.reason)
        return memory.model_copy(update={"trial": None, "failed": failed})

    def _stored(self) -> Memory | None:
        try:
            return stored(self._path)
        except DamagedError as error:
            # The installer's file is always good to go on with.
            self.unreadable = f"{self._path}: the installer's file is in force: {error}"
            log.error("saved documents cannot be used", path=str(self._path), why=str(error))
            return None


def _installation(own: Mapping[str, Any] | None, active: Kept | None) -> dict[str, Any] | None:
    """A message without an installation part goes on with the one in force."""
    if own is not None:
        return dict(own)
    return active.installation if active is not None else None
