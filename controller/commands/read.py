"""`loadkeeper read`: one reading of a meter or charger, as the enforcer would understand it."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace, _SubParsersAction
from dataclasses import replace

from controller.commands import read_clamp
from controller.commands.one_device import OneDevice, Shown, add_device_options, device_of, in_units
from controller.commands.output import (
    FINE,
    NO,
    add_json_option,
    answer_json,
    columns,
    complain,
    say,
)
from drivers.bus import Bus
from drivers.chargerprofile import ChargerProfile
from drivers.decode import Value
from drivers.device import DeviceError, Rank
from drivers.library import AnyProfile
from drivers.meter import signed_ma
from drivers.meterprofile import MeterProfile
from drivers.patience import patiently
from drivers.reader import Reader, Sample
from drivers.register import Register
from drivers.report import in_force_ma, vehicle
from drivers.watts import of_percent


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("read", help="read a meter, charger or clamp once")
    add_device_options(parser)
    add_json_option(parser)


def run(args: Namespace) -> int:
    if read_clamp.is_clamp(args.profile):
        return read_clamp.run(args)
    device = device_of(args)
    if isinstance(device, int):
        return device
    if isinstance(device.profile, ChargerProfile):
        device = replace(device, profile=of_percent(device.profile))
    profile = device.profile
    bus = device.bus(may_write=False)
    answer = {"profile": profile.name, "bus": bus.url, "unit": device.unit}
    try:
        sample = asyncio.run(_read(device, bus))
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
        _print(f"{profile.vendor} {profile.model} at {bus.url}, unit {device.unit}", shown)
    return NO if useless else FINE


async def _read(device: OneDevice, bus: Bus) -> Sample:
    reader = Reader(device.profile.name, device.unit, device.profile, bus, Rank.METER)
    try:
        await patiently(reader.check)
        return await patiently(reader.read)
    finally:
        bus.close()


def _understood(profile: AnyProfile, sample: Sample) -> tuple[Shown, list[str]]:
    """What the device said, what the enforcer takes from it, and what that would need."""
    shown: Shown = {
        name: (_value(sample.values[name], register), register.unit or "")
        for name, register in profile.registers.items()
        if not register.write_only
    }
    for name in profile.computed:
        shown[name] = (in_units(sample.values[name]), profile.unit_of(name) or "")
    if isinstance(profile, MeterProfile):
        vital = list(profile.currents)
        for terminal, name in zip(profile.terminals, vital, strict=False):
            shown[name] = (in_units(signed_ma(profile, sample, terminal)), "A")
    else:
        vital = ["in_force"]
        shown["vehicle"] = (vehicle(profile, sample).name, "")
        unit = "A" if profile.watts is None else "W"
        shown["in_force"] = (in_units(in_force_ma(profile, sample)), unit)
    return shown, [name for name in vital if shown[name][0] is None]


def _value(value: Value, register: Register) -> float | str | None:
    return value if register.unit is None else in_units(value)


def _print(title: str, shown: Shown) -> None:
    say(title)
    rows = [
        (name, "unknown" if value is None else str(value), "" if unit == "1" else unit)
        for name, (value, unit) in shown.items()
    ]
    for row in columns(rows, right=frozenset({1})):
        say(f"  {row}")
