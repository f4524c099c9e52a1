"""A small Modbus TCP server for one device, with honest exceptions and a switch for faults.

Our own because a device's manners are what is simulated: which reads it refuses, how
many masters it bears, when it hangs up. Framing as in the Modbus TCP implementation guide V1.0b.
"""

from __future__ import annotations

import asyncio
import struct
from abc import ABC, abstractmethod

from hil.devices.pdu import Code, Manner, Registers, answer
from hil.devices.place import LOOPBACK, Place, port_of

_HEADER = struct.Struct(">HHHB")  # transaction, protocol, length, unit
_MAX_LENGTH = 254  # unit + PDU


class Listener(ABC):
    """A port that is kept through every fault; on the loopback, unless its `place` is another."""

    def __init__(self, max_masters: int, idle_s: float) -> None:
        self.max_masters = max_masters
        self.idle_s = idle_s
        self.port = 0
        self.place: Place = LOOPBACK
        self.sessions: set[Session] = set()
        self._listener: asyncio.Server | None = None

    @abstractmethod
    def take(self, session: Session, transaction: int, unit: int, pdu: bytes) -> None:
        """A whole request."""

    @property
    def url(self) -> str:
        return f"tcp://{self.place.host}:{self.port}"

    @property
    def listens(self) -> bool:
        return self._listener is not None

    async def open(self) -> None:
        """Listens; the first time on a port of the system's choice."""
        loop = asyncio.get_running_loop()
        if not self.port and self.place is LOOPBACK:
            self.port = port_of(self)
        listening = self.place.listen(self.port)
        self._listener = await loop.create_server(lambda: Session(self), sock=listening)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for session in tuple(self.sessions):
            session.abort()


class Server(Listener):
    """Serves one device."""

    def __init__(self, device: Registers, max_masters: int = 8, idle_s: float = 3600.0) -> None:
        super().__init__(max_masters, idle_s)
        self.device = device
        self.delay_s = 0.0
        self.manner = Manner.ANSWERS
        self.requests = 0

    async def behave(self, manner: Manner, delay_s: float = 0.0) -> None:
        """Changes the device's manner at once; ANSWERS mends every fault."""
        self.manner, self.delay_s = manner, delay_s
        if manner is Manner.GONE:
            await self.close()
        elif not self.listens:
            await self.open()

    def take(self, session: Session, transaction: int, unit: int, pdu: bytes) -> None:
        if self.manner is Manner.SILENT:
            return
        reply = self.answer(unit, pdu)
        delay_s = self.delay_s if self.manner is Manner.SLOW else 0.0
        session.say(transaction, unit, reply, delay_s)

    def answer(self, unit: int, pdu: bytes) -> bytes:
        """The reply to one request, exceptions included."""
        self.requests += 1
        if unit != self.device.unit:
            return bytes((pdu[0] | 0x80, Code.GATEWAY_NO_RESPONSE))
        return answer(self.device, pdu)


class Session(asyncio.Protocol):
    """One master's connection."""

    def __init__(self, server: Listener) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._heard_s = self._loop.time()
        self._idle: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._server.sessions) >= self._server.max_masters:
            transport.abort()
            return
        self._server.sessions.add(self)
        self._watch_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.sessions.discard(self)
        if self._idle is not None:
            self._idle.cancel()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._heard_s = self._loop.time()
        self._buffer += data
        while len(self._buffer) > _HEADER.size:
            transaction, protocol, length, unit = _HEADER.unpack_from(self._buffer)
            if protocol != 0 or not 2 <= length <= _MAX_LENGTH:
                self.abort()  # not Modbus: the stream cannot be trusted any more
                return
            end = _HEADER.size - 1 + length
            if len(self._buffer) < end:
                return
            pdu, self._buffer = self._buffer[_HEADER.size : end], self._buffer[end:]
            self._server.take(self, transaction, unit, pdu)

    def say(self, transaction: int, unit: int, reply: bytes, after_s: float = 0.0) -> None:
        frame = _HEADER.pack(transaction, 0, len(reply) + 1, unit) + reply
        if after_s:
            self._loop.call_later(after_s, self._send, frame)
        else:
            self._send(frame)

    def _send(self, frame: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    def _watch_idle(self) -> None:
        left_s = self._heard_s + self._server.idle_s - self._loop.time()
        if left_s <= 0:
            self.abort()
        else:
            self._idle = self._loop.call_later(left_s, self._watch_idle)
