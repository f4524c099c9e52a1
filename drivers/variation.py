"""One charger varied by a few amperes in an irregular pattern, and all meters watched meanwhile.

No enforcer may control meanwhile: it would undo each step, and each step would undo its decisions.
The charger goes down from what is in force. Only where that is its minimum already it goes up, by
what the commissioning proof leaves free on every circuit above it with all others on their own,
and only while the meters there show that it fits: so nothing is permitted that was not proven.
Each step is a `Trial`: it ends by putting back what was in force before, also when interrupted,
and by the charger's own watchdog if this process dies.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from controller.clock import MonotonicClock
from controller.document.buses import Bus as SiteBus
from controller.document.buses import PinAddress
from controller.document.clamps import Clamp
from controller.document.devices import Charger, Meter
from controller.image import MeterReading
from controller.site import Site
from controller.units import NS_PER_S
from drivers.bus import Bus
from drivers.chargerprofile import ChargerProfile
from drivers.clampdriver import ClampDriver
from drivers.device import DeviceError, Rank
from drivers.lines import line_at
from drivers.memory import Memory
from drivers.pattern import CODE, ROUNDS
from drivers.reader import Reader, Sample
from drivers.report import TERMINALS, current_ma
from drivers.survey import Grid, clamp_on_grid, levels, on_grid, profile_of
from drivers.trial import Trial

WINDOW_S = 1.5  # of which each level is the middle
KEPT = 512  # readings of one source


@dataclass(slots=True)
class Course:
    """Levels, one for each step of the pattern."""

    stepped: list[bool] = field(default_factory=list)
    own: list[tuple[int | None, ...]] = field(default_factory=list)  # by terminal
    shown: dict[str, list[Grid]] = field(default_factory=dict)  # by source


class Watch:
    """All meters and clamps of a site, heard for as long as it is open."""

    def __init__(self, site: Site, writes_to: SiteBus) -> None:
        self._clock = MonotonicClock()
        self._buses: dict[SiteBus, Bus] = {}
        self._site = site
        self._heard: dict[str, deque[tuple[int, Grid]]] = {
            source: deque(maxlen=KEPT) for source in site.source_ids
        }
        self._tasks: list[asyncio.Task[None]] = []
        self.failed: dict[str, str] = {}  # why a source was not heard last
        self.bus = self._bus(writes_to, may_write=True)

    async def __aenter__(self) -> Self:
        for meter in self._site.meters:
            bus = self._buses.get(meter.bus) or self._bus(meter.bus, may_write=False)
            self._tasks.append(asyncio.create_task(self._read(meter, bus)))
        for clamp in self._site.clamps:
            driver = ClampDriver(clamp, _Ear(clamp, self._clock, self._heard[clamp.id]))
            self._tasks.append(asyncio.create_task(driver.run()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for bus in self._buses.values():
            bus.close()

    def level(self, source: str, within_s: float) -> Grid:
        """The middle of what it showed in the last seconds; None where it showed nothing."""
        since_ns = self._clock.now_ns() - round(within_s * NS_PER_S)
        fresh = [grid for at_ns, grid in self._heard[source] if at_ns >= since_ns]
        l1, l2, l3 = (None if each is None else each.ma for each in levels(fresh))
        return l1, l2, l3

    def _bus(self, bus: SiteBus, may_write: bool) -> Bus:
        assert not isinstance(bus.address, PinAddress)
        line = line_at(bus.address, bus.timeout_ns / NS_PER_S, may_write)
        made = self._buses[bus] = Bus(line, self._clock)
        return made

    async def _read(self, meter: Meter, bus: Bus) -> None:
        profile = profile_of(meter)
        reader = Reader(meter.id, meter.unit, profile, bus, Rank.METER)
        checked = False
        while True:
            try:
                if not checked:
                    await reader.check()
                    checked = True
                sample = await reader.read()
                self._heard[meter.id].append((sample.at_ns, on_grid(meter, profile, sample)))
                self.failed.pop(meter.id, None)
            except DeviceError as error:
                self.failed[meter.id], checked = error.what, False
            await asyncio.sleep(meter.poll_ns / NS_PER_S)


class _Ear:
    """An image for a clamp's driver."""

    def __init__(self, clamp: Clamp, clock: MonotonicClock, heard: deque[tuple[int, Grid]]) -> None:
        self.clock = clock
        self._clamp = clamp
        self._heard = heard

    def post_meter(self, meter: str, reading: MeterReading) -> None:
        self._heard.append((reading.at_ns, clamp_on_grid(self._clamp, reading)))


def dwell_s(site: Site, charger: Charger) -> float:
    """How long each step stands: vehicle, charger and the slowest source must have followed."""
    slowest_ns = max(
        [meter.lag_ns + 2 * meter.poll_ns for meter in site.meters]
        + [clamp.lag_ns + 2 * clamp.period_ns for clamp in site.clamps],
        default=0,
    )
    followed_s = (charger.settle_ns + slowest_ns) / NS_PER_S + window_s(site)
    return max(followed_s, charger.facts.write_gap_ns / NS_PER_S)  # each step begins with a write


def window_s(site: Site) -> float:
    """At least two readings of the slowest source."""
    slowest_ns = max(
        [meter.poll_ns for meter in site.meters] + [clamp.period_ns for clamp in site.clamps],
        default=0,
    )
    return max(WINDOW_S, 2.5 * slowest_ns / NS_PER_S)


async def vary(
    charger: Charger,
    profile: ChargerProfile,
    watch: Watch,
    site: Site,
    tried_ma: int,
    enough: Callable[[Course], bool],
    fits: Callable[[], str | None],
    tell: Callable[[str], None],
    memory: Memory | None = None,
) -> Course:
    """Runs the code, again where it is not `enough`, and puts back what was in force.

    `fits` says before each step up why it may not be taken now; `memory` counts what is written.
    Raises DeviceError, also when what was in force could not be put back; what was learnt until
    then is lost.
    """
    course = Course(shown={source: [] for source in site.source_ids})
    stands_s, looks_s = dwell_s(site, charger), window_s(site)
    trial: Trial | None = None
    try:
        for round_ in range(ROUNDS):
            for stepped in CODE:
                if stepped and trial is None:
                    if (why := fits()) is not None:
                        raise DeviceError(why, line=watch.bus.url)
                    trial = Trial(charger.unit, profile, watch.bus, tried_ma, memory)
                    await trial.look()
                    await trial.write()
                elif not stepped and trial is not None:
                    ending, trial = trial, None
                    await ending.restore()
                sample = await _stand(trial, charger, profile, watch, stands_s)
                _note(course, stepped, profile, sample, watch, looks_s)
            tell(f"round {round_ + 1} of at most {ROUNDS} is done")
            if enough(course):
                break
    finally:
        if trial is not None:
            await trial.restore()
    return course


async def _stand(
    trial: Trial | None,
    charger: Charger,
    profile: ChargerProfile,
    watch: Watch,
    stands_s: float,
) -> Sample:
    """Waits with what is in force now; what the charger showed at the end of it."""
    if trial is not None:
        await trial.hold(stands_s)
        assert trial.after is not None
        return trial.after
    await asyncio.sleep(stands_s)
    look = Trial(charger.unit, profile, watch.bus, 0)
    await look.look()
    assert look.before is not None
    return look.before


def _note(
    course: Course,
    stepped: bool,
    profile: ChargerProfile,
    sample: Sample,
    watch: Watch,
    looks_s: float,
) -> None:
    course.stepped.append(stepped)
    course.own.append(own_ma(profile, sample))
    for source, shown in course.shown.items():
        shown.append(watch.level(source, looks_s))


def own_ma(profile: ChargerProfile, sample: Sample) -> tuple[int | None, ...]:
    """What it says it draws, by terminal."""
    return tuple(current_ma(profile, sample, terminal) for terminal in TERMINALS)


def most_ma(own: Sequence[int | None]) -> int | None:
    """On its most loaded terminal; None where it does not tell."""
    known = [each for each in own if each is not None]
    return max(known) if known else None
