"""A crowd of Modbus TCP devices, each with a port of its own, and an enforcer that polls them.

The devices answer from another process: `python -m hil.figures.crowd METERS CHARGERS`, which
writes its ports as a line of JSON and then, for each line it reads, how often each was asked. With
a third number so many of the chargers charge, and everything that is measured is noisy.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from controller.wire import FrameError, ask_status
from hil.devices.mbap import Server
from hil.faults.process import die_with_parent
from hil.figures import CannotMeasureError
from hil.figures.devices import Bay, Meter

ROOT = Path(__file__).parents[2]
UP_WITHIN_S = 60.0
BASE_NOISE_A = 2.0  # sigma
BAY_NOISE_A = 0.05
WORKSHOP_ONLY = ("rich",)
_ESTABLISHED = "01"  # in /proc/net/tcp


class Crowd:
    """`with Crowd(...)`: devices and an enforcer that has heard all of them."""

    def __init__(
        self,
        meters: int,
        chargers: int,
        poll_s: float,
        charging: int = 0,
        meter_poll_s: float | None = None,
        rating_a: int = 9000,
    ) -> None:
        """`charging`: so many draw what they may, and meters and chargers are noisy."""
        self._charging = charging
        self._meter_poll_s = meter_poll_s or poll_s
        self._rating_a = rating_a
        self._meters = meters
        self._chargers = chargers
        self._poll_s = poll_s
        self._stack = ExitStack()
        self.devices: subprocess.Popen[str]
        self.enforcer: subprocess.Popen[bytes]
        self.directory: Path

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lk-")))
            numbers = (self._meters, self._chargers, self._charging)
            words = [sys.executable, "-m", __name__, *map(str, numbers)]
            self.devices = subprocess.Popen(
                words,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call
            )
            stack.callback(end, self.devices)
            ports = self._line()
            site = self.directory / "site.json"
            site.write_text(json.dumps(self._document(ports)))
            self.enforcer = start_enforcer(site, self.directory)
            stack.callback(end, self.enforcer)
            self._await_all()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def asked(self) -> list[int]:
        """How often each device has answered so far."""
        assert self.devices.stdin is not None
        self.devices.stdin.write("\n")
        self.devices.stdin.flush()
        return self._line()

    def connections(self) -> int:
        """Of the enforcer, over TCP."""
        table = Path(f"/proc/{self.enforcer.pid}/net/tcp").read_text().splitlines()[1:]
        inodes = {fields[9] for fields in map(str.split, table) if fields[3] == _ESTABLISHED}
        held = 0
        for descriptor in Path(f"/proc/{self.enforcer.pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                target = str(descriptor.readlink())
                held += target.removeprefix("socket:[").rstrip("]") in inodes
        return held

    def _line(self) -> list[int]:
        assert self.devices.stdout is not None
        line = self.devices.stdout.readline()
        if not line:
            raise CannotMeasureError("the simulated devices did not start")
        answer: list[int] = json.loads(line)
        return answer

    def _await_all(self) -> None:
        deadline_s = time.monotonic() + UP_WITHIN_S
        while time.monotonic() < deadline_s:
            time.sleep(0.5)
            if self.enforcer.poll() is not None:
                raise CannotMeasureError(f"the enforcer ended: {log_tail(self.directory)}")
            try:
                path = self.directory / "r" / "enforcer.sock"
                status = asyncio.run(ask_status(path, within_s=5.0))
            except (OSError, FrameError):
                continue
            if all(each.online for each in status.devices):
                return
        raise CannotMeasureError(f"not all devices were heard within {UP_WITHIN_S:g} s")

    def _document(self, ports: list[int]) -> dict[str, Any]:
        meters, chargers = ports[: self._meters], ports[self._meters :]
        rating_a = self._rating_a
        grid: dict[str, Any] = {"id": "grid", "rating_a": rating_a}
        grid |= {"worst_base_a": min(1000, rating_a // 4)}
        grid |= {"protection": {"kind": "electronic", "ir_a": rating_a, "tr_s": 16}}
        rows = [
            {"id": f"row-{i}", "parent": "grid", "rating_a": 400, "worst_base_a": 1}
            for i in range(1, len(meters))
        ]
        return {
            "schema": 1,
            "site": {"id": "crowd"},
            "circuit": [grid, *rows],
            "meter": [
                {
                    "id": f"meter-{i}",
                    "circuit": rows[i - 1]["id"] if i else "grid",
                    "profile": "carlo_gavazzi_em24_ethernet",
                    "bus": f"tcp://127.0.0.1:{port}",
                    "poll_s": self._meter_poll_s,
                }
                for i, port in enumerate(meters)
            ],
            "charger": [
                {
                    "id": f"bay-{i}",
                    "circuit": "grid",
                    "profile": "alfen_eve",
                    "bus": f"tcp://127.0.0.1:{port}",
                    "poll_s": self._poll_s,
                    "max_a": 32,
                    "fallback_a": 6,
                }
                for i, port in enumerate(chargers)
            ],
        }


def start_enforcer(site: Path, directory: Path) -> subprocess.Popen[bytes]:
    """The product's process, as it is deployed; its log is `enforcer.log` in the directory.

    What only the workshop has is hidden from it: structlog would load rich where there is one.
    """
    hidden = directory / "hidden"
    hidden.mkdir()
    for name in WORKSHOP_ONLY:
        (hidden / f"{name}.py").write_text("raise ImportError('a gateway does not have this')\n")
    words = [sys.executable, "-m", "controller", "run", str(site)]
    words += ["--runtime", str(directory / "r"), "--state", str(directory / "s")]
    with (directory / "enforcer.log").open("wb") as log:
        return subprocess.Popen(
            words,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(hidden)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call
        )


def log_tail(directory: Path) -> str:
    lines = (directory / "enforcer.log").read_text(errors="replace").splitlines()
    return lines[-1] if lines else "it said nothing"


def cpu_s(pid: int) -> float:
    """Processor time of all threads of a process so far, its system calls included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end(process: subprocess.Popen[Any]) -> None:
    """SIGTERM, and SIGKILL for one that does not end in time."""
    process.terminate()
    try:
        process.wait(3.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


async def _serve(meters: int, chargers: int, charging: int = 0) -> None:
    meter_noise_a, bay_noise_a = (BASE_NOISE_A, BAY_NOISE_A) if charging else (0.0, 0.0)
    servers = [Server(Meter(meter_noise_a)) for _ in range(meters)]
    servers += [Server(Bay(True, noise_a=bay_noise_a)) for _ in range(charging)]
    servers += [Server(Bay()) for _ in range(chargers - charging)]
    for server in servers:
        await server.open()
    _tell([server.port for server in servers])
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        _tell([server.requests for server in servers])


def _tell(numbers: list[int]) -> None:
    sys.stdout.write(json.dumps(numbers) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:])))
