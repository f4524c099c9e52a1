"""Careful questions to a unit of which nobody knows what it is: read only, slow, and few.

Each question is asked once and its answer kept. A device that says it is busy is asked more slowly
from then on. One that falls silent, or hangs up, is asked no more after a few times.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from drivers.decode import Value, decode
from drivers.device import (
    BadReplyError,
    BusyError,
    CutError,
    DeviceError,
    GatewaySilenceError,
    NoConnectionError,
    NoReplyError,
    PathError,
    Rank,
    RefusedError,
    Reply,
    Request,
    Way,
)
from drivers.register import Register

GAP_S = 0.05  # between two requests to one unit; some ask for 20 ms
SLOW_GAP_S = 0.6  # once it said that it is busy
BUSY_ATTEMPTS = 3
SILENT_MAX = 4  # unanswered questions, after it was heard: then it is left alone
QUESTIONS_MAX = 400  # to one unit, whatever happens
_FIRST = ((3, 0, 1), (4, 0, 2))  # some know one table only, some an even number of registers

Question = tuple[int, int, int]  # function, address, count


@dataclass(frozen=True, slots=True)
class Contact:
    """Whether somebody is there at all."""

    there: bool
    how: str  # the first that was heard, or why nothing was
    garbled: bool = False  # somebody spoke, and nobody can tell what


class Prober:
    """One unit on a bus that cannot write; a `Way` for readers, too."""

    def __init__(self, unit: int, bus: Way, gap_s: float = GAP_S) -> None:
        self.unit = unit
        self.questions = 0
        self._bus = bus
        self._gap_s = gap_s
        self._last_s = -inf
        self._known: dict[Question, Reply | DeviceError] = {}
        self._silent = 0

    @property
    def url(self) -> str:
        return self._bus.url

    @property
    def tired(self) -> bool:
        """Nothing more is asked."""
        return self._silent >= SILENT_MAX or self.questions >= QUESTIONS_MAX

    async def contact(self) -> Contact:
        """Any answer counts, a refusal, too. Raises NoConnectionError where the line fails."""
        contact = Contact(False, "nothing was heard")
        for fc, address, count in _FIRST:
            request = Request(f"unit {self.unit}", self.unit, fc, address, count)
            contact = _met(await self._answer(request))
            if contact.there or contact.garbled:
                self._silent = 0
                break
        return contact

    async def words(self, fc: int, address: int, count: int) -> tuple[int, ...] | None:
        """What stands there; None where that is not to be had."""
        try:
            return await self.asked(fc, address, count)
        except DeviceError:
            return None

    async def asked(self, fc: int, address: int, count: int) -> tuple[int, ...]:
        """The same. Raises DeviceError."""
        request = Request(f"unit {self.unit}", self.unit, fc, address, count)
        answer = await self._answer(request)
        if isinstance(answer, DeviceError):
            raise answer
        return answer.words

    async def value(self, register: Register) -> Value:
        """A register read alone; None where it is unknown."""
        words = await self.words(register.fc, register.addr, register.length)
        return None if words is None else decode(register, words)

    def slow_down(self, gap_s: float) -> None:
        """It needs so long between two requests."""
        self._gap_s = max(self._gap_s, gap_s)

    async def exchange(
        self, device: str, rank: Callable[[], Rank], ask: Callable[[], Request | None]
    ) -> Reply | None:
        """As a bus does; what was asked before is answered as it was. Raises DeviceError."""
        request = ask()
        if request is None:
            return None
        answer = await self._answer(request)
        if isinstance(answer, DeviceError):
            raise answer
        return answer

    async def _answer(self, request: Request) -> Reply | DeviceError:
        question = request.fc, request.address, request.count
        if question not in self._known:
            if self.tired:
                return NoReplyError("it is asked no more", line=self.url, request=request)
            self._known[question] = await self._ask(request)
        return self._known[question]

    async def _ask(self, request: Request) -> Reply | DeviceError:
        answer = await self._send(request)
        for _ in range(BUSY_ATTEMPTS - 1):
            if not isinstance(answer, BusyError):
                break
            self.slow_down(SLOW_GAP_S)
            answer = await self._send(request)
        gone = isinstance(answer, NoReplyError | CutError | BadReplyError)
        self._silent = self._silent + 1 if gone else 0
        return answer

    async def _send(self, request: Request) -> Reply | DeviceError:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._last_s + self._gap_s - loop.time())
        self.questions += 1
        try:
            reply = await self._bus.exchange(request.device, lambda: Rank.CHARGER, lambda: request)
        except DeviceError as error:
            return error
        finally:
            self._last_s = loop.time()
        assert reply is not None
        return reply


def _met(answer: Reply | DeviceError) -> Contact:
    """Who answered the first question, if anybody. Raises NoConnectionError."""
    match answer:
        case Reply():
            return Contact(True, "it answers")
        case GatewaySilenceError() | PathError() | NoReplyError() | CutError():
            return Contact(False, answer.what)
        case NoConnectionError():
            raise answer
        case RefusedError():
            return Contact(True, f"it {answer.what}")
    return Contact(False, answer.what, garbled=isinstance(answer, BadReplyError))
