"""What chargers are told: captured writes, and those that a profile makes for the same."""

from __future__ import annotations

import struct
import tomllib
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
from hil.proving.captures import CAPTURES

ORDER, ARM, FEED = "order", "arm", "feed"
_HEAD = 6  # transaction, protocol and length; unit and PDU follow
_COIL = {0x0000: 0, 0xFF00: 1}
Write = tuple[int, int, int, tuple[int, ...]]  # unit, function, address, words


@dataclass(frozen=True)
class Told:
    """One of its orders, what must stand in its memory, or what feeds its watchdog."""

    what: str
    requests: tuple[bytes, ...]  # whole packets
    ma: int = 0
    enabled: bool = False  # it was, before the order
    fallback_ma: int | None = None
    delay_ns: int | None = None

    def comes_of(self, profile: AnyProfile) -> bool:
        """Whether that is what the profile writes for it, byte for byte and in this order."""
        if not isinstance(profile, ChargerProfile):
            return False
        try:
            made = [_write_of(request) for request in self.made(profile)]
        except ValueError:
            return False
        return made == [_captured(packet) for packet in self.requests]

    def made(self, profile: ChargerProfile) -> Sequence[Request]:
        """What the driver would write. Raises ValueError for what a register cannot hold."""
        profile, unit = seated(profile), profile.unit
        if self.what == ORDER:
            return writes_of("x", unit, profile, self.ma, enabled=self.enabled)
        if self.what == ARM:
            return [
                Request("x", unit, want.fc, want.address, len(want.words), want.words)
                for want in wants_of(profile, self.fallback_ma, self.delay_ns)
            ]
        feed = feed_of("x", unit, profile, self.delay_ns)
        return [] if feed is None else [feed]


def told(name: str, folder: Path = CAPTURES) -> list[Told]:
    """What its capture file has of it."""
    path = folder / f"{name}.toml"
    found = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return list(_told(found))


def _told(found: Mapping[str, Any]) -> Iterator[Told]:
    for order in found.get(ORDER, ()):
        yield Told(ORDER, _packets(order), _ma(order["amperes"]), order["enabled"])
    if ARM in found:
        arm = found[ARM]
        fallback, delay = arm.get("fallback_a"), arm.get("delay_s")
        yield Told(
            ARM,
            _packets(arm),
            fallback_ma=None if fallback is None else _ma(fallback),
            delay_ns=None if delay is None else int(Decimal(delay) * NS_PER_S),
        )
    if FEED in found:
        yield Told(FEED, _packets(found[FEED]))


def _packets(its: Mapping[str, Any]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(each) for each in its["requests"])


def _ma(amperes: str) -> int:
    return int(Decimal(amperes) * 1000)


def _write_of(request: Request) -> Write:
    return request.unit, request.fc, request.address, tuple(request.words)


def _captured(packet: bytes) -> Write:
    unit, function, address, word = struct.unpack_from(">BBHH", packet, _HEAD)
    if function == WRITE_COIL:
        return unit, function, address, (_COIL[word],)
    if function != WRITE_MANY:
        return unit, function, address, (word,)
    return unit, function, address, struct.unpack_from(f">{word}H", packet, _HEAD + 7)
