"""What is written to disk in a day."""

from __future__ import annotations

import struct
import time
from pathlib import Path

from controller.blackbox.segment import FRAME, MAGIC, segments_in
from hil.figures import CannotMeasureError, Figure, Must
from hil.figures.crowd import Crowd

CHARGERS, CHARGING = 100, 30
POLL_S, METER_POLL_S = 1.0, 0.2
RATING_A = 1000  # what charges wants more, so that setpoints follow the noise
SETTLE_S, MEASURE_S = 20.0, 120.0
DAY_S = 86_400
SEGMENTS = 24  # a day


def _kept(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _beginning(segment: Path) -> int:
    """Bytes of what each segment begins with: names, tables, the kernel's state."""
    data = segment.read_bytes()
    at = len(MAGIC)
    for _ in range(2):
        try:
            _, _, length, _ = FRAME.unpack_from(data, at)
        except struct.error:
            raise CannotMeasureError("the black box did not record") from None
        at += FRAME.size + length
    return at


def disk_mb_day() -> float:
    """From two minutes of the enforcer itself, all that its state directory grew by."""
    with Crowd(1, CHARGERS, POLL_S, CHARGING, METER_POLL_S, RATING_A) as crowd:
        state = crowd.directory / "s"
        time.sleep(SETTLE_S)
        before, began_s = _kept(state), time.monotonic()
        time.sleep(MEASURE_S)
        grown, took_s = _kept(state) - before, time.monotonic() - began_s
        segments = segments_in(state / "blackbox")
        if len(segments) != 1 or grown == 0:
            raise CannotMeasureError("void: the black box was disturbed")
        begins = _beginning(segments[0])
    return round((grown / took_s * DAY_S + SEGMENTS * begins) / 1e6, 1)


FIGURES = (
    Figure(
        field="disk_mb_day",
        unit="MB a day",
        must=Must("≤", 20),
        how=f"bytes that the enforcer writes with {CHARGERS} chargers polled every {POLL_S:g} s, "
        f"{CHARGING} of them charging with noise of 50 mA at all hours, under a meter of "
        f"{METER_POLL_S:g} s with noise of 2 A: from {MEASURE_S:g} s, and a segment each hour",
        measure=disk_mb_day,
    ),
)
