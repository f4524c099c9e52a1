"""What Modbus says over a serial line, however it is framed. Pure.

A *message* is unit, function and data. On the line a *frame* stands around it, with a checksum and
what tells one from the next: binary as RTU, or in letters as ASCII.
"""

from typing import Protocol

from drivers.device import WRITE_COIL, WRITE_MANY, WRITE_ONE, Request

REFUSED = 0x80
_READS = (1, 2, 3, 4)
_ON = b"\xff\x00"  # a coil, as it is written


class GarbledError(Exception):
    """No frame begins like this, or its checksum is wrong."""


class Framing(Protocol):
    """How a message stands on the line."""

    @property
    def longest_pause_s(self) -> float:
        """Within one frame; what was begun longer ago is none any more."""

    def frame(self, message: bytes) -> bytes: ...
    def begun(self, heard: bytes) -> bytes:
        """`heard` without what can belong to no frame any more."""

    def split(self, heard: bytes) -> tuple[bytes, bytes]:
        """The message of the first frame in `heard`, empty while it is not whole, and the rest.

        Raises GarbledError.
        """


def message_of(request: Request) -> bytes:
    """The request, without its frame."""
    head = bytes((request.unit, request.fc)) + request.address.to_bytes(2, "big")
    count = request.count.to_bytes(2, "big")
    values = b"".join(word.to_bytes(2, "big") for word in request.words)
    if request.fc in _READS:
        return head + count
    if request.fc == WRITE_COIL:
        return head + (_ON if request.words[0] == 1 else b"\0\0")
    if request.fc == WRITE_ONE:
        return head + values
    if request.fc == WRITE_MANY:
        return head + count + bytes((len(values),)) + values
    raise ValueError(f"function {request.fc} is not spoken here")


def reply_bytes(begun: bytes) -> int:
    """How long a reply is that begins with these three bytes. Raises GarbledError."""
    function = begun[1]
    if function & REFUSED:
        return 3
    if function in _READS:
        return 3 + begun[2]
    if function in (WRITE_COIL, WRITE_ONE, WRITE_MANY):
        return 6
    raise GarbledError


def shape(request: Request) -> bytes:
    """How every reply begins that could be taken for this request's."""
    if request.fc in _READS:
        return bytes((request.unit, request.fc, request.answer_bytes))
    return message_of(request)[:4]  # unit, function, address


def shape_of(reply: bytes) -> bytes:
    """Of a reply that is no refusal."""
    return reply[:3] if reply[1] in _READS else reply[:4]


def acknowledges(reply: bytes, request: Request) -> bool:
    """Whether a reply of the right shape also echoes what was written."""
    return not request.writes or reply[4:6] == message_of(request)[4:6]
