"""Modbus TCP. The only module that knows pymodbus.

A connection is one pymodbus client. After anything but a whole and fitting reply it is thrown
away, unsent bytes included: so no late reply ever meets another request, and no order that was
given up arrives after all.
"""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from errno import ECONNREFUSED

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusIOException
from pymodbus.pdu import ModbusPDU

from drivers.device import (
    BadReplyError,
    CutError,
    DeviceError,
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
_CLOSED = "the device closed the connection (too many masters?)"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: what was not sent is dropped

# Its failures reach people through the health of devices, in their words and once.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)


class TcpLine:
    """One Modbus TCP connection, made when it is needed; one exchange at a time.

    An exchange takes at most `timeout_s`, making the connection included. The first attempt to
    connect again is made at once; after every further failure a pause follows that doubles to
    3 s, in which requests fail at once. Without `may_write` a write is a broken invariant.
    """

    def __init__(self, host: str, port: int, timeout_s: float, may_write: bool) -> None:
        self.url = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
        self.longest_s = timeout_s + LATE_S
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._may_write = may_write
        self._client: AsyncModbusTcpClient | None = None
        self._transactions = 0  # numbers go on over connections: none is used twice soon
        self._asked: Request | None = None  # the one under way
        self._fitting = (b"", b"")  # how its reply begins: as asked for, or as a refusal
        self._pauses = Pauses()

    async def exchange(self, ask: Callable[[], Request | None]) -> tuple[int, ...] | None:
        """Sends what `ask` says at the last moment; it may be asked twice. See device.Line."""
        request = ask()
        if request is None:
            return None
        if self._client is not None and self._client.connected:
            return await self._transact(self._client, request)
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s
        client = await self._connect(request, deadline_s)
        later = ask()
        if later is None:
            return None
        try:
            async with asyncio.timeout_at(deadline_s):
                return await self._transact(client, later)
        except TimeoutError:
            raise self._silence(later) from None

    def close(self) -> None:
        """Ends the connection at once; what was not sent is dropped."""
        client, self._client = self._client, None
        if client is None:
            return
        self._transactions = client.ctx.next_tid
        if client.connected:
            assert isinstance(client.ctx.transport, asyncio.Transport)
            client.ctx.transport.abort()
            client.close()

    async def _connect(self, request: Request, deadline_s: float) -> AsyncModbusTcpClient:
        self.close()
        if not self._pauses.over:
            raise NoConnectionError(self._pauses.reason, line=self.url, request=request)
        client = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._inspect,
            trace_connect=self._changed,
        )
        try:
            async with asyncio.timeout_at(deadline_s):
                await client.ctx.call_create()  # connect() would swallow the reason
        except TimeoutError:
            raise self._unreachable(
                request, f"no connection within {self._timeout_s:g} s"
            ) from None
        except OSError as error:
            raise self._unreachable(request, _in_words(error)) from error
        connection: socket.socket = client.ctx.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        client.ctx.next_tid = self._transactions
        self._client = client
        return client

    async def _transact(self, client: AsyncModbusTcpClient, request: Request) -> tuple[int, ...]:
        if request.writes and not self._may_write:
            raise PermissionError(f"{request.device}: nothing may be written here")
        reply = None
        self._asked = request
        loop = asyncio.get_running_loop()
        latest_s = loop.time() + self._timeout_s
        try:
            answer = await _send(client, request)
            if loop.time() > latest_s:  # we were held up: nobody knows when it came
                raise self._silence(request)
            reply = answer
        except ModbusIOException:
            raise self._silence(request) from None
        except ConnectionException:
            raise self._cut(request) from None
        finally:
            self._asked = None
            if reply is None:
                self.close()
            _let_go()
        self._pauses.answered()
        if reply.isError():
            raise refusal(reply.exception_code, self.url, request)
        return () if request.writes else tuple(reply.registers)

    def _inspect(self, sending: bool, data: bytes) -> bytes:
        """Sees every packet before pymodbus does; what does not fit the request ends it."""
        request = self._asked
        if request is None:  # nobody asked: the line is not what we think it is
            self.close()
            return b""
        if sending:
            self._fitting = _fitting(request, data)
        elif not any(data.startswith(beginning[: len(data)]) for beginning in self._fitting):
            self._fail(self._misfit(request, data))
            return b""
        return data

    def _misfit(self, request: Request, data: bytes) -> DeviceError:
        """What is wrong with a reply that does not begin as it must, whole or not."""

        def error(kind: type[BadReplyError], what: str) -> BadReplyError:
            return kind(what, line=self.url, request=request)

        begun = self._fitting[0][: len(data)]
        if data[:2] != begun[:2]:
            return error(WrongTransactionError, "it answered another request")
        if data[2:4] != begun[2:4] or any(code & ~_REFUSED != request.fc for code in data[7:8]):
            return error(BadReplyError, "what it sent is no reply to this request")
        if data[6:7] != begun[6:7]:
            return error(WrongUnitError, f"unit {data[6]} answered instead")
        return error(ShortReplyError, f"it did not answer with {request.count} registers")

    def _changed(self, connected: bool) -> None:
        """The other side closed the connection, if it is not a new one."""
        if self._asked is not None and not connected:
            self._fail(self._cut(self._asked))

    def _fail(self, error: DeviceError) -> None:
        """Ends the exchange under way at once instead of after its time-out."""
        if self._client is not None and not self._client.ctx.response_future.done():
            self._client.ctx.response_future.set_exception(error)

    def _unreachable(self, request: Request, reason: str) -> NoConnectionError:
        self._pauses.failed(reason)
        return NoConnectionError(reason, line=self.url, request=request)

    def _cut(self, request: Request) -> CutError:
        self._pauses.failed(_CLOSED)
        return CutError(_CLOSED, line=self.url, request=request)

    def _silence(self, request: Request) -> NoReplyError:
        what = f"no answer within {self._timeout_s:g} s"
        return NoReplyError(what, line=self.url, request=request)


def _let_go() -> None:
    """Python 3.11's wait_for forgets a cancellation that comes with a reply or an error."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _fitting(request: Request, sent: bytes) -> tuple[bytes, bytes]:
    """How the reply to a packet begins, and how a refusal does."""
    body, values = sent[6:12], 0  # a write is answered with its address and its count or value
    if not request.writes:
        values = 2 * request.count
        body = sent[6:8] + bytes([values])
    reply = sent[:4] + (len(body) + values).to_bytes(2, "big") + body
    return reply, sent[:4] + b"\0\3" + bytes([request.unit, request.fc | _REFUSED])


def _send(client: AsyncModbusTcpClient, request: Request) -> Awaitable[ModbusPDU]:
    address, unit = request.address, request.unit
    match request.fc:
        case 3:
            return client.read_holding_registers(address, count=request.count, device_id=unit)
        case 4:
            return client.read_input_registers(address, count=request.count, device_id=unit)
        case 6:
            return client.write_register(address, request.words[0], device_id=unit)
        case 16:
            return client.write_registers(address, list(request.words), device_id=unit)
    raise ValueError(f"function {request.fc} is not spoken here")


def _in_words(error: OSError) -> str:
    """Why a connection could not be made, as an installer would say it."""
    if isinstance(error, socket.gaierror):
        return "no host of this name"
    if error.errno == ECONNREFUSED:
        return "connection refused: is Modbus TCP switched on, is the port right?"
    return f"no connection: {os.strerror(error.errno) if error.errno else error}"
