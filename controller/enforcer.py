"""The control process: the kernel's thread, the drivers, and one loop that connects them.

What goes wrong outside is handled where it happens: in a driver, in a connection. An exception
that gets here is a broken invariant of ours: orders stop, the process ends, and the chargers'
own fallbacks take over.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from cext.rows import Phases
from controller.blackbox.recorder import BlackBox
from controller.blackbox.shelf import Shelf
from controller.clock import WallClock
from controller.configuration import Configuration, Ground
from controller.depot import Build, Depot
from controller.driven import PinMemory, Wanted
from controller.events import Events
from controller.guard.account import Tables
from controller.guard.gate import Judge
from controller.guard.guard import Guard
from controller.image import Clock
from controller.latch import Latch
from controller.leaving import leave
from controller.limit_file import LimitFile, LimitFileError
from controller.limits import RefusedLimitError
from controller.notify import Notifier
from controller.places import PlaceError, Places
from controller.prooftest import ProofTests
from controller.reported import Confirmed, Desired, Reported
from controller.revisions import Revisions
from controller.running import BrokenInvariantError, Running
from controller.server import Server, bound
from controller.status_report import LinkReport, StatusReport
from controller.threads import first_death, log_what_nobody_awaits
from controller.units import MA_PER_A, NS_PER_S
from controller.version import VERSION
from controller.warmth import Warmth, WarmthError
from controller.wire import Limit, LimitAnswer, ProoftestAnswer, ResetAnswer, Welcome

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


LOOK_EVERY_S = 1.0
TELL_AFTER_S = 0.02  # a new limit, after the early tick that counts it
NAMED = 20  # devices in one log line
BROKEN = 70  # exit status of a broken invariant: EX_SOFTWARE of sysexits.h

log: FilteringBoundLogger = structlog.get_logger()


__all__ = ["BrokenInvariantError", "Depot", "Documents", "Enforcer", "hold"]


@dataclass(frozen=True, slots=True)
class Documents:
    """What it takes to go from one document to another while running."""

    ground: Ground
    revisions: Revisions
    build: Build


class Enforcer:
    """Holds a depot under its caps until told to stop."""

    def __init__(
        self,
        depot: Depot,
        places: Places,
        clock: Clock,
        wall: WallClock,
        boot_id: str,
        allowed_uids: frozenset[int] = frozenset(),
        documents: Documents | None = None,
        notifier: Notifier | None = None,
        guard: Callable[[Tables], Judge] = Guard,
        left: Wanted | None = None,
    ) -> None:
        """Without `documents` those that come over MQTT are refused. `guard` makes one for each.

        `left`: pins that an enforcer before left on, and that could not be brought to rest.
        """
        self._places = places
        self._clock = clock
        self._boot_id = boot_id
        self._limit_file = LimitFile(places.limits, boot_id, depot.site.installation_hash)
        self.events = Events(clock)
        self._pins = PinMemory(places.pins, boot_id)
        self._left = left or []
        self._warmth = Warmth(places.heat, places.bases, boot_id)
        self.latch = Latch(places.latch, self.events, wall)
        self.blackbox = BlackBox(Shelf(places.blackbox), clock, wall, boot_id)
        self.events.followers.append(self.blackbox.note)
        self._server = Server(allowed_uids, self)
        build = documents.build if documents else None
        self._notifier = notifier or Notifier({})
        self._running = Running(
            depot,
            self._limit_file,
            self.events,
            clock,
            wall,
            boot_id,
            build,
            self._notifier,
            self.latch,
            self.blackbox,
            guard,
        )
        self._prooftests = ProofTests(
            lambda: self._running.depot, self.events, lambda: self.latch.report is not None
        )
        self._running.on_switch = lambda: self._server.tell(self.welcome())
        self._revisions = documents.revisions if documents else None
        self._lacking = documents.ground.lacking(depot.site) if documents else []
        self._configuration = (
            Configuration(documents.ground, documents.revisions, self._running, self._told)
            if documents
            else None
        )
        self._last_told: Reported | None = None
        depot.image.on_input(self.take_contact)
        self._attached = False
        self._link_changed_ns: int | None = None
        self._stopping = asyncio.Event()
        self._stopping_at_once = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises PlaceError before anything was touched."""
        self._places.prepare()
        with bound(self._places) as listening:
            loop = asyncio.get_running_loop()
            log_what_nobody_awaits(loop)
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(name, self._stop)
            self._tell_start()
            if self._revisions is not None:
                self._revisions.start()
            self._restore()
            drives = self.depot.mode != "observe"
            self._pins.keep(self.depot.site.gpio, drives=drives, left=self._left)
            self._running.start()
            gc.collect()  # what loading left behind is used again, else it would stay for ever
            gc.freeze()  # what is there now stays: looking at all of it again would hold the loop
            log.info("started", **self._start_fields())
            try:
                async with asyncio.TaskGroup() as group:
                    work = [self._server.run(listening), self._running.run(), self._look()]
                    work += [first_death()]
                    if self._configuration is not None:
                        work.append(self._configuration.run())
                    tasks = [group.create_task(self._guarded(each)) for each in work]
                    await self._stopping.wait()
                    await self._leave()
                    self._running.stop()
                    for task in tasks:
                        task.cancel()
            finally:
                self._running.stop()
                self._running.tap.drain()
                self._keep_warmth(self._clock.now_ns(), last=True)
                self._warmth.close()
                self._pins.close()
                self._limit_file.close()
                self.latch.stop()
                self.blackbox.close()
                if self._revisions is not None:
                    self._revisions.close()
        log.info("stopped")

    def _stop(self) -> None:
        """The first time in order, the second time at once."""
        if self._stopping.is_set():
            self._stopping_at_once.set()
        self._stopping.set()

    async def _leave(self) -> None:
        depot = self._running.depot
        self._notifier.stopping()
        if depot.mode == "observe":
            return
        log.info("stopping: chargers go to their fail-safe setpoints")
        self._notifier.status("stopping: chargers go to their fail-safe setpoints")
        leaving = asyncio.ensure_future(leave(depot.kernel, depot.tables.charger_index))
        at_once = asyncio.ensure_future(self._stopping_at_once.wait())
        try:
            await asyncio.wait((leaving, at_once), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            at_once.cancel()

    @property
    def depot(self) -> Depot:
        """With the document in force."""
        return self._running.depot

    # What the server asks.

    def welcome(self) -> Welcome:
        depot = self._running.depot
        return Welcome(
            site=depot.site.id,
            boot_id=self._boot_id,
            version=VERSION,
            installation_hash=depot.site.installation_hash,
            mode=depot.mode,
            revision=self._revisions.active_revision if self._revisions else None,
            link=depot.site.link,
        )

    def report(self) -> StatusReport:
        since_s = None
        if self._link_changed_ns is not None:
            since_s = (self._clock.now_ns() - self._link_changed_ns) / NS_PER_S
        report = self._running.reporter.report(
            LinkReport(
                attached=self._attached,
                connected=self._running.limits.session is not None,
                since_s=since_s,
            )
        )
        if self._revisions is None:
            return report
        problem = report.state_problem or self._revisions.problem
        revision = self._revisions.active_revision
        return report.model_copy(update={"revision": revision, "state_problem": problem})

    def attached(self, attached: bool) -> None:
        self.events.happened("link_attached" if attached else "link_detached")
        self._attached = attached
        self._link_changed_ns = self._clock.now_ns()
        self._running.limits.open_session(None)
        if attached and self._configuration is not None:
            self._configuration.repeat()

    def open_session(self, nonce: str | None) -> None:
        if nonce == self._running.limits.session:
            return
        if (nonce is None) != (self._running.limits.session is None):
            self._link_changed_ns = self._clock.now_ns()
        self._running.limits.open_session(nonce)
        log.info("link down" if nonce is None else "link up", nonce=nonce)
        self.events.happened_again("link_down" if nonce is None else "link_up", "", "")

    def take_limit(self, limit: Limit) -> LimitAnswer:
        try:
            taken = self._running.limits.receive(limit.source, limit.message)
        except RefusedLimitError as error:
            log.warning("limit refused", source=limit.source, code=error.code, why=error.reason)
            known = limit.source if error.code != "unknown_source" else ""
            self.events.happened_again("limit_refused", known, f"{error.code}: {error.reason}")
            return LimitAnswer(
                seq_id=limit.seq_id, accepted=False, code=error.code, reason=error.reason
            )
        self._limit_file.save(self._running.limits)
        asyncio.get_running_loop().call_later(TELL_AFTER_S, self._server.announce)
        limit_ma = taken.lease.limit_ma
        log.info(
            "limit accepted",
            source=taken.source,
            circuit=taken.circuit,
            limit_a="unlimited" if limit_ma is None else [ma / MA_PER_A for ma in limit_ma],
            left_s=round(taken.left_s, 1),
            remarks=list(taken.remarks),
        )
        return LimitAnswer(
            seq_id=limit.seq_id, accepted=True, code="accepted", reason="; ".join(taken.remarks)
        )

    def take_desired(self, part: Desired) -> None:
        if self._configuration is not None:
            self._configuration.receive(part)
        elif part.part == part.parts:
            why = "this enforcer takes no documents"
            self._told(Reported(revision=None, state="rejected", step="form", reason=why))

    def confirmed(self, confirmed: Confirmed) -> None:
        if self._configuration is not None:
            self._configuration.confirmed(confirmed)

    async def test_contactor(self, contactor: str, even_charging: bool) -> ProoftestAnswer:
        return await self._prooftests.test(contactor, even_charging)

    def reset(self, by: str) -> ResetAnswer:
        was = self.latch.reset(by)
        self._server.announce()
        return ResetAnswer(was=was)

    def _told(self, reported: Reported) -> None:
        if reported != self._last_told:
            why = "; ".join([reported.reason or "", *(each.path for each in reported.errors[:8])])
            subject = "" if reported.revision is None else f"revision {reported.revision}"
            kind = "" if reported.state == "rejected" else None  # of any revision that one likes
            self.events.happened_again(f"document_{reported.state}", subject, why, kind)
        self._last_told = reported
        self._server.tell(reported)
        self._server.tell(self.welcome())

    def take_contact(self, contact: str, at_ns: int, limit_ma: Phases | None) -> None:
        """A contact was seen still: it renews the limit of the source that it speaks for."""
        if self._running.limits.take_contact(contact, at_ns, limit_ma):
            self._limit_file.save(self._running.limits)
            asyncio.get_running_loop().call_later(TELL_AFTER_S, self._server.announce)

    # What runs.

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        """However a part ends, no order outlives it: the kernel stops confirming them."""
        try:
            await work
        finally:
            self._running.stop()

    async def _look(self) -> None:
        """Each second: what changed without an order, and whether turns complete."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now_ns = self._clock.now_ns()
            self._running.watch.orders(now_ns)
            self._running.watch.others(now_ns)
            self._running.advice.look(now_ns)
            self.blackbox.look(self.events)
            self._keep_warmth(now_ns)
            if (wrong := self._running.vigil.look(self._running.depot.kernel)) is not None:
                raise BrokenInvariantError(wrong)

    def _tell_start(self) -> None:
        fields = self._start_fields()
        told = ("version", "mode", "installation_hash")
        why = ", ".join(f"{name.replace('_', ' ')} {fields[name]}" for name in told)
        self.events.happened("started", "", why)
        for each in self._running.depot.site.derogations:
            self.events.happened("derogated", each.place, each.sentence)
        if self._lacking:  # the others are held all the same
            first, more = self._lacking[0], len(self._lacking) - 1
            why = first.message + (f"; and {more} more" if more else "")
            devices = [each.path for each in self._lacking[:NAMED]]
            log.error("devices are out of reach", devices=devices, why=why)
            self.events.happened("not_permitted", first.path, why)

    def _restore(self) -> None:
        if self._revisions is not None and self._revisions.unreadable is not None:
            self.events.happened("saved_documents_unreadable", "", self._revisions.unreadable)
        try:
            restored = self._limit_file.restore(self._running.limits, self._clock.now_ns())
        except LimitFileError as error:  # every source counts as never heard: fail-safe caps
            log.error("saved limits cannot be read", why=str(error))
            self.events.happened("saved_limits_unreadable", "", str(error))
        else:
            log.info("limits restored", sources=restored)

        depot, now_ns = self._running.depot, self._clock.now_ns()
        index = depot.tables.circuit_index
        try:
            warm = self._warmth.restore(depot.site, depot.kernel, index, now_ns)
        except WarmthError as error:  # counted as warm as can be, and as declared
            log.error("saved heat or base load cannot be read", why=str(error))
            self.events.happened("saved_heat_unreadable", "", str(error))
        else:
            log.info("heat restored", circuits=warm)

    def _keep_warmth(self, now_ns: int, *, last: bool = False) -> None:
        depot = self._running.depot
        index = depot.tables.circuit_index
        self._warmth.look(depot.site, depot.kernel, index, now_ns, last=last)

    def _start_fields(self) -> dict[str, object]:
        site = self._running.depot.site
        return {
            "site": site.id,
            "version": VERSION,
            "mode": self._running.depot.mode,
            "installation_hash": site.installation_hash,
            "boot_id": self._boot_id,
            "circuits": len(site.circuits),
            "meters": len(site.meters),
            "chargers": len(site.chargers),
            "limit_sources": len(site.limit_sources),
            "socket": str(self._places.socket),
        }


def hold(enforcer: Enforcer) -> int:
    """Runs to the end; the exit status. The one place that catches whatever is left."""
    try:
        asyncio.run(enforcer.run())
    except PlaceError as error:
        log.error("not started", why=str(error))
        return 1
    except Exception:  # a broken invariant: orders have stopped, fallbacks follow
        log.critical("stopped: a broken invariant", exc_info=True)
        return BROKEN
    return 0
