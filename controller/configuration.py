"""Documents from MQTT into force: judged, tried, and kept or rolled back.

All of it is the enforcer's, so that it goes on with the link dead. A document is tried on the
running depot. It is kept when the enforcer runs clean with it, the broker has confirmed a report
that was sent after the change, and the disk has taken it, all within the trial time. Otherwise the
one before returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from controller.canonical import NotCanonicalError, digest
from controller.desired import (
    Base,
    Candidate,
    RefusedDocumentError,
    Step,
    judge,
    read_message,
    too_large,
)
from controller.document.problems import Problem
from controller.facts import Profiles
from controller.proof import prove
from controller.reported import Confirmed, Desired, Reported, troubles
from controller.revisions import Kept, NotSavedError, Revisions
from controller.site import DocumentError, Site, operated, parse
from controller.units import NS_PER_S

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

CLEAN_S = 3.0  # a trial takes at least so long
LOOK_S = 0.1
APART_S = 0.5  # between two judgements: a flood leaves the loop to the drivers

log: FilteringBoundLogger = structlog.get_logger()


class NotBuiltError(Exception):
    """A document that this process cannot run, with the reason in words."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What over-the-air documents stand on: the installer's file, as plain data.

    `lacking` tells what this process would need for a document, and is not permitted.
    """

    installation: Mapping[str, Any]
    source: str
    profiles: Profiles
    lacking: Callable[[Site], list[Problem]] = lambda _site: []


class House(Protocol):
    """The running depot, as far as a change of its document is concerned."""

    @property
    def site(self) -> Site: ...
    def cannot(self, site: Site) -> list[Problem]:
        """What of that document a running process cannot change."""

    async def switch(self, site: Site) -> list[str]:
        """Puts it in force; remarks. Raises NotBuiltError before anything is touched."""

    def online(self) -> frozenset[str]:
        """The devices that answer."""

    def linked(self) -> bool:
        """Whether the link has a session with its broker."""

    def late_s(self) -> float:
        """How old the last decision is."""

    def disputed(self) -> bool:
        """Whether the guard disputes what is decided now."""

    def closings(self) -> int:
        """How often the depot latched, or would have if it had been open."""

    def latch_id(self) -> str | None:
        """Of the latch that is closed."""

    def reset_latch(self, by: str) -> None:
        """As somebody on site would."""


class NotTakenUpError(Exception):
    """A document that was in force and cannot be again: the step that failed, and why."""

    def __init__(self, step: Step, why: str) -> None:
        super().__init__(why)
        self.step: Step = step


def taken_up(ground: Ground, active: Kept) -> Site:
    """The site of a document that was in force before. Raises NotTakenUpError."""
    part = ground.installation if active.installation is None else active.installation
    try:
        site = operated(parse(part, ground.profiles, ground.source), active.operation)
    except DocumentError as error:
        raise NotTakenUpError("document", str(error)) from error
    if prove(site).passed or site.mode == "observe":
        return site
    raise NotTakenUpError("proof", "it does not pass the commissioning proof any more")


def resume(ground: Ground, revisions: Revisions, installed: Site) -> Site:
    """The document that is in force after a start: the last good one."""
    while (active := revisions.memory.active) is not None:
        try:
            return taken_up(ground, active)
        except NotTakenUpError as error:
            why = str(error)
            log.error("document not taken up again", revision=active.revision, why=why)
            revisions.forget_active(active, error.step, why)
    return installed


class Configuration:
    """One document at a time goes through its steps; of those that wait only the newest."""

    def __init__(
        self,
        ground: Ground,
        revisions: Revisions,
        house: House,
        tell: Callable[[Reported], None],
    ) -> None:
        self._ground = ground
        self._revisions = revisions
        self._house = house
        self._tell_link = tell
        self._parts: list[str] = []
        self._newest: str | RefusedDocumentError | None = None
        self._arrived = asyncio.Event()
        self._confirmed: int | None = None  # the revision on trial that the broker has heard of
        self._closings = 0  # before the trial
        self._said: Reported | None = None

    # The link's side.

    def receive(self, part: Desired) -> None:
        """Parts come in order; one out of order begins anew."""
        if part.parts == 0:
            self._arrive(too_large(part.size_bytes))
            return
        if part.part != len(self._parts) + 1:
            self._parts.clear()
        if part.part != len(self._parts) + 1:
            return
        self._parts.append(part.text)
        if part.part == part.parts:
            text = "".join(self._parts)
            self._parts.clear()
            self._arrive(text)

    def confirmed(self, confirmed: Confirmed) -> None:
        if confirmed.state == "testing":
            self._confirmed = confirmed.revision

    def repeat(self) -> None:
        """A link came: it hears how things stand."""
        self._parts.clear()
        self._tell(self._said or self._standing())

    def _arrive(self, what: str | RefusedDocumentError) -> None:
        self._newest = what
        self._arrived.set()

    # The steps.

    async def run(self) -> None:
        """Until cancelled; a trial under way is rolled back by the next start."""
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            what, self._newest = self._newest, None
            began_s = loop.time()
            if what is not None:
                await self._take(what)
            await asyncio.sleep(max(APART_S, loop.time() - began_s))

    async def _take(self, what: str | RefusedDocumentError) -> None:
        try:
            if isinstance(what, RefusedDocumentError):
                raise what
            message, sha256 = await asyncio.to_thread(read_message, what)
            known = self._known(message.revision, sha256)
            if known is not None:
                self._tell(known)
                return
            # In a thread like all that takes its time: a large installation is hashed for it.
            base, profiles = await asyncio.to_thread(self._base), self._ground.profiles
            candidate = await asyncio.to_thread(judge, message, sha256, base, profiles)
            here = [*self._house.cannot(candidate.site), *self._ground.lacking(candidate.site)]
            here += self._other_latch(candidate)
            if here:
                raise RefusedDocumentError("document", here, candidate.revision, sha256)
        except RefusedDocumentError as refused:
            log.warning(
                "document refused",
                revision=refused.revision,
                step=refused.step,
                problems=[str(problem) for problem in refused.problems[:10]],
            )
            self._tell(
                Reported(
                    revision=refused.revision,
                    state="rejected",
                    step=refused.step,
                    reason=_REASONS[refused.step],
                    errors=troubles(refused.problems),
                    sha256=refused.sha256,
                )
            )
        else:
            await self._try(candidate)

    async def _try(self, candidate: Candidate) -> None:
        before = self._house.site
        online = self._house.online()
        try:
            await self._revisions.begin(candidate)
        except NotSavedError as error:
            self._tell(_verdict(candidate, "rejected", "storage", str(error)))
            return
        self._confirmed = None
        self._closings = self._house.closings()
        try:
            remarks = await self._house.switch(candidate.site)
        except NotBuiltError as error:
            failed = _verdict(candidate, "rejected", "trial", f"cannot be put in force: {error}")
            self._revisions.roll_back(failed)
            self._tell(failed)
            return
        log.info("document on trial", revision=candidate.revision)
        testing = Reported(
            revision=candidate.revision,
            state="testing",
            sha256=candidate.sha256,
            remarks=tuple(remarks),
        )
        self._tell(testing)
        step, why = await self._watch(candidate, before, online)
        if step is None:
            try:
                await self._revisions.keep()
            except NotSavedError as error:
                step, why = "storage", str(error)
        if step is None:
            log.info("document in force", revision=candidate.revision)
            if candidate.resets_latch is not None:
                remarks += self._reset(candidate)
            update = {"state": "active", "remarks": tuple(remarks)}
            self._tell(testing.model_copy(update=update))
            return
        await self._house.switch(before)
        log.error("document rolled back", revision=candidate.revision, step=step, why=why)
        failed = _verdict(candidate, "rolled_back", step, why)
        self._revisions.roll_back(failed)
        self._tell(failed)

    def _reset(self, candidate: Candidate) -> list[str]:
        """Ends the latch that was meant, and no later one; why not, if not."""
        latch_id = self._house.latch_id()
        if latch_id == candidate.resets_latch and self._house.closings() == self._closings:
            by = f"the installer's signature on revision {candidate.revision}"
            self._house.reset_latch(by)
            return []
        why = f"the latch {candidate.resets_latch} was not reset: "
        why += "nothing is latched any more" if latch_id is None else "the depot latched once more"
        log.warning("latch not reset", why=why)
        return [why]

    def _other_latch(self, candidate: Candidate) -> list[Problem]:
        latch_id = self._house.latch_id()
        if candidate.resets_latch in (None, latch_id):
            return []
        now = "nothing is latched" if latch_id is None else f"the one that is closed is {latch_id}"
        return [Problem("document.reset", f"{candidate.resets_latch}: {now}")]

    async def _watch(
        self, candidate: Candidate, before: Site, online: frozenset[str]
    ) -> tuple[Step | None, str]:
        """Returns when the trial has passed, or its time is over: then what is missing."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        trial_s = before.control.trial_ns / NS_PER_S
        needed = online & _devices(candidate.site)
        while True:
            await asyncio.sleep(LOOK_S)
            missing = self._missing(candidate, needed)
            passed_s = loop.time() - began_s
            if missing is None and passed_s >= CLEAN_S:
                return None, ""
            if passed_s >= trial_s:
                return (
                    "trial",
                    f"within {trial_s:g} s {missing or 'it did not run for long enough'}",
                )

    def _missing(self, candidate: Candidate, needed: frozenset[str]) -> str | None:
        if silent := sorted(needed - self._house.online()):
            return f"{', '.join(silent[:8])} did not answer again"
        if self._house.late_s() > candidate.site.control.dead_man_ns / NS_PER_S:
            return "nothing was decided any more"
        if self._house.closings() != self._closings:
            return "the guard disputed so much that the depot latched, or would have"
        if self._house.disputed():
            return "the guard disputes what is decided"
        if self._confirmed != candidate.revision or not self._house.linked():
            return "the broker did not confirm a report: the link was not back"
        return None

    # What is known.

    def _base(self) -> Base:
        memory = self._revisions.memory
        installation = self._ground.installation
        if memory.active is not None and memory.active.installation is not None:
            installation = memory.active.installation
        try:
            hashed = digest(installation)
        except NotCanonicalError:
            hashed = None
        source = self._ground.source
        return Base(installation, hashed, self._house.site, source, memory.last)

    def _known(self, revision: int, sha256: str) -> Reported | None:
        """What became of this very document before: retained messages come again and again."""
        memory = self._revisions.memory
        active, failed = memory.active, memory.failed
        if active is not None and (active.revision, active.sha256) == (revision, sha256):
            return self._standing()
        if failed is not None and (failed.revision, failed.sha256) == (revision, sha256):
            return failed
        return None

    def _standing(self) -> Reported:
        """The document in force, or why the last one is not."""
        memory = self._revisions.memory
        active, failed = memory.active, memory.failed
        if failed is not None and failed.revision == memory.last:
            return failed
        if active is None:
            return Reported(revision=None, state="active")
        return Reported(revision=active.revision, state="active", sha256=active.sha256)

    def _tell(self, reported: Reported) -> None:
        self._said = reported
        self._tell_link(
            reported.model_copy(
                update={
                    "active_revision": self._revisions.active_revision,
                    "installation_hash": self._house.site.installation_hash,
                }
            )
        )


_REASONS: dict[Step, str] = {
    "form": "this is no document message: nothing has changed",
    "revision": "not newer than what was there already: nothing has changed",
    "signature": "nobody vouches for it who may: nothing has changed",
    "document": "the document cannot be used: nothing has changed",
    "proof": "this site would not keep its ratings by itself: nothing has changed",
}


def _verdict(candidate: Candidate, state: Any, step: Step, why: str) -> Reported:
    return Reported(
        revision=candidate.revision, state=state, step=step, reason=why, sha256=candidate.sha256
    )


def _devices(site: Site) -> frozenset[str]:
    return frozenset((*site.source_ids, *(charger.id for charger in site.chargers)))
