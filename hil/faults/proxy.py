"""A TCP proxy that can break the line between two parties, byte for byte unmodified else."""

from __future__ import annotations

import asyncio
from enum import Enum

_CHUNK = 65_536


class Line(Enum):
    """What becomes of connections and bytes."""

    OPEN = "open"
    CLOSED = "closed"  # nobody listens; connections that stood are reset
    BLACK_HOLE = "black hole"  # connections stand and are accepted, no byte passes


class Proxy:
    """Listens on a loopback port of the system's choice and keeps it through every fault."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.line = Line.OPEN
        self._target_port = target_port
        self._listener: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._links: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]
        self._passing.set()

    async def become(self, line: Line) -> None:
        """Changes the line at once; OPEN mends it.

        Connections do not survive a black hole: the bytes that it swallowed are gone.
        """
        if line is self.line:
            return
        before, self.line = self.line, line
        self._passing.clear()
        if line is Line.CLOSED or before is Line.BLACK_HOLE:
            await self._hang_up()
        if line is Line.CLOSED:
            self._stop_listening()
        elif self._listener is None:
            await self.open()
        if line is Line.OPEN:
            self._passing.set()

    async def close(self) -> None:
        self._stop_listening()
        await self._hang_up()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _hang_up(self) -> None:
        links = tuple(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _serve(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        writers = [near_out]
        try:
            await self._passing.wait()  # a black hole accepts, and that is all
            far, far_out = await asyncio.open_connection("127.0.0.1", self._target_port)
            writers.append(far_out)
            pumps = (self._pump(near, far_out), self._pump(far, near_out))
            await _first_to_end(*(asyncio.ensure_future(pump) for pump in pumps))
        except OSError:
            pass  # the far side is not there: the near side sees its connection reset
        except asyncio.CancelledError:
            pass  # hung up by a fault or by close()
        finally:
            self._links.discard(link)
            for writer in writers:
                writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self._passing.wait()
            writer.write(data)
            await writer.drain()


async def _first_to_end(*pumps: asyncio.Future[None]) -> None:
    """Returns when one direction has ended; the other is ended with it."""
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


class LineFault:
    """The line through a proxy, closed or swallowed."""

    def __init__(self, proxy: Proxy, line: Line = Line.CLOSED) -> None:
        self._proxy = proxy
        self._line = line

    async def begin(self) -> None:
        await self._proxy.become(self._line)

    async def end(self) -> None:
        await self._proxy.become(Line.OPEN)
