"""Captured exchanges: a device as it answered once, read through a profile, without any line."""

from __future__ import annotations

import struct
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from controller.clock import MonotonicClock
from drivers.bus import Bus
from drivers.decode import Value, decode
from drivers.device import BadReplyError, Rank, Request, refusal
from drivers.library import AnyProfile
from drivers.meter import signed_ma
from drivers.meterprofile import MeterProfile
from drivers.profile import Pacing
from drivers.reader import Reader, Sample
from drivers.register import Register
from drivers.report import in_force_ma, vehicle

CAPTURES = Path(__file__).parents[2] / "tests" / "captures"
UNPACED: dict[str, Any] = {"pacing": Pacing.model_validate({}), "gap_ns": 0}
HEAD = 6  # transaction, protocol and length; unit and PDU follow
_REFUSED = 0x80


@dataclass(frozen=True)
class Capture:
    """One state of one device: bytes asked and answered, and what they mean."""

    why: str
    exchanges: tuple[tuple[str, str], ...]  # in hexadecimal
    expect: Mapping[str, str]  # as people write it; "-" where unknown

    @cached_property
    def replies(self) -> dict[bytes, bytes]:
        """PDUs by unit and PDU of the request."""
        return {
            bytes.fromhex(asked)[HEAD:]: bytes.fromhex(answered)[HEAD + 1 :]
            for asked, answered in self.exchanges
        }

    def expected(self, profile: AnyProfile) -> dict[str, Value]:
        return {name: written(profile, name, text) for name, text in self.expect.items()}


class CapturedLine:
    """Answers what was captured, and refuses all else as a device would."""

    url = "capture"
    longest_s = 1.0

    def __init__(self, capture: Capture) -> None:
        self._replies = capture.replies

    async def exchange(self, ask: Callable[[], Request | None]) -> tuple[int, ...] | None:
        """Reads alone."""
        request = ask()
        if request is None:
            return None
        asked = struct.pack(">BBHH", request.unit, request.fc, request.address, request.count)
        reply = self._replies.get(asked, bytes((request.fc | _REFUSED, 2)))
        if reply[0] & _REFUSED:
            raise refusal(reply[1], self.url, request)
        if reply[1] != request.answer_bytes:
            raise BadReplyError("another length", line=self.url, request=request)
        return request.values(reply[2:])

    def close(self) -> None:
        pass


def captures(name: str, folder: Path = CAPTURES) -> Iterator[Capture]:
    """Of a profile; none where it has no file."""
    for case in shown(name, folder).get("case", ()):
        pairs = tuple((asked, answered) for asked, answered in case["exchanges"])
        yield Capture(case["why"], pairs, case["expect"])


def codes(name: str, folder: Path = CAPTURES) -> dict[str, str]:
    """Its own states and those of IEC 61851, as far as its capture file has them."""
    return _part(name, "codes", folder)


def identity(name: str, folder: Path = CAPTURES) -> dict[str, str]:
    """What tells it from its like, in its captures, likewise."""
    return _part(name, "identity", folder)


def _part(name: str, part: str, folder: Path) -> dict[str, str]:
    return {str(key): str(value) for key, value in shown(name, folder).get(part, {}).items()}


def shown(name: str, folder: Path = CAPTURES) -> dict[str, Any]:
    """A capture file; nothing where there is none. Nobody changes what it returns."""
    path = folder / f"{name}.toml"
    return _read(path, path.stat().st_mtime_ns) if path.exists() else {}


@cache
def _read(path: Path, written_ns: int) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def means_them(profile: AnyProfile, stated: Mapping[str, str]) -> bool:
    """Whether the profile has these states, too."""
    if isinstance(profile, MeterProfile):
        return not stated
    return all(profile.status.iec.get(code) == state for code, state in stated.items())


async def understood(profile: AnyProfile, capture: Capture) -> dict[str, Value]:
    """What control would make of it. Raises DeviceError."""
    bus = Bus(CapturedLine(capture), MonotonicClock())
    hasty = profile.model_copy(update=UNPACED)
    reader = Reader("x", profile.unit, hasty, bus, Rank.METER)
    await reader.check()
    sample = await reader.read()
    return {**sample.values, **meaning(profile, sample)}


def marks(profile: AnyProfile, capture: Capture) -> dict[str, Value | bool]:
    """What tells the device from others, as far as the capture shows it: does a mark fit?"""
    found: dict[str, Value | bool] = {}
    for i, marker in enumerate(profile.identify):
        value = _alone(profile, marker, capture)
        if value is not None:
            found[f"identify.{i}"] = marker.fits(value)
    for name, register in profile.identity.registers().items():
        value = _alone(profile, register, capture)
        if value is not None:
            found[f"identity.{name}"] = value
    return found


def _alone(profile: AnyProfile, register: Register, capture: Capture) -> Value:
    """What a register reads by itself; None where the capture does not show that."""
    asked = struct.pack(">BBHH", profile.unit, register.fc, register.addr, register.length)
    reply = capture.replies.get(asked)
    if reply is None or reply[0] & _REFUSED:
        return None
    return decode(register, struct.unpack(f">{len(reply[2:]) // 2}H", reply[2:]))


def meaning(profile: AnyProfile, sample: Sample) -> dict[str, Value]:
    """What control takes from a sample, beside its registers."""
    if isinstance(profile, MeterProfile):
        numbers = range(1, len(profile.currents) + 1)
        return {f"signed_l{n}": signed_ma(profile, sample, n) for n in numbers}
    state, in_force = vehicle(profile, sample), in_force_ma(profile, sample)
    return {"vehicle": state.name, "in_force": in_force}


def written(profile: AnyProfile, name: str, text: str) -> Value:
    """A value as captures have it: in units, "-" where unknown."""
    register = profile.registers.get(name)
    if text == "-":
        return None
    if register is not None and (register.unit == "%") != text.endswith("%"):
        return text  # no number of that unit
    text = text.removesuffix("%")
    if name == "vehicle" or (register is not None and register.type == "ascii"):
        return text
    if register is not None and register.unit is None:
        return int(text)
    return int(Decimal(text) * 1000)
