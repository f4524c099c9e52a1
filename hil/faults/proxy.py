"""A TCP proxy that can break the line between two parties, byte for byte unmodified else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from hil.devices.place import LOOPBACK, Place, port_of

_CHUNK = 65_536
_SLICES_PER_S = 50  # in which a throttled line passes its bytes


class Line(Enum):
    """What becomes of connections and bytes."""

    OPEN = "open"
    CLOSED = "closed"  # nobody listens; connections that stood are reset
    BLACK_HOLE = "black hole"  # connections stand and are accepted, no byte passes
    HALF_OPEN = "half open"  # what is said arrives, what is answered does not


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to bytes that pass, either way."""

    delay_s: float = 0.0  # of each piece
    bytes_per_s: float | None = None
    wrong: float = 0.0  # probability that a byte is another one
    seed: int = field(default=1)


CLEAR = Weather()


class Proxy:
    """Listens on a port of the system's choice and keeps it through every fault; on the loopback,
    unless its `place` is another. What it leads to is on the loopback."""

    def __init__(self, target_port: int, place: Place = LOOPBACK, port: int = 0) -> None:
        self.port = port
        self.place = place
        self.line = Line.OPEN
        self.weather = CLEAR
        self._target_port = target_port
        self._random = Random(CLEAR.seed)
        self._listener: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._links: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        if not self.port and self.place is LOOPBACK:
            self.port = port_of(self)
        self._listener = await asyncio.start_server(self._serve, sock=self.place.listen(self.port))
        self.port = self._listener.sockets[0].getsockname()[1]
        self._passing.set()

    async def become(self, line: Line) -> None:
        """Changes the line at once; OPEN mends it.

        Connections do not survive where bytes were swallowed: those are gone.
        """
        if line is self.line:
            return
        before, self.line = self.line, line
        self._passing.clear()
        if line is Line.CLOSED or before in (Line.BLACK_HOLE, Line.HALF_OPEN):
            await self.reset()
        if line is Line.CLOSED:
            self._stop_listening()
        elif self._listener is None:
            await self.open()
        if line in (Line.OPEN, Line.HALF_OPEN):
            self._passing.set()
        else:
            self._passing.clear()

    def turn(self, weather: Weather) -> None:
        """From the next piece on; CLEAR mends it."""
        self.weather = weather
        self._random = Random(weather.seed)

    async def reset(self) -> None:
        """Ends the connections that stand, at once; new ones are welcome."""
        links = tuple(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def close(self) -> None:
        self._stop_listening()
        await self.reset()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _serve(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        writers = [near_out]
        try:
            await self._passing.wait()  # a black hole accepts, and that is all
            far, far_out = await asyncio.open_connection("127.0.0.1", self._target_port)
            writers.append(far_out)
            pumps = (self._pump(near, far_out, False), self._pump(far, near_out, True))
            await _first_to_end(*(asyncio.ensure_future(pump) for pump in pumps))
        except OSError:
            pass  # the far side is not there: the near side sees its connection reset
        except asyncio.CancelledError:
            pass  # hung up by a fault or by close()
        finally:
            self._links.discard(link)
            for writer in writers:
                writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool
    ) -> None:
        while data := await reader.read(_CHUNK):
            await self._passing.wait()
            if answers and self.line is Line.HALF_OPEN:
                continue
            await self._pass(data, writer)

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        weather = self.weather
        if weather.wrong:
            data = bytes(map(self._perhaps_wrong, data))
        if weather.delay_s:
            await asyncio.sleep(weather.delay_s)
        if weather.bytes_per_s is None:
            writer.write(data)
            await writer.drain()
            return
        slice_bytes = max(1, round(weather.bytes_per_s / _SLICES_PER_S))
        for start in range(0, len(data), slice_bytes):
            piece = data[start : start + slice_bytes]
            await asyncio.sleep(len(piece) / weather.bytes_per_s)
            writer.write(piece)
            await writer.drain()

    def _perhaps_wrong(self, byte: int) -> int:
        if self._random.random() >= self.weather.wrong:
            return byte
        return byte ^ self._random.randint(1, 255)


async def _first_to_end(*pumps: asyncio.Future[None]) -> None:
    """Returns when one direction has ended; the other is ended with it."""
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


class LineFault:
    """The line through a proxy: closed, swallowed, or deaf one way."""

    def __init__(self, proxy: Proxy, line: Line = Line.CLOSED) -> None:
        self._proxy = proxy
        self._line = line

    async def begin(self) -> None:
        await self._proxy.become(self._line)

    async def end(self) -> None:
        await self._proxy.become(Line.OPEN)


class WeatherFault:
    """Bytes through a proxy late, few at a time, or wrong."""

    def __init__(self, proxy: Proxy, weather: Weather) -> None:
        self._proxy = proxy
        self._weather = weather

    async def begin(self) -> None:
        self._proxy.turn(self._weather)

    async def end(self) -> None:
        """Connections do not survive: what was wrong may have left them out of step."""
        if self._proxy.weather is not CLEAR:
            self._proxy.turn(CLEAR)
            await self._proxy.reset()


class ResetFault:
    """Connections through a proxy are reset, again and again."""

    def __init__(self, proxy: Proxy, every_s: float = 1.0) -> None:
        self._proxy = proxy
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        if self._task is None:
            self._task = asyncio.ensure_future(self._go_on())

    async def end(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _go_on(self) -> None:
        while True:
            await self._proxy.reset()
            await asyncio.sleep(self._every_s)
