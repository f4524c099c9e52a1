"""The gateway's machine: a container of systemd-nspawn with a kernel's worth of systemd in it.

Started so that a unit's sandbox is real in there: its own network namespace, all capabilities
within its bounds, and the calls that systemd needs for address filters and device lists.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hil.faults.process import Child
from hil.gateway.cgroup import Group
from hil.making.roots import Layer

CALLS = "bpf sched_setscheduler sched_setattr mlockall perf_event_open"
BOOTS_WITHIN_S = 20.0
OFF_WITHIN_S = 40.0
LOOK_EVERY_S = 0.01
_ITS_ROOT = "root"  # in a process's folder of /proc: the file system as it sees it
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def until(true: Callable[[], bool], within_s: float) -> None:
    """Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  # of what happens in there nobody tells us
            await asyncio.sleep(LOOK_EVERY_S)


class ContainerError(RuntimeError):
    """The machine did not do what it was told, with its last words."""


@dataclass(frozen=True, slots=True)
class Said:
    """How a command inside went."""

    status: int
    out: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Container:
    """`boot` it, talk to it, `power_off` or `cut` it, and boot it again."""

    def __init__(
        self, layer: Layer, network: str | None, binds: Mapping[str, str], directory: Path
    ) -> None:
        """`network`: the path of a network namespace; None: it has none but its own loopback.
        `binds`: what of this machine stands where in there."""
        self._layer = layer
        self._network = network
        self._binds = dict(binds)
        self._directory = directory
        self._group = Group()
        self._child: Child | None = None
        self._leader: int | None = None

    @property
    def runs(self) -> bool:
        return self._child is not None and self._child.running

    @property
    def died(self) -> bool:
        """Whether it ended and nobody had asked it to."""
        return self._child is not None and self._child.died

    @property
    def inside(self) -> Path:
        """Its file system as it is seen in there, while it runs."""
        return Path("/proc", str(self._leader or 0), _ITS_ROOT)

    async def boot(self) -> None:
        """Returns when its systemd is there, long before it has started everything."""
        if self.runs:
            return
        self._layer.make()
        log = self._directory / "console.log"
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", self._script()]
        env = {**os.environ, "PATH": _PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        child = self._child = Child("gateway", words, log, env)
        await child.start()
        try:
            async with asyncio.timeout(BOOTS_WITHIN_S):
                while (leader := self._first()) is None:
                    if child.died:
                        raise ContainerError(f"the gateway does not boot\n{child.tail()}")
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            await self.cut()
            raise ContainerError(f"the gateway does not boot\n{child.tail()}") from None
        self._leader = leader

    async def settled(self) -> None:
        """Returns when its systemd has started all that it starts at boot. ContainerError."""
        said = Said(1, "")
        for _ in range(round(BOOTS_WITHIN_S / 0.1)):
            said = await self.run("systemctl", "is-system-running", "--wait")
            if said.out.strip() in ("running", "degraded"):
                return
            await asyncio.sleep(0.1)
        raise ContainerError(f"the gateway does not come up: {said.out}\n{self.tail()}")

    async def cut(self) -> None:
        """Its power goes, at this instant. What it had written stays, synced or not."""
        if self._child is not None:
            self._child.asked = True
            await asyncio.to_thread(self._group.end)
            await self._child.kill()
        self._leader = None

    async def power_off(self) -> None:
        """As somebody does who knows how. Raises ContainerError when it does not end."""
        if self._child is None or not self.runs:
            return
        self._child.asked = True
        await self.run("systemctl", "poweroff")
        try:
            await until(lambda: not self.runs, OFF_WITHIN_S)
        except TimeoutError:
            last = self.tail()
            await self.cut()
            raise ContainerError(f"the gateway does not power off\n{last}") from None
        await self.cut()

    async def run(self, *words: str, within_s: float = 30.0, stdin: bytes = b"") -> Said:
        """A command of its root user, in no unit: nothing confines it. Raises ContainerError when
        it does not end in time."""
        if self._leader is None:
            raise ContainerError(f"the gateway is off: {' '.join(words)}")
        process = await asyncio.create_subprocess_exec(
            *("nsenter", "--target", str(self._leader), "--all", "--"),
            *("env", "-i", "--chdir=/", f"PATH={_PATH}", "LANG=C.UTF-8", *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(within_s):
                out, _ = await process.communicate(stdin)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise ContainerError(f"not done within {within_s:g} s: {' '.join(words)}") from None
        return Said(process.returncode or 0, out.decode(errors="replace"))

    async def properties(self, unit: str, *names: str) -> dict[str, str]:
        """What its systemd says of a unit."""
        said = await self.run("systemctl", "show", unit, f"--property={','.join(names)}")
        return dict(line.split("=", 1) for line in said.lines if "=" in line)

    def main_process(self, unit: str) -> int | None:
        """The oldest process of a service, by our number; None when it has none."""
        found = self.inside / f"sys/fs/cgroup/system.slice/{unit}/cgroup.procs"
        try:
            numbers = [int(word) for word in found.read_text().split()]
        except OSError:
            return None
        return min(numbers, default=None)

    def tail(self, lines: int = 30) -> str:
        return "" if self._child is None else self._child.tail(lines)

    def _first(self) -> int | None:
        """Its process 1, by our number: a child of nspawn's."""
        assert self._child is not None
        pid = self._child.pid
        with suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for child in children:
                status = Path(f"/proc/{child}/status").read_text()
                pids = next(line for line in status.splitlines() if line.startswith("NSpid:"))
                comm = Path(f"/proc/{child}/comm").read_text().strip()
                if pids.split()[-1] == "1" and len(pids.split()) > 2 and comm == "systemd":
                    return int(child)
        return None

    def _script(self) -> str:
        """In a mount namespace of its own, so that nothing is left of it. nspawn wants /run on a
        file system in memory."""
        words = [
            *("systemd-nspawn", "--boot", "--register=no", "--keep-unit", "--quiet"),
            *("--console=pipe", f"--machine=lk-{os.getpid()}", f"--directory={self._layer.at}"),
            *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
            *("--capability=all", f"--system-call-filter={CALLS}"),
        ]
        words.append(
            f"--network-namespace-path={self._network}" if self._network else "--private-network"
        )
        words += [f"--bind={ours}:{theirs}" for ours, theirs in self._binds.items()]
        command = " ".join(f"'{word}'" for word in words)
        alone = f"set -e\nmount -t tmpfs tmpfs /run\n{self._group.joining}"
        return f"{alone}{self._layer.mounting}exec {command}\n"


class Unit(Child):
    """A service inside, with the manners of a process of ours: it is its systemd that starts it."""

    def __init__(self, name: str, unit: str, container: Container, log: Path) -> None:
        super().__init__(name, (), log)
        self.unit = unit
        self._container = container

    def move(self, container: Container) -> None:
        """It is a unit of that machine from now on."""
        self._container = container

    @property
    def pid(self) -> int | None:
        return self._container.main_process(self.unit)

    @property
    def running(self) -> bool:
        return self.pid is not None

    @property
    def died(self) -> bool:
        """It may die: that is its systemd's business. The machine may not."""
        return self._container.died

    @property
    def status(self) -> int | None:
        return None

    async def start(self) -> None:
        await self._container.run("systemctl", "start", "--no-block", self.unit)

    async def stop(self, within_s: float = 20.0) -> None:
        await self._container.run("systemctl", "stop", self.unit, within_s=within_s)

    async def kill(self) -> None:
        self._send(signal.SIGKILL)

    async def pause(self) -> None:
        """Not waited for: it is no child of ours."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def tail(self, lines: int = 30) -> str:
        return "" if not self.log.exists() else super().tail(lines)

    def _send(self, number: signal.Signals) -> None:
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
