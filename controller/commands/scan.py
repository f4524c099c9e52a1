"""`loadkeeper scan BUS`: who is there, and what to write about him into the site document."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from controller.clock import MonotonicClock
from controller.commands.arguments import seconds
from controller.commands.gateway import enforcer_here
from controller.commands.output import (
    FINE,
    MISUSED,
    NO,
    add_json_option,
    answer_json,
    complain,
    say,
)
from controller.document.buses import SERIAL, SerialAddress, Wire, bus_address
from controller.document.entries.bus import EXAMPLES
from drivers.bus import Bus
from drivers.discover import SETTINGS, Found, Scan, scan, usual_units
from drivers.library import AnyProfile, library
from drivers.lines import line_at

SERIAL_TIMEOUT_S = 0.3
TCP_TIMEOUT_S = 1.0
WARNING = (
    "Nothing is written. But whoever is asked hears a master: a charger whose watchdog any "
    "request feeds does not fall back meanwhile, and a line bears one master only. So it is "
    "refused while an enforcer controls chargers from here, unless --beside permits it."
)


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "scan",
        help="find the devices on a line, and the profiles that fit them",
        description="Asks each unit on a line who it is, read only and slowly, and says what to "
        "write into the site document.",
        epilog=WARNING,
    )
    parser.add_argument(
        "bus",
        metavar="BUS",
        help=EXAMPLES,
    )
    parser.add_argument(
        "--units", type=_units, metavar="LIST", help="such as 1-10,247; else the usual ones"
    )
    parser.add_argument(
        "--settings",
        action="store_true",
        help="also try the usual bauds and parities of a serial line; takes minutes",
    )
    parser.add_argument(
        "--timeout", type=seconds(0.05, 10), metavar="S", help="for each answer; else 0.3 or 1 s"
    )
    parser.add_argument(
        "--beside", action="store_true", help="although an enforcer controls chargers from here"
    )
    parser.add_argument("--runtime", type=Path, metavar="DIR", help="of that enforcer")
    add_json_option(parser)


def run(args: Namespace) -> int:
    """0: somebody was found; 1: nobody, or the line cannot be used."""
    try:
        address = bus_address(args.bus)
    except ValueError as error:
        complain(f"BUS {error}")
        return MISUSED
    if args.settings and not isinstance(address, SerialAddress):
        complain("--settings are those of a serial line: baud, parity and stop bits")
        return MISUSED
    if not args.beside and (reason := asyncio.run(enforcer_here(args.runtime))):
        complain(f"refused: {reason}; or give --beside")
        if args.json:
            answer_json({"bus": args.bus, "error": reason, "scans": []})
        return NO
    profiles = _profiles(isinstance(address, SerialAddress))
    scans = [_scan(args, each, profiles) for each in _addresses(args, address)]
    if args.json:
        answer_json({"bus": address.url, "scans": [_in_json(each) for each in scans]})
    else:
        _say(scans, address, args)
    return FINE if any(each.found for each in scans) else NO


def _profiles(serial: bool) -> list[AnyProfile]:
    """Those that may hang there: behind a gateway from TCP to RTU that is each of them."""
    every = [library().find(name) for name in library().names()]
    return [each for each in every if not serial or {"rtu", "ascii"} & {*each.transports}]


def _addresses(args: Namespace, address: Wire) -> Iterator[Wire]:
    yield address
    if args.settings and isinstance(address, SerialAddress):
        for baud, parity, stop in SETTINGS:
            other = replace(address, baud=baud, parity=parity, stop=stop)
            if other != address:
                yield other


def _scan(args: Namespace, address: Wire, profiles: Sequence[AnyProfile]) -> Scan:
    serial = isinstance(address, SerialAddress)
    timeout_s = args.timeout or (SERIAL_TIMEOUT_S if serial else TCP_TIMEOUT_S)
    units = args.units or usual_units(address, profiles)
    complain(f"{address.url}: asking {len(units)} units")
    bus = Bus(line_at(address, timeout_s, may_write=False), MonotonicClock())

    async def whole() -> Scan:
        try:
            return await scan(bus, units, profiles, lambda text: complain(f"  {text}"))
        finally:
            bus.close()

    return asyncio.run(whole())


# What is told.


def _say(scans: Sequence[Scan], address: Wire, args: Namespace) -> None:
    for each in scans:
        if each.found or each.garbled or each.error or len(scans) == 1:
            _say_scan(each)
    if not any(each.found for each in scans):
        for text in _nobody(scans, address, args):
            say(text)
        return
    say("For the site document:\n")
    for each in scans:
        for text in entries(each):
            say(text)


def _say_scan(done: Scan) -> None:
    say(f"{done.url}: {len(done.found)} of {len(done.asked)} units answer")
    for found in done.found:
        say(f"   unit {found.unit}: {_who(found)}")
        for line in _why(found):
            say(f"      {line}")
    for unit, how in done.garbled.items():
        say(f"   unit {unit}: {how}")
    if done.any_unit:
        say("   It answers whatever unit is asked: write the one that it was delivered with.")
    if done.error:
        say(f"   the line: {done.error}")
    say()


def _who(found: Found) -> str:
    best = found.best
    if best is None and found.candidates:
        return f"one of {len(found.candidates)} that read alike"
    if best is None:
        return "somebody is there, and no profile is sure to fit"
    profile = library().find(best.profile)
    number = f", serial number {found.serial}" if found.serial else ""
    firmware = f", firmware {found.firmware}" if found.firmware else ""
    return f"{profile.vendor} {profile.model}: {best.surety.name.lower()}{number}{firmware}"


def _why(found: Found) -> Iterator[str]:
    best = found.best
    if best is not None:
        yield f"profile {best.profile}: {best.why}"
        for text in best.wrong:
            yield f"to mend: {text}"
        others = [each.profile for each in found.fits if each is not best]
    else:
        yield f"when first asked: {found.heard}"
        others = [each.profile for each in found.fits]
    if others:
        yield f"{'also' if best else ''} possible: {', '.join(others)}; look at its plate".strip()
    if found.sunspec is not None:
        said = found.sunspec
        models = ", ".join(map(str, said.models))
        yield f"SunSpec: {said.maker} {said.model} ({said.serial}), models {models}"


def entries(done: Scan) -> Iterator[str]:
    """What to write about those found, as TOML."""
    serial = done.url.startswith(SERIAL)
    bus = "rs485-a" if serial else done.url
    if serial and done.found:
        yield f'[[bus]]\nid = "{bus}"\nurl = "{done.url}"\n'
    for found in done.found:
        if not found.candidates:
            yield f"# unit {found.unit}: somebody is there; no profile is sure to fit\n"
            continue
        first, *others = (each.profile for each in found.candidates)
        kind = library().find(first).kind
        note = f"  # serial number {found.serial}" if found.serial else ""
        plate = f"  # or {', '.join(others)}: look at its plate" if others else ""
        yield f'[[{kind}]]\nid = "{kind}-{found.unit}"{note}\ncircuit = "…"'
        yield f'profile = "{first}"{plate}\nbus = "{bus}"\nunit = {found.unit}'
        yield {"charger": "max_a = …\nfallback_a = …\n"}.get(kind, "")


def _nobody(scans: Sequence[Scan], address: Wire, args: Namespace) -> Iterator[str]:
    """What to look at, the likeliest first."""
    if isinstance(address, SerialAddress):
        if any(each.garbled for each in scans):
            yield "Somebody speaks, and nobody understands him: another baud or parity, two devices"
            yield "with one address, or a line without its two 120-ohm resistors."
        else:
            yield "Nobody answers. Look, in this order: is the device on; are A and B exchanged"
            yield "(makers name them otherwise); its address, baud and parity in its own menu."
        if not args.settings:
            yield "With --settings the usual bauds and parities are tried, too."
    elif all(each.error for each in scans):
        yield "Look: is it on; its address; is Modbus TCP switched on in it; its port (502)."
    else:
        yield "The address is right, but no unit that was asked answers: see its own menu for its"
        yield "unit id, and give --units; a gateway must know the baud and parity of its line."


def _in_json(done: Scan) -> dict[str, Any]:
    return {
        "url": done.url,
        "asked": list(done.asked),
        "error": done.error,
        "any_unit": done.any_unit,
        "garbled": {str(unit): how for unit, how in done.garbled.items()},
        "found": [_found_json(each) for each in done.found],
        "entries": "\n".join(entries(done)),
    }


def _found_json(found: Found) -> dict[str, Any]:
    best = found.best
    return {
        "unit": found.unit,
        "heard": found.heard,
        "profile": best and best.profile,
        "surety": best and best.surety.name.lower(),
        "candidates": [each.profile for each in found.candidates],
        "serial": found.serial,
        "firmware": found.firmware,
        "model": found.model,
        "sunspec": found.sunspec and asdict(replace(found.sunspec)),
        "fits": [
            {
                "profile": each.profile,
                "surety": each.surety.name.lower(),
                "why": each.why,
                "wrong": list(each.wrong),
            }
            for each in found.fits
        ],
        "questions": found.questions,
    }


def _units(text: str) -> tuple[int, ...]:
    """Of `1-10,247`, each once, in their order."""
    found: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ArgumentTypeError("units are numbers from 0 to 255, such as 1-10,247")
        ends = int(first), int(last or first)
        if not 0 <= ends[0] <= ends[1] <= 255:
            raise ArgumentTypeError("units are numbers from 0 to 255, such as 1-10,247")
        found |= dict.fromkeys(range(ends[0], ends[1] + 1))
    return tuple(found)
