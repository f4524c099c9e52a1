"""The gate: what may go out of what the kernel ordered.

A reduction goes at once. An increase, a first order and a contactor's closing wait until the guard
has passed a decision with them in it; what it disputed is held at the least of order, bound and
what is in force, until it passes one again.

The guard works in pieces, so that what falls meanwhile waits for a piece and not for all of it.
Where several decisions wait, it judges the newest: nothing rose by the others.

A guard that fails has disputed the tick. A new one takes its place, lets nothing rise until it
knows the depot again, and control goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol

from cext.rows import Output
from controller.guard.account import Maps, Orders, Tables
from controller.guard.guard import Dispute, Guard, Verdict
from controller.journal import decode, ticks_in
from controller.records import Record, Tick

AT_ONCE = 16  # records that are no decision, in one piece


class Judge(Protocol):
    """A guard."""

    def judging(
        self, record: Record, *, newer: bool = False
    ) -> Generator[None, None, Verdict | None]: ...
    def resume(
        self, orders: Orders, passed_ma: Sequence[int | None], closed: Sequence[bool]
    ) -> None: ...


MakeJudge = Callable[[Tables], Judge]


class Gate:
    """Of one document. Follows its kernel's tap; used from the I/O thread only."""

    def __init__(self, tables: Tables, make: MakeJudge = Guard) -> None:
        self._tables = tables
        self._make = make
        self._judge = make(tables)
        self._orders: list[tuple[int, int] | None] = [None] * len(tables.chargers)
        self._passed: list[tuple[int, int] | None] = [None] * len(tables.chargers)
        self._closed = [not row.opens_alone for row in tables.contactors]
        self._ordered_closed = list(self._closed)  # in the last decision that it has seen
        self._opened: set[int] = set()  # by one that it has not
        self._told: Callable[[Verdict], None] = lambda verdict: None
        self._waiting: deque[Iterator[Record]] = deque()
        self._ticks = 0  # among those
        self._work: Iterator[None] | None = None
        self.tick = 0  # the last decision that it has seen
        self.at_ns = 0

    def on_verdict(self, told: Callable[[Verdict], None]) -> None:
        """`told` hears of every verdict."""
        self._told = told

    def for_tables(self, tables: Tables) -> Gate:
        """Another document's, with the same kind of guard; it has adopted nothing yet."""
        return Gate(tables, self._make)

    def adopt(self, old: Gate, maps: Maps) -> None:
        """Another document: what stays goes on as it was."""
        self.tick, self.at_ns = old.tick, old.at_ns
        for new, was in maps.chargers.items():
            self._orders[new], self._passed[new] = old._orders[was], old._passed[was]
        for new, was in maps.contactors.items():
            self._closed[new] = old._closed[was]
            self._ordered_closed[new] = old._ordered_closed[was]
        if isinstance(self._judge, Guard) and isinstance(old._judge, Guard):
            self._judge.adopt(old._judge, maps)

    # --- what is decided --------------------------------------------------------------------

    def take(self, records: Sequence[Record]) -> None:
        """In the order in which the kernel took them; all is judged when this returns."""
        self._wait(iter(records), sum(isinstance(each, Tick) for each in records))
        self.finish()

    def post(self, journal: bytes) -> None:
        """The same for whoever has no time for all of it at once: `step` goes on with it."""
        self._wait(decode(journal), ticks_in(journal))

    def _wait(self, records: Iterator[Record], ticks: int) -> None:
        self._waiting.append(records)
        self._ticks += ticks

    def step(self) -> bool:
        """One piece of what waits; whether there is more."""
        if self._work is None:
            self._work = self._hear()
        if next(self._work, self) is not self:
            return True
        self._work = None
        return False

    def finish(self) -> None:
        while self.step():
            pass

    def _hear(self) -> Iterator[None]:
        while self._waiting:
            for count, record in enumerate(self._waiting[0], 1):
                yield from self._hear_one(record)
                if count % AT_ONCE == 0:
                    yield
            self._waiting.popleft()

    def _hear_one(self, record: Record) -> Iterator[None]:
        if isinstance(record, Tick):
            self._ticks -= 1
            self._note(record)
        try:
            verdict = yield from self._judge.judging(record, newer=self._ticks > 0)
        except Exception as error:  # noqa: BLE001  # its own fault must not end control
            verdict = self._begin_anew(error)
        if verdict is not None:
            self._let_through(verdict)
            self._told(verdict)

    def _note(self, tick: Tick) -> None:
        self.tick, self.at_ns = tick.tick, tick.now_ns
        for order in tick.orders:
            known, ma = self._orders[order.charger], order.setpoint_ma
            if ma is not None and (known is None or known[1] != ma):
                self._orders[order.charger] = tick.tick, ma
        for switch in tick.contactors:
            self._ordered_closed[switch.contactor] = switch.closed
            if not switch.closed:
                self._opened.discard(switch.contactor)

    def _begin_anew(self, error: Exception) -> Verdict:
        held = [None if each is None else each[1] for each in self._passed]
        self._judge = self._make(self._tables)
        self._judge.resume(self._orders, held, self._closed)
        why = f"the guard itself failed: {type(error).__name__}: {error}"
        dispute = Dispute("guard_failed", -1, -1, -1, why)
        return Verdict(self.tick, self.at_ns, (dispute,), tuple(held), tuple(self._closed), True)

    def _let_through(self, verdict: Verdict) -> None:
        for index, (order, most_ma) in enumerate(zip(self._orders, verdict.bound_ma, strict=True)):
            before = self._passed[index]
            if order is None or most_ma is None:
                continue
            if before is not None and before[0] > verdict.tick:
                # A later decision has lowered it meanwhile. From there nothing has risen yet.
                if most_ma < before[1]:
                    self._passed[index] = 0, most_ma
            elif most_ma >= order[1]:
                self._passed[index] = order
            else:  # something else than was ordered: no read-back of it proves the order
                self._passed[index] = 0 if before is None else before[0], most_ma
        for index, closed in enumerate(verdict.closed):
            self._closed[index] = closed and index not in self._opened

    # --- what may go out --------------------------------------------------------------------

    def order(self, charger: int, output: Output) -> tuple[int, int] | None:
        """Setpoint and the tick that it is of; None: nothing may be written."""
        passed = self._passed[charger]
        if output.setpoint_ma is None or passed is None:
            return None
        if output.setpoint_ma <= passed[1]:  # and what went down stays there until it passed
            self._passed[charger] = passed = output.changed_tick, output.setpoint_ma
        return passed[1], passed[0]

    def setpoint(self, charger: int, setpoint_ma: int | None) -> int | None:
        """The same, of the setpoint alone."""
        passed = self._passed[charger]
        return None if setpoint_ma is None or passed is None else min(setpoint_ma, passed[1])

    def closed(self, contactor: int, closed: bool) -> bool:
        if not closed and self._ordered_closed[contactor]:
            self._opened.add(contactor)
            self._closed[contactor] = False  # until a decision passed that was made after it
        return closed and self._closed[contactor]


class Open:
    """A gate that nobody keeps: for whoever plays a depot without a guard."""

    def order(self, charger: int, output: Output) -> tuple[int, int] | None:
        if output.setpoint_ma is None:
            return None
        return output.setpoint_ma, output.changed_tick

    def setpoint(self, charger: int, setpoint_ma: int | None) -> int | None:
        return setpoint_ma

    def closed(self, contactor: int, closed: bool) -> bool:
        return closed
