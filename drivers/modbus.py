"""Modbus TCP. The only module that knows pymodbus, which makes its requests.

A connection has at most one request under way, and knows how its reply must begin. After anything
but a whole and fitting reply it is thrown away, unsent bytes included: so no late reply ever meets
another request, and no order that was given up arrives after all. Where a converter to a serial
line stands between, it may all the same: see drivers.behind.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from errno import ECONNREFUSED
from functools import cache, lru_cache
from typing import NamedTuple

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from drivers.behind import Behind
from drivers.device import (
    BadReplyError,
    CutError,
    DeviceError,
    IllegalAddressError,
    IllegalFunctionError,
    IllegalValueError,
    NoConnectionError,
    NoReplyError,
    Request,
    ShortReplyError,
    WrongTransactionError,
    WrongUnitError,
    refusal,
)
from drivers.pauses import Pauses

LATE_S = 1.0  # what a busy machine may add
_REFUSED = 0x80
_HEAD = struct.Struct(">HHHBB")  # transaction, protocol 0, length of the rest, unit, function
_REFUSAL_BYTES = _HEAD.size + 1  # its code
_CLOSED = "the device closed the connection (too many masters?)"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: what was not sent is dropped

_READS = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
_FRAMER = FramerSocket(DecodePDU(is_server=False))


class TcpLine:
    """One Modbus TCP connection, made when it is needed; one exchange at a time.

    An exchange takes at most `timeout_s`, making the connection included; and where several units
    answer at one address, as long a silence after a time-out: a converter may still wait for the
    one that was asked, and whoever is next would wait with it. The first attempt to
    connect again is made at once; after every further failure a pause follows that doubles to
    3 s, in which requests fail at once. Without `may_write` a write is a broken invariant.
    """

    def __init__(self, host: str, port: int, timeout_s: float, may_write: bool) -> None:
        self.url = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
        self.longest_s = 2 * timeout_s + LATE_S
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._may_write = may_write
        self._connection: _Connection | None = None
        self._transactions = 0  # numbers go on over connections: none is used twice soon
        self._pauses = Pauses()
        self._behind = Behind(self.url)

    async def exchange(self, ask: Callable[[], Request | None]) -> tuple[int, ...] | None:
        """Sends what `ask` says at the last moment; it may be asked thrice. See device.Line."""
        request = ask()
        if request is None:
            return None
        latest_s = asyncio.get_running_loop().time() + self._timeout_s
        connection = self._connection
        if connection is None or not connection.stands:
            connection = await self._connect(request, latest_s)
            request = ask()
            if request is None:
                return None
        first = self._behind.first(request)
        if first is not None:
            with suppress(IllegalFunctionError, IllegalAddressError, IllegalValueError):
                await self._transact(connection, first, latest_s)  # its refusal is none of ours
            request = ask()
            if request is None:
                return None
            request = self._behind.settled(request)
        return await self._transact(connection, request, latest_s)

    def close(self) -> None:
        """Ends the connection at once; what was not sent is dropped."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def _connect(self, request: Request, latest_s: float) -> "_Connection":
        self.close()
        if not self._pauses.over:
            raise NoConnectionError(self._pauses.reason, line=self.url, request=request)
        loop = asyncio.get_running_loop()
        connection = _Connection(self.url, self._timeout_s)
        try:
            async with asyncio.timeout_at(latest_s):
                await loop.create_connection(lambda: connection, self._host, self._port)
        except TimeoutError:
            raise self._unreachable(
                request, f"no connection within {self._timeout_s:g} s"
            ) from None
        except OSError as error:
            raise self._unreachable(request, _in_words(error)) from error
        self._connection = connection
        return connection

    async def _transact(
        self, connection: "_Connection", request: Request, latest_s: float
    ) -> tuple[int, ...]:
        if request.writes and not self._may_write:
            raise PermissionError(f"{request.device}: nothing may be written here")
        self._transactions = self._transactions % 0xFFFF + 1
        self._behind.asks(request)
        try:
            reply = await connection.exchange(request, self._transactions, latest_s)
        except DeviceError as error:
            if isinstance(error, CutError):
                self._pauses.failed(_CLOSED)
            if self._behind.perhaps:
                self._behind.lost(request)
                if self._behind.several and isinstance(error, NoReplyError):
                    await asyncio.sleep(self._timeout_s)
            raise
        self._pauses.answered()
        if reply[_HEAD.size - 1] & _REFUSED:
            refused = refusal(reply[_HEAD.size], self.url, request)
            self._behind.refused(request, refused)
            raise refused
        self._behind.answered(request)
        if request.writes:
            return ()
        if request.reads_bits:
            return request.values(reply[_HEAD.size + 1 :])
        return _words(request.count).unpack_from(reply, _HEAD.size + 1)

    def _unreachable(self, request: Request, reason: str) -> NoConnectionError:
        self._pauses.failed(reason)
        return NoConnectionError(reason, line=self.url, request=request)


class _Connection(asyncio.Protocol):
    """One TCP connection, from its making until anything on it was not as it must be."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._asked: Request | None = None  # the one under way
        self._reply: asyncio.Future[bytes] = self._loop.create_future()
        self._answer = self._refusal = b""  # how its reply begins: as asked for, or as a refusal
        self._answer_bytes = 0
        self._heard = b""  # of its reply
        self._latest_s = 0.0  # it may come
        self._timer: asyncio.TimerHandle | None = None  # one for many requests

    @property
    def stands(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: Request, transaction: int, latest_s: float) -> bytes:
        """A whole reply, an answer or a refusal. After a DeviceError the connection is gone."""
        assert self._transport is not None
        head = transaction.to_bytes(2, "big")
        if request.writes:
            sent = _FRAMER.encode(_pdu(request), request.unit, transaction)
            answer = sent[2:4] + b"\0\6" + sent[6:12]  # its address, and its count or value
            self._expect(request, head, answer, 0)
        else:
            read = _read_of(request.unit, request.fc, request.address, request.count)
            sent = head + read.asks
            self._expect(request, head, read.answer, read.values)
        self._latest_s = latest_s
        if self._timer is None:
            self._timer = self._loop.call_at(latest_s, self._look)
        reply = None
        self._transport.write(sent)
        try:
            answer = await self._reply
            if self._loop.time() > latest_s:  # we were held up: nobody knows when it came
                raise self._silence(request)
            reply = answer
        finally:
            self._asked = None
            if reply is None:
                self.close()
        return reply

    def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expect(self, request: Request, head: bytes, answer: bytes, values: int) -> None:
        """`answer`: how it begins after its transaction, and so many bytes follow."""
        self._asked = request
        self._reply = self._loop.create_future()
        self._heard = b""
        self._answer = head + answer
        self._answer_bytes = len(self._answer) + values
        self._refusal = head + b"\0\0\0\3" + bytes((request.unit, request.fc | _REFUSED))

    # What happens on it.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def data_received(self, data: bytes) -> None:
        if self._asked is None or self._reply.done():  # the line is not what we think it is
            self.close()
            return
        heard = self._heard + data if self._heard else data
        if heard.startswith(self._answer):
            whole = self._answer_bytes
        elif heard.startswith(self._refusal):
            whole = _REFUSAL_BYTES
        elif self._answer.startswith(heard) or self._refusal.startswith(heard):
            whole = len(heard) + 1  # the rest is to come
        else:
            self._fail(self._misfit(self._asked, heard))
            return
        if len(heard) < whole:
            self._heard = heard
            return
        self._reply.set_result(heard[:whole])
        if len(heard) > whole:  # and something that nobody asked for
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()
        if self._asked is not None:
            self._fail(CutError(_CLOSED, line=self._url, request=self._asked))

    def _look(self) -> None:
        """Whether the request under way, which may be another one by now, has had its time."""
        self._timer = None
        if self._asked is None:
            return
        if self._loop.time() >= self._latest_s:
            self._fail(self._silence(self._asked))
        else:
            self._timer = self._loop.call_at(self._latest_s, self._look)

    def _fail(self, error: DeviceError) -> None:
        """Ends the exchange under way at once."""
        if not self._reply.done():
            self._reply.set_exception(error)

    def _silence(self, request: Request) -> NoReplyError:
        what = f"no answer within {self._timeout_s:g} s"
        return NoReplyError(what, line=self._url, request=request)

    def _misfit(self, request: Request, data: bytes) -> DeviceError:
        """What is wrong with a reply that does not begin as it must, whole or not."""

        def error(kind: type[BadReplyError], what: str) -> BadReplyError:
            return kind(what, line=self._url, request=request)

        begun = self._answer[: len(data)]
        if data[:2] != begun[:2]:
            return error(WrongTransactionError, "it answered another request")
        if data[2:4] != begun[2:4] or any(code & ~_REFUSED != request.fc for code in data[7:8]):
            return error(BadReplyError, "what it sent is no reply to this request")
        if data[6:7] != begun[6:7]:
            return error(WrongUnitError, f"unit {data[6]} answered instead")
        if request.writes:
            return error(BadReplyError, "what it acknowledged is not what was written")
        return error(ShortReplyError, f"it did not answer with {request.count} registers")


class _Read(NamedTuple):
    """A request that reads, after its transaction, and how its answer begins."""

    asks: bytes
    answer: bytes
    values: int  # bytes that follow in the answer


@lru_cache(maxsize=4096)  # the same few, again and again
def _read_of(unit: int, fc: int, address: int, count: int) -> _Read:
    request = Request("", unit, fc, address, count)
    asks = _FRAMER.encode(_pdu(request), unit, 0)[2:]
    values = request.answer_bytes
    answer = asks[:2] + (3 + values).to_bytes(2, "big") + asks[4:6] + bytes((values,))
    return _Read(asks, answer, values)


def _pdu(request: Request) -> bytes:
    """Function code and data of a request."""
    match request.fc:
        case 1 | 2 | 3 | 4:
            asked = _READS[request.fc](address=request.address, count=request.count)
            return bytes((request.fc,)) + asked.encode()
        case 5:
            coil = WriteSingleCoilRequest(address=request.address, bits=[request.words[0] == 1])
            return bytes((request.fc,)) + coil.encode()
        case 6:
            one = WriteSingleRegisterRequest(address=request.address, registers=request.words[:1])
            return bytes((request.fc,)) + one.encode()
        case 16:
            many = WriteMultipleRegistersRequest(address=request.address, registers=request.words)
            return bytes((request.fc,)) + many.encode()
    raise ValueError(f"function {request.fc} is not spoken here")


@cache
def _words(count: int) -> struct.Struct:
    return struct.Struct(f">{count}H")


def _in_words(error: OSError) -> str:
    """Why a connection could not be made, as an installer would say it."""
    if isinstance(error, socket.gaierror):
        return "no host of this name"
    if error.errno == ECONNREFUSED:
        return "connection refused: is Modbus TCP switched on, is the port right?"
    return f"no connection: {os.strerror(error.errno) if error.errno else error}"
