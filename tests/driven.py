"""Devices of raw sockets, and scenes in which drivers meet them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from controller.document.buses import Bus as SiteBus
from controller.document.buses import TcpAddress
from controller.document.devices import Charger, Meter
from controller.driver import Driver
from controller.image import ChargerReport, MeterReading, Order
from controller.units import NS_PER_S
from drivers.bus import Bus
from drivers.charger import ChargerDriver
from drivers.library import library
from drivers.meter import MeterDriver
from drivers.modbus import TcpLine
from tests.encode import alfen_control, alfen_measured, em24_block
from tests.modbus_wire import Asked, Board, Wire, serving
from tests.patience import until

EM24 = library().meter_profile("carlo_gavazzi_em24_ethernet")
ALFEN = library().charger_profile("alfen_eve")
MS_NS = 1_000_000
POLL_NS = 20 * MS_NS


@dataclass
class Em24:
    """Answers for a meter; what it shows may be changed at any moment."""

    milliamps: list[int] = field(default_factory=lambda: [10_000, 20_000, 30_000])
    model: int = 1648
    application: int = 7

    def content(self, asked: Asked) -> bytes | None:
        watts = [min(ma * 23 // 10, 10**9) for ma in self.milliamps]  # in tenths, at 230 V
        shown = [abs(ma) for ma in self.milliamps]
        block = em24_block([2300] * 3, shown, watts, sum(watts), [1000] * 3)
        known = {
            (3, 11, 1): struct.pack(">H", self.model),
            (3, 40960, 1): struct.pack(">H", self.application),
            (4, 0, 50): block,
        }
        return known.get((asked.function, asked.address, asked.count))


@dataclass
class Alfen:
    """Answers for a socket that takes setpoints as its document says."""

    setpoint: float = 6.0
    applied: float | None = 6.0
    valid_s: int = 0
    safe: float = 6.0
    state: str = "C2"
    amperes: list[float | None] = field(default_factory=lambda: [5.5, 5.5, 5.5])
    obeys: bool = True
    written: list[float] = field(default_factory=list)

    def content(self, asked: Asked) -> bytes | None:
        if asked.function == 16:
            assert (asked.address, asked.count) == (1210, 2)
            value = struct.unpack(">f", asked.pdu[6:])[0]
            self.written.append(value)
            if self.obeys:
                self.setpoint = self.applied = value
                self.valid_s = 60
            return b""
        known = {
            (3, 306, 40): alfen_measured([230.0] * 3, self.amperes, [1000.0] * 3),
            (3, 1200, 16): alfen_control(
                self.state, self.applied, self.valid_s, self.setpoint, self.safe, 1
            ),
        }
        return known.get((asked.function, asked.address, asked.count))


class Devices:
    """A server's behaviour: units that answer as their devices do, and units that are silent."""

    def __init__(self, units: Mapping[int, Em24 | Alfen | None]) -> None:
        self.units = dict(units)
        self.refuse: Callable[[Asked], int] = lambda asked: 0

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        device = self.units[asked.unit]
        if device is None:
            return
        code = self.refuse(asked)
        content = device.content(asked) if not code else None
        if content is None:
            writer.write(asked.refusal(code or 2))
        elif asked.function == 16:
            writer.write(asked.reply())
        else:
            writer.write(asked.frame(bytes((asked.function, len(content))) + content))


def site_bus(port: int) -> SiteBus:
    address = TcpAddress("127.0.0.1", port)
    return SiteBus(address.url, address, 5 * NS_PER_S)


def meter(port: int, **changes: Any) -> Meter:
    made = Meter(
        id="grid",
        circuit="grid",
        profile=EM24.name,
        facts=EM24.facts,
        bus=site_bus(port),
        unit=1,
        poll_ns=POLL_NS,
        lag_ns=0,
        max_age_ns=NS_PER_S,
        ratio_ppm=1_000_000,
        reversed=False,
        phases=(0, 1, 2),
    )
    return replace(made, **changes)


def charger(port: int, **changes: Any) -> Charger:
    made = Charger(
        id="bay-01",
        name="",
        circuit="grid",
        profile=ALFEN.name,
        facts=ALFEN.facts,
        bus=site_bus(port),
        unit=1,
        poll_ns=POLL_NS,
        phases=(0, 1, 2),
        min_ma=6_000,
        max_ma=32_000,
        step_ma=100,
        fallback_ma=6_000,
        fallback_delay_ns=60 * NS_PER_S,
        power_on_ma=6_000,
        set_fallback_ma=None,
        set_delay_ns=None,
        tolerance_ppm=0,
        standby_ma=0,
        settle_ns=NS_PER_S // 10,
        max_age_ns=NS_PER_S,
        weight=1,
        class_rank=0,
    )
    return replace(made, **changes)


@dataclass
class Scene:
    """One server, one bus, and drivers that run until the scene is over."""

    wire: Wire
    board: Board
    bus: Bus
    running: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, driver: Driver) -> None:
        self.running.append(asyncio.create_task(driver.run()))

    def meter(self, **changes: Any) -> MeterDriver:
        driver = MeterDriver(meter(self.wire.port, **changes), EM24, self.bus, self.board)
        self.start(driver)
        return driver

    def charger(self, write: bool = True, **changes: Any) -> ChargerDriver:
        its = charger(self.wire.port, **changes)
        driver = ChargerDriver(its, ALFEN, self.bus, self.board, write)
        self.start(driver)
        return driver

    def readings(self, of: str = "grid") -> list[MeterReading]:
        return [reading for meter, reading in self.board.meters if meter == of]

    def reports(self, of: str = "bay-01") -> list[ChargerReport]:
        return [report for charger, report in self.board.chargers if charger == of]

    async def proof_of(self, order: Order, of: str = "bay-01") -> ChargerReport:
        """The first report that was asked for after the order was acknowledged."""
        await until(lambda: self.reports(of) and self.reports(of)[-1].written_tick == order.tick)
        return self.reports(of)[-1]

    async def news(self, of: str = "bay-01") -> ChargerReport:
        """A report of a poll that begins after now: not the next one, which may be under way."""
        seen = len(self.reports(of))
        await until(lambda: len(self.reports(of)) >= seen + 2)
        return self.reports(of)[-1]


def told(
    story: Callable[[Scene, Devices], Awaitable[None]],
    units: Mapping[int, Em24 | Alfen | None],
    timeout_s: float = 5,
) -> None:
    async def whole() -> None:
        devices = Devices(units)
        board = Board()
        async with serving(devices) as wire:
            line = TcpLine("127.0.0.1", wire.port, timeout_s, may_write=True)
            scene = Scene(wire, board, Bus(line, board.clock))
            try:
                await story(scene, devices)
            finally:
                for task in scene.running:
                    task.cancel()
                for task in scene.running:
                    with suppress(asyncio.CancelledError):
                        await task

    asyncio.run(whole())
