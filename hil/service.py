"""What systemd is to the enforcer: hears what it says of itself, watches it, starts it anew."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path

from hil.faults.process import Child

RESTART_S = 0.1  # RestartSec= as systemd has it where nothing is said
LOOK_EVERY_S = 0.02


class Service:
    """`WatchdogSec=` is `watchdog_s`; without one the process is heard and never started anew."""

    def __init__(self, directory: Path, watchdog_s: float | None) -> None:
        self.said: list[str] = []
        self.on_restart: Callable[[], None] = lambda: None
        self._watchdog_s = watchdog_s
        self._path = directory / "notify"
        self._fed_s: float | None = None  # None: it is not at work
        self._socket: socket.socket | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def env(self) -> dict[str, str]:
        """What the process finds in its environment besides."""
        found = {"NOTIFY_SOCKET": str(self._path)}
        if self._watchdog_s is not None:
            found["WATCHDOG_USEC"] = str(round(self._watchdog_s * 1e6))
        return found

    async def open(self, child: Child) -> None:
        """Listens, and watches the child."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._hear)
        self._watching = asyncio.create_task(self._watch(child))

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _hear(self) -> None:
        assert self._socket is not None
        word = self._socket.recv(4096).decode()
        if word == "WATCHDOG=1" and self._fed_s is not None:
            self._fed_s = time.monotonic()
        elif word != "WATCHDOG=1":
            self.said.append(word)
        if word == "READY=1":
            self._fed_s = time.monotonic()
        elif word == "STOPPING=1":
            self._fed_s = None

    async def _watch(self, child: Child) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if child.asked:  # somebody else has ended it
                self._fed_s = None
            elif self._watchdog_s is None or self._fed_s is None:
                continue
            elif time.monotonic() - self._fed_s > self._watchdog_s:
                self._fed_s = None
                await child.abort()
                await asyncio.sleep(RESTART_S)
                await child.start()
                self.on_restart()
