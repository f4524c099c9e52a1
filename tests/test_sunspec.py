"""SunSpec: where a meter's model stands is found, bounded, and found again after it was away."""

import asyncio
import struct
from collections.abc import Callable

import pytest

from controller.clock import MonotonicClock
from drivers.bus import Bus
from drivers.device import (
    BusyError,
    DeviceError,
    IllegalAddressError,
    NoReplyError,
    Rank,
    WrongDeviceError,
)
from drivers.health import Health
from drivers.library import ProfileError, library, parse
from drivers.meterprofile import MeterProfile
from drivers.modbus import TcpLine
from drivers.reader import Reader, Sample
from drivers.silence import Silence
from drivers.sunspec import MODELS_MAX, LostError, Model, SunSpec, walk
from tests.modbus_wire import Asked, Wire, serving
from tests.test_profiles import load

S = 1_000_000_000
METER = library().meter_profile("sunspec_201_204")
WANTED = SunSpec(models=(201, 202, 203, 204), length=105)
COMMON, INVERTER, WYE, FLOATS = (1, 66), (103, 50), (203, 105), (213, 124)


class Device:
    """Registers by address; what is not there is refused."""

    def __init__(self, base: int, *models: tuple[int, int], end: bool = True) -> None:
        self.words: dict[int, int] = {}
        self.asked: list[int] = []
        self.starts: list[int] = []
        self.put(base, 0x5375, 0x6E53)
        at = base + 2
        for number, length in models:
            self.starts.append(at)
            self.put(at, number, length, *[0] * length)
            at += 2 + length
        if end:
            self.put(at, 0xFFFF, 0)

    def put(self, address: int, *words: int) -> None:
        self.words |= {address + i: word for i, word in enumerate(words)}

    async def ask(self, address: int, count: int) -> tuple[int, ...]:
        self.asked.append(address)
        try:
            return tuple(self.words[address + i] for i in range(count))
        except KeyError:
            raise IllegalAddressError("no such register", line="x") from None


def found(device: Device, wanted: SunSpec = WANTED) -> Model:
    return asyncio.run(wanted.find(device.ask))


@pytest.mark.parametrize("base", [40000, 50000, 0])
def test_a_model_is_found_wherever_the_mark_stands(base: int) -> None:
    device = Device(base, COMMON, INVERTER, WYE)
    assert found(device) == Model(203, base + 2 + 68 + 52, 105)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (Device(40000, COMMON, INVERTER), "no SunSpec model 201 or 202 or 203 or 204, but these: "),
        (Device(40000), "but these: none"),
        (Device(40000, COMMON, WYE, INVERTER, WYE), "has several SunSpec meters"),
        (Device(40000, COMMON, (203, 104)), "has 104 registers, not 105"),
        (Device(1000, COMMON, WYE), "no SunSpec mark at 40000, 50000, 0"),
        (Device(40000, COMMON, (0, 0), WYE), "end in nothing, at register 40070"),
        (Device(40000, COMMON, (17, 0), WYE), "end in nothing, at register 40070"),
        (Device(0, *[(17, 1)] * (MODELS_MAX + 1)), f"more than {MODELS_MAX} SunSpec models"),
        (Device(40000, COMMON, (17, 25_463)), "do not end before the last address"),
    ],
)
def test_what_is_no_place_to_read_from(device: Device, words: str) -> None:
    with pytest.raises(LostError, match=words):
        found(device)
    assert len(device.asked) <= MODELS_MAX + 4


def test_a_walk_is_bounded() -> None:
    device = Device(0, *[(17, 1)] * MODELS_MAX)
    assert len(asyncio.run(walk(device.ask))) == MODELS_MAX


def test_a_device_that_does_not_answer_is_no_device_without_a_mark() -> None:
    for error in (NoReplyError("x", line="x"), BusyError("x", line="x")):

        async def silent(_address: int, _count: int, error: DeviceError = error) -> tuple[int, ...]:
            raise error

        with pytest.raises(type(error)):
            asyncio.run(WANTED.find(silent))


# A driver's poll of it.


def wye(device: Device, amperes: int) -> None:
    """A wye meter with that current on each phase, scale factors 0."""
    start = device.starts[-1]
    device.put(start + 2, *[amperes] * 4, 0)
    device.put(start + 7, *[230] * 8, 0, 50, 0)
    device.put(start + 18, 3 * amperes * 230, *[amperes * 230] * 3, 0)
    for factor in (27, 32, 37, 54):
        device.put(start + factor, 0)


class Scene:
    """A meter behind a socket, polled as its driver does."""

    def __init__(self, wire: Wire, line: TcpLine) -> None:
        bus = self.bus = Bus(line, MonotonicClock())
        names = ("current_l1",)
        self.reader = Reader("m", 1, METER, bus, Rank.METER, names)
        self.wire = wire
        self.health = Health("m", MonotonicClock(), S, S)
        self.silence = Silence(MonotonicClock(), 1)
        self.seen: list[int | None] = []

    async def poll(self) -> str | None:
        def take(sample: Sample) -> None:
            self.seen.append(sample.ma("current_l1"))

        await self.reader.poll(self.health, take, self.silence)
        return self.health.now.error


def told(device: Device, story: Callable[[Scene], object]) -> None:
    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        try:
            words = [device.words[asked.address + i] for i in range(asked.count)]
        except KeyError:
            writer.write(asked.refusal(2))
            return
        content = struct.pack(f">{len(words)}H", *words)
        writer.write(asked.frame(bytes((asked.function, len(content))) + content))

    async def whole() -> None:
        async with serving(behave) as wire:
            line = TcpLine("127.0.0.1", wire.port, 5, may_write=False)
            try:
                await story(Scene(wire, line))  # type: ignore[misc]
            finally:
                line.close()

    asyncio.run(whole())


def moved(device: Device, *models: tuple[int, int]) -> None:
    """The device has other models from now on."""
    other = Device(40000, *models)
    device.words, device.starts = other.words, other.starts
    if models[-1] == WYE:
        wye(device, 7)


def test_it_is_found_once_and_then_read_in_one_request() -> None:
    device = Device(40000, COMMON, INVERTER, WYE)
    wye(device, 5)

    async def story(scene: Scene) -> None:
        assert await scene.poll() is None
        before = len(scene.wire.asked)
        assert await scene.poll() is None
        assert [(each.address, each.count) for each in scene.wire.asked[before:]] == [
            (device.starts[-1], 107)
        ]
        assert scene.seen == [5_000, 5_000]

    told(device, story)


def test_a_model_that_moves_is_never_read_from_its_old_place() -> None:
    """Its firmware was renewed between two polls, and it was never offline."""
    device = Device(40000, COMMON, WYE)
    wye(device, 5)

    async def story(scene: Scene) -> None:
        assert await scene.poll() is None
        moved(device, COMMON, INVERTER, WYE)
        error = await scene.poll()
        assert error is not None
        assert scene.seen == [5_000]
        assert await scene.poll() is None
        assert scene.seen == [5_000, 7_000]

    told(device, story)


@pytest.mark.parametrize(("number", "phases"), [(201, 1), (202, 2), (203, 3), (204, 3)])
def test_a_phase_that_its_model_does_not_have_is_unknown_and_not_zero(
    number: int, phases: int
) -> None:
    """One of a single phase may fill the others' places with 0, and no sentinel."""
    device = Device(40000, COMMON, (number, 105))
    wye(device, 5)
    start = device.starts[-1]
    for missing in range(phases, 3):
        device.put(start + 3 + missing, 0)
        device.put(start + 19 + missing, 0)

    async def story(scene: Scene) -> None:
        everything = Reader("m", 1, METER, scene.bus, Rank.METER)
        values = (await everything.read()).values
        for what, there in (("current", 5_000), ("power", 1_150_000), ("voltage", 230_000)):
            found = [values[f"{what}_l{n}"] for n in (1, 2, 3)]
            assert found == [there] * phases + [None] * (3 - phases)
        assert values["current_total"] == 5_000

    told(device, story)


def test_its_place_is_proved_again_after_it_was_offline() -> None:
    device = Device(40000, COMMON, WYE)
    wye(device, 5)

    async def story(scene: Scene) -> None:
        assert await scene.poll() is None
        there, device.words = device.words, {}
        for _ in range(3):
            assert await scene.poll() is not None
        assert not scene.health.now.online
        device.words = there
        before = len(scene.wire.asked)
        assert await scene.poll() is None
        assert [each.address for each in scene.wire.asked[before:]][:2] == [40000, 40002]

    told(device, story)


def test_a_model_that_is_gone_is_said() -> None:
    device = Device(40000, COMMON, WYE)
    wye(device, 5)

    async def story(scene: Scene) -> None:
        assert await scene.poll() is None
        moved(device, COMMON, FLOATS)
        error = await scene.poll()
        assert error is not None
        error = await scene.poll()
        assert error is not None
        assert "no SunSpec model 201 or 202 or 203 or 204, but these: 1, 213" in error
        assert scene.seen == [5_000]

    told(device, story)


def test_without_its_place_nothing_is_read() -> None:
    async def story(scene: Scene) -> None:
        with pytest.raises(WrongDeviceError, match="no SunSpec mark"):
            await scene.reader.read()
        assert {each.count for each in scene.wire.asked} == {2}

    told(Device(1000, COMMON, WYE), story)


@pytest.mark.parametrize(
    ("dotted", "value", "words"),
    [
        (("registers", "model", "addr"), 2, "registers.model: must be the uint16 0 of a model"),
        (("registers", "length", "type"), "int16", "registers.length: must be the uint16 1"),
        (("sunspec", "length"), 104, "block[0]: ends behind the model"),
        (("sunspec", "models"), [], "sunspec.models"),
        (("sunspec", "models"), [203, 203], "names a model twice"),
    ],
)
def test_a_profile_that_could_not_be_proved_is_refused(
    dotted: tuple[str, ...], value: object, words: str
) -> None:
    data = load("sunspec_201_204")
    place = data
    for key in dotted[:-1]:
        place = place[key]
    place[dotted[-1]] = value
    with pytest.raises(ProfileError, match=words.replace("[", r"\[")):
        parse(data, "it")


def test_both_profiles_are_there() -> None:
    profiles = [library().find(name) for name in ("sunspec_201_204", "sunspec_211_214")]
    assert all(isinstance(each, MeterProfile) and each.sunspec for each in profiles)
