"""The guard on duty: what falls never waits for it, and what rises waits for nothing else."""

import asyncio
import time
from collections.abc import Callable, Generator

import pytest

from controller.guard.account import Tables
from controller.guard.duty import LEAD_S, PIECE_S, Duty
from controller.guard.guard import Verdict
from controller.records import Record
from controller.tap import Tap
from tests.guardbench import S
from tests.patience import until
from tests.test_gate import Bench, Puppet, journal

PIECES = 6
ONE, TWO = 0, 1


class Slow(Puppet):
    """A guard that needs several pieces, each longer than its turn."""

    pieces = PIECES

    def __init__(self, tables: Tables, piece: Callable[[int], None]) -> None:
        super().__init__(tables)
        self._piece = piece

    def judging(
        self, record: Record, *, newer: bool = False
    ) -> Generator[None, None, Verdict | None]:
        for number in range(self.pieces):
            time.sleep(1.5 * PIECE_S)
            self._piece(number)
            yield
        return self.hear(record)


class Depot(Bench):
    """A bench whose two drivers are woken, and write what they may at once; `log` is what happened,
    in its order."""

    def __init__(self) -> None:
        self.log: list[tuple[str, int] | tuple[str, int, int]] = []
        self.at_piece: dict[int, Callable[[], object]] = {}
        super().__init__()
        self.gate.on_verdict(lambda verdict: self.log.append(("verdict", verdict.tick)))
        self.sent: dict[int, int] = {}
        self.drained = self.began_s = 0.0
        self._undrained = b""
        tap = Tap(self)  # type: ignore[arg-type]  # of a kernel, only the journal is there
        tap.follow_bytes(self.gate.post)
        self.duty = Duty(tap, self.gate, self.announce)

    def _make(self, tables: Tables) -> Puppet:
        self.made.append(Slow(tables, self._piece))
        return self.made[-1]

    def _piece(self, number: int) -> None:
        self.log.append(("piece", number))
        self.at_piece.pop(number, lambda: None)()

    def decides(self, **orders: int) -> None:
        self.orders_of(**orders)
        self._undrained += journal(self)

    def drain(self) -> bytes:
        self.log.append(("drained", self.tick))
        self.drained = asyncio.get_running_loop().time()
        taken, self._undrained = self._undrained, b""
        return taken

    def announce(self) -> bool:
        before = dict(self.sent)
        for charger in self.orders:
            out = self.goes_out(charger)
            if out is not None and self.sent.get(charger) != out[0]:
                self.sent[charger] = out[0]
                self.log.append(("out", charger, out[0]))
        return self.sent != before

    async def begin(self) -> None:
        """Both have an order that has passed."""
        self.decides(one=6000, two=16_000)
        assert not self.announce(), "a first order waits"
        await self.duty.look()
        assert self.sent == {ONE: 6000, TWO: 16_000}
        self.log.clear()


def test_what_falls_while_the_guard_adds_up_goes_out_before_its_verdict() -> None:
    async def whole() -> None:
        it = Depot()
        await it.begin()

        def falls() -> None:
            it.decides(two=8000)
            asyncio.get_running_loop().call_soon(it.duty.orders_changed)  # by the eventfd

        it.at_piece[2] = falls
        running = asyncio.create_task(it.duty.run())
        it.decides(one=12_000)
        it.duty.orders_changed()
        await until(lambda: ("verdict", 3) in it.log)
        running.cancel()
        assert it.log.index(("out", TWO, 8000)) < it.log.index(("piece", 4)), "it waits for a piece"
        rise, passed = it.log.index(("out", ONE, 12_000)), it.log.index(("verdict", 2))
        assert rise > passed, "what rises waits for the verdict"
        assert rise < it.log.index(("drained", 3), passed), "and for nothing else"

    asyncio.run(whole())


def test_what_fell_goes_out_before_the_guard_begins_and_has_a_lead() -> None:
    async def whole() -> None:
        it = Depot()
        await it.begin()
        it.decides(one=12_000, two=8000)
        fell_s = asyncio.get_running_loop().time()
        it.duty.orders_changed()
        assert it.log == [("out", TWO, 8000)]
        seen = await it.duty.look()
        assert seen == (2, 2 * S), "the newest decision that the guard has seen, and its instant"
        assert it.drained - fell_s >= LEAD_S
        assert it.log[-1] == ("out", ONE, 12_000)

    asyncio.run(whole())


def test_where_nothing_fell_it_begins_at_once() -> None:
    async def whole() -> None:
        it = Depot()
        await it.begin()
        it.made[-1].pieces = 0  # type: ignore[attr-defined]
        it.decides(one=12_000)
        it.duty.orders_changed()
        with pytest.raises(StopIteration) as ended:  # it waits for nobody
            it.duty.look().send(None)
        assert ended.value.value == (2, 2 * S)
        assert it.log[-1] == ("out", ONE, 12_000)

    asyncio.run(whole())


def test_one_looks_at_a_time_and_the_next_goes_on_where_it_was_left() -> None:
    async def whole() -> None:
        it = Depot()
        await it.begin()
        it.decides(one=12_000)
        looks = [asyncio.create_task(it.duty.look()) for _ in range(2)]
        it.at_piece[2] = lambda: it.decides(one=14_000)
        await asyncio.gather(*looks)
        drained = [at for at, what in enumerate(it.log) if what[0] == "drained"]
        assert it.log.index(("verdict", 2)) < it.log.index(("out", ONE, 12_000)) < drained[1]
        assert looks[1].result() == (3, 3 * S), "made while the first one looked"

        it.log.clear()
        it.decides(one=16_000)
        ended = asyncio.create_task(it.duty.look())
        it.at_piece[2] = ended.cancel
        await asyncio.wait([ended])
        assert ended.cancelled() and ("verdict", 4) not in it.log
        await it.duty.look()
        assert [what for what in it.log if what[0] == "piece"] == [
            ("piece", n) for n in range(PIECES)
        ]
        assert it.sent[ONE] == 16_000, "no piece twice, and none is lost"

    asyncio.run(whole())
