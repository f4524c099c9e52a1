"""What Modbus devices do with a request, whatever carries it: registers, manners, exceptions.

Function and exception codes as in the Modbus application protocol V1.1b3.
"""

from __future__ import annotations

import struct
from enum import Enum, IntEnum
from typing import Protocol, runtime_checkable

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
WRITE_COIL, WRITE_ONE, WRITE_MANY = 5, 6, 16
MAX_READ_BITS = 2000
MAX_READ_WORDS = 125
MAX_WRITE_WORDS = 123
COIL_ON = 0xFF00  # as it is written


class Code(IntEnum):
    """Exception codes."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    BUSY = 6
    GATEWAY_NO_PATH = 10
    GATEWAY_NO_RESPONSE = 11


class RefusalError(Exception):
    """The device answers a request with an exception code."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


class Manner(Enum):
    """How a device treats those who talk to it."""

    ANSWERS = "answers"
    SILENT = "silent"  # hears, and never answers
    GONE = "gone"  # without power: it does not even hear
    SLOW = "slow"  # answers later than it should


class Registers(Protocol):
    """What stands behind a unit id: words in, words out, big-endian bytes."""

    unit: int

    def read(self, function: int, address: int, count: int) -> bytes:
        """`count` words, or RefusalError."""
        ...

    def write(self, function: int, address: int, words: bytes) -> None:
        """Takes whole words, or RefusalError. Nothing is taken of a refused request."""
        ...


@runtime_checkable
class Coils(Protocol):
    """What a device with coils has beside its registers."""

    def read_bits(self, function: int, address: int, count: int) -> bytes:
        """So many bits in bytes, the first the lowest of the first byte; or RefusalError."""
        ...

    def write_coil(self, address: int, on: bool) -> None:
        """Or RefusalError."""
        ...


def answer(device: Registers, pdu: bytes) -> bytes:
    """The reply to one request, exceptions included."""
    try:
        return _execute(device, pdu)
    except RefusalError as refusal:
        return bytes((pdu[0] | 0x80, refusal.code))


def _execute(device: Registers, pdu: bytes) -> bytes:
    function = pdu[0]
    if function in (READ_HOLDING, READ_INPUT):
        address, count = _fields(pdu, 5)
        if not 1 <= count <= MAX_READ_WORDS:
            raise RefusalError(Code.ILLEGAL_VALUE)
        words = device.read(function, address, count)
        return bytes((function, len(words))) + words
    if function in (READ_COILS, READ_DISCRETE, WRITE_COIL):
        if not isinstance(device, Coils):
            raise RefusalError(Code.ILLEGAL_FUNCTION)
        return _execute_bits(device, pdu)
    if function == WRITE_ONE:
        address, _ = _fields(pdu, 5)
        device.write(function, address, pdu[3:5])
        return pdu
    if function == WRITE_MANY:
        address, count = _fields(pdu, None)
        words = pdu[6:]
        if not 1 <= count <= MAX_WRITE_WORDS or not pdu[5] == len(words) == 2 * count:
            raise RefusalError(Code.ILLEGAL_VALUE)
        device.write(function, address, words)
        return pdu[:5]
    raise RefusalError(Code.ILLEGAL_FUNCTION)


def _execute_bits(device: Coils, pdu: bytes) -> bytes:
    function = pdu[0]
    address, told = _fields(pdu, 5)
    if function == WRITE_COIL:
        if told not in (0, COIL_ON):
            raise RefusalError(Code.ILLEGAL_VALUE)
        device.write_coil(address, told == COIL_ON)
        return pdu
    if not 1 <= told <= MAX_READ_BITS:
        raise RefusalError(Code.ILLEGAL_VALUE)
    content = device.read_bits(function, address, told)
    return bytes((function, len(content))) + content


def _fields(pdu: bytes, exact: int | None) -> tuple[int, int]:
    """The two words after the function code; `exact` is the PDU's length where it is fixed."""
    if len(pdu) < 6 if exact is None else len(pdu) != exact:
        raise RefusalError(Code.ILLEGAL_VALUE)
    address, value = struct.unpack_from(">HH", pdu, 1)
    return address, value
