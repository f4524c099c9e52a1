"""Modbus over a serial line: many devices, one request at a time, framed as RTU or as ASCII."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from controller.document.buses import SerialAddress
from drivers.asciiframes import Ascii
from drivers.debts import Debts
from drivers.device import (
    BadReplyError,
    CutError,
    DeviceError,
    NoConnectionError,
    NoReplyError,
    RefusedError,
    Request,
    ShortReplyError,
    WrongUnitError,
    refusal,
)
from drivers.frames import (
    REFUSED,
    Framing,
    GarbledError,
    acknowledges,
    message_of,
    shape,
    shape_of,
)
from drivers.pauses import Pauses
from drivers.rtu import Rtu
from drivers.serialport import SerialPort, in_words

FAST_BAUD = 19_200
FAST_SILENCE_S = 0.00175  # between frames, above that; else:
SILENT_CHARACTERS = 3.5
LATEST_S = 10.0  # a unit that cannot be sounded is left alone for so long after a time-out
LATE_S = 1.0  # what a busy machine may add
_NEVER = (1, 2, 3)  # exceptions that the same request meets again
_GARBLED = "what came is garbled: check wiring, termination, baud, parity and framing"
_HEARD_MAX = 1024  # more than any reply and what may come late before it


class SerialLine:
    """One serial line; the port is opened when it is needed.

    `timeout_s` is the longest that any of its devices takes to answer, the bytes on the wire
    included. After every failure the line is kept silent for that long, and what comes then is
    discarded. A reply that comes later still is told from others by `Debts`: after a time-out a
    unit may have to be sounded first, so an exchange takes at most three times `timeout_s`.
    Some adapters hear what they send themselves: whether this one does, each read shows.
    Without `may_write` a write is a broken invariant.
    """

    def __init__(self, address: SerialAddress, timeout_s: float, may_write: bool) -> None:
        self.url = address.url
        self.longest_s = 5 * timeout_s + LATE_S  # sounded once, with every silence
        self._address = address
        self._framing: Framing = Ascii() if address.framing == "ascii" else Rtu()
        self._timeout_s = timeout_s
        self._may_write = may_write
        self._port: SerialPort | None = None
        self._pauses = Pauses()
        self._silence_s = FAST_SILENCE_S
        if address.baud <= FAST_BAUD:
            self._silence_s = SILENT_CHARACTERS * address.character_s
        self._free_s = 0.0  # nothing may be sent before
        self._unit_free_s: dict[int, float] = {}  # likewise to a unit that needs a gap
        self._debts: defaultdict[int, Debts] = defaultdict(Debts)
        self._forgive_s: dict[int, float] = {}  # when units that cannot be sounded owe nothing
        self._unsounded: set[int] = set()  # those that refuse to be
        self._heard = b""
        self._heard_s = 0.0  # the last of it
        self._strays = False  # whether anything came meanwhile that is part of no frame
        self._echoes: bool | None = None  # whether the adapter hears itself; None: not known yet
        self._echo = b""  # of the request under way, still to be left out
        self._asked: Request | None = None  # the one under way
        self._reply: asyncio.Future[bytes] | None = None  # to it

    async def exchange(self, ask: Callable[[], Request | None]) -> tuple[int, ...] | None:
        """Sends what `ask` says at the last moment; it may be asked up to four times."""
        for _ in range(2):
            request = ask()
            if request is None:
                return None
            self._open(request)
            await self._free_for(request)
            request = ask()
            if request is None:
                return None
            debts = self._debts[request.unit]
            debts.learn(request)
            if debts.clear_for(request):
                return await self._transact(request, debts)
            sounding = self._sounding(request, debts)
            if sounding is not None:
                await self._sound(sounding, request, debts)
        raise NoReplyError("late answers are still on their way", line=self.url, request=request)

    def close(self) -> None:
        """Gives the port back at once; what was not sent is dropped."""
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def _open(self, request: Request) -> None:
        if self._port is not None:
            return
        if not self._pauses.over:
            raise NoConnectionError(self._pauses.reason, line=self.url, request=request)
        try:
            self._port = SerialPort(self._address, self._hear, self._lost)
        except OSError as error:
            raise self._unreachable(in_words(error), request) from error
        self._echoes = self._echoes or None  # it may be another adapter

    async def _free_for(self, request: Request) -> None:
        """Waits until the line, and the unit, have had their silence; not for ever."""
        loop = asyncio.get_running_loop()
        bound_s = max(loop.time(), self._next_s(request)) + self._timeout_s
        while (left_s := self._next_s(request) - loop.time()) > 0:
            if loop.time() > bound_s:
                what = "the line is never silent: noise, or another master"
                raise BadReplyError(what, line=self.url, request=request)
            await asyncio.sleep(left_s)

    def _next_s(self, request: Request) -> float:
        """When it may be sent."""
        return max(self._free_s, self._unit_free_s.get(request.unit, 0.0))

    def _sounding(self, request: Request, debts: Debts) -> Request | None:
        """What to ask first, as the unit may still answer something else in the same words."""
        now_s = asyncio.get_running_loop().time()
        sounding = debts.sounding()
        if sounding is not None and request.unit not in self._unsounded:
            return sounding
        if now_s < self._forgive_s.setdefault(request.unit, now_s + LATEST_S):
            what = f"not asked for {LATEST_S:g} s: a late answer could be taken for another"
            raise NoReplyError(what, line=self.url, request=request)
        del self._forgive_s[request.unit]
        self._unsounded.discard(request.unit)
        debts.forgive()
        return None

    async def _sound(self, sounding: Request, request: Request, debts: Debts) -> None:
        """A refusal of it is none of the request, which never left."""
        try:
            await self._transact(sounding, debts)
        except RefusedError as error:
            what = f"not asked: a late answer could be taken for another, and it {error.what}"
            raise NoReplyError(what, line=self.url, request=request) from error

    async def _transact(self, request: Request, debts: Debts) -> tuple[int, ...]:
        if request.writes and not self._may_write:
            raise PermissionError(f"{request.device}: nothing may be written here")
        if self._port is None:
            raise NoConnectionError(self._pauses.reason, line=self.url, request=request)
        self._asked, self._heard, self._strays = request, b"", False
        self._echo = b"" if self._echoes is False else self._framing.frame(message_of(request))
        self._reply = asyncio.get_running_loop().create_future()
        failed = True
        try:
            reply = await self._sent(request, debts)
            failed = False
        except TimeoutError:
            if self._strays and not self._heard:
                raise BadReplyError(_GARBLED, line=self.url, request=request) from None
            what = f"no answer within {self._timeout_s:g} s"
            raise NoReplyError(what, line=self.url, request=request) from None
        finally:
            self._asked = self._reply = None
            self._rest(request, failed)
            if failed:
                await self._hush()
        self._pauses.answered()
        if reply[1] & REFUSED:
            if debts.refused(request):
                self._forgive_s.pop(request.unit, None)
            elif reply[2] in _NEVER and not (request.writes or request.fewer):
                self._forgive_s.setdefault(request.unit, self._free_s + LATEST_S)
                self._unsounded.add(request.unit)
            raise refusal(reply[2], self.url, request)
        debts.answered(request)
        self._forgive_s.pop(request.unit, None)
        return () if request.writes else request.values(reply[3:])

    async def _sent(self, request: Request, debts: Debts) -> bytes:
        """The whole frame that answers it. Raises TimeoutError, DeviceError."""
        assert self._port is not None
        assert self._reply is not None
        debts.sent(request)
        try:
            self._port.write(self._framing.frame(message_of(request)))
        except OSError as error:
            self.close()
            raise self._unreachable(in_words(error), request) from error
        latest_s = asyncio.get_running_loop().time() + self._timeout_s
        async with asyncio.timeout_at(latest_s):
            reply = await self._reply
        if asyncio.get_running_loop().time() > latest_s:
            raise TimeoutError  # we were held up: nobody knows when it came
        return reply

    def _rest(self, request: Request, failed: bool) -> None:
        """How long nothing may be sent now."""
        now_s = asyncio.get_running_loop().time()
        self._free_s = now_s + self._silence_s
        self._unit_free_s[request.unit] = now_s + request.gap_s
        if failed and self._port is not None:
            self._free_s = now_s + self._timeout_s
            self._port.drop_unsent()

    async def _hush(self) -> None:
        """Here, so that who goes next is settled after the silence, not before it."""
        task = asyncio.current_task()
        if self._port is not None and task is not None and not task.cancelling():
            await asyncio.sleep(self._free_s - asyncio.get_running_loop().time())

    # What the port says.

    def _hear(self, data: bytes) -> None:
        now_s = asyncio.get_running_loop().time()
        self._free_s = max(self._free_s, now_s + self._silence_s)
        request, reply = self._asked, self._reply
        if request is None or reply is None or reply.done():
            return  # nobody waits for it
        if now_s - self._heard_s > self._framing.longest_pause_s:
            self._heard = b""
        self._heard_s = now_s
        heard = (self._heard + data)[:_HEARD_MAX]
        self._heard = self._framing.begun(heard)
        self._strays = self._strays or len(self._heard) < len(heard)
        if self._still_echo(request):
            return
        try:
            while not reply.done():
                whole, self._heard = self._framing.split(self._heard)
                if not whole:
                    return
                self._judge(whole, request, reply)
        except GarbledError:
            reply.set_exception(BadReplyError(_GARBLED, line=self.url, request=request))

    def _still_echo(self, request: Request) -> bool:
        """Whether only the request itself was heard so far; once it is whole it is left out.

        A write is answered with its own words, so it is left out only where that is known.
        """
        if not self._echo or (request.writes and not self._echoes):
            return False
        if self._heard.startswith(self._echo):
            self._heard, self._echo, self._echoes = self._heard[len(self._echo) :], b"", True
            return not self._heard
        return self._echo.startswith(self._heard)

    def _judge(self, whole: bytes, request: Request, reply: asyncio.Future[bytes]) -> None:
        """Takes a frame for the reply, leaves out one that comes late, or fails."""
        right_unit, function = whole[0] == request.unit, whole[1] & ~REFUSED
        if whole[1] & REFUSED:
            fits = right_unit and function == request.fc
        else:
            fits = shape_of(whole) == shape(request) and acknowledges(whole, request)
        if fits:
            if self._echo and not request.writes:
                self._echoes = False  # it would have come before
            reply.set_result(whole)
        elif not self._debts[whole[0]].expects(whole) or shape_of(whole) == shape(request):
            reply.set_exception(self._misfit(whole, request))

    def _misfit(self, whole: bytes, request: Request) -> DeviceError:
        def error(kind: type[BadReplyError], what: str) -> BadReplyError:
            return kind(what, line=self.url, request=request)

        if whole[0] != request.unit:
            return error(WrongUnitError, f"unit {whole[0]} answered instead")
        if request.writes or whole[1] != request.fc:
            return error(BadReplyError, "what it sent is no reply to this request")
        return error(ShortReplyError, f"it did not answer with {request.count} registers")

    def _lost(self, reason: str) -> None:
        self._port = None
        self._pauses.failed(reason)
        if self._asked is not None and self._reply is not None and not self._reply.done():
            self._reply.set_exception(CutError(reason, line=self.url, request=self._asked))

    def _unreachable(self, reason: str, request: Request) -> NoConnectionError:
        self._pauses.failed(reason)
        return NoConnectionError(reason, line=self.url, request=request)
