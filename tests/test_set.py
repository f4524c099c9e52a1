"""`loadkeeper set`: a charger is tried, and has back what it had, whatever comes between."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket as unix
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT
from controller.__main__ import main
from controller.clock import MonotonicClock
from controller.units import NS_PER_S
from drivers.library import library
from hil.devices.alfen import Alfen as Simulated
from tests.aside import aside
from tests.driven import Alfen, Devices
from tests.linked import free_port, world
from tests.modbus_wire import Asked
from tests.patience import wait_for
from tests.serial_wire import Heard, SerialWire, plugged
from tests.test_read import EM24, answer, device

SETTLE_S = 0.3
HOLDING = 2 + 1 + 2 + 1  # requests: a look of two blocks, the write, a look, another begun
NOBODY = "tcp://127.0.0.1:1"


@pytest.fixture
def alfen(tmp_path: Path) -> str:
    """Its profile, with a settle time for the impatient."""
    text = library().names()["alfen_eve"].read_text()
    profile = tmp_path / "alfen.toml"
    profile.write_text(text.replace("settle_s = 6", f"settle_s = {SETTLE_S}"))
    return str(profile)


@pytest.fixture
def loadkeeper(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Sets, where no enforcer runs."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["set", "--runtime", str(tmp_path), *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


Command = Callable[..., tuple[int, str, str]]


class Socket:
    """The rig's Alfen with a car that charges; its plant lives in real time."""

    def __init__(self) -> None:
        row = PlantCharger(0, (0, 1, 2), 32_000, 6_000, 6_000, 60 * NS_PER_S)
        self.plant = Plant([ROOT], [row], nominal_mv=230_000, seed=1)
        self.device = Simulated(self.plant, 0, row, self.present)
        self.server = self.device.serve()
        self.present()
        self.plant.plug(0, Car(16_000, 3, NS_PER_S // 20, energy_wh=60_000, taper_wh=0))

    def present(self) -> int:
        now_ns = MonotonicClock().now_ns()
        self.plant.advance(now_ns)
        return now_ns

    @asynccontextmanager
    async def _served(self) -> AsyncIterator[str]:
        await self.server.open()
        yield self.server.url
        await self.server.close()

    def serving(self) -> AbstractContextManager[str]:
        """Yields its URL."""
        return aside(self._served())


@contextmanager
def on_a_serial_line(folder: Path, registers: dict[int, int]) -> Iterator[str]:
    """A charger that takes every write; yields its line's URL."""

    async def behave(heard: Heard, wire: SerialWire) -> None:
        if heard.function == 6:
            registers[heard.address] = heard.count  # the value stands there
            wire.send(heard.reply())
            return
        wanted = range(heard.address, heard.address + heard.count)
        content = b"".join(registers[each].to_bytes(2, "big") for each in wanted)
        wire.send(heard.frame(bytes((heard.function, len(content))) + content))

    with aside(plugged(str(folder), behave)) as wire:
        yield f"rtu://{wire.port}?baud=19200&parity=N&stop=1"


def refusing(function: int, code: int, times: int = 10**6) -> Callable[[Asked], int]:
    """Refuses so many requests with this function."""
    left = [times]

    def refuse(asked: Asked) -> int:
        if asked.function != function or not left[0]:
            return 0
        left[0] -= 1
        return code

    return refuse


# --- as it should be ---------------------------------------------------------------------------


def test_a_socket_takes_it_and_has_back_what_it_had(loadkeeper: Command) -> None:
    socket = Socket()
    with socket.serving() as url:
        status, out, err = loadkeeper("alfen_eve", url, "10", "--hold", "1")
    lines = [line.split() for line in out.splitlines()]
    assert status == 0, err
    assert ["before", "at", "10", "restored"] in lines
    assert ["in_force", "6.0", "10.0", "6.0", "A"] in lines
    assert any(line[:1] == ["current_l3"] and line[2] == "10.0" for line in lines)
    assert "it took 10 A" in out
    assert "6 A is in force again" in out
    assert socket.device.setpoint_a == 6.0
    assert socket.device.writes == 2


def test_the_answer_as_json(loadkeeper: Command, alfen: str) -> None:
    shown = Alfen(setpoint=16.0, applied=16.0, valid_s=40)
    with device(Devices({2: shown})) as url:
        status, out, err = loadkeeper(alfen, url, "0", "--unit", "2", "--hold", "0", "--json")
    found = answer(out)
    assert status == 0
    assert (found["written"], found["taken"], found["restored"]) == (True, True, True)
    assert found["before"]["in_force"] == {"value": 16.0, "unit": "A"}
    assert found["after"]["in_force"] == {"value": 0.0, "unit": "A"}
    assert found["now"]["in_force"] == {"value": 16.0, "unit": "A"}
    assert found["before"]["valid_for"] == {"value": 40.0, "unit": "s"}
    assert shown.written == [0.0, 16.0]
    assert "somebody has written a setpoint lately" in err


def test_a_setpoint_that_had_run_out_is_not_put_back(loadkeeper: Command, alfen: str) -> None:
    """Its register says 32 A, in force is the fallback."""
    shown = Alfen(setpoint=32.0, applied=6.0, valid_s=0, safe=6.0)
    with device(Devices({1: shown})) as url:
        assert loadkeeper(alfen, url, "10", "--hold", "0")[0] == 0
    assert shown.written == [10.0, 6.0]


@pytest.mark.parametrize(("fallback", "before_a", "restored_a"), [(80, 8.0, 6.0), (0, 6.0, 0.0)])
def test_one_that_does_not_tell_whether_it_fell_back_has_back_the_lower(
    loadkeeper: Command, tmp_path: Path, fallback: int, before_a: float, restored_a: float
) -> None:
    """Over a serial line, with any request to feed the watchdog."""
    registers = dict.fromkeys(range(4, 15), 0) | {5: 7, 257: 15_000, 258: 4, 259: 1, 261: 60}
    registers[262] = fallback
    with on_a_serial_line(tmp_path, registers) as url:
        arguments = ("heidelberg_energy_control", url, "10", "--hold", "0", "--json")
        status, out, err = loadkeeper(*arguments)
    found = answer(out)
    assert status == 0, err
    in_force = [found[name]["in_force"]["value"] for name in ("before", "after", "now")]
    assert in_force == [before_a, 10.0, restored_a]
    assert registers[261] == restored_a * 10


def test_a_long_hold_feeds_the_watchdog(loadkeeper: Command, alfen: str) -> None:
    class Short(Alfen):
        def content(self, asked: Asked) -> bytes | None:
            found = super().content(asked)
            self.valid_s = min(self.valid_s, 2)
            return found

    shown = Short()
    with device(Devices({1: shown})) as url:
        assert loadkeeper(alfen, url, "10", "--hold", "1.8")[0] == 0
    assert shown.written[0] == 10.0
    assert shown.written[1:-1] == [10.0] * (len(shown.written) - 2) != []
    assert shown.written[-1] == 6.0


def test_a_busy_charger_is_asked_again(loadkeeper: Command, alfen: str) -> None:
    shown = Alfen()
    devices = Devices({1: shown})
    devices.refuse = refusing(16, code=6, times=2)
    with device(devices) as url:
        assert loadkeeper(alfen, url, "10", "--hold", "0")[0] == 0
    assert shown.written == [10.0, 6.0]


def test_without_a_vehicle_what_it_applies_is_said(loadkeeper: Command, alfen: str) -> None:
    class Waiting(Alfen):
        def content(self, asked: Asked) -> bytes | None:
            found = super().content(asked)
            self.applied = 0.0
            return found

    with device(Devices({1: Waiting(applied=0.0, state="A")})) as url:
        status, out, _ = loadkeeper(alfen, url, "10", "--hold", "0")
    assert status == 0
    assert "it took 10 A; it applies 0 A while no vehicle charges" in out


# --- a charger that does not ---------------------------------------------------------------------


def test_a_charger_that_does_not_obey_is_a_no(loadkeeper: Command, alfen: str) -> None:
    shown = Alfen(setpoint=16.0, applied=16.0, valid_s=40, obeys=False)
    with device(Devices({1: shown})) as url:
        status, out, err = loadkeeper(alfen, url, "10")
    assert status == 1
    assert "10 A was written, but 16 A is in force" in err
    assert "it took" not in out
    assert "16 A is in force again" in out


def test_a_charger_with_a_limit_of_its_own_is_a_no(loadkeeper: Command, alfen: str) -> None:
    class Limited(Alfen):
        def content(self, asked: Asked) -> bytes | None:
            found = super().content(asked)
            self.applied = min(self.setpoint, 8.0)
            return found

    shown = Limited()
    with device(Devices({1: shown})) as url:
        status, _, err = loadkeeper(alfen, url, "10")
    assert status == 1
    assert "is offered 8 A: does the charger have a limit of its own?" in err
    assert shown.written == [10.0, 6.0]


def test_a_charger_that_clamps_has_back_what_it_had(loadkeeper: Command, alfen: str) -> None:
    class Clamping(Alfen):
        def content(self, asked: Asked) -> bytes | None:
            found = super().content(asked)
            self.setpoint = self.applied = min(self.setpoint, 13.0)
            return found

    shown = Clamping()
    with device(Devices({1: shown})) as url:
        status, _, err = loadkeeper(alfen, url, "16")
    assert status == 1
    assert "16 A was written, but 13 A is in force" in err
    assert shown.setpoint == 6.0


def test_a_charger_that_takes_no_writes_needs_no_restore(loadkeeper: Command, alfen: str) -> None:
    """As without the licence option that lets others set its current."""
    devices = Devices({1: Alfen()})
    devices.refuse = refusing(16, code=2)
    with device(devices) as url:
        status, out, err = loadkeeper(alfen, url, "10", "--json")
    assert status == 1
    assert "exception 2" in err
    assert "NOT RESTORED" not in err
    assert (answer(out)["written"], answer(out)["restored"]) == (False, None)


def test_a_write_that_failed_inside_may_have_arrived(loadkeeper: Command, alfen: str) -> None:
    shown = Alfen()
    devices = Devices({1: shown})
    devices.refuse = refusing(16, code=4, times=1)
    with device(devices) as url:
        status, out, _ = loadkeeper(alfen, url, "10", "--json")
    assert status == 1
    assert (answer(out)["taken"], answer(out)["restored"]) == (False, True)
    assert shown.written == [6.0]


def test_what_is_not_known_is_not_touched(loadkeeper: Command, alfen: str) -> None:
    shown = Alfen(applied=None)
    with device(Devices({1: shown})) as url:
        status, out, err = loadkeeper(alfen, url, "10", "--json")
    assert status == 1
    assert "does not say what current is in force" in err
    assert answer(out)["written"] is False
    assert answer(out)["restored"] is None
    assert shown.written == []


def test_nobody_there_is_a_no(loadkeeper: Command) -> None:
    status, out, err = loadkeeper("alfen_eve", NOBODY, "10", "--json")
    assert status == 1
    assert "connection refused" in err
    assert answer(out)["before"] is None


# --- what comes between --------------------------------------------------------------------------


def test_a_lost_reply_to_the_write_is_followed_by_a_restore(
    loadkeeper: Command, alfen: str
) -> None:
    """The charger has it, and we do not know."""
    shown = Alfen()
    devices = Devices({1: shown})
    lost: list[bytes | None] = []

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.function == 16 and not lost:
            lost.append(shown.content(asked))
            return
        await devices(asked, writer)

    with device(behave) as url:
        status, _, err = loadkeeper(alfen, url, "10", "--timeout", "0.2")
    assert status == 1
    assert "no answer within 0.2 s" in err
    assert "NOT RESTORED" not in err
    assert shown.written == [10.0, 6.0]


@pytest.mark.parametrize("missed", [1, 3])
def test_a_silence_while_it_is_held_is_followed_by_a_restore(
    loadkeeper: Command, alfen: str, missed: int
) -> None:
    shown = Alfen()
    devices = Devices({1: shown})
    left = [missed]

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if len(shown.written) == 1 and left[0] and asked.function == 3 and held.is_set():
            left[0] -= 1
            writer.transport.abort()
            return
        if shown.written and asked.address == 1200:
            held.set()
        await devices(asked, writer)

    held = threading.Event()
    with device(behave) as url:
        status, _, err = loadkeeper(alfen, url, "10", "--timeout", "0.3")
    assert status == 1
    assert "closed the connection" in err
    assert "NOT RESTORED" not in err
    assert shown.written == [10.0, 6.0]


def test_what_cannot_be_restored_is_said_with_what_follows(
    loadkeeper: Command, alfen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.trial.RESTORE_PAUSE_S", 0.01)
    shown = Alfen()
    devices = Devices({1: shown})
    devices.refuse = lambda asked: 4 if asked.function == 16 and shown.written else 0
    with device(devices) as url:
        status, out, err = loadkeeper(alfen, url, "10", "--hold", "0", "--json")
    assert status == 1
    assert "NOT RESTORED" in err
    assert "runs out without a write (60 s, it shows), then 6 A is in force" in err
    assert (answer(out)["taken"], answer(out)["restored"]) == (True, False)


def test_a_charger_without_a_watchdog_keeps_what_it_was_told(
    loadkeeper: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.trial.RESTORE_PAUSE_S", 0.01)
    text = library().names()["alfen_eve"].read_text()
    before, _, _ = text.partition("[watchdog]")
    plain = tmp_path / "plain.toml"
    plain.write_text(before + '[watchdog]\nkind = "none"\n')
    shown = Alfen()
    devices = Devices({1: shown})
    devices.refuse = lambda asked: 4 if asked.function == 16 and shown.written else 0
    with device(devices) as url:
        _, _, err = loadkeeper(str(plain), url, "10", "--hold", "0")
    assert "it keeps what was written last" in err


def test_what_somebody_else_has_written_is_left_alone(loadkeeper: Command, alfen: str) -> None:
    """An enforcer elsewhere has shed: to restore would raise it again."""

    class Contested(Alfen):
        def content(self, asked: Asked) -> bytes | None:
            found = super().content(asked)
            if self.written and asked.address == 1200:
                self.setpoint = self.applied = 7.0
            return found

    shown = Contested(setpoint=32.0, applied=32.0, valid_s=50)
    with device(Devices({1: shown})) as url:
        status, out, err = loadkeeper(alfen, url, "16", "--json")
    assert status == 1
    assert "somebody else has written 7 A" in err
    assert "nothing was restored" in err
    assert shown.written == [16.0]
    assert answer(out)["restored"] is False


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_hold_and_restores(name: signal.Signals, tmp_path: Path) -> None:
    socket = Socket()
    with socket.serving() as url:
        process = started(tmp_path, url, "--hold", "60", "--json")
        try:
            wait_for(lambda: socket.server.requests >= HOLDING)
            process.send_signal(name)
            out, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    found = json.loads(out.splitlines()[-1])
    assert process.returncode == 0
    assert (found["taken"], found["ended_early"], found["restored"]) == (True, True, True)
    assert found["after"]["in_force"]["value"] == 10.0
    assert (socket.device.setpoint_a, socket.device.writes) == (6.0, 2)


def test_a_second_ctrl_c_does_not_end_the_restore(tmp_path: Path) -> None:
    shown = Alfen()
    devices = Devices({1: shown})
    slow = threading.Event()

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if slow.is_set():
            await asyncio.sleep(0.3)
        await devices(asked, writer)

    with device(behave) as url:
        process = started(tmp_path, url, "--hold", "60")
        try:
            wait_for(lambda: shown.written)
            slow.set()
            process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.1)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
        finally:
            process.kill()
    assert shown.written == [10.0, 6.0]


def started(tmp_path: Path, url: str, *options: str) -> subprocess.Popen[str]:
    words = ["set", "alfen_eve", url, "10", "--runtime", str(tmp_path), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "controller", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )


# --- where it is refused -------------------------------------------------------------------------


def test_beside_an_enforcer_it_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    async def whole() -> int:
        async with world(free_port(), "enforcer") as made:
            await made.report()
            runtime = str(made.places.runtime)
            words = ["set", "alfen_eve", NOBODY, "10", "--runtime", runtime, "--json"]
            return await asyncio.to_thread(main, words)

    assert asyncio.run(asyncio.wait_for(whole(), 40)) == 1
    captured = capsys.readouterr()
    assert "refused: an enforcer controls test from here: stop it first" in captured.err
    assert answer(captured.out)["written"] is False


def test_a_socket_that_nobody_serves_any_more_is_no_enforcer(
    loadkeeper: Command, alfen: str, tmp_path: Path
) -> None:
    with unix.socket(unix.AF_UNIX) as left:
        left.bind(str(tmp_path / "enforcer.sock"))
    with device(Devices({1: Alfen()})) as url:
        assert loadkeeper(alfen, url, "10", "--hold", "0")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((EM24, NOBODY, "10"), "is the profile of a meter: only a charger takes a setpoint"),
        (("alfen_eve", NOBODY, "5.9"), "must be 0, which pauses the charger, or 6 to 80 A"),
        (("alfen_eve", NOBODY, "-6"), "must be 0, which pauses the charger, or 6 to 80 A"),
        (("alfen_eve", NOBODY, "80.1"), "6 to 80 A"),
        (("alfen_eve", NOBODY, "6.05"), "in steps of 0.1 A"),
        (("alfen_eve", NOBODY, "nan"), "a number of amperes"),
        (("alfen_eve", NOBODY, "1e999"), "a number of amperes"),
        (("alfen_eve", NOBODY, "16A"), "a number of amperes"),
        (("alfen_eve", NOBODY, "10", "--hold", "601"), "from 0 to 600"),
        (("alfen_eve", NOBODY, "10", "--hold", "-1"), "from 0 to 600"),
        (("alfen_eve", "127.0.0.1", "10"), "BUS must look like tcp://"),
        (("alfen", NOBODY, "10"), "did you mean alfen_eve"),
        (("alfen_eve", NOBODY), "AMPS"),
    ],
)
def test_wrong_use_ends_with_2(loadkeeper: Command, arguments: tuple[str, ...], words: str) -> None:
    status, _, err = loadkeeper(*arguments)
    assert status == 2
    assert words in err


def test_help_says_that_no_enforcer_may_run(loadkeeper: Command) -> None:
    status, out, _ = loadkeeper("--help")
    assert status == 0
    assert "No enforcer may control this charger meanwhile" in " ".join(out.split())
