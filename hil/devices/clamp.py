"""A CT clamp on a serial port: a line each period, as its board would write it.

Written down a second time and on purpose not taken from the driver's parser.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from itertools import count

from cext.plant import Plant
from controller.site import Clamp as SiteClamp
from hil.devices.rs485 import Rs485
from hil.faults.view import View, truly

_CTS = {"rpict7v1": 7, "rpict3v1": 3, "rpict3t1": 3, "emontx3": 4, "emontx4": 6}
_IDLE_A = 0.02  # what an open CT picks up
_COSINE = 0.98


class Speech(Enum):
    """What it says."""

    LINES = "lines"
    NOTHING = "nothing"
    TEXT = "text"  # a console's, at the right speed
    NOISE = "noise"  # as at a wrong speed


class Clamp:
    """Around the three conductors of a circuit; `present` brings the plant up to now, in ns."""

    def __init__(
        self, plant: Plant, circuit: int, present: Callable[[], int], clamp: SiteClamp
    ) -> None:
        self.line = Rs485.at(clamp.address)
        self.view: View = truly
        self.speech = Speech.LINES
        self._plant = plant
        self._circuit = circuit
        self._present = present
        self._clamp = clamp
        self._number = count(1)
        self._talk: asyncio.Task[None] | None = None

    @property
    def port(self) -> str:
        return str(self.line.port)

    async def open(self) -> None:
        self.line.plug()
        self._talk = asyncio.create_task(self._go_on())

    async def close(self) -> None:
        if self._talk is not None:
            self._talk.cancel()
            with suppress(asyncio.CancelledError):
                await self._talk
        self.line.unplug()

    async def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        period_s = self._clamp.period_ns / 1e9
        next_s = loop.time()
        while True:
            next_s = max(next_s + period_s, loop.time())
            await asyncio.sleep(next_s - loop.time())
            self.line.say(self.says())

    def says(self) -> bytes:
        if self.speech is Speech.NOTHING:
            return b""
        if self.speech is Speech.TEXT:
            return b"Raspbian GNU/Linux 12 pi ttyAMA0\r\n\r\npi login: \r\n"
        if self.speech is Speech.NOISE:
            return bytes((0x80 | 37 * i) & 0xFF for i in range(60))
        number = next(self._number)
        self._present()
        there = self.view(self._plant.load(self._circuit))
        amps = [_IDLE_A] * _CTS[self._clamp.format]
        for channel, phase in zip(self._clamp.channels, self._clamp.phases, strict=True):
            amps[channel - 1] = abs(there[phase]) / 1000 / (self._clamp.ratio_ppm / 1e6)
        return self._line(amps, number).encode() + b"\r\n"

    def _line(self, amps: Sequence[float], number: int) -> str:
        volts = 230 + number % 17 / 10  # never quite the same
        node, format_ = self._clamp.node, self._clamp.format
        if format_ == "rpict7v1":
            powers = [f"{each * volts * _COSINE:.1f}" for each in amps]
            return " ".join([f"{node}", *powers, *(f"{a:.2f}" for a in amps), f"{volts:.1f}"])
        if format_ == "rpict3v1":
            sets = (
                f"{a * volts * _COSINE:.2f} {a * volts:.2f} {a:.3f} {volts:.2f} {_COSINE:.3f}"
                for a in amps
            )
            return f"{node} {' '.join(sets)}"
        if format_ == "rpict3t1":
            powers = [f"{each * self._clamp.assumed_v:.2f}" for each in amps]
            return " ".join([f"{node}", *powers, f"{21 + number % 7 / 10:.2f}"])
        factor = self._clamp.power_factor_ppm / 1e6
        watts = {f"P{i}": round(each * volts * factor) for i, each in enumerate(amps, 1)}
        voltages = ["Vrms"] if format_ == "emontx3" else ["V1", "V2", "V3"]
        pairs = {"MSG": number, **dict.fromkeys(voltages, round(volts, 2)), **watts, "E1": 0}
        if format_ == "emontx4" and number % 2:
            return json.dumps(pairs, separators=(",", ":"))
        return ",".join(f"{name}:{value}" for name, value in pairs.items())
