"""The other end of a Modbus TCP line, made of raw sockets, and an image to drive against."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count

from cext.rows import Phases
from controller.clock import MonotonicClock
from controller.condition import Condition
from controller.image import ChargerReport, Clock, ContactorOrder, MeterReading, Order
from controller.turn import Turn
from controller.units import NS_PER_S
from tests.patience import until

HEADER = struct.Struct(">HHHB")  # transaction, protocol, length, unit


class Telegram:
    """What a request says of itself, whatever frames it."""

    pdu: bytes

    @property
    def function(self) -> int:
        return self.pdu[0]

    @property
    def address(self) -> int:
        return int.from_bytes(self.pdu[1:3], "big")

    @property
    def count(self) -> int:
        return int.from_bytes(self.pdu[3:5], "big")

    def frame(self, pdu: bytes) -> bytes:
        raise NotImplementedError

    def refusal(self, code: int) -> bytes:
        return self.frame(bytes((self.function | 0x80, code)))


@dataclass(frozen=True)
class Asked(Telegram):
    """One request as it came over the wire."""

    transaction: int
    unit: int
    pdu: bytes

    def frame(self, pdu: bytes) -> bytes:
        return HEADER.pack(self.transaction, 0, len(pdu) + 1, self.unit) + pdu

    def reply(self) -> bytes:
        """A good one: each register holds its own address; writes are acknowledged."""
        if self.function in (6, 16):
            return self.frame(self.pdu[:5])
        words = range(self.address, self.address + self.count)
        content = struct.pack(f">{self.count}H", *words)
        return self.frame(bytes((self.function, len(content))) + content)


Behaviour = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


async def good(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(asked.reply())


@dataclass
class Wire:
    """What a raw server has seen; `behave` may be changed at any moment."""

    behave: Behaviour = good
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    resets: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        try:
            while True:
                transaction, protocol, length, unit = HEADER.unpack(await reader.readexactly(7))
                assert protocol == 0
                asked = Asked(transaction, unit, await reader.readexactly(length - 1))
                self.asked.append(asked)
                await self.behave(asked, writer)
        except ConnectionError:
            self.resets += 1
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()


@asynccontextmanager
async def serving(behave: Behaviour = good) -> AsyncIterator[Wire]:
    """A server on a loopback port of the system's choice."""
    wire = Wire(behave)
    server = await asyncio.start_server(wire.session, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        for writer in tuple(wire.writers):
            writer.transport.abort()
        await until(lambda: not wire.writers)


class Decisions(Turn):
    """Turns without a kernel: somebody decides each 20 ms, until `stall`."""

    EVERY_S = 0.02

    def __init__(self, clock: Clock, dead_man_s: float = 0.3) -> None:
        super().__init__(clock, int(dead_man_s * NS_PER_S))
        self._now_ns = clock.now_ns
        self._decides = True
        self._numbers = count(1)
        self._timer: asyncio.TimerHandle | None = None

    def join(self, worker: str, ring: Callable[[], None]) -> None:
        super().join(worker, ring)
        if self._timer is None:
            self._decide()

    @property
    def fresh(self) -> bool:
        if self._timer is None:  # nobody writes here, and decisions are made all the same
            self._decide()
        return super().fresh

    def stall(self) -> None:
        self._decides = False

    def go_on(self) -> None:
        self._decides = True

    def _decide(self) -> None:
        if self._decides:
            self.decided(next(self._numbers), self._now_ns())
        self._timer = asyncio.get_running_loop().call_later(self.EVERY_S, self._decide)


class Board:
    """An image without a kernel: readings are kept, orders are set by hand."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or MonotonicClock()
        self.turn = Decisions(self.clock)
        self.meters: list[tuple[str, MeterReading]] = []
        self.chargers: list[tuple[str, ChargerReport]] = []
        self.contacts: list[tuple[str, int, bool]] = []  # of contactors
        self.inputs: list[tuple[str, int, Phases | None]] = []
        self._orders: dict[str, Order] = {}
        self._contactors: dict[str, ContactorOrder] = {}
        self._wake: dict[str, Callable[[], None]] = {}
        self._tick = 0
        self.present = Condition.RUNNING
        self.readers: dict[str, Callable[[int, Phases | None], None]] = {}

    def post_meter(self, meter: str, reading: MeterReading) -> None:
        self.meters.append((meter, reading))

    def post_charger(self, charger: str, report: ChargerReport) -> None:
        self.chargers.append((charger, report))

    def order(self, charger: str) -> Order | None:
        order = self._orders.get(charger)
        return None if order is None or self.clock.now_ns() >= order.expires_ns else order

    def on_change(self, charger: str, wake: Callable[[], None]) -> None:
        self._wake[charger] = wake

    def command(self, charger: str, ma: int, lasts_s: float = 60) -> Order:
        """Gives a new order and wakes the driver."""
        self._tick += 1
        expires_ns = self.clock.now_ns() + int(lasts_s * NS_PER_S)
        order = self._orders[charger] = Order(ma, self._tick, expires_ns)
        self._wake.get(charger, lambda: None)()
        return order

    def expire(self, charger: str) -> None:
        self._orders[charger] = replace(self._orders[charger], expires_ns=0)

    def post_contactor(self, contactor: str, at_ns: int, closed: bool) -> None:
        self.contacts.append((contactor, at_ns, closed))

    def post_input(self, contact: str, at_ns: int, limit_ma: Phases | None) -> None:
        self.inputs.append((contact, at_ns, limit_ma))

    def condition(self) -> Condition:
        return self.present

    def on_reading(self, meter: str, take: Callable[[int, Phases | None], None]) -> None:
        self.readers[meter] = take

    def contactor_order(self, contactor: str) -> ContactorOrder | None:
        order = self._contactors.get(contactor)
        return None if order is None or self.clock.now_ns() >= order.expires_ns else order

    def on_contactor_change(self, contactor: str, wake: Callable[[], None]) -> None:
        self._wake[contactor] = wake

    def switch(self, contactor: str, closed: bool, lasts_s: float = 60) -> None:
        """Gives a new order and wakes the driver."""
        self._tick += 1
        expires_ns = self.clock.now_ns() + int(lasts_s * NS_PER_S)
        self._contactors[contactor] = ContactorOrder(closed, self._tick, expires_ns)
        self._wake.get(contactor, lambda: None)()
