"""A CT clamp's driver: hears its lines and posts them, all three currents or none.

A clamp speaks by itself; nothing is asked and nothing is ever written. What the driver adds to
the parser is time: which line is fresh.

- A line with a number (emonTx) is fresh once: the same number again is the same line.
- A line without one (RPICT) may by chance be just like the one before. REPEATS_MAX times it
  counts; after that whatever sends it is taken for stuck until another line comes.
- The first line after opening was cut by the opening, and is dropped.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from controller.document.clamps import PERIODS, Clamp
from controller.image import Clock, MeterReading
from controller.units import NS_PER_S, PPM
from drivers.clamp import Fault, Frame, Kept, Layout, parse
from drivers.device import BadReplyError, DeviceError, NoConnectionError, NoReplyError
from drivers.health import DeviceHealth, Health
from drivers.pauses import Pauses
from drivers.serialport import SerialPort, in_words

REPEATS_MAX = 5
LOOK_EVERY_S = 0.25  # for a port that is not there
QUIET_LEAST_S = 3.0  # after that a silent port is opened anew: adapters hang
LOST_LINES_MAX = 1000  # a greater gap is a device that was started again


class Readings(Protocol):
    """What it needs of the process image."""

    @property
    def clock(self) -> Clock: ...
    def post_meter(self, meter: str, reading: MeterReading) -> None: ...


class ClampDriver:
    """One clamp on a port of its own."""

    def __init__(self, clamp: Clamp, image: Readings) -> None:
        self.id = clamp.id
        self.lost_lines = 0  # since the start, where lines are numbered
        self._clamp = clamp
        self._image = image
        self._layout = layout(clamp)
        self._health = Health(clamp.id, image.clock, clamp.period_ns, 0)
        self._pauses = Pauses()
        self._quiet_s = max(PERIODS * clamp.period_ns / NS_PER_S, QUIET_LEAST_S)
        self._kept = Kept()
        self._last: Frame | None = None
        self._repeats = 0
        self._remark: str | None = None  # what is odd about the last line nevertheless
        self._heard_s = 0.0
        self._lost: asyncio.Event = asyncio.Event()
        self._why_lost = ""

    def health(self) -> DeviceHealth:
        return self._health.now

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if self._pauses.over:
                await self._listen()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _listen(self) -> None:
        """Opens the port and hears it until it is gone, or silent for too long."""
        loop = asyncio.get_running_loop()
        self._kept, self._lost = Kept(), asyncio.Event()
        try:
            port = SerialPort(self._clamp.address, self._hear, self._gone)
        except OSError as error:
            self._fail(NoConnectionError(in_words(error), line=self._place))
            return
        try:
            self._heard_s = loop.time()
            while (left_s := self._heard_s + self._quiet_s - loop.time()) > 0:
                try:
                    async with asyncio.timeout(left_s):
                        await self._lost.wait()
                except TimeoutError:
                    continue
                self._fail(NoConnectionError(self._why_lost, line=self._place))
                return
            what = f"not a byte for {self._quiet_s:g} s: is it powered, and on this port?"
            self._fail(NoReplyError(what, line=self._place))
        finally:
            port.close()

    @property
    def _place(self) -> str:
        return f"{self.id} ({self._clamp.address.port}, {self._clamp.address.baud} baud)"

    def _fail(self, error: DeviceError) -> None:
        self._pauses.failed(error.what)
        self._health.bad(error)

    def _gone(self, reason: str) -> None:
        self._why_lost = reason
        self._lost.set()

    def _hear(self, data: bytes) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        self._kept, found = parse(self._layout, self._kept, data)
        if len(found) > 1:
            self._skip(found[:-1])
        for each in found[-1:]:  # of several that came at once only the last is of now
            self._take(each)

    def _skip(self, earlier: list[Frame | Fault]) -> None:
        """Their order still tells what was lost, and that something repeats itself."""
        for each in earlier:
            if isinstance(each, Frame):
                self._is_fresh(each)

    def _take(self, found: Frame | Fault) -> None:
        if isinstance(found, Fault):
            self._health.bad(BadReplyError(found.value, line=self._place))
            return
        if not self._is_fresh(found):
            self._health.bad(BadReplyError("it repeats one line: is it stuck?", line=self._place))
            return
        reading = MeterReading(self._image.clock.now_ns(), found.current_ma)
        try:
            self._image.post_meter(self.id, reading)
        except ValueError as error:
            self._health.bad(BadReplyError(f"cannot be used: {error}", line=self._place))
            return
        self._pauses.answered()
        self._health.good(self._remark)

    def _is_fresh(self, frame: Frame) -> bool:
        before, self._last = self._last, frame
        self._remark = None
        if before is None:
            return True
        if frame.number is not None and before.number is not None:
            missing = frame.number - before.number - 1
            if 0 < missing <= LOST_LINES_MAX:
                self.lost_lines += missing
                self._remark = f"{self._place}: lines are lost, {self.lost_lines} so far"
            elif missing != 0:
                self._remark = f"{self._place}: it counts its lines anew: was it started again?"
            return frame.number != before.number
        self._repeats = self._repeats + 1 if frame.text == before.text else 0
        return self._repeats <= REPEATS_MAX


def layout(clamp: Clamp) -> Layout:
    """What the parser needs to know of a clamp."""
    return Layout(
        clamp.format,
        clamp.channels,
        clamp.node,
        float(clamp.assumed_v),
        clamp.power_factor_ppm / PPM,
    )
