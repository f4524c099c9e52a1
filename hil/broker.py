"""A real mosquitto on a loopback port, for as long as it is needed."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from pathlib import Path

from hil.faults.process import Child

_START_S = 5.0
_PATH_WITH_SBIN = "/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/bin"


class BrokerError(RuntimeError):
    """There is no broker, and why."""


def find_mosquitto() -> str:
    """Its path; on a user's PATH the sbin directories are often missing.

    Raises BrokerError, which names the package.
    """
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=_PATH_WITH_SBIN)
    if found is None:
        raise BrokerError("mosquitto is not installed: apt-get install mosquitto")
    return found


class Broker:
    """One mosquitto: anonymous, nothing kept on disk, loopback only."""

    def __init__(self, directory: Path) -> None:
        self.port = 0
        self._directory = directory
        self.child: Child | None = None

    async def start(self) -> None:
        """Returns when it accepts connections. Raises BrokerError, with its own words."""
        program = find_mosquitto()
        for _ in range(3):  # somebody else may take the port between our look and its start
            self.port = _free_port()
            config = self._directory / "mosquitto.conf"
            config.write_text(
                f"listener {self.port} 127.0.0.1\n"
                "allow_anonymous true\n"
                "persistence false\n"
                f"{'user root' if os.getuid() == 0 else ''}\n"  # else it becomes another user
            )
            log = self._directory / "mosquitto.log"
            self.child = Child("mosquitto", [program, "-c", str(config)], log)
            await self.child.start()
            if await self._listens():
                return
            await self.child.stop()
        assert self.child is not None
        raise BrokerError(f"mosquitto did not start:\n{self.child.tail()}")

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.stop()

    async def _listens(self) -> bool:
        assert self.child is not None
        for _ in range(int(_START_S / 0.05)):
            if not self.child.running:
                return False
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return True
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
