"""What hangs on a line: asks each unit, read only, which profile describes it, and how surely.

A device is *sure* where registers that mark its kind read as they must, *likely* where all that a
profile reads makes sense together, *possible* where it answers and nothing speaks against it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Literal

from controller.document.buses import SERIAL, SerialAddress, Wire
from controller.units import NS_PER_S
from drivers.decode import decode
from drivers.device import DeviceError, Rank, Way
from drivers.library import AnyProfile
from drivers.meterprofile import MeterProfile
from drivers.prober import Prober
from drivers.reader import Reader
from drivers.register import Register
from drivers.sense import sense_of
from drivers.sunspec import HEAD, LostError, walk

USUAL_SERIAL = (*range(1, 11),)  # beside those that devices are delivered with
USUAL_TCP = (1, 2, 255)
NOBODYS = 213  # who answers as this unit, too, answers as any
SETTINGS: tuple[
    tuple[int, Literal["N", "E", "O"], int], ...
] = (  # baud, parity, stop bits: as devices are delivered, the commonest first
    (9600, "N", 1),
    (19200, "E", 1),
    (9600, "E", 1),
    (19200, "N", 1),
    (38400, "N", 1),
    (9600, "N", 2),
    (19200, "N", 2),
    (115200, "N", 2),
    (115200, "N", 1),
    (38400, "E", 1),
    (9600, "O", 1),
    (19200, "O", 1),
    (2400, "N", 1),
)
_COMMON = 1  # the model that says who it is: maker, model, options, version, serial number
_COMMON_WORDS = 64


class Surety(IntEnum):
    POSSIBLE = 1
    LIKELY = 2
    SURE = 3


@dataclass(frozen=True, slots=True)
class Fit:
    """A profile that describes what answers."""

    profile: str
    surety: Surety
    why: str
    wrong: tuple[str, ...] = ()  # what must be set otherwise in the device
    weight: int = 0  # how much of it made sense


@dataclass(frozen=True, slots=True)
class SunSpec:
    """What a SunSpec device says of itself."""

    maker: str
    model: str
    version: str
    serial: str
    models: tuple[int, ...]


@dataclass(slots=True)
class Found:
    """Somebody at a unit id."""

    unit: int
    heard: str
    fits: list[Fit] = field(default_factory=list)  # the best first
    sunspec: SunSpec | None = None
    serial: str | None = None
    firmware: str | None = None
    model: str | None = None
    questions: int = 0

    @property
    def candidates(self) -> list[Fit]:
        """Those that fit as well as the best of them: a family's devices may all read alike."""
        top = self.fits[:1]
        fine = [each for each in self.fits if each.surety > Surety.POSSIBLE]
        return [
            each for each in fine if (each.surety, each.weight) == (top[0].surety, top[0].weight)
        ]

    @property
    def best(self) -> Fit | None:
        """The profile that it has, where only one can be meant."""
        candidates = self.candidates
        return candidates[0] if len(candidates) == 1 else None


@dataclass(slots=True)
class Scan:
    """What was found on one line, as it was set."""

    url: str
    asked: tuple[int, ...] = ()
    found: list[Found] = field(default_factory=list)
    any_unit: bool = False  # one device answers whatever unit is asked
    garbled: dict[int, str] = field(default_factory=dict)  # spoke, and was not understood
    error: str | None = None  # why the line itself cannot be used


def usual_units(address: Wire, profiles: Iterable[AnyProfile]) -> tuple[int, ...]:
    """Those that are worth asking where nobody says which."""
    serial = isinstance(address, SerialAddress)
    usual = USUAL_SERIAL if serial else USUAL_TCP
    delivered = {
        each.unit for each in profiles if serial == ("tcp" not in each.transports) and each.unit
    }
    return tuple(dict.fromkeys((*usual, *sorted(delivered))))


async def scan(
    bus: Way,
    units: Iterable[int],
    profiles: Iterable[AnyProfile],
    tell: Callable[[str], None] = lambda _text: None,
) -> Scan:
    """Asks each unit in turn; `tell` hears of each that answers. Never raises DeviceError."""
    asked, known = tuple(units), _markers_first(profiles)
    done = Scan(bus.url, asked)
    try:
        for unit in asked:
            prober = Prober(unit, bus)
            contact = await prober.contact()
            if contact.garbled:
                done.garbled[unit] = contact.how
            if not contact.there:
                continue
            found = await recognise(prober, known, contact.how)
            done.found.append(found)
            tell(f"unit {unit}: {found.best.profile if found.best else 'somebody'}")
        if done.found and not bus.url.startswith(SERIAL) and NOBODYS not in asked:
            done.any_unit = (await Prober(NOBODYS, bus).contact()).there
    except DeviceError as error:
        done.error = error.what
    return done


async def recognise(prober: Prober, profiles: Iterable[AnyProfile], heard: str = "") -> Found:
    """Which of the profiles describe what answers there, and who it says it is."""
    found = Found(prober.unit, heard)
    every = list(profiles)
    for profile in every:
        if prober.tired:
            break
        if not _marked(profile) and any(each.surety is Surety.SURE for each in found.fits):
            break  # the marked ones stand first
        fit = await _fit(prober, profile)
        if fit is not None:
            found.fits.append(fit)
    found.fits.sort(key=lambda each: (-each.surety, -each.weight, each.profile))
    found.sunspec = await sunspec(prober)
    if found.sunspec is not None:
        said = found.sunspec
        found.serial, found.firmware, found.model = said.serial, said.version, said.model
    if found.best is not None:
        named = next(each for each in every if each.name == found.best.profile)
        who = await who_is(prober, named)
        found.serial = who.get("serial", found.serial)
        found.firmware = who.get("firmware", found.firmware)
        found.model = who.get("model", found.model)
    found.questions = prober.questions
    return found


async def who_is(prober: Prober, profile: AnyProfile) -> dict[str, str]:
    """Its serial number, firmware and model, as far as its profile knows where they stand."""
    prober.slow_down(_gap_s(profile))
    said = {}
    for name, register in profile.identity.registers().items():
        value = await prober.value(register)
        if value is not None and value != "":
            said[name] = str(value)
    return said


async def sunspec(prober: Prober) -> SunSpec | None:
    """The device's own words, where it carries SunSpec's mark."""
    try:
        models = await walk(partial(prober.asked, 3))
        said = ["", "", "", ""]
        for model in models[:1]:
            if model.number == _COMMON and model.length >= _COMMON_WORDS:
                words = await prober.asked(3, model.start + HEAD, _COMMON_WORDS)
                said = list(_common(words))
    except (LostError, DeviceError):
        return None
    maker, name, version, serial = said
    return SunSpec(maker, name, version, serial, tuple(each.number for each in models))


def _common(words: tuple[int, ...]) -> Iterator[str]:
    """Maker, model, version and serial number of the common model."""
    for start, count in ((0, 16), (16, 16), (40, 8), (48, 16)):
        register = Register.model_validate({"addr": 0, "type": "ascii", "len": count})
        yield str(decode(register, words[start : start + count]) or "")


def _markers_first(profiles: Iterable[AnyProfile]) -> list[AnyProfile]:
    """What is marked is told with one question; and it may be asked too often otherwise."""
    return sorted(profiles, key=lambda each: (not _marked(each), each.name))


def _marked(profile: AnyProfile) -> bool:
    """Whether something that it reads is found on this kind of device alone."""
    return bool(profile.identify) or profile.sunspec is not None


def _gap_s(profile: AnyProfile) -> float:
    return max(profile.gap_ns, profile.pacing.read_gap_ns) / NS_PER_S


# Does a profile fit?


async def _fit(prober: Prober, profile: AnyProfile) -> Fit | None:
    """None where anything speaks against it."""
    marked = _marked(profile)
    reader = Reader(profile.name, prober.unit, profile, prober, Rank.CHARGER)
    if not await _bears_marks(prober, profile, reader):
        return None
    wrong = [text async for text in _set_wrong(prober, profile)]
    if wrong and not marked:
        return None
    try:
        sense = sense_of(profile, (await reader.read()).values)
    except DeviceError as error:
        why = "its marks fit, but it does not let itself be read"
        return Fit(profile.name, Surety.LIKELY, why, (*wrong, error.what)) if marked else None
    if marked:
        remarks = (*wrong, *sense.against)
        return Fit(profile.name, Surety.SURE, "its marks fit", remarks, len(sense.speaks))
    if sense.against or not sense.speaks:
        return None
    enough = 2 if isinstance(profile, MeterProfile) else 3
    surety = Surety.LIKELY if len(sense.speaks) >= enough else Surety.POSSIBLE
    weight = sense.phases if isinstance(profile, MeterProfile) else len(sense.speaks)
    return Fit(profile.name, surety, ", ".join(sense.speaks), weight=weight)


async def _bears_marks(prober: Prober, profile: AnyProfile, reader: Reader) -> bool:
    for marker in profile.identify:
        if not marker.fits(await prober.value(marker)):
            return False
    if profile.sunspec is not None:
        try:
            await reader.check()
        except DeviceError:
            return False
    return True


async def _set_wrong(prober: Prober, profile: AnyProfile) -> AsyncIterator[str]:
    """What its profile asks to be set otherwise."""
    for check in profile.checks:
        value = await prober.value(check)
        if value not in check.values:
            yield f"{check.wrong} (found {value})"
