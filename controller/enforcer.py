"""The control process: the kernel's thread, the drivers, and one loop that connects them.

What goes wrong outside is handled where it happens: in a driver, in a connection. An exception
that gets here is a broken invariant of ours: orders stop, the process ends, and the chargers'
own fallbacks take over.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import structlog

from controller.clock import WallClock
from controller.driver import Driver
from controller.events import Events
from controller.image import Clock, Image
from controller.leaving import leave
from controller.limit_file import LimitFile, LimitFileError
from controller.limits import Limits, RefusedLimitError, sources_of
from controller.notify import Notifier
from controller.places import PlaceError, Places
from controller.reasons import Reasons
from controller.server import Server, bound
from controller.site import Site
from controller.status import Reporter
from controller.threads import Signal, first_death, log_what_nobody_awaits
from controller.units import MA_PER_A, NS_PER_S
from controller.version import VERSION
from controller.vigil import Vigil
from controller.watch import Watch
from controller.wire import Limit, LimitAnswer, LinkReport, StatusReport, Welcome

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from cext.tick import Kernel
    from controller.tables import Tables

LOOK_EVERY_S = 1.0
TELL_AFTER_S = 0.02  # a new limit, after the early tick that counts it
BROKEN = 70  # exit status of a broken invariant: EX_SOFTWARE of sysexits.h

log: FilteringBoundLogger = structlog.get_logger()


class BrokenInvariantError(Exception):
    """Something of ours is not as it must be."""


class Ticker(Protocol):
    """Ticks the kernel in real time: cext.thread.KernelThread."""

    @property
    def changed_fd(self) -> int: ...
    @property
    def ticked_fd(self) -> int: ...
    def start(self) -> None: ...
    def stop(self) -> None:
        """May be called twice, and before start."""


@dataclass(frozen=True, slots=True)
class Depot:
    """One site with everything that runs it."""

    site: Site
    tables: Tables
    kernel: Kernel
    ticker: Ticker
    image: Image
    drivers: Sequence[Driver]
    mode: Literal["control", "observe"]


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
        notifier: Notifier | None = None,
    ) -> None:
        site, tables = depot.site, depot.tables
        self._notifier = notifier or Notifier({})
        self.events = Events(clock)
        self._depot = depot
        self._places = places
        self._clock = clock
        self._boot_id = boot_id
        self._limits = Limits(sources_of(site, tables), depot.kernel, clock, wall)
        self._limit_file = LimitFile(places.limits, boot_id, site.installation_hash())
        reasons = Reasons(list(tables.circuit_index), list(tables.slot_index))
        self._watch = Watch(site, tables, depot.kernel, depot.drivers, reasons, self.events)
        depot.image.on_doubt(self._watch.doubted)
        self._reporter = Reporter(
            site=site,
            tables=tables,
            kernel=depot.kernel,
            image=depot.image,
            limits=self._limits,
            limit_file=self._limit_file,
            drivers=depot.drivers,
            reasons=reasons,
            clock=clock,
            wall=wall,
            boot_id=boot_id,
            mode=depot.mode,
            started_ns=clock.now_ns(),
        )
        self._server = Server(allowed_uids, self)
        depot.image.on_input(self.take_contact)
        self._attached = False
        self._link_changed_ns: int | None = None
        self._stopping = asyncio.Event()
        self._stopping_at_once = asyncio.Event()
        self._vigil = Vigil(
            depot.image.turn, depot.kernel, clock, self._notifier, site.control.dead_man_ns
        )

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises PlaceError before anything was touched."""
        self._places.prepare()
        with bound(self._places) as listening:
            loop = asyncio.get_running_loop()
            log_what_nobody_awaits(loop)
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(name, self._stop)
            self._tell_start()
            self._restore()
            self._depot.kernel.tick(self._clock.now_ns())  # no report of what is not yet decided
            self._depot.ticker.start()
            log.info("started", **self._start_fields())
            try:
                async with asyncio.TaskGroup() as group:
                    work = [self._server.run(listening), self._follow(), self._look()]
                    work += [first_death(), self._vigil.run(self._depot.ticker.ticked_fd)]
                    work += [self._drive(driver) for driver in self._depot.drivers]
                    tasks = [group.create_task(self._guarded(each)) for each in work]
                    await self._stopping.wait()
                    await self._leave()
                    self._depot.ticker.stop()
                    for task in tasks:
                        task.cancel()
            finally:
                self._depot.ticker.stop()
                self._limit_file.close()
        log.info("stopped")

    def _stop(self) -> None:
        """The first time in order, the second time at once."""
        if self._stopping.is_set():
            self._stopping_at_once.set()
        self._stopping.set()

    async def _leave(self) -> None:
        self._notifier.stopping()
        if self._depot.mode == "observe":
            return
        log.info("stopping: chargers go to their fail-safe setpoints")
        self._notifier.status("stopping: chargers go to their fail-safe setpoints")
        leaving = asyncio.ensure_future(leave(self._depot.kernel, self._depot.tables.charger_index))
        at_once = asyncio.ensure_future(self._stopping_at_once.wait())
        try:
            await asyncio.wait((leaving, at_once), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            at_once.cancel()

    # What the server asks.

    def welcome(self) -> Welcome:
        site = self._depot.site
        return Welcome(
            site=site.id,
            boot_id=self._boot_id,
            version=VERSION,
            installation_hash=site.installation_hash(),
            mode=self._depot.mode,
        )

    def report(self) -> StatusReport:
        since_s = None
        if self._link_changed_ns is not None:
            since_s = (self._clock.now_ns() - self._link_changed_ns) / NS_PER_S
        return self._reporter.report(
            LinkReport(
                attached=self._attached,
                connected=self._limits.session is not None,
                since_s=since_s,
            )
        )

    def attached(self, attached: bool) -> None:
        self.events.happened("link_attached" if attached else "link_detached")
        self._attached = attached
        self._link_changed_ns = self._clock.now_ns()
        self._limits.open_session(None)

    def open_session(self, nonce: str | None) -> None:
        if nonce == self._limits.session:
            return
        if (nonce is None) != (self._limits.session is None):
            self._link_changed_ns = self._clock.now_ns()
        self._limits.open_session(nonce)
        log.info("link down" if nonce is None else "link up", nonce=nonce)
        self.events.happened_again("link_down" if nonce is None else "link_up", "", "")

    def take_limit(self, limit: Limit) -> LimitAnswer:
        try:
            taken = self._limits.receive(limit.source, limit.message)
        except RefusedLimitError as error:
            log.warning("limit refused", source=limit.source, code=error.code, why=error.reason)
            known = limit.source if error.code != "unknown_source" else ""
            self.events.happened_again("limit_refused", known, f"{error.code}: {error.reason}")
            return LimitAnswer(
                seq_id=limit.seq_id, accepted=False, code=error.code, reason=error.reason
            )
        self._limit_file.save(self._limits)
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

    def take_contact(self, contact: str, at_ns: int, active: bool) -> None:
        """A contact was seen still: it renews the limit of the source that it speaks for."""
        if self._limits.take_contact(contact, at_ns, active):
            self._limit_file.save(self._limits)
            asyncio.get_running_loop().call_later(TELL_AFTER_S, self._server.announce)

    # What runs.

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        """However a part ends, no order outlives it: the kernel stops confirming them."""
        try:
            await work
        finally:
            self._depot.ticker.stop()

    async def _drive(self, driver: Driver) -> None:
        await driver.run()
        raise BrokenInvariantError(f"the driver of {driver.id} ended by itself")

    async def _follow(self) -> None:
        """Hands changed orders to the drivers."""
        with Signal(self._depot.ticker.changed_fd) as changed:
            while True:
                await changed.wait()
                self._depot.image.announce()
                self._watch.orders(self._clock.now_ns())

    async def _look(self) -> None:
        """Each second: what changed without an order, and whether turns complete."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now_ns = self._clock.now_ns()
            self._watch.orders(now_ns)
            self._watch.others(now_ns)
            if (wrong := self._vigil.look()) is not None:
                raise BrokenInvariantError(wrong)

    def _tell_start(self) -> None:
        fields = self._start_fields()
        told = ("version", "mode", "installation_hash")
        why = ", ".join(f"{name.replace('_', ' ')} {fields[name]}" for name in told)
        self.events.happened("started", "", why)
        for each in self._depot.site.derogations:
            self.events.happened("derogated", each.place, each.sentence)

    def _restore(self) -> None:
        try:
            restored = self._limit_file.restore(self._limits, self._clock.now_ns())
        except LimitFileError as error:  # every source counts as never heard: fail-safe caps
            log.error("saved limits cannot be read", why=str(error))
            self.events.happened("saved_limits_unreadable", "", str(error))
        else:
            log.info("limits restored", sources=restored)

    def _start_fields(self) -> dict[str, object]:
        site = self._depot.site
        return {
            "site": site.id,
            "version": VERSION,
            "mode": self._depot.mode,
            "installation_hash": site.installation_hash(),
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
