"""The networks around a gateway: the depot's, where its devices are, and the way to the internet.

Three network namespaces that nothing but this process holds: when it ends, however it ends, they
and all that is in them are gone.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from threading import Thread
from typing import Self, TypeVar

DEPOT = "192.0.2"  # RFC 5737: addresses for documentation, no host of the internet has one
INTERNET = "198.51.100"
GATEWAY_HOST = "1"
BROKER = f"{INTERNET}.10"
NOBODY = f"{DEPOT}.200"  # in the depot's network, and no device of any site
ELSEWHERE = f"{INTERNET}.77"  # in the internet, and no broker
_CLONE_NEWNET = 0x4000_0000
_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


class NetworkError(RuntimeError):
    """Networks that cannot be made here, and why."""


class Network:
    """`with Network()`: three namespaces and the cables between them."""

    def __init__(self) -> None:
        self.gateway = Island()
        self.depot = Island()
        self.internet = Island()

    def __enter__(self) -> Self:
        try:
            for island in (self.gateway, self.depot, self.internet):
                island.make()
            self._cable(self.depot, DEPOT, "depot")
            self._cable(self.internet, INTERNET, "uplink")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for island in (self.gateway, self.depot, self.internet):
            island.close()

    def unplug(self, island: Island, unplugged: bool) -> None:
        """The cable between the gateway and that network."""
        island.ip([f"link set eth0 {'down' if unplugged else 'up'}"])

    def _cable(self, island: Island, net: str, name: str) -> None:
        """Between an island's eth0 and the gateway's port of that name."""
        peer = f"type veth peer name {name} netns {self.gateway.path}"
        island.ip(["link set lo up", f"link add eth0 {peer}", "link set eth0 up"])
        self.gateway.ip(
            [
                "link set lo up",
                f"addr add {net}.{GATEWAY_HOST}/24 dev {name}",
                f"link set {name} up",
            ]
        )


class Island:
    """One network namespace."""

    def __init__(self) -> None:
        self._handle = -1

    @property
    def path(self) -> str:
        """For whoever is to join it, as long as we live."""
        return f"/proc/{os.getpid()}/fd/{self._handle}"

    def make(self) -> None:
        """Raises NetworkError."""

        def unshare() -> int:
            _checked(_libc.unshare(_CLONE_NEWNET))
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

        try:
            self._handle = _aside(unshare)
        except OSError as error:
            raise NetworkError(f"no network namespace: {error.strerror}") from error

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def ip(self, lines: Iterable[str]) -> None:
        """Commands of ip(8), as many as there are. Raises NetworkError."""
        self._do(("ip", "-batch", "-"), "\n".join(lines))

    def run(self, *words: str) -> None:
        """A command in there. Raises NetworkError when it fails."""
        self._do(words, "")

    def inhabit(self, hosts: Iterable[str]) -> None:
        """These addresses are here. Raises NetworkError."""
        self.ip(f"addr add {host}/24 dev eth0" for host in sorted(set(hosts)))

    def _do(self, words: Sequence[str], said: str) -> None:
        try:
            subprocess.run(
                ["nsenter", f"--net={self.path}", *words],
                input=said,
                capture_output=True,
                text=True,
                check=True,
                timeout=30,
            )
        except (OSError, subprocess.SubprocessError) as error:
            told = getattr(error, "stderr", "") or str(error)
            raise NetworkError(f"{words[0]}: {told}") from error

    def listen(self, host: str, port: int) -> socket.socket:
        """A listening socket in there. Raises OSError."""

        def bind() -> socket.socket:
            _checked(_libc.setns(self._handle, _CLONE_NEWNET))
            return socket.create_server((host, port))

        return _aside(bind)


class Address:
    """A place on an island; see `hil.devices.place.Place`."""

    def __init__(self, island: Island, host: str) -> None:
        self.host = host
        self._island = island

    def listen(self, port: int) -> socket.socket:
        return self._island.listen(self.host, port)


class Doors:
    """Open ports at which nobody may knock: whoever is let in is counted, and that is all."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    @property
    def any(self) -> bool:
        return bool(self._sockets)

    def open(self, island: Island, host: str, port: int) -> None:
        listening = island.listen(host, port)
        listening.setblocking(False)
        self._sockets.append(listening)

    def knocked(self) -> int:
        """How many have come since it was asked last."""
        count = 0
        for listening in self._sockets:
            with suppress(BlockingIOError):
                while True:
                    listening.accept()[0].close()
                    count += 1
        return count

    def close(self) -> None:
        for listening in self._sockets:
            listening.close()


def _aside(act: Callable[[], T]) -> T:
    """In a thread of its own, which alone changes its namespace and then is no more."""
    done: list[T] = []
    failed: list[OSError] = []

    def run() -> None:
        try:
            done.append(act())
        except OSError as error:
            failed.append(error)

    thread = Thread(target=run, name="namespace")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _checked(status: int) -> None:
    if status != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
