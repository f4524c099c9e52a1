"""Connectors of one station: registers of their own, and one watchdog that any request feeds."""

import asyncio
from contextlib import suppress

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT
from controller.clock import MonotonicClock
from drivers.bus import Bus
from drivers.charger import ChargerDriver
from drivers.modbus import TcpLine
from hil.devices.alpitronic import NOMINAL_V, Alpitronic, Hypercharger
from hil.devices.pdu import Code, Manner, RefusalError
from tests.inwatts import PROFILE, charger_of
from tests.modbus_wire import Board
from tests.patience import until
from tests.test_rules import bench

S = 1_000_000_000
FIRST, SECOND = 0, 1
WATCHDOG_NS = S
ALONE_MA = 10_000


class Depot:
    """A station with two connectors and a vehicle at each; the plant lives in real time."""

    def __init__(self) -> None:
        self.clock = MonotonicClock()
        row = PlantCharger(
            0, (0, 1, 2), 145_000, 0, ALONE_MA, WATCHDOG_NS, draws_ppm=1_052_632, shows_ppm=950_000
        )
        self.plant = Plant([ROOT], (row, row), nominal_mv=230_940, seed=1)
        self.present()
        self.station = Hypercharger(unit=1)
        self.devices = [Alpitronic(self.plant, each, row, self.present) for each in (0, 1)]
        self.connectors = [self.station.add(each + 1, self.devices[each]) for each in (0, 1)]
        for each in (FIRST, SECOND):
            self.plant.plug(each, Car(200_000, 3, S // 20, energy_wh=60_000, taper_wh=0))

    def present(self) -> int:
        now_ns = self.clock.now_ns()
        self.plant.advance(now_ns)
        return now_ns

    def offered_ma(self, connector: int) -> int:
        self.present()
        return self.plant.charger(connector).offered_ma


def test_each_connector_has_its_own_registers_and_a_third_one_is_refused() -> None:
    it = Depot()
    it.station.write(16, 100, (50_000).to_bytes(4, "big"))
    it.station.write(16, 200, (70_000).to_bytes(4, "big"))
    assert [each.setpoint_w for each in it.devices] == [50_000, 70_000]
    assert it.station.read(3, 200, 2) == (70_000).to_bytes(4, "big")
    for address in (0, 138, 300):
        try:
            it.station.read(4, address, 2)
        except RefusalError as refused:
            assert refused.code is Code.ILLEGAL_ADDRESS
        else:
            raise AssertionError(f"there are registers at {address}")


def test_one_that_refuses_keeps_its_setpoint_while_the_other_one_is_polled() -> None:
    """Both drivers as they are, on one line. What it was told holds on without an exchange of its
    own; when nobody asks either of them, both fall back."""

    async def whole() -> None:
        it, boards = Depot(), (Board(), Board())
        for connector in it.connectors:
            await connector.open()
        line = TcpLine("127.0.0.1", it.station.server.port, 5, may_write=True)
        bus = Bus(line, boards[FIRST].clock)
        drivers = [
            ChargerDriver(
                charger_of(it.station.server.port, connector=each + 1), PROFILE, bus, board, True
            )
            for each, board in enumerate(boards)
        ]
        running = [asyncio.create_task(driver.run()) for driver in drivers]
        try:
            for board in boards:
                board.command("bay-01", 101_500)
            told_ma = int(70_300 * 1000 / NOMINAL_V)
            await until(lambda: [it.offered_ma(each) for each in (0, 1)] == [told_ma] * 2)
            await it.connectors[FIRST].behave(Manner.SILENT)
            seen, since_ns = len(boards[FIRST].chargers), it.present()
            boards[FIRST].command("bay-01", 20_000)
            await until(lambda: it.present() - since_ns > 3 * WATCHDOG_NS // 2)
            assert len(boards[FIRST].chargers) <= seen + 1, "it has nothing to tell"
            assert drivers[FIRST].health().error is not None
            assert it.offered_ma(FIRST) == told_ma, "above its fallback, and above its last order"
            for task in running:
                task.cancel()
            await until(lambda: [it.offered_ma(each) for each in (0, 1)] == [ALONE_MA] * 2)
        finally:
            for task in running:
                task.cancel()
            for task in running:
                with suppress(asyncio.CancelledError):
                    await task
            line.close()
            await it.connectors[FIRST].close()

    asyncio.run(whole())


def test_the_larger_of_setpoint_and_fallback_counts_for_ever() -> None:
    """So it is not unsafe that it does not fall back; nor would it be if it did."""
    for last_ma, counts_ma in ((20_000, 20_000), (6_000, 16_000)):
        one = bench(1, cap_ma=last_ma, worst_ma=0, max_ma=32_000)
        one.steps(60, 0, [32_000])
        assert one.orders() == [last_ma]
        for _ in range(12):
            one.steps(10, 0, [32_000], reported=False)
            assert one.door.charger(0).draw_hi_ma >= counts_ma
