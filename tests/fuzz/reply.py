"""Whole polls of a device: its blocks as it answers them, through the profile, to what is posted.

The first byte chooses a profile, the rest are the words of its blocks, one after the other; where
they end, zeros. Nothing but DeviceError comes of it, and no current whose register has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache

from controller.units import MA_MAX
from drivers.bus import Bus
from drivers.chargerprofile import ChargerProfile
from drivers.device import DeviceError, Rank, Reply, Request
from drivers.library import library
from drivers.meter import TERMINALS, needed, signed_ma
from drivers.meterprofile import MeterProfile
from drivers.profile import Pacing, Profile
from drivers.reader import Reader, Sample
from drivers.report import current_ma, in_force_ma, time_left_ns, time_set_ns, vehicle
from drivers.watts import seated

PROFILES = [library().find(name) for name in sorted(library().names())]
SEEDS = [
    bytes((i,)) + (b"\x42\x48\0\0" * 30 if i % 2 else b"\0\x19" * 60) for i in range(len(PROFILES))
]
WORDS = [b"\x7f\xc0\0\0", b"\xff\xff", b"\x80\0", b"\0\0\0\0", b"\x41\0", b"\xc1\0\0\0"]


class Answers(Bus):
    """A bus that answers each read with the next of these bytes."""

    def __init__(self) -> None:
        self.left = b""

    @property
    def url(self) -> str:
        return "tcp://192.0.2.1:502"

    async def exchange(
        self, device: str, rank: Callable[[], Rank], ask: Callable[[], Request | None]
    ) -> Reply | None:
        request = ask()
        assert request is not None
        length = request.answer_bytes
        raw, self.left = self.left[:length].ljust(length, b"\0"), self.left[length:]
        return Reply(request.values(raw), 1)


ANSWERS = Answers()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@cache
def _reader(profile_index: int) -> tuple[Profile, Reader]:
    profile: Profile = PROFILES[profile_index]
    profile = profile.model_copy(update={"gap_ns": 0, "pacing": Pacing.model_validate({})})
    if isinstance(profile, ChargerProfile):
        profile = seated(profile)
        names = profile.reported
    else:
        assert isinstance(profile, MeterProfile)
        names = needed(profile) if profile.facts.tells_currents else ()
    return profile, Reader("device", 1, profile, ANSWERS, Rank.METER, names)


def execute(data: bytes) -> str:
    if not data:
        return "nothing"
    profile, reader = _reader(data[0] % len(PROFILES))
    ANSWERS.left = data[1:]
    reader.forget()
    try:
        sample = _loop().run_until_complete(reader.read())
    except DeviceError:
        return "refused"
    known = isinstance(profile, MeterProfile) and _meter(profile, sample)
    known = known or (isinstance(profile, ChargerProfile) and _charger(profile, sample))
    return "known" if known else "unknown"


def _meter(profile: MeterProfile, sample: Sample) -> bool:
    if not profile.facts.tells_currents:
        return False
    found = [signed_ma(profile, sample, terminal) for terminal in profile.terminals]
    for terminal, ma in zip(profile.terminals, found, strict=True):
        told_ma = sample.number(f"current_l{terminal}")
        assert ma is None or (told_ma is not None and abs(ma) <= min(abs(told_ma), MA_MAX))
    return None not in found


def _charger(profile: ChargerProfile, sample: Sample) -> bool:
    for terminal in TERMINALS:
        ma = current_ma(profile, sample, terminal)
        assert ma is None or 0 <= ma <= MA_MAX
    vehicle(profile, sample)
    time_left_ns(profile, sample)
    time_set_ns(profile, sample)
    ma = in_force_ma(profile, sample)
    assert ma is None or 0 <= ma <= MA_MAX
    assert ma is None or all(
        sample.values[name] is not None for name in profile.setpoint.applied_names
    )
    return ma is not None
