"""A converter from Modbus TCP to RTU, which makers call a gateway: one port, several units.

The line behind it has its own time: a request goes out, the unit takes its while, the reply comes
as fast as its characters do, and only then is the next one's turn, whoever asked. About a unit that
does not answer it says exception 11 when its own time-out is over, or nothing; about one that it
was not told of, exception 10. What else such boxes do is a habit that can be switched on: they hang
up on a master that does not wait for its answer, and they take a reply that comes late for the
answer to what was asked meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from hil.devices.mbap import Listener, Session
from hil.devices.pdu import Code, Manner, Registers, answer

ROOM = 32  # requests that it keeps waiting; more are refused as busy
_FRAME_BYTES = 3  # unit and checksum
_SILENT_CHARACTERS = 3.5


@dataclass
class Habits:
    """How a converter treats those who talk to it."""

    baud: int = 19_200
    unit_timeout_s: float = 0.2
    tells_silence: bool = True  # exception 11 about a unit that does not answer; else nothing
    drops_the_hurried: bool = False  # hangs up on who asks again before his answer
    mixes: bool = False  # a late reply is taken for the next one's answer
    late_every: int = 0  # of so many replies one comes too late; 0: none
    max_masters: int = 4
    idle_s: float = 3600.0


class _Asked(NamedTuple):
    session: Session
    transaction: int
    unit: int
    pdu: bytes


class Behind:
    """One device on the converter's line."""

    def __init__(self, converter: Converter, device: Registers, answer_s: float = 0.02) -> None:
        self.device = device
        self.manner = Manner.ANSWERS
        self.delay_s = 0.0
        self.requests = 0  # that reached it
        self.answer_s = answer_s
        self._converter = converter
        converter.units[device.unit] = self

    @property
    def url(self) -> str:
        return self._converter.url

    async def open(self) -> None:
        if not self._converter.listens:
            await self._converter.open()

    async def close(self) -> None:
        await self._converter.close()

    async def behave(self, manner: Manner, delay_s: float = 0.0) -> None:
        """Changes the device's manner at once; ANSWERS mends every fault."""
        self.manner, self.delay_s = manner, delay_s

    def take(self, pdu: bytes) -> tuple[bytes, float] | None:
        """Its reply and how long it takes to begin with it; None where it stays silent."""
        if self.manner in (Manner.SILENT, Manner.GONE) or getattr(self.device, "asleep", False):
            return None
        self.requests += 1
        return answer(self.device, pdu), self.answer_s + self.delay_s


class Converter(Listener):
    """The box: its port, and the line behind it."""

    def __init__(self, habits: Habits | None = None) -> None:
        self.habits = habits or Habits()
        super().__init__(self.habits.max_masters, self.habits.idle_s)
        self.units: dict[int, Behind] = {}
        self.asked = 0  # requests that came
        self.hurried = 0  # that came before the answer to another on the same connection
        self.most_waiting = 0  # beside the one on the line
        self._replies = 0
        self._waiting: deque[_Asked] = deque()
        self._under_way: _Asked | None = None
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way on its line, and nothing late."""
        return not self._timers

    async def close(self) -> None:
        """Without power: it forgets what it was asked."""
        await super().close()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._waiting.clear()
        self._under_way = None

    def take(self, session: Session, transaction: int, unit: int, pdu: bytes) -> None:
        self.asked += 1
        busy = [*self._waiting, *filter(None, (self._under_way,))]
        if any(each.session is session for each in busy):
            self.hurried += 1
            if self.habits.drops_the_hurried:
                session.abort()
                return
        if len(self._waiting) >= ROOM:
            session.say(transaction, unit, bytes((pdu[0] | 0x80, Code.BUSY)))
            return
        self._waiting.append(_Asked(session, transaction, unit, pdu))
        if self._under_way is None:
            self._next()
        self.most_waiting = max(self.most_waiting, len(self._waiting))

    def _next(self) -> None:
        """Puts the one that has waited longest on the line."""
        self._under_way = None
        if not self._waiting:
            return
        asked = self._under_way = self._waiting.popleft()
        behind = self.units.get(asked.unit)
        if behind is None:
            self._refuse(asked, Code.GATEWAY_NO_PATH)
            return
        sent_s = self._takes_s(asked.pdu)
        taken = behind.take(asked.pdu)
        comes_s = None if taken is None else taken[1] + self._takes_s(taken[0])
        if comes_s is not None and self._is_late():
            comes_s += self.habits.unit_timeout_s
        if taken is not None and comes_s is not None:
            self._later(sent_s + comes_s, self._heard, asked, taken[0])
        if comes_s is None or comes_s > self.habits.unit_timeout_s:
            self._later(sent_s + self.habits.unit_timeout_s, self._give_up, asked)

    def _is_late(self) -> bool:
        self._replies += 1
        every = self.habits.late_every
        return bool(every) and self._replies % every == 0

    def _takes_s(self, pdu: bytes) -> float:
        """On the wire, with the silence after it; a character is eleven bits."""
        return (len(pdu) + _FRAME_BYTES + _SILENT_CHARACTERS) * 11 / self.habits.baud

    def _later(self, after_s: float, act: Callable[..., None], *arguments: object) -> None:
        def run() -> None:
            self._timers.discard(timer)
            act(*arguments)

        timer = asyncio.get_running_loop().call_later(after_s, run)
        self._timers.add(timer)

    def _heard(self, asked: _Asked, reply: bytes) -> None:
        """A reply came over the line, to what was asked then."""
        now = self._under_way
        if now is asked:
            asked.session.say(asked.transaction, asked.unit, reply)
            self._next()
        elif now is not None and self.habits.mixes:
            now.session.say(now.transaction, asked.unit, reply)
            self._next()

    def _give_up(self, asked: _Asked) -> None:
        if self._under_way is asked:
            if self.habits.tells_silence:
                self._refuse(asked, Code.GATEWAY_NO_RESPONSE)
            else:
                self._next()

    def _refuse(self, asked: _Asked, code: Code) -> None:
        asked.session.say(asked.transaction, asked.unit, bytes((asked.pdu[0] | 0x80, code)))
        self._next()
