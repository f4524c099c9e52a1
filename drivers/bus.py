"""A bus: many want the line, one has it, and the most urgent goes next.

pymodbus is handed one request at a time, because its own queue is first in, first out: a setpoint
would leave behind every poll. What is sent is settled when the line is free and not when it was
asked for, so an order that changed while it waited goes out as it is now, in its new place.
Who got no answer, or a wrong one, lets all others who wait go first, whatever his rank.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from controller.image import Clock
from controller.turn import Turn
from controller.units import NS_PER_S
from drivers.device import BadReplyError, BusFullError, DeviceError, Line, Rank, Reply, Request
from drivers.silence import SILENT

ROOM = 1024  # waiting at once; a device has at most one poll and one write
PATIENCE_S = 1.0  # then a charger's poll goes before the polls of meters that came later


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

    @property
    def url(self) -> str:
        return self._line.url

    async def exchange(
        self, device: str, rank: Callable[[], Rank], ask: Callable[[], Request | None]
    ) -> Reply | None:
        """None when `ask` had nothing to send any more. Raises DeviceError.

        Both are asked when the line is free, `ask` immediately before the words are handed over.
        """
        await self._turn(device, rank)
        if self._turns is not None:
            self._turns.busy(self._line.url, self._longest_ns)
        try:
            words = await self._line.exchange(ask)
            self._silent = None
            return None if words is None else Reply(words, self._clock.now_ns())
        except DeviceError as error:
            self._silent = device if isinstance(error, (*SILENT, BadReplyError)) else None
            raise
        finally:
            if self._turns is not None:
                self._turns.leave(self._line.url)
            self._pass_on()

    async def _turn(self, device: str, rank: Callable[[], Rank]) -> None:
        if not self._taken:
            self._taken = True
            return
        if len(self._waiting) >= ROOM:
            raise BusFullError(f"{ROOM} requests wait already", line=self._line.url)
        loop = asyncio.get_running_loop()
        waiter = _Waiter(device, rank, loop.time(), loop.create_future())
        self._waiting.append(waiter)
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
            self._line.close()

    def _pass_on(self) -> None:
        self._waiting = [waiter for waiter in self._waiting if not waiter.turn.cancelled()]
        self._taken = bool(self._waiting)
        if self._taken:
            now_s = asyncio.get_running_loop().time()
            chosen = min(self._waiting, key=lambda waiter: self._urgency(waiter, now_s))
            self._waiting.remove(chosen)
            chosen.turn.set_result(None)

    def _urgency(self, waiter: _Waiter, now_s: float) -> tuple[bool, Rank, float]:
        rank = waiter.rank()
        if rank is Rank.CHARGER and now_s - waiter.since_s > PATIENCE_S:
            rank = Rank.METER
        return waiter.device == self._silent, rank, waiter.since_s
