"""A pin factory behind gpiozero's entry point: every pin is a wire to the rig's board.

Runs inside the enforcer. The rig lets gpiozero find it by an entry point that only the processes
it starts can see (`hil.wiring`). Lines of text over a Unix socket:

    to the rig    drive PIN LEVEL | release PIN
    from the rig  level PIN LEVEL | ready

While nobody drives it a pin reads as the board tells; one that the board does not tell of is
pulled up.
"""

from __future__ import annotations

import os
import socket
import time
from threading import Condition, Thread
from typing import Any

from gpiozero import PinInvalidFunction, PinSetInput
from gpiozero.pins.pi import PiFactory, PiPin

ADDRESS = "LOADKEEPER_RIG_PINS"  # environment variable: the path of the rig's socket
READY_S = 5.0
RASPBERRY_PI_4B = 0xC03114


class RigFactory(PiFactory):  # type: ignore[misc]
    """One connection for the whole process; when it ends, so does all that was driven."""

    def __init__(self) -> None:
        super().__init__()
        self.pin_class = RigPin
        self._levels: dict[int, bool] = {}
        self._told = Condition()
        self._ready = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(os.environ[ADDRESS])
        Thread(target=self._listen, name="rig-pins", daemon=True).start()
        with self._told:
            if not self._told.wait_for(lambda: self._ready, READY_S):
                raise TimeoutError("the rig's board did not tell its levels")

    def level(self, pin: int) -> bool:
        with self._told:
            return self._levels.get(pin, True)

    def send(self, *words: str | int) -> None:
        self._socket.sendall((" ".join(map(str, words)) + "\n").encode())

    def close(self) -> None:
        super().close()
        self._socket.close()

    @staticmethod
    def ticks() -> float:
        return time.monotonic()

    @staticmethod
    def ticks_diff(later: float, earlier: float) -> float:
        return later - earlier

    def _get_revision(self) -> int:
        return RASPBERRY_PI_4B

    def _listen(self) -> None:
        with self._socket.makefile("r", encoding="ascii") as lines:
            for line in lines:
                words = line.split()
                with self._told:
                    if words[0] == "level":
                        self._levels[int(words[1])] = words[2] == "1"
                    self._ready = self._ready or words[0] == "ready"
                    self._told.notify_all()
                if words[0] == "level":
                    self._moved(int(words[1]), words[2] == "1")

    def _moved(self, number: int, high: bool) -> None:
        for pin in tuple(self.pins.values()):
            if pin.number_is(number):
                pin.moved(high)


class RigPin(PiPin):  # type: ignore[misc]
    """Driven here, or read as the board tells."""

    def __init__(self, factory: RigFactory, info: Any) -> None:
        super().__init__(factory, info)
        self._driven: bool | None = None  # the level; None: an input
        self._pull = "floating"
        self._edges = "both"
        self._watched = False

    def number_is(self, number: int) -> bool:
        return bool(self._number == number)

    def moved(self, high: bool) -> None:
        if self._watched and self._when_changed is not None:
            self._call_when_changed(self._factory.ticks(), high)

    def close(self) -> None:
        self.when_changed = None
        self._set_function("input")

    def _get_function(self) -> str:
        return "input" if self._driven is None else "output"

    def _set_function(self, value: str) -> None:
        if value == "output":
            self._drive(bool(self._driven))
        elif value == "input":
            if self._driven is not None:
                self._driven = None
                self._factory.send("release", self._number)
        else:
            raise PinInvalidFunction(f"{value} is no function of a pin")

    def _get_state(self) -> bool:
        return self._factory.level(self._number) if self._driven is None else self._driven

    def _set_state(self, value: float) -> None:
        if self._driven is None:
            raise PinSetInput(f"{self!r} is an input")
        self._drive(bool(value))

    def _drive(self, high: bool) -> None:
        if self._driven != high:
            self._factory.send("drive", self._number, int(high))
            self._driven = high

    def _get_pull(self) -> str:
        return self._pull

    def _set_pull(self, value: str) -> None:
        self._pull = value

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        self._edges = value

    def _enable_event_detect(self) -> None:
        self._watched = True

    def _disable_event_detect(self) -> None:
        self._watched = False
