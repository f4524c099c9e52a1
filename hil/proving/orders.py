"""What a charger is told, as its capture file has it: held against what its profile makes of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from controller.units import NS_PER_S
from drivers.arming import wants_of
from drivers.chargerprofile import ChargerProfile
from drivers.device import WRITE_COIL, WRITE_MANY, Request
from drivers.feeding import feed_of
from drivers.library import AnyProfile
from drivers.setpoint import writes_of
from drivers.watts import seated
from hil.proving.captures import CAPTURES, HEAD, shown

ORDER, ARM, FEED = "order", "arm", "feed"
_MA_PER_A = 1000
_ON = 0xFF00  # of a coil


@dataclass(frozen=True)
class Told:
    """One of its orders, what must stand in its memory, or what feeds its watchdog."""

    what: str
    requests: tuple[bytes, ...]  # unit and PDU of each, in their order
    ma: int = 0
    enabled: bool = False  # it was, before the order
    fallback_ma: int | None = None
    delay_ns: int | None = None


def told(name: str, folder: Path = CAPTURES) -> Iterator[Told]:
    """Of a profile; nothing where its file shows nothing of it."""
    its = shown(name, folder)
    for order in its.get(ORDER, ()):
        ma = _ma(order["amperes"])
        yield Told(ORDER, _requests(order), ma, order.get("enabled", False))
    if ARM in its:
        fallback_a, delay_s = its[ARM].get("fallback_a"), its[ARM].get("delay_s")
        yield Told(
            ARM,
            _requests(its[ARM]),
            fallback_ma=None if fallback_a is None else fallback_a * _MA_PER_A,
            delay_ns=None if delay_s is None else delay_s * NS_PER_S,
        )
    if FEED in its:
        yield Told(FEED, _requests(its[FEED]))


def in_range(profile: AnyProfile, name: str, folder: Path = CAPTURES) -> bool:
    """Whether it can be told as little and as much as its file says, where that does."""
    stated = shown(name, folder).get("range")
    if stated is None or not isinstance(profile, ChargerProfile):
        return stated is None
    most_ma = None if "most_a" not in stated else _ma(stated["most_a"])
    return (profile.setpoint.min_ma, profile.setpoint.max_ma) == (_ma(stated["least_a"]), most_ma)


def _ma(amperes: str) -> int:
    return int(Decimal(amperes) * _MA_PER_A)


def _requests(its: Mapping[str, Any]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(each)[HEAD:] for each in its["requests"])


def made(profile: ChargerProfile, each: Told) -> list[Request]:
    """What the driver writes for it. Raises ValueError for what a register cannot hold."""
    profile, unit = seated(profile), profile.unit
    if each.what == ORDER:
        return list(writes_of("x", unit, profile, each.ma, enabled=each.enabled))
    if each.what == ARM:
        return [
            Request("x", unit, want.fc, want.address, len(want.words), want.words)
            for want in wants_of(profile, each.fallback_ma, each.delay_ns)
        ]
    feed = feed_of("x", unit, profile, each.delay_ns)
    return [] if feed is None else [feed]


def tells(profile: AnyProfile, every: Sequence[Told]) -> bool:
    """Whether the profile makes all of it, byte for byte, and needs nothing else to be set."""
    if not isinstance(profile, ChargerProfile):
        return not every
    try:
        return all(
            [_bytes(each) for each in made(profile, its)] == [*its.requests] for its in every
        )
    except ValueError:
        return False


def _bytes(request: Request) -> bytes:
    """Unit and PDU, as the Modbus application protocol has them."""
    words = request.words
    head = struct.pack(">BBH", request.unit, request.fc, request.address)
    if request.fc == WRITE_COIL:
        words = (_ON * words[0],)
    elif request.fc == WRITE_MANY:
        head += struct.pack(">HB", len(words), 2 * len(words))
    return head + struct.pack(f">{len(words)}H", *words)
