"""Words to the service manager, as sd_notify(3) has them. Without one, nobody is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_NS_PER_US = 1000

log: FilteringBoundLogger = structlog.get_logger()


class Notifier:
    """One datagram a word, and never a wait: what the other side does not take is lost."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_ns = _watchdog_ns(environ)  # None: it does not watch us
        self._failed = False

    def ready(self) -> None:
        """At work: somebody decides, and all take the decisions."""
        self._say("READY=1")

    def feed(self) -> None:
        """Only a completed turn may say this."""
        if self.watchdog_ns is not None:
            self._say("WATCHDOG=1")

    def starts_late(self, s: float) -> None:
        """Not at work yet for a good reason; it will be within so many seconds from now."""
        self._say(f"EXTEND_TIMEOUT_USEC={s * 1e6:.0f}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for whoever asks the service manager how we are."""
        self._say("STATUS=" + text.replace("\n", " "))

    def _say(self, word: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)
                out.sendto(word.encode(), self._address)
        except OSError as error:
            if not self._failed:
                log.warning("the service manager does not hear us", word=word, why=error.strerror)
            self._failed = True
        else:
            self._failed = False


def _address(name: str) -> str:
    """A path, or an abstract name, written with @ where the kernel wants a zero byte."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else ""


def _watchdog_ns(environ: Mapping[str, str]) -> int | None:
    """How long it waits for a feed; None where there is no watchdog, or it is another's."""
    us, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if pid and pid != str(os.getpid()):
        return None
    return int(us) * _NS_PER_US if us.isascii() and us.isdigit() and int(us) else None
