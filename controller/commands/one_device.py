"""What the commands that talk to a single device share: PROFILE, BUS, --unit and --timeout."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import dataclass

from controller.clock import MonotonicClock
from controller.commands.arguments import seconds
from controller.commands.output import MISUSED, complain
from controller.document.buses import Wire, bus_address
from controller.document.entries.bus import EXAMPLES
from drivers.bus import Bus
from drivers.decode import Value
from drivers.library import AnyProfile, library
from drivers.lines import line_at

THOUSANDTHS = 1000

Shown = dict[str, tuple[float | str | None, str]]  # value and unit by name; None: unknown


@dataclass(frozen=True, slots=True)
class OneDevice:
    """The device that was named on the command line."""

    profile: AnyProfile
    address: Wire
    unit: int
    timeout_s: float

    def bus(self, may_write: bool) -> Bus:
        return Bus(line_at(self.address, self.timeout_s, may_write), MonotonicClock())


def add_device_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "profile",
        metavar="PROFILE",
        help="name of a profile, or path to one; to read, also the format of a clamp's lines",
    )
    parser.add_argument(
        "bus",
        metavar="BUS",
        help=f"{EXAMPLES}; of a clamp the path of its port",
    )
    parser.add_argument("--unit", type=_unit, metavar="N", help="unit id; else as delivered")
    parser.add_argument(
        "--timeout", type=seconds(0.05, 60), metavar="S", default=2.0, help="else 2 s"
    )


def device_of(args: Namespace) -> OneDevice | int:
    """The device, or the exit status after what is wrong with the arguments was said."""
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
    return OneDevice(profile, address, unit, args.timeout)


def in_units(value: Value) -> float | str | None:
    """Amperes of milliamps, and alike; text and what is unknown as they are."""
    return value / THOUSANDTHS if isinstance(value, int) else value


def _unit(text: str) -> int:
    if not text.isdecimal() or int(text) > 255:
        raise ArgumentTypeError("a unit id is a whole number from 0 to 255")
    return int(text)
