"""Drivers from one site document to the next: what did not change goes on, on its connection."""

import asyncio
from contextlib import suppress
from typing import Any

from controller.driver import Driver
from controller.site import Site, operated, parse
from drivers.depot import Fleet
from drivers.library import library
from tests.driven import Alfen, Devices, Em24
from tests.modbus_wire import Board, serving
from tests.patience import until
from tests.test_depot import document


def site(port: int, other: int, **sections: Any) -> Site:
    return parse({**document(port, other), **sections}, library())


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_who_leaves_a_line_does_not_hang_up_on_the_others() -> None:
    async def whole() -> None:
        board, fleet = Board(), Fleet()
        units: dict[int, Alfen | Em24 | None] = {1: Alfen(), 2: Alfen(), 10: Em24()}
        async with serving(Devices(units)) as near, serving(Devices({1: Alfen()})) as far:
            row, yard = document(near.port, far.port)["charger"]
            alone = {**row, "count": 1}
            rare = {**alone, "first": 2, "poll_s": 30}  # at rest when it is told to end
            whole_site = site(near.port, far.port, charger=[alone, rare, yard])
            first = fleet.drivers(whole_site, board, write=True)
            tasks = {driver: asyncio.create_task(driver.run()) for driver in first}
            await until(lambda: all(driver.health().online for driver in first))
            smaller = site(near.port, far.port, charger=[alone, yard])
            second = fleet.drivers(smaller, board, write=True)
            assert second == [first[0], first[1], first[3]]
            await ended(tasks.pop(first[2]))
            seen = len(near.asked)
            await until(lambda: len(near.asked) > seen + 6)
            assert {asked.unit for asked in near.asked[seen + 2 :]} == {1, 10}
            assert (near.connections, far.connections) == (1, 1)
            for task in tasks.values():
                await ended(task)

    asyncio.run(whole())


def test_a_device_keeps_its_driver_until_something_of_it_changes() -> None:
    board, fleet = Board(), Fleet()
    before = fleet.drivers(site(1, 2), board, write=True)
    wishes = [{"id": "bay-1", "name": "One", "weight": 5, "class": 2, "max_a": 10}]
    assert fleet.drivers(operated(site(1, 2), {"charger": wishes}), board, write=True) == before
    row, yard = document(1, 2)["charger"]

    def replaced(sections: dict[str, Any], write: bool = True) -> list[str]:
        return [
            driver.id for driver in again(site(1, 2, **sections), write) if driver not in before
        ]

    def again(changed: Site, write: bool) -> list[Driver]:
        fleet.drivers(site(1, 2), board, write=True)
        return fleet.drivers(changed, board, write)

    before = fleet.drivers(site(1, 2), board, write=True)
    assert replaced({"charger": [row, {**yard, "max_a": 16}]}) == ["yard"]
    before = fleet.drivers(site(1, 2), board, write=True)
    assert replaced({"charger": [{**row, "poll_s": 0.5}, yard]}) == ["bay-1", "bay-2"]
    before = fleet.drivers(site(1, 2), board, write=True)
    assert replaced({}, write=False) == ["main", "bay-1", "bay-2", "yard"]
