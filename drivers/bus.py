"""A bus: many want the line, one has it, and the most urgent goes next.

pymodbus is handed one request at a time, because its own queue is first in, first out: a setpoint
would leave behind every poll. What is sent is settled when the line is free and not when it was
asked for, so an order that changed while it waited goes out as it is now, in its new place.

Who has waited for PATIENCE_S gets every second exchange, one rank after the other: else meters
would leave a charger unread. Against a reduction only a meter ages so, because what it shows
protects, too, and controller.reaction counts it: rises and polls of chargers wait until the last
reduction has gone. Where reductions never end, who is unread counts at its worst. Who got no
answer, or a wrong one, lets all others who wait go first, whatever his rank. And those that were
silent DEAD_AFTER times in a row have a quarter of the line's time at most, all of them together: to
ask for nothing costs a time-out, and on a serial line as long a silence after.

The next is chosen only when who had the line has been heard again, and a reduction that was begun
goes on before others: no poll, no feeding of another's watchdog comes between its writes.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from controller.image import Clock
from controller.turn import Turn
from controller.units import NS_PER_S
from drivers.device import (
    BadReplyError,
    BusFullError,
    DeviceError,
    Line,
    NoConnectionError,
    Rank,
    Reply,
    Request,
)
from drivers.silence import SILENT

ROOM = 1024  # waiting at once; a device has at most one poll and one write
PATIENCE_S = 0.5
IN_A_ROW = 8  # exchanges of one device while others wait, and the rest of an order:
ORDER_MOST = 4  # writes that one takes
DEAD_AFTER = 3  # exchanges in a row without a right answer
DEAD_PAUSE = 3  # times as long as one of them took, until the next may be asked
_DEAD = len(Rank)  # goes after every rank


@dataclass(eq=False, slots=True)
class _Waiter:
    device: str
    rank: Callable[[], Rank]
    since_s: float
    turn: asyncio.Future[None]


class Bus:
    """Shares one line out, one exchange at a time, by rank and then by time of waiting."""

    def __init__(self, line: Line, clock: Clock, turn: Turn | None = None) -> None:
        """Answers to `turn` for the exchange under way; whoever waits for it is excused."""
        self._line = line
        self._clock = clock
        self._turns = turn
        self._longest_ns = round(line.longest_s * NS_PER_S)
        self._taken = False
        self._waiting: list[_Waiter] = []
        self._users = 0
        self._silent: str | None = None  # who had the line last, and got no right answer
        self._misses: dict[str, int] = {}  # exchanges in a row without a right answer
        self._dead_from_s = 0.0  # who is dead may be asked from then on
        self._timer: asyncio.TimerHandle | None = None  # for the dead, while the line is idle
        self._last: str | None = None  # who had the line last
        self._in_a_row = 0  # how often, one after the other, while others waited
        self._more = False  # what it sent is not the whole of an order
        self._by_rank = False  # so the last one was chosen
        self._passed = 0  # exchanges
        self._aged_last = [0] * (_DEAD + 1)  # by rank: which was given for the waiting time

    @property
    def url(self) -> str:
        return self._line.url

    async def exchange(
        self, device: str, rank: Callable[[], Rank], ask: Callable[[], Request | None]
    ) -> Reply | None:
        """None when `ask` had nothing to send any more. Raises DeviceError.

        Both are asked when the line is free, `ask` immediately before the words are handed over.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        if self._taken or not self._may_go(device, began_s):
            await self._turn(device, rank)
            began_s = loop.time()
        else:
            self._taken = True
            self._passed += 1
        if self._turns is not None:
            self._turns.busy(self._line.url, self._longest_ns)
        self._more = False

        def asked() -> Request | None:
            request = ask()
            self._more = request is not None and request.more > 0
            return request

        try:
            words = await self._line.exchange(asked)
            if words is None:
                return None
            self._answered(device)
            return Reply(words, self._clock.now_ns())
        except DeviceError as error:
            self._more = False  # all of it again
            self._failed(device, error, loop.time() - began_s)
            raise
        finally:
            if self._turns is not None:
                self._turns.leave(self._line.url)
            self._give_back(device)

    def _answered(self, device: str) -> None:
        self._silent = None
        was_dead = self._misses.pop(device, 0) >= DEAD_AFTER
        if was_dead:  # something was mended: perhaps for others, too
            self._dead_from_s = 0.0

    def _failed(self, device: str, error: DeviceError, took_s: float) -> None:
        """A refusal is an answer, too; a line that is gone is nobody's own silence."""
        if not isinstance(error, (*SILENT, BadReplyError)):
            self._answered(device)
            return
        self._silent = device
        if isinstance(error, NoConnectionError):
            return
        self._misses[device] = min(self._misses.get(device, 0) + 1, DEAD_AFTER)
        if self._is_dead(device):
            self._dead_from_s = asyncio.get_running_loop().time() + DEAD_PAUSE * took_s

    async def _turn(self, device: str, rank: Callable[[], Rank]) -> None:
        """Returns when it has the line."""
        loop = asyncio.get_running_loop()
        if len(self._waiting) >= ROOM:
            raise BusFullError(f"{ROOM} requests wait already", line=self._line.url)
        waiter = _Waiter(device, rank, loop.time(), loop.create_future())
        self._waiting.append(waiter)
        if not self._taken:
            self._pass_on()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if not waiter.turn.cancelled():  # its turn had come
                self._pass_on()
            raise

    def join(self) -> None:
        """One more device is on this line."""
        self._users += 1

    def close(self) -> None:
        """One less. With the last one the connection ends; the next exchange makes a new one."""
        self._users = max(0, self._users - 1)
        if self._users == 0:
            self._misses.clear()
            self._line.close()

    def _give_back(self, device: str) -> None:
        """Who had it may have more to say, the rest of an order: it is heard before the next is
        chosen, or a poll would come between, which controller.reaction does not count."""
        self._in_a_row = self._in_a_row + 1 if device == self._last else 1
        self._last = device
        most = IN_A_ROW + ORDER_MOST if self._more else IN_A_ROW
        if not self._waiting:
            self._taken = False
            self._in_a_row = 0  # to nobody's cost
        elif self._in_a_row < most:
            asyncio.get_running_loop().call_soon(self._pass_on)
        else:
            self._in_a_row = 0
            self._pass_on()

    def _pass_on(self) -> None:
        if not self._waiting:
            self._taken = False
            return
        now_s = asyncio.get_running_loop().time()
        self._waiting = [waiter for waiter in self._waiting if not waiter.turn.cancelled()]
        chosen = self._next(now_s)
        self._taken = chosen is not None
        if chosen is not None:
            self._passed += 1
            self._waiting.remove(chosen)
            chosen.turn.set_result(None)
        elif self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._dead_from_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if not self._taken:
            self._pass_on()

    def _next(self, now_s: float) -> _Waiter | None:
        ready = [waiter for waiter in self._waiting if self._may_go(waiter.device, now_s)]
        if not ready:
            return None
        best = min(ready, key=self._urgency)
        before = self._place(best)
        last = Rank.METER if before == Rank.REDUCTION else _DEAD
        aged = [
            waiter
            for waiter in ready
            if now_s - waiter.since_s > PATIENCE_S
            and waiter.device != self._silent
            and before < self._place(waiter) <= last
        ]
        self._by_rank = not (self._by_rank and aged)
        if self._by_rank:
            return best
        chosen = min(aged, key=lambda each: (self._aged_last[self._place(each)], each.since_s))
        self._aged_last[self._place(chosen)] = self._passed + 1
        return chosen

    def _urgency(self, waiter: _Waiter) -> tuple[bool, int, bool, float]:
        place = self._place(waiter)
        begun = place == Rank.REDUCTION and waiter.device == self._last
        return waiter.device == self._silent, place, not begun, waiter.since_s

    def _place(self, waiter: _Waiter) -> int:
        return _DEAD if self._is_dead(waiter.device) else waiter.rank()

    def _may_go(self, device: str, now_s: float) -> bool:
        """Whether it may have the line, if nobody else has: not too soon after another dead one."""
        return now_s >= self._dead_from_s or not self._is_dead(device)

    def _is_dead(self, device: str) -> bool:
        """To the others' cost: where all are silent, none of them takes anything from anybody."""
        dead = self._misses.get(device, 0) >= DEAD_AFTER
        return dead and sum(each >= DEAD_AFTER for each in self._misses.values()) < self._users
