"""`loadkeeper read`: one reading of a meter or charger, as the enforcer would understand it."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from itertools import count

from controller.clock import MonotonicClock
from controller.commands.output import (
    FINE,
    MISUSED,
    NO,
    add_json_option,
    answer_json,
    columns,
    complain,
    say,
)
from controller.document.buses import bus_address
from drivers.bus import Bus
from drivers.decode import Value
from drivers.device import DeviceError, Line, Rank
from drivers.lines import line_at
from drivers.meter import TERMINALS, signed_ma
from drivers.profile import AnyProfile, MeterProfile, library
from drivers.reader import Reader, Sample
from drivers.report import in_force_ma, vehicle

ATTEMPTS = 3  # where the device itself says that it is busy
THOUSANDTHS = 1000

Shown = dict[str, tuple[float | str | None, str]]  # value and unit; None: unknown


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("read", help="read a meter or charger once, by its profile")
    parser.add_argument("profile", metavar="PROFILE", help="name of a profile, or path to one")
    parser.add_argument(
        "bus",
        metavar="BUS",
        help="tcp://host:port, or rtu:///dev/ttyUSB0?baud=19200&parity=E&stop=1",
    )
    parser.add_argument("--unit", type=_unit, metavar="N", help="unit id; else as delivered")
    parser.add_argument("--timeout", type=_seconds, metavar="S", default=2.0, help="else 2 s")
    add_json_option(parser)


def run(args: Namespace) -> int:
    try:
        profile = library().find(args.profile)
    except (KeyError, ValueError) as error:
        complain(str(error.args[0]))
        return MISUSED
    try:
        address = bus_address(args.bus)
    except ValueError as error:
        complain(f"BUS {error}")
        return MISUSED
    unit = profile.unit if args.unit is None else args.unit
    line = line_at(address, args.timeout, may_write=False)
    answer = {"profile": profile.name, "bus": line.url, "unit": unit}
    try:
        sample = asyncio.run(_read(profile, unit, line))
    except DeviceError as error:
        complain(str(error))
        if args.json:
            answer_json({**answer, "error": str(error)})
        return NO
    shown, useless = _understood(profile, sample)
    if useless:
        complain(f"it answers, but cannot be used: {', '.join(useless)} unknown")
    if args.json:
        values = {name: {"value": value, "unit": of} for name, (value, of) in shown.items()}
        answer_json({**answer, "values": values, "unknown": useless})
    else:
        _print(f"{profile.vendor} {profile.model} at {line.url}, unit {unit}", shown)
    return NO if useless else FINE


async def _read(profile: AnyProfile, unit: int, line: Line) -> Sample:
    reader = Reader(profile.name, unit, profile, Bus(line, MonotonicClock()), Rank.METER)
    try:
        for attempt in count(1):
            try:
                await reader.check()
                return await reader.read()
            except DeviceError as error:
                if attempt == ATTEMPTS or not error.passing:
                    raise
    finally:
        line.close()
    raise AssertionError


def _understood(profile: AnyProfile, sample: Sample) -> tuple[Shown, list[str]]:
    """What the device said, what the enforcer takes from it, and what that would need."""
    shown: Shown = {
        name: (_scaled(sample.values[name], register.unit is not None), register.unit or "")
        for name, register in profile.registers.items()
    }
    if isinstance(profile, MeterProfile):
        vital = [f"current_l{terminal}" for terminal in TERMINALS]
        for terminal, name in zip(TERMINALS, vital, strict=True):
            shown[name] = (_scaled(signed_ma(profile, sample, terminal), True), "A")
    else:
        vital = ["in_force"]
        shown["vehicle"] = (vehicle(profile, sample).name, "")
        shown["in_force"] = (_scaled(in_force_ma(profile, sample), True), "A")
    return shown, [name for name in vital if shown[name][0] is None]


def _scaled(value: Value, in_thousandths: bool) -> float | str | None:
    return value / THOUSANDTHS if in_thousandths and isinstance(value, int) else value


def _print(title: str, shown: Shown) -> None:
    say(title)
    rows = [
        (name, "unknown" if value is None else str(value), "" if unit == "1" else unit)
        for name, (value, unit) in shown.items()
    ]
    for row in columns(rows, right=frozenset({1})):
        say(f"  {row}")


def _unit(text: str) -> int:
    if not text.isdecimal() or int(text) > 255:
        raise ArgumentTypeError("a unit id is a whole number from 0 to 255")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.05 <= seconds <= 60:
        raise ArgumentTypeError("a time-out is a number of seconds from 0.05 to 60")
    return seconds
