"""The rig's board: pins over a socket to relays that really cut, and contacts that really close."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from controller.document.contacts import Feedback
from controller.document.gpio import Contactor, Gpio, HealthRelay
from controller.document.inputs import DimInput, Step
from hil.devices.pdu import Manner
from hil.faults.process import die_with_parent
from hil.supply import Supplies
from hil.wiring import FACTORY, MOVES_S, Board, Switchgear, plug_in
from tests.patience import until

ROOT = Path(__file__).parents[1]
MIRROR = Feedback(27, normally_closed=True)
OWN = Contactor("own", "", 17, True, True, None, ("a1",), MIRROR, 1)
GROUP = Contactor("group", "", 18, True, True, "row", ("a1", "a2"), None, 1)
RELAY = HealthRelay("health", "", 22, "row", ("b1",), 4_000_000_000)
DIM = DimInput("dim", "", "dso", (Step(23, (16_000,) * 3),), True, 1)
GPIO = Gpio("lgpio", (OWN, GROUP), (RELAY,), (DIM,))

GATEWAY = """\
import sys
from drivers.pins import pins_of
pins = pins_of({factory!r})
outputs = {{pin: pins.output("test", pin, rest=False) for pin in (17, 18, 22)}}
inputs = {{pin: pins.input("test", pin) for pin in (23, 27)}}
print("up", flush=True)
for line in sys.stdin:
    word, pin, *rest = line.split()
    if word == "write":
        outputs[int(pin)].write(rest[0] == "1")
        print("written", flush=True)
    else:
        print(int(inputs[int(pin)].high()), flush=True)
"""


class Gateway:
    """A process that holds the pins through gpiozero's entry point, as the enforcer does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def write(self, pin: int, high: bool) -> None:
        assert await self._ask(f"write {pin} {int(high)}") == "written"

    async def high(self, pin: int) -> bool:
        return await self._ask(f"read {pin}") == "1"

    async def _ask(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write((line + "\n").encode())
        return await self.answer()

    async def answer(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), 20)).decode().strip()


@asynccontextmanager
async def gateway(board: Board, directory: Path) -> AsyncIterator[Gateway]:
    paths = (str(ROOT), str(plug_in(directory)), os.environ.get("PYTHONPATH", ""))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        GATEWAY.format(factory=FACTORY),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **board.environment, "PYTHONPATH": os.pathsep.join(paths)},
        preexec_fn=die_with_parent,
    )
    made = Gateway(process)
    try:
        assert await made.answer() == "up"
        yield made
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def test_pins_reach_the_board_and_contacts_the_gateway(tmp_path: Path) -> None:
    async def story() -> None:
        board = Board(tmp_path / "pins.sock")
        board.pull(23, high=False)
        await board.open()
        async with gateway(board, tmp_path) as far:
            assert board.attended
            assert board.driven == {17: False, 18: False, 22: False}
            await far.write(17, True)
            await until(lambda: board.level(17))
            assert not await far.high(23)  # told before it was ready
            assert await far.high(27)  # nobody told: pulled up
            board.pull(27, high=False)
            for _ in range(200):
                if not await far.high(27):
                    break
            assert not await far.high(27)
            os.kill(far.process.pid, signal.SIGSTOP)
            await asyncio.sleep(0.1)
            assert board.level(17)  # a process that stands still lets nothing go
            os.kill(far.process.pid, signal.SIGKILL)
            await until(lambda: not board.attended)
        assert board.driven == {}
        async with gateway(board, tmp_path):  # the next one
            assert board.attended
        await board.close()

    asyncio.run(story())


def gear() -> tuple[Switchgear, Board]:
    board = Board(Path("nowhere"))
    return Switchgear(GPIO, board), board


def test_a_contactor_follows_its_coil_and_a_welded_one_does_not() -> None:
    switchgear, board = gear()
    assert switchgear.look(0) == {}
    assert switchgear.supplied == {"a1": False, "a2": False, "b1": False}
    board.driven |= {17: True, 18: True}
    assert switchgear.look(1) == {}
    assert switchgear.look(1 + MOVES_S) == {"a1": True, "a2": True}
    switchgear.weld("own")
    board.driven.clear()
    switchgear.look(2)
    assert switchgear.look(2 + MOVES_S) == {"a1": False, "a2": False}  # by the group's
    board.driven |= {18: True}
    switchgear.look(3)
    assert switchgear.look(3 + MOVES_S) == {"a1": True, "a2": True}  # its own is still closed


def test_a_health_relay_holds_while_its_pin_moves() -> None:
    switchgear, board = gear()
    board.driven[22] = True
    assert switchgear.look(0) == {}
    board.moved_s[22] = 10.0
    assert switchgear.look(10) == {"b1": True}
    assert switchgear.look(13.9) == {}
    assert switchgear.look(14) == {"b1": False}
    board.moved_s[22] = 20.0
    assert switchgear.look(20) == {"b1": True}
    board.driven.clear()  # the gateway is gone
    assert switchgear.look(20.1) == {"b1": False}


def test_contacts_pull_their_pins_and_broken_wires_let_them_go() -> None:
    switchgear, board = gear()

    def high(now_s: float) -> tuple[bool, bool]:
        switchgear.look(now_s)
        return board.pulled(23), board.pulled(27)

    assert high(0) == (False, False)  # at rest closed; open, so its mirror contact is closed
    switchgear.ask("dim", True)
    assert high(1) == (True, False)
    assert switchgear.asked("dim") == (16_000,) * 3
    switchgear.ask("dim", False)
    switchgear.break_wire("dim", True)
    switchgear.break_wire("own", True)
    assert high(2) == (True, True)
    assert switchgear.asked("dim") == (16_000,) * 3
    switchgear.break_wire("dim", False)
    switchgear.break_wire("own", False)
    assert high(3) == (False, False)
    assert switchgear.asked("dim") is None


class Fake:
    """A charger and its server in one."""

    def __init__(self) -> None:
        self.manner = Manner.ANSWERS
        self.reboots = 0

    def reboot(self) -> None:
        self.reboots += 1

    async def behave(self, manner: Manner, delay_s: float = 0.0) -> None:
        self.manner = manner


def test_a_charger_without_supply_is_gone_and_boots_before_it_is_back(tmp_path: Path) -> None:
    async def story() -> None:
        fakes = {name: Fake() for name in ("a1", "a2", "b1")}
        fakes["a2"].manner = Manner.SILENT
        told: list[tuple[str, bool]] = []
        contactors: dict[int, bool] = {}
        supplies = Supplies(
            GPIO,
            tmp_path,
            fakes,
            fakes,
            lambda name, on: told.append((name, on)),
            contactors.__setitem__,
        )
        await supplies.open()
        assert told == [("a1", False), ("a2", False), ("b1", False)]
        assert {fake.manner for fake in fakes.values()} == {Manner.GONE}
        async with gateway(supplies.board, tmp_path) as far:
            await far.write(17, True)
            await far.write(18, True)
            await until(lambda: ("a1", True) in told and ("a2", True) in told)
            assert fakes["a1"].manner is Manner.ANSWERS
            await until(lambda: fakes["a2"].manner is Manner.SILENT)  # as it was before
            assert [fake.reboots for fake in fakes.values()] == [1, 1, 0]
            assert contactors == {0: True, 1: True}
            del told[:]
            await far.write(18, False)
            await until(lambda: ("a1", False) in told and ("a2", False) in told)
            await until(lambda: fakes["a1"].manner is Manner.GONE)
            assert contactors == {0: True, 1: False}
        await supplies.close()

    asyncio.run(story())


def test_the_shipped_packages_know_no_rig() -> None:
    """The entry point stands in a folder that the rig makes, and in nothing that is installed."""
    assert FACTORY not in (ROOT / "pyproject.toml").read_text()
    code = (
        "from importlib.metadata import entry_points\n"
        "print(*entry_points(group='gpiozero_pin_factories').names)"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert FACTORY not in asked.stdout.split()
