"""The gateway's own pins: the one door to gpiozero.

The pin factory is loaded by the name that the site document gives, and by no other. Whatever a
factory raises is told as a PinError that names the pin's owner. A pin that is asked for twice is
shared: so the drivers of a new document can be made, and take over, before those of the old one
end, and no contactor opens in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import entry_points

from gpiozero import Factory, GPIODevice, InputDevice, OutputDevice

from drivers.device import PinError

GROUP = "gpiozero_pin_factories"


class Pins:
    """The pins of this board."""

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self._lines: dict[int, _Line] = {}

    def output(self, owner: str, pin: int, rest: bool) -> OutputPin:
        """A pin to be driven; it begins, and ends, at the level `rest`. Raises PinError."""
        make = partial(OutputDevice, pin, initial_value=rest, pin_factory=self._factory)
        return OutputPin(self, owner, self._take(owner, pin, f"driven, {rest} at rest", make), rest)

    def input(self, owner: str, pin: int) -> InputPin:
        """A pin to be read; it is pulled up. Raises PinError."""
        make = partial(InputDevice, pin, pull_up=True, pin_factory=self._factory)
        return InputPin(self, owner, self._take(owner, pin, "read", make))

    def _take(self, owner: str, pin: int, use: str, make: Callable[[], GPIODevice]) -> _Line:
        line = self._lines.get(pin)
        if line is None:
            with _told(owner, pin, "cannot be had"):
                line = self._lines[pin] = _Line(pin, use, make())
        elif line.use != use:
            raise PinError(f"is in use as one that is {line.use}", line=_place(owner, pin))
        line.users += 1
        return line

    def give_back(self, owner: str, line: _Line) -> None:
        line.users -= 1
        if line.users == 0:
            del self._lines[line.pin]
            with suppress(PinError), _told(owner, line.pin, "cannot be closed"):
                line.device.close()


@dataclass(slots=True)
class _Line:
    """An open pin, and how many use it."""

    pin: int
    use: str
    device: GPIODevice
    users: int = 0

    @property
    def only_user(self) -> bool:
        return self.users == 1


class OutputPin:
    """One owner's hold on a pin that is driven."""

    def __init__(self, pins: Pins, owner: str, line: _Line, rest: bool) -> None:
        self._pins = pins
        self._owner = owner
        self._line: _Line | None = line
        self._rest = rest

    def write(self, high: bool) -> None:
        """Raises PinError."""
        if self._line is not None:
            with _told(self._owner, self._line.pin, "cannot be driven"):
                self._line.device.pin.state = high

    def close(self) -> None:
        """The last to close leaves it at rest first. May be called twice."""
        if self._line is not None:
            if self._line.only_user:
                with suppress(PinError):
                    self.write(self._rest)
            self._pins.give_back(self._owner, self._line)
            self._line = None


class InputPin:
    """One owner's hold on a pin that is read."""

    def __init__(self, pins: Pins, owner: str, line: _Line) -> None:
        self._pins = pins
        self._owner = owner
        self._line: _Line | None = line
        self._moved = False  # an edge is on its way to `_wake`
        self._wake: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def high(self) -> bool:
        """Raises PinError."""
        if self._line is None:
            raise PinError("is closed", line=self._owner)
        with _told(self._owner, self._line.pin, "cannot be read"):
            return bool(self._line.device.pin.state)

    def on_edge(self, wake: Callable[[], None]) -> None:
        """`wake` is called in the running loop soon after its level changed. Raises PinError."""
        assert self._line is not None
        self._wake, self._loop = wake, asyncio.get_running_loop()
        with _told(self._owner, self._line.pin, "does not tell its edges"):
            self._line.device.pin.edges = "both"
            self._line.device.pin.when_changed = self._changed

    def close(self) -> None:
        """May be called twice."""
        if self._line is not None:
            self._loop = None
            self._pins.give_back(self._owner, self._line)
            self._line = None

    def _changed(self, ticks: object, state: object) -> None:
        """In the factory's own thread. One wake-up stands for a whole burst of edges."""
        loop = self._loop
        if loop is not None and not self._moved:
            self._moved = True
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._arrived)

    def _arrived(self) -> None:
        self._moved = False
        if self._wake is not None and self._line is not None:
            self._wake()


@cache
def pins_of(factory: str) -> Pins:
    """The pins by the factory of this name: always the same ones. Raises PinError."""
    place = f'gpio.factory "{factory}"'
    known = {each.name: each for each in entry_points(group=GROUP)}
    if factory not in known:
        raise PinError(
            f"there is no such pin factory; installed are {', '.join(sorted(known))}", line=place
        )
    with _naming(place, "cannot be used here"):
        made = known[factory].load()()
    return Pins(made)


def _place(owner: str, pin: int) -> str:
    return f"{owner} (GPIO{pin})"


def _told(owner: str, pin: int, what: str) -> AbstractContextManager[None]:
    return _naming(_place(owner, pin), what)


@contextmanager
def _naming(place: str, what: str) -> Iterator[None]:
    """Turns what a factory raises into a PinError.

    Each factory has errors of its own: lgpio's is a bare Exception, and its import may fail.
    """
    try:
        yield
    except Exception as error:
        raise PinError(f"{what}: {error or type(error).__name__}", line=place) from error
