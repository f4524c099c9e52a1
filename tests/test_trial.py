"""A setpoint tried by hand: what feeds the charger meanwhile, and what its memory bears."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.__main__ import main
from controller.clock import MonotonicClock
from controller.places import state_to_count
from drivers.bus import Bus
from drivers.chargerparts import Endurance
from drivers.chargerprofile import ChargerProfile
from drivers.device import DeviceError
from drivers.library import library
from drivers.memory import Memory
from drivers.modbus import TcpLine
from drivers.trial import Trial
from drivers.variation import vary
from drivers.wear import Wear
from tests.driven import charger
from tests.modbus_wire import Asked, serving
from tests.test_any_traffic import Heidelberg
from tests.test_charger_format import COIL, LIFE, made
from tests.test_fed_chargers import COIL_ADDR, LIFE_BIT, SETPOINT, TIMEOUT, Box
from tests.test_read import device
from tests.test_telling import REWRITES

LINE = "tcp://192.0.2.1:502"


def tried(
    profile: ChargerProfile,
    box: Box,
    story: Callable[[Trial], Awaitable[None]],
    memory: Memory | None = None,
) -> None:
    profile = profile.model_copy(update={"settle_ns": 0})

    async def whole() -> None:
        async with serving(box) as wire:
            bus = Bus(TcpLine("127.0.0.1", wire.port, 1, may_write=True), MonotonicClock())
            await story(Trial(1, profile, bus, 10_000, memory))
            bus.close()

    asyncio.run(whole())


def setpoint_a(box: Box, amperes: int) -> Box:
    box.words[SETPOINT] = amperes
    return box


async def held(trial: Trial) -> None:
    await trial.look()
    await trial.write()
    await trial.hold(1.2)


def test_while_it_is_held_it_is_fed_as_often_as_its_profile_says() -> None:
    """Not each third of its watchdog's time, nor with its setpoint each time."""
    box = setpoint_a(Box(), 6)
    tried(made(watchdog=LIFE | {"feed_every_s": 0.5}), box, held)
    assert box.of(SETPOINT) == [(SETPOINT, 10)]
    assert len(box.of(LIFE_BIT)) >= 3  # once with its setpoint, then each time that it is read


def test_one_whose_time_nobody_knows_is_fed_all_the_same() -> None:
    """By its profile it is off as delivered; whoever feeds it may have armed it."""
    box, told = setpoint_a(Box(), 6), list[str]()

    async def story(trial: Trial) -> None:
        await trial.look()
        told.append(trial.alone())
        await held(trial)
        told.append(trial.alone())

    tried(made(watchdog=LIFE | {"timeout_s": 0, "feed_every_s": 0.5}), box, story)
    assert len(box.of(LIFE_BIT)) >= 3
    assert told[0].startswith("its watchdog is off, says its profile: it keeps")
    assert told[1].startswith("its watchdog runs out without what feeds it (when, neither it nor")


def test_what_it_was_set_to_is_not_changed_by_what_feeds_it() -> None:
    box = setpoint_a(Box(), 6)
    box.words[TIMEOUT] = 90
    profile = made(watchdog=REWRITES | {"timeout": "timeout", "fallback": "fallback"})
    tried(profile, box, held)
    assert box.of(TIMEOUT) == [(TIMEOUT, 90)]


def test_one_that_shows_that_it_is_off_is_not_switched_on() -> None:
    box = setpoint_a(Box(), 6)
    box.words[LIFE_BIT] = 2
    tried(made(watchdog=LIFE | {"feed_off": [2], "feed_every_s": 0.5}), box, held)
    assert box.of(LIFE_BIT) == []


ENABLED = made(setpoint={"zero": "refused"}, enable=COIL)
BY_TIME = made(watchdog=REWRITES | {"timeout": "timeout", "fallback": "fallback"})
BY_BIT = made(watchdog=LIFE | {"feed_every_s": 0.5})


@pytest.mark.parametrize("exception", [2, 3, 4])
@pytest.mark.parametrize(
    ("profile", "refused"),
    [(ENABLED, COIL_ADDR), (BY_TIME, TIMEOUT), (BY_BIT, LIFE_BIT)],
    ids=["enable", "time", "life bit"],
)
def test_what_it_took_of_an_order_that_it_refused_is_put_back(
    profile: ChargerProfile, refused: int, exception: int
) -> None:
    """Its setpoint stands already when the second write, or what feeds it, is refused."""
    box = setpoint_a(Box(refuses={refused}, exception=exception), 6)
    box.coils[COIL_ADDR] = 1

    async def story(trial: Trial) -> None:
        await trial.look()
        with pytest.raises(DeviceError, match=r"exception"):
            await trial.write()
        assert trial.written
        await trial.restore()
        assert trial.restored is not None

    tried(profile, box, story)
    assert box.of(SETPOINT) == [(SETPOINT, 10), (SETPOINT, 6)]


def test_what_puts_it_back_is_not_said_to_have_worked_where_it_did_not() -> None:
    box = setpoint_a(Box(refuses={LIFE_BIT}, exception=2), 6)

    async def story(trial: Trial) -> None:
        await trial.look()
        with pytest.raises(DeviceError, match="register 10"):
            await trial.write()
        box.refuses |= {SETPOINT}
        with pytest.raises(DeviceError, match="register 3"):
            await trial.restore()
        assert trial.restored is None

    tried(BY_BIT, box, story)
    assert box.words[SETPOINT] == 10


def test_an_illegal_setpoint_is_no_write() -> None:
    box = setpoint_a(Box(refuses={SETPOINT}, exception=2), 6)

    async def story(trial: Trial) -> None:
        await trial.look()
        with pytest.raises(DeviceError, match="exception 2"):
            await trial.write()
        assert not trial.written
        await trial.restore()

    tried(ENABLED, box, story)
    assert len(box.refused) == 1


def budget(a_day: int) -> tuple[ChargerProfile, Memory]:
    endurance = Endurance(registers=("setpoint",), writes_a_day=a_day, writes=100)
    profile = made().model_copy(update={"endurance": endurance})
    return profile, Memory(Wear(MonotonicClock().now_ns), LINE, 1, profile)


def test_what_is_written_by_hand_is_counted_and_so_is_what_puts_it_back() -> None:
    profile, memory = budget(20)

    async def story(trial: Trial) -> None:
        await trial.look()
        await trial.write()
        await trial.restore()

    box = setpoint_a(Box(), 6)
    tried(profile, box, story, memory)
    assert box.of(SETPOINT) == [(SETPOINT, 10), (SETPOINT, 6)]
    assert memory.written("setpoint") == 2


def test_a_write_that_was_not_acknowledged_is_counted_too() -> None:
    profile, memory = budget(20)

    async def story(trial: Trial) -> None:
        await trial.look()
        with pytest.raises(DeviceError):
            await trial.write()

    tried(profile, setpoint_a(Box(refuses={SETPOINT}), 6), story, memory)
    assert memory.written("setpoint") == 1


@pytest.mark.parametrize(
    ("answers", "sent", "counted"),
    [((11, 11, 0), 3, 3), ((11, 11, 3), 3, 2), ((6, 0), 2, 2), ((11,) * 3, 3, 3), ((2,), 1, 0)],
    ids=str,
)
def test_each_attempt_is_counted(answers: tuple[int, ...], sent: int, counted: int) -> None:
    """A unit that its gateway did not hear in time has taken it, perhaps."""
    profile, memory = budget(20)
    left = list(answers)

    class Gateway(Box):
        async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
            if asked.function == 6 and left and (exception := left.pop(0)):
                self.refused.append((0.0, asked.address, asked.count))
                writer.write(asked.refusal(exception))
                return
            await super().__call__(asked, writer)

    async def story(trial: Trial) -> None:
        await trial.look()
        with suppress(DeviceError):
            await trial.write()

    box = Gateway()
    tried(profile, setpoint_a(box, 6), story, memory)
    assert len(box.refused) + len(box.written) == sent
    assert memory.written("setpoint") == counted


def test_a_memory_that_is_worn_out_is_not_tried_and_what_was_tried_is_put_back() -> None:
    profile, memory = budget(1)

    async def story(trial: Trial) -> None:
        await trial.look()
        await trial.write()
        await trial.restore()
        again = Trial(1, profile, trial._bus, 12_000, memory)
        await again.look()
        with pytest.raises(DeviceError, match="setpoint was written 2 times, 1 within this day"):
            await again.write()
        assert not again.written

    box = setpoint_a(Box(), 6)
    tried(profile, box, story, memory)
    assert box.of(SETPOINT) == [(SETPOINT, 10), (SETPOINT, 6)]


def test_each_step_of_identify_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.variation.CODE", (False, True, True, False, True))
    monkeypatch.setattr("drivers.variation.WINDOW_S", 0.02)
    profile, memory = budget(20)
    profile = profile.model_copy(update={"settle_ns": 0})
    its = replace(charger(502, profile=profile.name, facts=profile.facts), settle_ns=0)
    site: Any = SimpleNamespace(source_ids=(), meters=(), clamps=())
    box = setpoint_a(Box(), 10)

    async def whole() -> None:
        async with serving(box) as wire:
            bus = Bus(TcpLine("127.0.0.1", wire.port, 1, may_write=True), MonotonicClock())
            watch: Any = SimpleNamespace(bus=bus)
            await vary(
                *(its, profile, watch, site, 6_000, lambda course: True, lambda: None, print),
                memory,
            )
            bus.close()

    asyncio.run(whole())
    assert box.of(SETPOINT) == [(SETPOINT, 6), (SETPOINT, 10), (SETPOINT, 6), (SETPOINT, 10)]
    assert memory.written("setpoint") == 4


# --- the command -------------------------------------------------------------------------------


@pytest.fixture
def amperfied(tmp_path: Path) -> str:
    """One whose setpoint wears its memory out, twice a day."""
    text = library().names()["amperfied_connect"].read_text()
    text = text.replace('"standby"]\nwrites_a_day = 20', '"standby", "setpoint"]\nwrites_a_day = 2')
    text = text.replace("settle_s = 20", "settle_s = 1")
    profile = tmp_path / "amperfied.toml"
    profile.write_text(text)
    return str(profile)


def test_the_command_counts_where_the_enforcer_does(
    amperfied: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, state = Heidelberg(), tmp_path / "state"
    words = ["set", "--runtime", str(tmp_path), "--state", str(state), amperfied]
    with device(shown) as url:
        first = main([*words, url, "10", "--hold", "0"])
        assert [value for addr, value in shown.written if addr == 261] == [100, 60]
        second = main([*words, url, "10", "--hold", "0"])
    assert (first, second) == (0, 1), capsys.readouterr().err
    assert "setpoint was written 2 times, 2 within this day" in capsys.readouterr().err
    assert len(shown.written) == 2
    wear = Wear(MonotonicClock().now_ns, state / "wear.json")
    assert wear.written(f"{url} unit 255", "261") == 2


@pytest.mark.skipif(os.getuid() != 0, reason="NEEDS ROOT: gives the file to another user")
def test_the_enforcers_user_can_read_what_root_has_counted(amperfied: str, tmp_path: Path) -> None:
    shown, state = Heidelberg(), tmp_path / "state"
    state.mkdir()
    os.chown(state, 65534, 65534)
    with device(shown) as url:
        words = ["set", "--runtime", str(tmp_path), "--state", str(state), amperfied]
        assert main([*words, url, "10", "--hold", "0"]) == 0
    found = (state / "wear.json").stat()
    assert (found.st_uid, found.st_gid) == (65534, 65534)


def test_what_nobody_could_count_is_not_written(
    amperfied: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, state = Heidelberg(), tmp_path / "state"
    state.write_text("a file, and no directory")
    with device(shown) as url:
        words = ["set", "--runtime", str(tmp_path), "--state", str(state), amperfied, url, "10"]
        assert main(words) == 1
    assert shown.written == []
    assert "wear this charger's memory out" in capsys.readouterr().err


@pytest.mark.parametrize("worn", [True, False])
def test_beside_an_enforcer_that_observes_nothing_is_written_that_it_counts(
    worn: bool,
    amperfied: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It has read the counts already, and goes on with them once it controls."""

    async def status(socket: Path) -> Any:
        return SimpleNamespace(mode="observe", site="depot")

    monkeypatch.setattr("controller.commands.gateway.ask_status", status)
    profile, shown = amperfied, Heidelberg()
    if not worn:
        Path(profile).write_text(Path(profile).read_text().replace(', "setpoint"]', "]"))
    with device(shown) as url:
        words = ["--runtime", str(tmp_path), "--state", str(tmp_path), profile, url, "10"]
        assert main(["set", *words, "--hold", "0"]) == int(worn)
    assert bool(shown.written) is not worn
    assert ("observes depot from here" in capsys.readouterr().err) is worn


def test_where_an_enforcer_is_installed_its_count_is_the_one(tmp_path: Path) -> None:
    own, installed = tmp_path / "own", tmp_path / "installed"
    environ = {"XDG_STATE_HOME": str(own)}
    assert state_to_count(None, environ, installed) == own / "loadkeeper"
    installed.mkdir()
    assert state_to_count(None, environ, installed) == installed
    assert state_to_count(tmp_path, environ, installed) == tmp_path
    assert state_to_count(None, {"STATE_DIRECTORY": str(own)}, installed) == own
