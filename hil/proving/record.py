"""`python -m hil capture`: one reading of a real device, as a case of its capture file.

The bytes are the device's. What they mean stands beside them as the profile understands it: that
is to be compared with the device's own display before it is believed.
"""

from __future__ import annotations

import asyncio
import struct
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable

from controller.clock import MonotonicClock
from controller.commands.one_device import THOUSANDTHS, OneDevice, add_device_options, device_of
from controller.commands.output import FINE, NO, complain, say
from drivers.bus import Bus
from drivers.decode import Value
from drivers.device import DeviceError, IllegalAddressError, Line, Rank, Request
from drivers.library import AnyProfile
from drivers.lines import line_at
from drivers.patience import patiently
from drivers.reader import Reader
from hil.proving.captures import meaning

_BITS = 8


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("capture", help="record one reading of a real device")
    add_device_options(parser)
    parser.add_argument("--why", default="recorded", help="what the device was doing")


def run(args: Namespace) -> int:
    """Prints a case; 1 where the device cannot be read, 2 where the arguments are wrong."""
    device = device_of(args)
    if isinstance(device, int):
        return device
    try:
        exchanges, values = asyncio.run(_recorded(device))
    except DeviceError as error:
        complain(str(error))
        return NO
    say(case(args.why, exchanges, device.profile, values))
    complain("compare each value with the device's own display before you keep this")
    return FINE


class RecordingLine:
    """Hands on to a line, and keeps what went over it, framed as Modbus TCP."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.url = line.url
        self.longest_s = line.longest_s
        self.exchanges: list[tuple[bytes, bytes]] = []

    async def exchange(self, ask: Callable[[], Request | None]) -> tuple[int, ...] | None:
        asked: list[Request] = []

        def noted() -> Request | None:
            request = ask()
            if request is not None:
                asked.append(request)
            return request

        try:
            words = await self._line.exchange(noted)
        except IllegalAddressError:
            self._keep(asked[-1], struct.pack(">BB", asked[-1].fc | 0x80, 2))
            raise
        if words is not None:
            request = asked[-1]
            content = _content(request, words)
            self._keep(request, struct.pack(">BB", request.fc, len(content)) + content)
        return words

    def close(self) -> None:
        self._line.close()

    def _keep(self, request: Request, reply: bytes) -> None:
        head = struct.pack(">BBHH", request.unit, request.fc, request.address, request.count)
        self.exchanges.append((framed(head), framed(bytes((request.unit,)) + reply)))


def framed(body: bytes) -> bytes:
    return struct.pack(">HHH", 0, 0, len(body)) + body


def case(
    why: str, exchanges: list[tuple[bytes, bytes]], profile: AnyProfile, values: dict[str, Value]
) -> str:
    """A [[case]] of a capture file."""
    lines = ["[[case]]", f'why = "{why}"', "exchanges = ["]
    for asked, answered in exchanges:
        lines += [f'  ["{asked.hex()}",', f'   "{answered.hex()}"],']
    lines += ["]", "[case.expect]"]
    lines += [f'{name} = "{_text(profile, name, value)}"' for name, value in values.items()]
    return "\n".join(lines)


def _content(request: Request, words: tuple[int, ...]) -> bytes:
    if not request.reads_bits:
        return struct.pack(f">{len(words)}H", *words)
    number = sum(bit << i for i, bit in enumerate(words))
    return number.to_bytes(-(-len(words) // _BITS), "little")


def _text(profile: AnyProfile, name: str, value: Value) -> str:
    if value is None:
        return "-"
    register = profile.registers.get(name)
    if isinstance(value, str) or (register is not None and register.unit is None):
        return str(value)
    sign, whole = "-" if value < 0 else "", abs(value)
    text = f"{sign}{whole // THOUSANDTHS}.{whole % THOUSANDTHS:03}".rstrip("0").rstrip(".")
    return text + "%" * (register is not None and register.unit == "%")


async def _recorded(device: OneDevice) -> tuple[list[tuple[bytes, bytes]], dict[str, Value]]:
    line = RecordingLine(line_at(device.address, device.timeout_s, may_write=False))
    bus = Bus(line, MonotonicClock())
    profile = device.profile
    reader = Reader(profile.name, device.unit, profile, bus, Rank.METER)
    try:
        await patiently(reader.check)
        sample = await patiently(reader.read)
    finally:
        bus.close()
    return line.exchanges, {**sample.values, **meaning(profile, sample)}
