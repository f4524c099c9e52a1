"""`loadkeeper read` of a clamp: waits for one whole line on its port."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from typing import cast

from controller.clock import MonotonicClock
from controller.commands.output import (
    FINE,
    MISUSED,
    NO,
    answer_json,
    columns,
    complain,
    say,
)
from controller.document.buses import is_port
from controller.document.clamps import FORMATS, Clamp, delivered
from controller.document.entries.clamp import Format
from controller.image import MeterReading
from controller.units import MA_PER_A, NS_PER_S
from drivers.clampdriver import ClampDriver
from drivers.device import DeviceError, NoReplyError


def is_clamp(name: str) -> bool:
    """Whether PROFILE is a format of clamps."""
    return name in FORMATS


def run(args: Namespace) -> int:
    if not is_port(args.bus):
        complain("BUS of a clamp must be the path of its port, such as /dev/ttyAMA0")
        return MISUSED
    clamp = delivered(cast(Format, args.profile), args.bus, args.unit)
    answer = {"profile": args.profile, "bus": args.bus, "unit": clamp.node}
    try:
        reading = asyncio.run(_hear(clamp, args.timeout))
    except DeviceError as error:
        complain(str(error))
        if args.json:
            answer_json({**answer, "error": str(error)})
        return NO
    shown = {f"current_l{i}": ma / MA_PER_A for i, ma in enumerate(reading.current_ma, 1)}
    if args.json:
        values = {name: {"value": value, "unit": "A"} for name, value in shown.items()}
        answer_json({**answer, "values": values, "unknown": []})
        return FINE
    say(f"{args.profile} at {args.bus}, CTs 1 2 3")
    for row in columns([(name, str(value), "A") for name, value in shown.items()], frozenset({1})):
        say(f"  {row}")
    return FINE


async def _hear(clamp: Clamp, timeout_s: float) -> MeterReading:
    """The first reading; waits for two lines, for the first is cut. Raises DeviceError."""
    ear = _Ear()
    driver = ClampDriver(clamp, ear)
    task = asyncio.create_task(driver.run())
    try:
        async with asyncio.timeout(max(timeout_s, 2.5 * clamp.period_ns / NS_PER_S)):
            return await ear.heard
    except TimeoutError:
        why = driver.health().error or "nothing heard"
        raise NoReplyError(f"no whole line in time; {why}", line=clamp.address.port) from None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Ear:
    """Keeps the first reading."""

    def __init__(self) -> None:
        self.clock = MonotonicClock()
        self.heard: asyncio.Future[MeterReading] = asyncio.get_running_loop().create_future()

    def post_meter(self, meter: str, reading: MeterReading) -> None:
        if not self.heard.done():
            self.heard.set_result(reading)
