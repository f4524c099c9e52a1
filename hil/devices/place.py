"""Where a simulated thing listens: on this machine's loopback, or at an address elsewhere."""

from __future__ import annotations

import socket
from typing import Protocol


class Place(Protocol):
    """A network in which it has an address."""

    host: str

    def listen(self, port: int) -> socket.socket:
        """A listening socket; port 0 asks for any. Raises OSError."""


class Loopback:
    """Reached by processes of this machine alone."""

    host = "127.0.0.1"

    def listen(self, port: int) -> socket.socket:
        return socket.create_server((self.host, port))


LOOPBACK: Place = Loopback()
