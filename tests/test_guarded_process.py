"""The guard in the running enforcer: what it vetoes, what its failure does, and that it passes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
from structlog.testing import capture_logs

from controller.blackbox.recorder import BlackBox
from controller.clock import MonotonicClock
from controller.enforcer import Enforcer
from controller.guard.guard import Guard, Verdict
from controller.records import Record, Tick
from controller.status_report import StatusReport
from tests.linked import BOOT, Wall, World, free_port, make_depot, world
from tests.patience import until
from tests.test_disputes import wrong


class Wary(Guard):
    """Disputes whatever is above its limit, as if that were too much."""

    most_ma = 1 << 30

    def judging(
        self, record: Record, *, newer: bool = False
    ) -> Generator[None, None, Verdict | None]:
        verdict = yield from super().judging(record, newer=newer)
        if verdict is None or all((ma or 0) <= self.most_ma for ma in verdict.bound_ma):
            return verdict
        self._judged_ns = 0  # judges the next one, too
        bound = tuple(None if ma is None else min(ma, self.most_ma) for ma in verdict.bound_ma)
        disputes = wrong(max(ma or 0 for ma in verdict.bound_ma))
        return verdict._replace(disputes=disputes, bound_ma=bound)


@contextlib.asynccontextmanager
async def guarded(made: World, guard: Any) -> AsyncIterator[Enforcer]:
    depot, drivers = make_depot()
    made.depot, made.drivers = depot, drivers
    enforcer = Enforcer(depot, made.places, MonotonicClock(), Wall(), BOOT, guard=guard)
    running = asyncio.create_task(enforcer.run())
    try:
        await until(made.places.socket.exists)
        yield enforcer
    finally:
        running.cancel()
        await asyncio.wait([running])


def amps(report: StatusReport) -> float:
    return report.chargers[0].setpoint_a or 0.0


def test_a_kernel_that_insists_is_vetoed_and_latched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real kernel raises a charger to 28 A and more; this guard lets 20 A pass."""
    frozen: list[str] = []
    monkeypatch.setattr(BlackBox, "freeze", lambda self, reason: frozen.append(reason))

    async def run() -> None:
        wary = type("Wary20", (Wary,), {"most_ma": 20_000})
        async with world(free_port(), "") as made, guarded(made, wary) as enforcer:
            assert made.depot is not None
            image = made.depot.image
            seen = []
            while not enforcer.latch.closed:
                order = image.order("bay")
                seen.append(0 if order is None else order.ma)
                await asyncio.sleep(0.01)
            assert max(seen) <= 20_000
            assert len(frozen) == 1
            await made.report(lambda report: amps(report) == 6)
            what = [each.what for each in enforcer.events.kept]
            assert what.count("guard_disputes") == 1
            assert what.count("latched") == 1

    with capture_logs():
        asyncio.run(asyncio.wait_for(run(), 60))


def test_a_guard_that_always_fails_stops_no_charging_and_latches() -> None:
    class Broken(Guard):
        def judging(
            self, record: Record, *, newer: bool = False
        ) -> Generator[None, None, Verdict | None]:
            if isinstance(record, Tick) and record.tick > 40:
                raise ZeroDivisionError("a bug of its own")
            return (yield from super().judging(record, newer=newer))

    async def run() -> None:
        async with world(free_port(), "") as made, guarded(made, Broken) as enforcer:
            assert made.depot is not None
            await until(lambda: enforcer.latch.closed, within_s=30)
            order = made.depot.image.order("bay")
            assert order is not None  # what was in force may be written on
            assert (await made.report()).latched is not None

    with capture_logs():
        asyncio.run(asyncio.wait_for(run(), 60))


def test_every_decision_of_the_running_process_passes() -> None:
    async def run() -> None:
        verdicts: list[Verdict] = []

        class Counting(Guard):
            def judging(
                self, record: Record, *, newer: bool = False
            ) -> Generator[None, None, Verdict | None]:
                verdict = yield from super().judging(record, newer=newer)
                if verdict is not None:
                    verdicts.append(verdict)
                return verdict

        async with world(free_port(), "") as made, guarded(made, Counting):
            await made.report(lambda report: amps(report) > 25)
        assert len(verdicts) > 5
        assert not any(each.disputes or each.learns for each in verdicts)

    with capture_logs():
        asyncio.run(asyncio.wait_for(run(), 60))
