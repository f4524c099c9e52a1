"""When was that? Times as people say them, found in a recording."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from controller.blackbox.reader import Header, Segment, SegmentError
from controller.blackbox.segment import Stamp
from controller.units import NS_PER_S

APART_NS = 2 * NS_PER_S  # the same moment, seen in two segments
NAMED = 8  # candidates in a message
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?")
_MONOTONIC = re.compile(r"\d+(\.\d{1,9})?(s)?")


class MomentError(Exception):
    """A time that nothing, or more than one thing, answers to; says what would."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One segment and the times that it covers."""

    path: Path
    header: Header
    stamps: tuple[Stamp, ...]

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.header.timezone or "UTC")

    def local(self, now_ns: int) -> datetime:
        """The wall's time at an instant, in the site's zone."""
        stamp = next((each for each in self.stamps if each.now_ns >= now_ns), self.stamps[-1])
        return local_time(stamp, now_ns, self.zone)

    def instant_of(self, utc_ns: int) -> int | None:
        for one, other in pairwise(self.stamps):
            if one.utc_ns <= utc_ns <= other.utc_ns:
                return min(one.now_ns + utc_ns - one.utc_ns, other.now_ns)
        return None

    def covers(self, now_ns: int) -> bool:
        return self.stamps[0].now_ns <= now_ns <= self.stamps[-1].now_ns


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant in a segment."""

    recorded: Recorded
    now_ns: int

    @property
    def local(self) -> datetime:
        return self.recorded.local(self.now_ns)


def local_time(stamp: Stamp, now_ns: int, zone: ZoneInfo) -> datetime:
    micros = (stamp.utc_ns + now_ns - stamp.now_ns) // 1000
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).astimezone(zone)


def survey(paths: Sequence[Path]) -> list[Recorded]:
    """What there is to look in; what cannot be read is left out. Raises MomentError."""
    found, problems = [], []
    for path in paths:
        try:
            segment = Segment(path)
        except SegmentError as error:
            problems.append(str(error))
            continue
        found.append(Recorded(path, segment.header, tuple(segment.stamps())))
    if not found:
        raise MomentError("; ".join(problems))
    return found


def moment(text: str, recorded: Sequence[Recorded]) -> Moment:
    """The one instant that is meant. Raises MomentError.

    "02:14" (with seconds, with a date before it), ISO 8601 with or without an offset, all in the
    site's time zone; or the seconds of the monotonic clock, as the log has them.
    """
    if _MONOTONIC.fullmatch(text):
        found = _at_instant(text, recorded)
    else:
        found = [
            Moment(each, now_ns)
            for each in recorded
            for wall in _walls(text, each)
            if (now_ns := each.instant_of(round(wall.timestamp() * 1_000_000) * 1000)) is not None
        ]
    distinct = list(_distinct(found))
    if not distinct:
        raise MomentError(f"nothing was recorded at {text}: {_covered(recorded)}")
    if len(distinct) > 1:
        times = ", ".join(_exactly(each) for each in distinct[:NAMED])
        more = f" and {len(distinct) - NAMED} more" if len(distinct) > NAMED else ""
        raise MomentError(f"{text} is more than one moment in this recording: {times}{more}")
    return distinct[0]


def _at_instant(text: str, recorded: Sequence[Recorded]) -> list[Moment]:
    whole, _, part = text.rstrip("s").partition(".")
    now_ns = int(whole) * NS_PER_S + int(part.ljust(9, "0") or 0)
    return [Moment(each, now_ns) for each in recorded if each.covers(now_ns)]


def _walls(text: str, recorded: Recorded) -> Iterator[datetime]:
    """Every moment that may be meant, within the days of a segment."""
    if _TIME_OF_DAY.fullmatch(text):
        try:
            of_day = time.fromisoformat(text.rjust(5, "0") if text[1] == ":" else text)
        except ValueError as error:
            raise MomentError(f"{text} is no time of day") from error
        first = recorded.local(recorded.stamps[0].now_ns).date()
        last = recorded.local(recorded.stamps[-1].now_ns).date()
        for day in range((last - first).days + 1):
            yield from _both(first + timedelta(days=day), of_day, recorded.zone)
        return
    try:
        wall = datetime.fromisoformat(text)
    except ValueError as error:
        raise MomentError(
            f"{text} is no time: 02:14, 2027-02-11 02:14:30, 2027-02-11T01:14:30Z, or the seconds"
            " of the monotonic clock"
        ) from error
    if wall.tzinfo is not None:
        yield wall
    else:
        yield from _both(wall.date(), wall.time(), recorded.zone)


def _both(day: date, of_day: time, zone: ZoneInfo) -> Iterator[datetime]:
    """Once a year an hour comes twice, and another one not at all."""
    walls = [datetime.combine(day, of_day.replace(fold=fold), zone) for fold in (0, 1)]
    there = [wall for wall in walls if _exists(wall)]
    yield from there[: 1 if len({wall.timestamp() for wall in there}) == 1 else 2]


def _exists(wall: datetime) -> bool:
    return wall.astimezone(UTC).astimezone(wall.tzinfo).replace(fold=0) == wall.replace(fold=0)


def _distinct(moments: Iterable[Moment]) -> Iterator[Moment]:
    """The last segment that has a moment: where two meet, the later one begins with it."""
    kept: list[Moment] = []
    for each in moments:
        boot = each.recorded.header.boot_id
        kept = [
            one
            for one in kept
            if one.recorded.header.boot_id != boot or abs(one.now_ns - each.now_ns) > APART_NS
        ]
        kept.append(each)
    yield from kept


def _exactly(each: Moment) -> str:
    trusted = "" if each.recorded.stamps[0].trusted else " (by a clock that was not trusted)"
    return f"{each.local.isoformat(timespec='seconds')}{trusted}"


def _covered(recorded: Sequence[Recorded]) -> str:
    first, last = recorded[0], recorded[-1]
    begins = first.local(first.stamps[0].now_ns).isoformat(sep=" ", timespec="seconds")
    ends = last.local(last.stamps[-1].now_ns).isoformat(sep=" ", timespec="seconds")
    return f"this recording goes from {begins} to {ends}, perhaps with gaps"
