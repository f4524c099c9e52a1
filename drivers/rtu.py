"""Modbus RTU frames: the message in bytes, and a CRC. Pure: no port, no time."""

from math import inf

from drivers.frames import GarbledError, reply_bytes

_HEAD = 3  # bytes, until the length of a reply is known
_CHECK = 2


class Rtu:
    """As drivers.frames.Framing; a pause ends no frame here, for nobody can hear one so short."""

    longest_pause_s = inf

    def frame(self, message: bytes) -> bytes:
        return message + checksum(message)

    def begun(self, heard: bytes) -> bytes:
        """All of it: whatever stands before a reply spoils it."""
        return heard

    def split(self, heard: bytes) -> tuple[bytes, bytes]:
        """See Framing."""
        if len(heard) < _HEAD:
            return b"", heard
        length = reply_bytes(heard)
        whole = length + _CHECK
        if len(heard) < whole:
            return b"", heard
        if checksum(heard[:length]) != heard[length:whole]:
            raise GarbledError
        return heard[:length], heard[whole:]


def checksum(data: bytes) -> bytes:
    """CRC-16 of Modbus, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC = tuple(_crc_of(byte) for byte in range(256))
