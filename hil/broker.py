"""A real broker on a loopback port, for as long as it is needed.

mosquitto, or where it cannot be had the embedded one (hil/embedded.py). Either is a process of its
own, which can be killed and frozen.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Literal, get_args

from hil import embedded
from hil.devices.place import port_of
from hil.faults.process import Child

Kind = Literal["mosquitto", "embedded"]
KINDS: tuple[Kind, ...] = get_args(Kind)
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


def choose() -> Kind:
    """mosquitto where it is installed, else the embedded one. Raises BrokerError without either."""
    try:
        find_mosquitto()
    except BrokerError as error:
        if not embedded.available():
            raise BrokerError(
                f"{error}, or pip install {embedded.PACKAGE} for an embedded one"
            ) from None
        return "embedded"
    return "mosquitto"


class Broker:
    """One broker: anonymous, nothing kept on disk, loopback only."""

    def __init__(self, directory: Path, kind: Kind | None = None) -> None:
        """`kind` None: as `choose` says, when it starts."""
        self.kind = kind
        self.port = 0  # of its first start, and kept
        self.answers = False  # whoever comes is let in and heard
        self._directory = directory
        self.child: Child | None = None

    async def start(self, anonymous: bool = True) -> None:
        """Returns when it accepts connections. Raises BrokerError, with its own words.

        Not `anonymous`: it accepts them and refuses everybody, which only mosquitto can.
        """
        self.kind = self.kind or choose()
        if self.kind == "embedded" and not anonymous:
            raise BrokerError("the embedded broker cannot refuse anybody: install mosquitto")
        self.port = self.port or port_of(self)
        log = self._directory / "broker.log"
        self.child = Child(self.kind, self._command(self.kind, anonymous), log)
        await self.child.start()
        if await self._listens():
            self.answers = anonymous
            return
        await self.child.stop()
        raise BrokerError(f"the broker ({self.kind}) did not start:\n{self.child.tail()}")

    def _command(self, kind: Kind, anonymous: bool) -> list[str]:
        if kind == "embedded":
            return embedded.command(self._directory, self.port)
        program = find_mosquitto()
        config = self._directory / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\n"
            f"allow_anonymous {str(anonymous).lower()}\n"
            "persistence false\n"
            f"{'user root' if os.getuid() == 0 else ''}\n"  # else it becomes another user
        )
        return [program, "-c", str(config)]

    async def stop(self) -> None:
        self.thaw()
        self.answers = False
        if self.child is not None:
            await self.child.stop()

    async def kill(self) -> None:
        self.answers = False
        if self.child is not None:
            await self.child.kill()

    async def freeze(self) -> None:
        """It stands still (SIGSTOP): connections stay, and nobody answers."""
        if self.child is not None and self.child.running:
            self.answers = False
            await self.child.pause()

    def thaw(self) -> None:
        if self.child is not None and self.child.running:
            self.child.resume()
            self.answers = True

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
