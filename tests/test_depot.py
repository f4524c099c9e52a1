"""A whole site's drivers, from its document: who shares a line, and that observing is mute."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from controller.driver import Driver
from controller.facts import ChargerFacts, MeterFacts
from controller.site import DocumentError, Site, parse
from drivers.depot import build
from drivers.library import library
from drivers.register import Register
from tests.documents import circuit
from tests.driven import Alfen, Devices, Em24
from tests.encode import alfen_control, alfen_measured
from tests.modbus_wire import Board, Wire, serving
from tests.patience import until

ROW = {"circuit": "grid", "profile": "alfen_eve", "max_a": 32, "fallback_a": 6, "poll_s": 0.02}


def document(port: int, other: int) -> dict[str, Any]:
    """A meter and two chargers behind one address, a third charger behind another."""
    near, far = f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{other}"
    return {
        "schema": 1,
        "site": {"id": "depot"},
        "circuit": [circuit("grid")],
        "meter": [
            {
                "id": "main",
                "circuit": "grid",
                "profile": "carlo_gavazzi_em24_ethernet",
                "bus": near,
                "unit": 10,
                "poll_s": 0.02,
            }
        ],
        "charger": [
            {**ROW, "id": "bay-{n}", "count": 2, "bus": near, "unit": "{n}"},
            {**ROW, "id": "yard", "bus": far},
        ],
    }


def depot(port: int, other: int) -> Site:
    return parse(document(port, other), library())


async def running(drivers: list[Driver], story: Callable[[], Awaitable[None]]) -> None:
    tasks = [asyncio.create_task(driver.run()) for driver in drivers]
    try:
        await story()
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def told(write: bool, story: Callable[[Board, Wire, Wire, list[Driver]], Awaitable[None]]) -> None:
    async def whole() -> None:
        board = Board()
        units: dict[int, Alfen | Em24 | None] = {1: Alfen(), 2: Alfen(), 10: Em24()}
        async with serving(Devices(units)) as near, serving(Devices({1: Alfen()})) as far:
            drivers = build(depot(near.port, far.port), board, write)
            await running(drivers, lambda: story(board, near, far, drivers))

    asyncio.run(whole())


@pytest.mark.parametrize("write", [True, False])
def test_devices_at_one_address_share_a_connection(write: bool) -> None:
    async def story(board: Board, near: Wire, far: Wire, drivers: list[Driver]) -> None:
        assert [driver.id for driver in drivers] == ["main", "bay-1", "bay-2", "yard"]
        await until(lambda: all(driver.health().online for driver in drivers))
        assert (near.connections, far.connections) == (1, 1)
        assert {asked.unit for asked in near.asked} == {1, 2, 10}
        assert {charger for charger, _ in board.chargers} == {"bay-1", "bay-2", "yard"}

    told(write, story)


def test_orders_reach_their_chargers() -> None:
    async def story(board: Board, near: Wire, far: Wire, drivers: list[Driver]) -> None:
        ticks = {driver.id: board.command(driver.id, 10_000).tick for driver in drivers[1:]}
        await until(lambda: ticks == {name: seen.written_tick for name, seen in board.chargers})
        for wire in (near, far):
            assert {asked.unit for asked in wire.asked if asked.function == 16} <= {1, 2}

    told(True, story)


def test_observing_writes_nothing_to_any_device() -> None:
    """Whatever is ordered, and although what is in force differs from it."""

    async def story(board: Board, near: Wire, far: Wire, drivers: list[Driver]) -> None:
        for driver in drivers[1:]:
            board.command(driver.id, 0)
        await until(lambda: len(board.chargers) > 12)
        await asyncio.sleep(0.3)  # longer than a writer's round
        for driver in drivers[1:]:
            board.command(driver.id, 16_000)
        await until(lambda: len(board.chargers) > 40)
        assert {asked.function for asked in (*near.asked, *far.asked)} == {3, 4}
        assert all(report.written_tick == 0 for _, report in board.chargers)

    told(False, story)


def registers(address: int, content: bytes) -> SimData:
    words = list(struct.unpack(f">{len(content) // 2}H", content))
    return SimData(address, values=words, datatype=DataType.REGISTERS)


def test_a_server_of_another_make_is_driven_too() -> None:
    """pymodbus as the charger: frames and acknowledgements that are not of our making."""

    async def whole() -> None:
        measured = alfen_measured([230.0] * 3, [5.5] * 3, [1265.0] * 3)
        control = alfen_control("C2", 6.0, 60, 6.0, 6.0, 1)
        device = SimDevice(1, simdata=[registers(306, measured), registers(1200, control)])
        server = ModbusTcpServer(device, address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        assert isinstance(server.transport, asyncio.Server)
        port = server.transport.sockets[0].getsockname()[1]
        board = Board()
        drivers = build(depot(1, port), board, write=True)[-1:]

        async def story() -> None:
            order = board.command("yard", 13_300)
            await until(lambda: board.chargers and board.chargers[-1][1].written_tick == order.tick)
            report = board.chargers[-1][1]
            assert report.in_force_ma == 13_300  # what is promised, while 6 A are still applied
            assert report.current_ma == (5_500, 5_500, 5_500)

        try:
            await running(drivers, story)
        finally:
            await server.shutdown()  # type: ignore[no-untyped-call]

    asyncio.run(whole())


def test_a_current_that_the_setpoint_register_cannot_hold_is_refused_with_the_document() -> None:
    alfen = library().charger_profile("alfen_eve")
    narrow = Register.model_validate({"addr": 1210, "type": "uint16", "scale": 0.0001, "unit": "A"})
    registers = {**alfen.registers, "setpoint": narrow}
    facts = alfen.model_copy(update={"registers": registers}).facts

    class Shelf:
        def meter(self, name: str) -> MeterFacts:
            return library().meter(name)

        def charger(self, name: str) -> ChargerFacts:
            return facts

    with pytest.raises(DocumentError) as caught:
        parse(document(1, 2), Shelf())
    assert caught.value.problems[0].path == "charger[0].max_a (bay-{n})"
    assert "its register holds at most 6.553 A" in caught.value.problems[0].message
