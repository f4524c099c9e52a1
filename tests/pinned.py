"""A mock board, and drivers on it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from gpiozero.pins.mock import MockFactory

from controller.document.contacts import Feedback
from controller.document.gpio import Contactor
from controller.document.inputs import DimInput, Step
from controller.driver import Driver
from controller.units import NS_PER_S
from drivers import pins as pins_module
from drivers.contact import Contact
from drivers.contactor import ContactorDriver
from drivers.dim import DimDriver
from drivers.pins import Pins, pins_of
from tests.modbus_wire import Board

MS = 1_000_000
ROW = ("bay-1", "bay-2")
PLAIN = Contactor("row", "", 17, True, True, "row", ROW, None, NS_PER_S // 5)
MIRROR = Feedback(27, normally_closed=True)


class Bench:
    """A mock board; plugs and wires by hand."""

    def __init__(self) -> None:
        self.factory = MockFactory()
        self.pins = Pins(self.factory)
        self.board = Board()

    def level(self, pin: int) -> bool:
        return bool(self.factory.pin(pin).state)

    def driven(self, pin: int) -> bool:
        return bool(self.factory.pin(pin).function == "output")

    def ground(self, pin: int, connected: bool) -> None:
        """The contact between the pin and ground closes or opens."""
        wire = self.factory.pin(pin)
        (wire.drive_low if connected else wire.drive_high)()

    def contactor(self, row: Contactor, write: bool = True) -> ContactorDriver:
        pin = self.pins.output(row.id, row.pin, row.open_high) if write else None
        contact = None
        if row.feedback is not None:
            contact = Contact(self.pins.input(row.id, row.feedback.pin), 20 * MS)
        return ContactorDriver(row, pin, contact, self.board)

    def dim(self, active_open: bool = True, debounce_ns: int = 20 * MS) -> DimDriver:
        steps = (Step(23, (16_000,) * 3),)
        return self.asking(DimInput("dim", "", "dso", steps, active_open, debounce_ns))

    def asking(self, row: DimInput) -> DimDriver:
        pins = [self.pins.input(row.id, step.pin) for step in row.steps]
        return DimDriver(row, [Contact(pin, row.debounce_ns) for pin in pins], self.board)


def told(story: Callable[[Bench], Awaitable[None]]) -> None:
    asyncio.run(_told(story))


async def _told(story: Callable[[Bench], Awaitable[None]]) -> None:
    await story(Bench())


class Running:
    """`async with Running(driver)`: runs, and is cancelled at the end."""

    def __init__(self, *drivers: Driver) -> None:
        self._drivers = drivers

    async def __aenter__(self) -> None:
        self._tasks = [asyncio.create_task(driver.run()) for driver in self._drivers]

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Pin factories by name, as if they were installed."""
    known = {"mock": "gpiozero.pins.mock:MockFactory"}

    def entry_points(group: str) -> EntryPoints:
        return EntryPoints(EntryPoint(name, value, group) for name, value in known.items())

    monkeypatch.setattr(pins_module, "entry_points", entry_points)
    pins_of.cache_clear()
    yield known
    pins_of.cache_clear()
