"""A process of the product that dies, or is ended, by its id and no other way."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

_SET_PARENT_DEATH_SIGNAL = 1
_SET_PTRACER, _ANYBODY = 0x59616D61, -1  # where Yama lets only ancestors hold a process
_LOOKS = 2000  # a millisecond apart, until it has stopped
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Called in a child: no orphan even if its parent is killed (see prctl(2))."""
    _libc.prctl(_SET_PARENT_DEATH_SIGNAL, number)


def _held_by_anybody_and_die_with_parent() -> None:
    _libc.prctl(_SET_PTRACER, ctypes.c_ulong(_ANYBODY))
    die_with_parent()


class Child:
    """One process that can be started again, with all its output in a file."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self.asked = True  # to be down; False while it should run
        self._command = tuple(command)
        self._env = dict(os.environ if env is None else env)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process; None when there is none."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def died(self) -> bool:
        """Whether it ended and nobody had asked it to."""
        return not self.running and not self.asked

    @property
    def status(self) -> int | None:
        """Exit status of the last run, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.returncode

    async def start(self) -> None:
        if self.running:
            return
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                start_new_session=True,  # Ctrl-C is ours alone
                preexec_fn=_held_by_anybody_and_die_with_parent,
            )
        self.asked = False

    async def kill(self) -> None:
        """SIGKILL: what a crash, the out-of-memory killer or a power cut is like."""
        await self._signal(signal.SIGKILL)

    async def stop(self, within_s: float = 3.0) -> None:
        """SIGTERM, and SIGKILL for one that does not end in time."""
        try:
            await asyncio.wait_for(self._signal(signal.SIGTERM), within_s)
        except TimeoutError:
            await self.kill()

    async def abort(self) -> None:
        """What systemd does to a service that missed its watchdog, and SIGKILL after a second."""
        try:
            await asyncio.wait_for(self._signal(signal.SIGABRT, signal.SIGCONT), 1.0)
        except TimeoutError:
            await self.kill()

    async def pause(self) -> None:
        """SIGSTOP: all its threads stand still when this returns.

        A thread on another core may run on for a moment after the signal was sent. Raises
        TimeoutError for a process that does not stop.
        """
        if self._process is None or not self.running:
            return
        self._process.send_signal(signal.SIGSTOP)
        for _ in range(_LOOKS):
            if _has_stopped(self._process.pid):
                return
            await asyncio.sleep(0.001)
        raise TimeoutError(f"{self.name} does not stop: is it traced?")

    def resume(self) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGCONT)

    async def _signal(self, *numbers: signal.Signals) -> None:
        self.asked = True
        if self._process is None or not self.running:
            return
        for number in numbers:
            self._process.send_signal(number)
        await self._process.wait()

    def tail(self, lines: int = 30) -> str:
        """The last lines it wrote."""
        if not self.log.exists():
            return ""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def resident_mb(self) -> float | None:
        """Resident memory now, in MB of 10^6 bytes; None when it does not run."""
        if self.pid is None:
            return None
        try:
            return resident_mb(self.pid)
        except (OSError, IndexError):
            return None


def resident_mb(pid: int) -> float:
    """Resident memory now, in MB of 10^6 bytes. Raises OSError, IndexError when it is gone."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _has_stopped(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG) is not None
    except ChildProcessError:  # it has ended meanwhile
        return True


class ProcessFault:
    """The process killed at `begin`, started again at `end`, as systemd would."""

    def __init__(self, child: Child) -> None:
        self._child = child

    async def begin(self) -> None:
        await self._child.kill()

    async def end(self) -> None:
        await self._child.start()


class PauseFault:
    """The whole process stopped (SIGSTOP) at `begin`, continued at `end`."""

    def __init__(self, child: Child) -> None:
        self._child = child

    async def begin(self) -> None:
        await self._child.pause()

    async def end(self) -> None:
        self._child.resume()
