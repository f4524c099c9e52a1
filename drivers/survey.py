"""Looks at every device of a site for some seconds, and writes nothing: what each showed.

For commissioning, while no enforcer controls. Devices are read beside one another, those on one
line in turn; each as often as it bears.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cext.rows import NO_PHASE
from controller.clock import MonotonicClock
from controller.document.buses import Bus as SiteBus
from controller.document.buses import PinAddress
from controller.document.clamps import Clamp
from controller.document.devices import Charger, Meter
from controller.image import MeterReading
from controller.site import Site
from controller.units import NS_PER_S, PPM
from drivers.bus import Bus
from drivers.chargerprofile import ChargerProfile
from drivers.clampdriver import ClampDriver
from drivers.decode import decode
from drivers.device import DeviceError, NoReplyError, Rank, WrongDeviceError
from drivers.discover import who_is
from drivers.library import AnyProfile, library
from drivers.lines import line_at
from drivers.meter import TERMINALS, signed_ma
from drivers.meterprofile import MeterProfile
from drivers.patience import patiently
from drivers.prober import Prober
from drivers.reader import Reader, Sample
from drivers.report import current_ma
from drivers.sense import VOLTS
from drivers.watts import seated

EVERY_S = 0.5
SAMPLES_MAX = 200
CLAMP_FRAMES = 3
LOOKS = 50  # after a clamp's lines, spread over the time that they may take
VOLTAGES = tuple(f"voltage_l{terminal}" for terminal in TERMINALS)

Grid = tuple[int | None, int | None, int | None]  # mA by grid phase; None: unknown


@dataclass(slots=True)
class Seen:
    """What one device showed."""

    id: str
    kind: Literal["meter", "charger", "clamp"]
    profile: str
    place: str  # its line and unit, in words
    samples: list[Sample] = field(default_factory=list)
    grid: list[Grid] = field(default_factory=list)  # currents as the document places them
    error: DeviceError | None = None  # of the last attempt, where it failed
    misset: str | None = None  # why it is not as its profile needs it
    who: dict[str, str] = field(default_factory=dict)  # serial, firmware, model
    turned_mv: dict[str, int] = field(default_factory=dict)  # voltages with their words exchanged

    @property
    def heard(self) -> bool:
        return bool(self.samples or self.grid)


@dataclass(slots=True)
class Survey:
    site: Site
    seen: dict[str, Seen]  # by device, in the document's order

    def grid(self, device: str) -> list[Grid]:
        return self.seen[device].grid if device in self.seen else []


async def survey(site: Site, lasts_s: float) -> Survey:
    """Never raises DeviceError: what fails is part of what was seen."""
    buses: dict[SiteBus, Bus] = {}
    every: dict[str, Seen] = {}
    works = []
    devices: tuple[Meter | Charger, ...] = (*site.meters, *site.chargers)
    for device in devices:
        if isinstance(device.bus.address, PinAddress):
            continue  # a switch says nothing of itself; see the proof of contactors
        bus = buses.setdefault(device.bus, _bus(device.bus))
        seen = every[device.id] = _seen(device)
        works.append(_look(device, seen, bus, lasts_s))
    for clamp in site.clamps:
        seen = every[clamp.id] = Seen(clamp.id, "clamp", clamp.format, clamp.address.port)
        works.append(_hear(clamp, seen, lasts_s))
    try:
        await asyncio.gather(*works)
    finally:
        for bus in buses.values():
            bus.close()
    return Survey(site, every)


def _bus(bus: SiteBus) -> Bus:
    assert not isinstance(bus.address, PinAddress)
    line = line_at(bus.address, bus.timeout_ns / NS_PER_S, may_write=False)
    return Bus(line, MonotonicClock())


def _seen(device: Meter | Charger) -> Seen:
    kind: Literal["meter", "charger"] = "meter" if isinstance(device, Meter) else "charger"
    return Seen(device.id, kind, device.profile, f"{device.bus.url}, unit {device.unit}")


def profile_of(device: Meter | Charger) -> AnyProfile:
    """As the drivers take it: of a charger with several connectors, that one's."""
    if isinstance(device, Meter):
        return library().meter_profile(device.profile)
    return seated(library().charger_profile(device.profile), device)


async def _look(device: Meter | Charger, seen: Seen, bus: Bus, lasts_s: float) -> None:
    profile = profile_of(device)
    reader = Reader(device.id, device.unit, profile, bus, Rank.METER)
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + lasts_s
    try:
        await patiently(reader.check)
    except WrongDeviceError as error:
        seen.misset = error.what
    except DeviceError as error:
        seen.error = error
        return
    while len(seen.samples) < SAMPLES_MAX:
        begun_s = loop.time()
        try:
            sample = await patiently(reader.read)
        except DeviceError as error:
            seen.error = error
            if not seen.samples:
                return
        else:
            seen.error = None
            seen.samples.append(sample)
            seen.grid.append(on_grid(device, profile, sample))
        if loop.time() + EVERY_S > ends_s:
            break
        await asyncio.sleep(begun_s + EVERY_S - loop.time())
    prober = Prober(device.unit, bus)
    seen.who = await who_is(prober, profile)
    if seen.samples:
        seen.turned_mv = await _turned(prober, profile, seen.samples[-1])


async def _turned(prober: Prober, profile: AnyProfile, sample: Sample) -> dict[str, int]:
    """Impossible voltages once more, as they would be with their words exchanged."""
    found = {}
    for name in VOLTAGES:
        register = profile.registers.get(name)
        if register is None or register.length == 1 or _mains(sample.values.get(name)):
            continue
        words = await prober.words(register.fc, register.addr, register.length)
        value = None if words is None else decode(register, words[::-1])
        if isinstance(value, int):
            found[name] = value
    return found


def _mains(value: object) -> bool:
    return isinstance(value, int) and value in VOLTS


def on_grid(device: Meter | Charger, profile: AnyProfile, sample: Sample) -> Grid:
    """Currents by grid phase, as the document says that they are measured."""
    grid: list[int | None] = [0, 0, 0]
    for terminal, phase in zip(TERMINALS, device.phases, strict=True):
        if phase == NO_PHASE or not profile.has(f"current_l{terminal}"):
            if phase != NO_PHASE:
                grid[phase] = None
            continue
        if isinstance(device, Charger):
            assert isinstance(profile, ChargerProfile)
            grid[phase] = current_ma(profile, sample, terminal)
        else:
            assert isinstance(profile, MeterProfile)
            shown = signed_ma(profile, sample, terminal, reversed_ct=device.reversed)
            factor = -device.ratio_ppm if device.reversed else device.ratio_ppm
            grid[phase] = None if shown is None else shown * factor // PPM
    return grid[0], grid[1], grid[2]


# Clamps.


class Ear:
    """Hears what a clamp says; an image for its driver."""

    def __init__(self, heard: list[MeterReading], most: int = SAMPLES_MAX) -> None:
        self.clock = MonotonicClock()
        self._heard = heard
        self._most = most

    def post_meter(self, meter: str, reading: MeterReading) -> None:
        if len(self._heard) < self._most:
            self._heard.append(reading)


async def _hear(clamp: Clamp, seen: Seen, lasts_s: float) -> None:
    """For as long as the others are looked at, or as a few lines take."""
    heard: list[MeterReading] = []
    driver = ClampDriver(clamp, Ear(heard))
    task = asyncio.create_task(driver.run())
    ends_s = asyncio.get_running_loop().time() + lasts_s
    late_s = max(lasts_s, (CLAMP_FRAMES + 1.5) * clamp.period_ns / NS_PER_S)
    for left in range(LOOKS, 0, -1):
        left_s = ends_s - asyncio.get_running_loop().time()
        if left_s <= 0 and len(heard) >= CLAMP_FRAMES:
            break
        await asyncio.sleep((left_s + late_s - lasts_s) / left)
    why = driver.health().error
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if not heard:
        what = why or f"not one whole line in {late_s:.0f} s"
        seen.error = NoReplyError(what, line=clamp.address.port)
    seen.grid = [clamp_on_grid(clamp, each) for each in heard]


def clamp_on_grid(clamp: Clamp, reading: MeterReading) -> Grid:
    grid: list[int | None] = [None] * 3
    for phase, shown in zip(clamp.phases, reading.current_ma, strict=True):
        grid[phase] = abs(shown) * clamp.ratio_ppm // PPM
    return grid[0], grid[1], grid[2]


# What was seen, in one number.


@dataclass(frozen=True, slots=True)
class Level:
    """Of one phase: the middle of what was seen, and how far it went from there."""

    ma: int
    spread_ma: int


def level(values: Iterable[int | None]) -> Level | None:
    """None where nothing was known."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    middle = known[len(known) // 2]
    return Level(middle, max(known[-1] - middle, middle - known[0]))


Levels = tuple[Level | None, Level | None, Level | None]


def levels(grid: Sequence[Grid]) -> Levels:
    l1, l2, l3 = (level(each[phase] for each in grid) for phase in range(3))
    return l1, l2, l3
