"""A serial port: bytes out, bytes in, and the adapter's end. The only module that knows pyserial.

pyserial opens and sets up the port. Bytes go through the descriptor itself, which never blocks
the loop and never loops on a full buffer.
"""

import asyncio
import os
import termios
from collections.abc import Callable
from contextlib import suppress
from errno import EACCES, EAGAIN, EBUSY, EINVAL, EIO, ENOBUFS, ENODEV, ENOENT, ENXIO, EPERM

import serial

from controller.document.buses import SerialAddress

_AT_ONCE = 4096
_WORDS = {
    ENOENT: "there is no such port: is the adapter plugged in?",
    ENODEV: "there is no such port: is the adapter plugged in?",
    ENXIO: "there is no such port: is the adapter plugged in?",
    EACCES: "the port may not be opened: is its group the service's?",
    EPERM: "the port may not be opened: is its group the service's?",
    EAGAIN: "somebody else has opened the port",
    EBUSY: "somebody else has opened the port",
    EIO: "the adapter is gone",
    EINVAL: "the adapter cannot be set up with this baud, parity, data or stop bits",
    ENOBUFS: "the adapter takes no more bytes: does it hang?",
}


class SerialPort:
    """An open port. `heard` gets what arrives; `lost` is told once why there is no port any more.

    Opening raises OSError; after `lost` or `close` nothing is called back.
    """

    def __init__(
        self,
        address: SerialAddress,
        heard: Callable[[bytes], None],
        lost: Callable[[str], None],
    ) -> None:
        self._heard = heard
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._port: serial.Serial | None = _opened(address)
        self._loop.add_reader(self._port.fileno(), self._read)

    def write(self, data: bytes) -> None:
        """All of it or, after OSError, perhaps a part."""
        if self._port is None:
            raise OSError(EIO, os.strerror(EIO))
        try:
            taken = os.write(self._port.fileno(), data)
        except BlockingIOError:
            taken = 0
        if taken != len(data):
            raise OSError(ENOBUFS, os.strerror(ENOBUFS))

    def drop_unsent(self) -> None:
        """Nothing that was written and has not left yet ever leaves."""
        if self._port is not None:
            with suppress(termios.error, OSError):  # without an adapter nothing leaves
                termios.tcflush(self._port.fileno(), termios.TCOFLUSH)

    def close(self) -> None:
        """At once: what is unsent is dropped, for closing would wait until it has left."""
        self.drop_unsent()
        port, self._port = self._port, None
        if port is not None:
            self._loop.remove_reader(port.fileno())
            port.close()

    def _read(self) -> None:
        assert self._port is not None
        try:
            data = os.read(self._port.fileno(), _AT_ONCE)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(in_words(error))
            return
        if data:
            self._heard(data)
        else:
            self._end(_WORDS[EIO])

    def _end(self, reason: str) -> None:
        self.close()
        self._lost(reason)


def _opened(address: SerialAddress) -> serial.Serial:
    try:
        port = serial.Serial(
            address.port,
            baudrate=address.baud,
            bytesize=address.bits,
            parity=address.parity,
            stopbits=address.stop,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
        if address.parity != "N":
            _judge_parity(port.fileno())
        return port
    except termios.error as error:  # is no OSError, and pyserial lets it through
        raise OSError(*error.args) from error


def _judge_parity(fd: int) -> None:
    """A character of wrong parity is heard as NUL from now on, which no checksum bears: pyserial
    lets it through as it came, and the checksum of an ASCII frame has no more than 8 bits."""
    attributes = termios.tcgetattr(fd)
    attributes[0] |= termios.INPCK
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


def in_words(error: OSError) -> str:
    """Why a port cannot be used, as an installer would say it."""
    known = _WORDS.get(error.errno or 0)
    return known or f"the port cannot be used: {error.strerror or error}"
