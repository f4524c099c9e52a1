"""`loadkeeper rest` as a process, on a board whose pins stay as a killed one left them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from controller.alone import with_the_pins
from controller.clock import boot_id
from controller.driven import PinMemory
from controller.places import PlaceError, Places
from hil.faults.process import die_with_parent
from hil.wiring import FACTORY, Board, plug_in
from tests.patience import until
from tests.test_rest import document, gpio
from tests.test_wiring import ROOT, gateway


class Shell:
    """The command as a process of its own, which comes to its pins by gpiozero's entry point."""

    def __init__(self, directory: Path, board: Board) -> None:
        self._site = directory / "site.json"
        outputs = [{"id": "row", "pin": 17, "drops": "grid"}]
        written = document(gpio={"factory": FACTORY}, output=outputs)
        self._site.write_text(json.dumps(written), encoding="utf-8")
        paths = (str(ROOT), str(plug_in(directory)), os.environ.get("PYTHONPATH", ""))
        self._env = {**os.environ, **board.environment, "PYTHONPATH": os.pathsep.join(paths)}
        self._where = ("--runtime", str(directory), "--state", str(directory / "state"))

    async def rest(self, *words: str, deaf: bool = False) -> asyncio.subprocess.Process:
        """`deaf`: what it says is read by nobody."""
        reads, writes = os.pipe()
        os.close(reads)
        try:
            return await self._start("rest", words, writes if deaf else subprocess.PIPE)
        finally:
            os.close(writes)

    async def run(self, *words: str) -> asyncio.subprocess.Process:
        return await self._start("run", words, subprocess.DEVNULL, subprocess.PIPE)

    async def _start(
        self, command: str, words: Sequence[str], out: int, err: int | None = None
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "controller", command, str(self._site), *self._where, *words),
            stdout=out,
            stderr=err,
            env=self._env,
            preexec_fn=die_with_parent,
        )


def test_a_killed_process_leaves_them_and_it_brings_them_to_rest(tmp_path: Path) -> None:
    async def story() -> None:
        board = Board(tmp_path / "pins.sock", falls=False)
        await board.open()
        async with gateway(board, tmp_path) as far:
            await far.write(17, True)
            await until(lambda: board.level(17))
            os.kill(far.process.pid, signal.SIGKILL)
            await until(lambda: not board.attended)
        assert board.level(17)
        rest = await Shell(tmp_path, board).rest()
        out, _ = await asyncio.wait_for(rest.communicate(), 30)
        assert (rest.returncode, out.decode().split()[:2]) == (0, ["guest", "GPIO19"])
        await until(lambda: not board.level(17))
        await board.close()

    asyncio.run(story())


@pytest.mark.parametrize("falls", [True, False])
def test_an_installer_sees_what_his_board_does(tmp_path: Path, falls: bool) -> None:
    async def story() -> None:
        board = Board(tmp_path / "pins.sock", falls=falls)
        await board.open()
        rest = await Shell(tmp_path, board).rest("--try", "row", "--seconds", "600")
        assert rest.stdout is not None
        said = await asyncio.wait_for(rest.stdout.readline(), 30)
        assert said.decode().startswith("row (GPIO17) was switched on, and its process killed.")
        await until(lambda: not board.attended)
        assert 17 in board.moved_s  # it was on
        assert board.level(17) is not falls
        rest.send_signal(signal.SIGINT)
        out, _ = await asyncio.wait_for(rest.communicate(), 30)
        assert out.decode().splitlines()[-1] == "row    GPIO17  at rest, low"
        assert rest.returncode == 0
        await until(lambda: not board.level(17) and not board.attended)
        await board.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    "end", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, None]
)
def test_however_a_trial_ends_its_output_comes_to_rest(
    tmp_path: Path, end: signal.Signals | None
) -> None:
    """A session that breaks off hangs up; None: nobody reads any more."""

    async def story() -> None:
        board = Board(tmp_path / "pins.sock", falls=False)
        await board.open()
        rest = await Shell(tmp_path, board).rest("--try", "row", "--seconds", "600", deaf=not end)
        if end:
            assert rest.stdout is not None
            await asyncio.wait_for(rest.stdout.readline(), 30)
            await until(lambda: not board.attended)
            assert board.level(17)
            rest.send_signal(end)
            rest.send_signal(end)
        await asyncio.wait_for(rest.wait() if end != signal.SIGTSTP else still(board), 30)
        await until(lambda: not board.level(17))
        assert 17 in board.moved_s  # it was on
        if rest.returncode is None:
            rest.kill()
            await rest.wait()
        await board.close()

    async def still(board: Board) -> None:
        await until(lambda: not board.level(17))

    asyncio.run(story())


def test_no_enforcer_starts_during_a_trial(tmp_path: Path) -> None:
    async def story() -> None:
        board = Board(tmp_path / "pins.sock", falls=False)
        await board.open()
        rest = await Shell(tmp_path, board).rest("--try", "row", "--seconds", "600")
        assert rest.stdout is not None
        await asyncio.wait_for(rest.stdout.readline(), 30)
        places = Places(tmp_path, tmp_path / "state")
        start = with_the_pins(places, lambda: None, patience_s=0)
        with pytest.raises(PlaceError, match="still at work"), start:
            pass
        rest.send_signal(signal.SIGINT)
        await asyncio.wait_for(rest.wait(), 30)
        with with_the_pins(places, lambda: None, patience_s=0):
            pass
        await board.close()

    asyncio.run(story())


def test_a_start_waits_for_a_trial_and_brings_to_rest_what_that_was_killed_with(
    tmp_path: Path,
) -> None:
    """It only observes, and drives no pin of its own."""

    async def story() -> None:
        board = Board(tmp_path / "pins.sock", falls=False)
        await board.open()
        shell = Shell(tmp_path, board)
        memory = PinMemory(Places(tmp_path, tmp_path / "state").pins, boot_id())
        (tmp_path / "state").mkdir(mode=0o700)
        memory.keep(gpio(gpio={"factory": FACTORY}), drives=True)
        memory.close()
        rest = await shell.rest("--try", "row", "--seconds", "600")
        assert rest.stdout is not None
        await asyncio.wait_for(rest.stdout.readline(), 30)
        await until(lambda: not board.attended)
        enforcer = await shell.run("--observe")
        assert enforcer.stderr is not None
        said = ""
        while "waiting: somebody brings the pins to rest" not in said:
            line = await asyncio.wait_for(enforcer.stderr.readline(), 30)
            assert line, said
            said += line.decode()
        assert board.level(17)
        assert not board.attended
        rest.kill()
        await until(lambda: not board.level(17))
        assert not said.count("started")
        while "started" not in said:
            line = await asyncio.wait_for(enforcer.stderr.readline(), 30)
            assert line, said
            said += line.decode()
        assert "brought to rest: on a pin that nobody drives any more" in said
        enforcer.terminate()
        await asyncio.wait_for(enforcer.communicate(), 30)
        await rest.wait()
        await board.close()

    asyncio.run(story())
