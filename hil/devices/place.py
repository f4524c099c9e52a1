"""Where a simulated thing listens: on this machine's loopback, or at an address elsewhere."""

from __future__ import annotations

import os
import socket
import weakref
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


def port_of(owner: object) -> int:
    """A port of the loopback that is the owner's for as long as it lives, also while nobody listens
    there: the system gives it to nobody else, neither to listen at nor to come from."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the owner listens beside it
        holder.bind((LOOPBACK.host, 0))
        port: int = holder.getsockname()[1]
        weakref.finalize(owner, os.close, holder.detach())
    return port
