"""Modbus ASCII frames: a colon, the message and its LRC in hexadecimal digits, CR LF. Pure.

As in the Modbus over serial line specification V1.02, 2.5.2. A colon always begins a frame anew,
so noise before it, or a frame that was broken off, spoils nothing that follows.
"""

from binascii import Error, b2a_hex, unhexlify

from drivers.frames import GarbledError, reply_bytes

START = b":"
END = b"\r\n"
LAST = END[-1:]
LONGEST_PAUSE_S = 1.0  # between two characters
_LEAST = 4  # bytes: unit, function, one of data, LRC
_MOST = 2 * 254 + len(START) + len(END) + 2  # characters


class Ascii:
    """As drivers.frames.Framing."""

    longest_pause_s = LONGEST_PAUSE_S

    def frame(self, message: bytes) -> bytes:
        return START + b2a_hex(message + checksum(message)).upper() + END

    def begun(self, heard: bytes) -> bytes:
        """From the last colon of the first line on."""
        start = heard.find(START)
        if start < 0:
            return b""
        end = heard.find(LAST, start)
        return heard[heard.rfind(START, start, None if end < 0 else end) :]

    def split(self, heard: bytes) -> tuple[bytes, bytes]:
        """See Framing. Anything before the colon is left out."""
        begun = self.begun(heard)
        line, last, rest = begun.partition(LAST)
        if last:
            return _message(line[len(START) :] + last), rest
        if len(line) > _MOST:
            raise GarbledError  # it never ends
        return b"", begun


def _message(line: bytes) -> bytes:
    """What stands between the colon and the end. Raises GarbledError."""
    if not line.endswith(END):
        raise GarbledError
    try:
        raw = unhexlify(line[: -len(END)])
    except Error:
        raise GarbledError from None
    message, check = raw[:-1], raw[-1:]
    if len(raw) < _LEAST or checksum(message) != check or reply_bytes(message) != len(message):
        raise GarbledError
    return message


def checksum(data: bytes) -> bytes:
    """LRC: what brings the sum of all bytes to 0, modulo 256."""
    return bytes((-sum(data) & 0xFF,))
