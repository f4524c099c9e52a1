"""What runs one document: its kernel, thread, drivers, limits and reports; and its change for
another without a gap.

What the new document leaves as it was goes on: drivers with their connections, setpoints,
readings, leases. The kernel of the new one takes over from the old one between two ticks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING

import structlog

from cext.rows import Vehicle
from controller.advice import DocumentAdvice
from controller.blackbox.recorder import BlackBox
from controller.clock import WallClock
from controller.condition import Condition, condition_of
from controller.configuration import NotBuiltError
from controller.depot import Build, Depot, take_over
from controller.document.problems import Problem
from controller.driver import Driver
from controller.events import Events
from controller.guard.account import Maps
from controller.guard.account import Tables as Guarded
from controller.guard.disputes import Disputes
from controller.guard.duty import Duty
from controller.guard.gate import Gate, Judge
from controller.guard.guard import Guard
from controller.image import Clock
from controller.latch import Latch
from controller.limit_file import LimitFile
from controller.limits import Limits, sources_of
from controller.notify import Notifier
from controller.realtime import in_words
from controller.reasons import Reasons
from controller.site import Site
from controller.status import Reporter
from controller.tap import Tap
from controller.threads import Signal
from controller.units import NS_PER_S, whole_ms
from controller.vigil import Vigil
from controller.watch import Watch

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


END_WITHIN_S = 5.0  # a driver that was told to end
DRAIN_EVERY_S = 0.25  # the kernel's journal, when no order changes

log: FilteringBoundLogger = structlog.get_logger()


class BrokenInvariantError(Exception):
    """Something of ours is not as it must be."""


class Running:
    """One document in force at a time."""

    def __init__(
        self,
        depot: Depot,
        limit_file: LimitFile,
        events: Events,
        clock: Clock,
        wall: WallClock,
        boot_id: str,
        build: Build | None,
        notifier: Notifier | None,
        latch: Latch,
        blackbox: BlackBox,
        guard: Callable[[Guarded], Judge] = Guard,
    ) -> None:
        """Without `build` the first document stays. `guard` makes one for each document."""
        self.depot = depot
        self.latch = latch
        self.blackbox = blackbox
        self.on_switch: Callable[[], None] = lambda: None
        self._build = build
        self.limit_file = limit_file
        self._events = events
        self.limits = Limits(sources_of(depot.site, depot.tables), depot.kernel, clock, wall)
        self._clock = clock
        self._wall = wall
        self._boot_id = boot_id
        self._started_ns = clock.now_ns()
        self._tasks: dict[Driver, asyncio.Task[None]] = {}
        self._following: list[asyncio.Task[None]] = []
        self.vigil = Vigil(
            depot.image.turn, clock, notifier or Notifier({}), depot.site.control.dead_man_ns
        )
        self._group: asyncio.TaskGroup | None = None
        self.watch = self._make_watch()
        self.advice = DocumentAdvice(depot.site.chargers, depot.image.advise, wall)
        depot.image.on_doubt(self.watch.doubted)
        depot.image.on_condition(self.condition)
        self.reporter = self._make_reporter()
        self._guard = guard
        self._disputes = Disputes(latch, events, blackbox.freeze)
        self.tap, self.gate = self._keep_gate()
        self.duty = Duty(self.tap, self.gate, depot.image.announce)

    async def run(self) -> None:
        """The drivers, and who hands orders to them, until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            self._start()
            await asyncio.Event().wait()

    def start(self, why: str = "the enforcer started") -> None:
        """The kernel's first tick, and its thread. The black box says why."""
        self.latch.hold(self.depot.kernel)
        self._record(why)
        # No report of what is not yet decided.
        self.depot.kernel.tick(whole_ms(self._clock.now_ns()))
        self.depot.ticker.start()
        has = in_words(self.depot.ticker.granted)
        tell = log.info if has.full else log.warning
        tell("real time", scheduling=has.scheduling, memory=has.memory)

    def stop(self) -> None:
        """No order is confirmed any more. May be called twice."""
        self.depot.ticker.stop()

    # The change.

    @property
    def site(self) -> Site:
        return self.depot.site

    def cannot(self, site: Site) -> list[Problem]:
        """What of another document only a restart puts in force."""
        here, there = self.site.fixed, site.fixed
        pinned = here.gpio is not None
        fixed = {
            "gpio": here.gpio != there.gpio,
            "output": here.outputs != there.outputs,
            "input": here.inputs != there.inputs,
            "charger": self.site.switches != site.switches,
            "mode": pinned and self.site.mode != site.mode,
            "control.dead_man_s": self.site.control.dead_man_ns != site.control.dead_man_ns,
        }
        why = "can only change in the installer's file, with somebody there: it needs a restart"
        return [Problem(f"installation.{path}", why) for path, changed in fixed.items() if changed]

    def online(self) -> frozenset[str]:
        return frozenset(each.id for each in self.depot.drivers if each.health().online)

    def linked(self) -> bool:
        return self.limits.session is not None

    def condition(self) -> Condition:
        site, image = self.site, self.depot.image
        return condition_of(
            latched=self.latch.report is not None,
            drivers=self.depot.drivers,
            doubted=any(image.suspicion(source) for source in site.source_ids),
            linked=site.link is None or self.linked(),
        )

    def late_s(self) -> float:
        return (self._clock.now_ns() - self.depot.kernel.now_ns) / NS_PER_S

    def disputed(self) -> bool:
        return self._disputes.disputed

    def closings(self) -> int:
        return self.latch.closings

    def latch_id(self) -> str | None:
        return None if self.latch.report is None else self.latch.report.id

    def reset_latch(self, by: str) -> None:
        self.latch.reset(by)

    async def switch(self, site: Site) -> list[str]:
        """Another document is in force when this returns; what its sender should know of it.

        Raises NotBuiltError before anything is touched; whatever comes later is a broken
        invariant, and nobody goes on with half of a document.
        """
        if self._build is None:
            raise NotBuiltError("this process keeps its document")
        before = self.depot
        # A large site takes a second to build, in which the drivers must not stand still.
        try:
            after = await asyncio.to_thread(self._build, site, before.image)
        except (ValueError, KeyError) as error:
            raise NotBuiltError(str(error)) from error
        kept = set(after.drivers)
        await self._end([driver for driver in before.drivers if driver not in kept])
        remarks = self._remarks(before, after)
        before.ticker.stop()
        self.tap.drain()  # what the old kernel heard, the old guard hears
        self.gate.finish()
        stays = take_over(before, after)
        self.depot = after
        after.image.switch(after.tables, after.kernel, stays.sources)
        self.limits.switch(sources_of(after.site, after.tables), after.kernel)
        self.limit_file.switch(after.site.installation_hash)
        self.watch = self._make_watch(self.watch)
        self.advice = DocumentAdvice(
            after.site.chargers, after.image.advise, self._wall, self.advice
        )
        self.advice.look(self._clock.now_ns())
        after.image.on_doubt(self.watch.doubted)
        self.reporter = self._make_reporter()
        self.tap, self.gate = self._keep_gate(self.gate, stays)
        self.duty = Duty(self.tap, self.gate, after.image.announce)
        self.start("another document is in force")
        self._start()
        after.image.announce()
        log.info("document switched", installation_hash=after.site.installation_hash)
        self.on_switch()
        return remarks

    # Its tasks.

    def _start(self) -> None:
        assert self._group is not None
        for driver in self.depot.drivers:
            if driver not in self._tasks:
                self._tasks[driver] = self._group.create_task(self._drive(driver))
        for task in self._following:
            task.cancel()
        depot = self.depot
        work = (
            self._follow(depot),
            self._drain(self.duty),
            self.duty.run(),
            self.vigil.run(depot.kernel, depot.ticker, self.duty.look),
        )
        self._following = [self._group.create_task(self._guarded(each)) for each in work]

    async def _end(self, drivers: Sequence[Driver]) -> None:
        """Nothing of them writes or posts any more when this returns."""
        ending = [self._tasks.pop(driver) for driver in drivers]
        for task in ending:
            task.cancel()
        if ending:
            _, pending = await asyncio.wait(ending, timeout=END_WITHIN_S)
            if pending:
                raise BrokenInvariantError("a driver does not end")

    async def _drive(self, driver: Driver) -> None:
        try:
            await driver.run()
        finally:
            if driver in self._tasks:  # else it was told to end, and the others go on
                self.stop()
        raise BrokenInvariantError(f"the driver of {driver.id} ended by itself")

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        """However it fails, no order outlives it."""
        try:
            await work
        except Exception:
            self.stop()
            raise

    async def _follow(self, depot: Depot) -> None:
        """Hands changed orders to the drivers."""
        with Signal(depot.ticker.changed_fd) as changed:
            while True:
                await changed.wait()
                self.duty.orders_changed()
                self.watch.orders(self._clock.now_ns())

    def _keep_gate(self, before: Gate | None = None, stays: Maps | None = None) -> tuple[Tap, Gate]:
        """Of the document in force: its journal, and what lets its orders through."""
        tap, gate = Tap(self.depot.kernel), Gate(self.depot.tables, self._guard)
        if before is not None and stays is not None:
            gate.adopt(before, stays)
        self._disputes.name(self.depot.tables)
        gate.on_verdict(self._disputes.judged)
        self.depot.image.guard_by(gate)
        tap.follow_bytes(gate.post)
        tap.follow_bytes(self.blackbox.take)
        return tap, gate

    async def _drain(self, duty: Duty) -> None:
        """Takes the kernel's journal also while no order changes."""
        while True:
            await asyncio.sleep(DRAIN_EVERY_S)
            await duty.look()
            if why := self.blackbox.wanted():
                self._record(why)

    def _record(self, why: str) -> None:
        depot = self.depot
        self.blackbox.begin(depot.site, depot.tables, depot.kernel, self.tap, depot.mode, why)

    def _remarks(self, before: Depot, after: Depot) -> list[str]:
        """What was taken away while it was in use."""
        remarks = []
        stays = {charger.id for charger in after.site.chargers}
        for charger in before.site.chargers:
            state = before.kernel.charger(before.tables.charger_index[charger.id])
            if charger.id not in stays and state.vehicle is Vehicle.C:
                why = "it goes on as its own watchdog has it, and counts as base load"
                log.warning("charger removed while it charged", charger=charger.id)
                self._events.happened("charger_removed", charger.id, why)
                remarks.append(f"{charger.id} was removed while it charged: {why}")
        return remarks

    # What is made anew for each document.

    def _reasons(self) -> Reasons:
        tables = self.depot.tables
        return Reasons(list(tables.circuit_index), list(tables.slot_index))

    def _make_watch(self, before: Watch | None = None) -> Watch:
        depot = self.depot
        return Watch(
            depot.site,
            depot.tables,
            depot.kernel,
            depot.drivers,
            self._reasons(),
            self._events,
            before,
        )

    def _make_reporter(self) -> Reporter:
        depot = self.depot
        return Reporter(
            site=depot.site,
            tables=depot.tables,
            kernel=depot.kernel,
            ticker=depot.ticker,
            image=depot.image,
            limits=self.limits,
            limit_file=self.limit_file,
            drivers=depot.drivers,
            reasons=self._reasons(),
            clock=self._clock,
            wall=self._wall,
            boot_id=self._boot_id,
            mode=depot.mode,
            latch=self.latch,
            blackbox=self.blackbox,
            started_ns=self._started_ns,
        )
