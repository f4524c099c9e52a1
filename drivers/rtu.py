"""Modbus RTU frames, and which replies a unit may still owe. Pure: no port, no time.

An RTU reply does not say which request it answers: it has a unit, a function and a count, but no
transaction number. One that comes late is therefore known only by its *shape*, its first bytes.
A unit answers in the order it was asked, so a reply of one shape proves that nothing is owed from
before it was asked for. What makes it certain that no late reply is taken for another one's:

- While a unit may owe a reply of a shape, no other request whose reply has that shape is sent.
- Instead the unit is *sounded*: something is read with another count, again and again, until it
  answers. Then it owes nothing from before, however late it was.
- A sounding that was sent more than once may be answered more than once: its own shape stays owed,
  and the next sounding has another one. Two other counts are enough for ever.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from drivers.device import WRITE_COIL, WRITE_MANY, WRITE_ONE, Request

REFUSED = 0x80
_READS = (1, 2, 3, 4)
_ON = b"\xff\x00"  # a coil, as it is written


class GarbledError(Exception):
    """No frame begins like this, or its checksum is wrong."""


def frame(request: Request) -> bytes:
    """The request as it goes over the wire."""
    head = bytes((request.unit, request.fc)) + request.address.to_bytes(2, "big")
    count = request.count.to_bytes(2, "big")
    values = b"".join(word.to_bytes(2, "big") for word in request.words)
    if request.fc in _READS:
        body = head + count
    elif request.fc == WRITE_COIL:
        body = head + (_ON if request.words[0] == 1 else b"\0\0")
    elif request.fc == WRITE_ONE:
        body = head + values
    elif request.fc == WRITE_MANY:
        body = head + count + bytes((len(values),)) + values
    else:
        raise ValueError(f"function {request.fc} is not spoken here")
    return body + checksum(body)


def shape(request: Request) -> bytes:
    """How every reply begins that could be taken for this request's."""
    if request.fc in _READS:
        return bytes((request.unit, request.fc, request.answer_bytes))
    return frame(request)[:4]  # unit, function, address


def shape_of(reply: bytes) -> bytes:
    """Of a whole frame that is a reply, no refusal."""
    return reply[:3] if reply[1] in _READS else reply[:4]


def acknowledges(reply: bytes, request: Request) -> bool:
    """Whether a frame of the right shape also echoes what was written."""
    return not request.writes or reply[4:6] == frame(request)[4:6]


def split(data: bytes) -> tuple[bytes, bytes]:
    """The frame that `data` begins with, empty while it is not whole, and the rest.

    Raises GarbledError.
    """
    if len(data) < 3:
        return b"", data
    function = data[1]
    if function & REFUSED:
        length = 5
    elif function in _READS:
        length = 5 + data[2]
    elif function in (WRITE_COIL, WRITE_ONE, WRITE_MANY):
        length = 8
    else:
        raise GarbledError
    if len(data) < length:
        return b"", data
    if checksum(data[: length - 2]) != data[length - 2 : length]:
        raise GarbledError
    return data[:length], data[length:]


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


@dataclass(eq=False, slots=True)
class Debts:
    """What one unit may still send although nobody waits for it.

    At most one request is under way, and a unit answers in the order it was asked.
    """

    _owed: set[bytes] = field(default_factory=set)  # shapes
    _known: Request | None = None  # a read that can be asked with other counts
    _sounding: Request | None = None  # from when it is first sent until it is answered
    _soundings: int = 0  # how often it was sent
    _since: set[bytes] = field(default_factory=set)  # shapes owed from after it was first sent

    def learn(self, request: Request) -> None:
        """Remembers what the unit can be sounded with."""
        if len(request.fewer) > 1:
            self._known = request

    def clear_for(self, request: Request) -> bool:
        """Whether no reply but its own can have its shape."""
        return shape(request) not in self._owed

    def sounding(self) -> Request | None:
        """The read that shows that nothing is owed any more; None where none is known."""
        if not self._soundings:
            self._sounding = next(self._free(), None)
            self._since.clear()
        return self._sounding

    def sent(self, request: Request) -> None:
        """From now on its reply may come, and at any later time."""
        if request is self._sounding:
            self._soundings += 1
        else:
            self._since.add(shape(request))
        self._owed.add(shape(request))

    def expects(self, reply: bytes) -> bool:
        """Whether a whole frame, or refusal, may be one that is owed."""
        if reply[1] & REFUSED:
            return any(owed[1] == reply[1] & ~REFUSED for owed in self._owed)
        return shape_of(reply) in self._owed

    def answered(self, request: Request) -> None:
        """Its reply came: nothing is owed from before it was first sent."""
        owed: set[bytes] = set()
        if request is self._sounding and self._soundings > 1:
            owed = self._since | {shape(request)}  # to one of them, nobody knows which
        self.forgive()
        self._owed = owed

    def refused(self, request: Request) -> bool:
        """It, or an older one of the same function, was refused. False: nobody knows which."""
        certain = not any(owed[1] == request.fc for owed in self._owed - {shape(request)}) and not (
            request is self._sounding and self._soundings > 1
        )
        if certain:
            self.answered(request)
        return certain

    def forgive(self) -> None:
        """Nothing is owed."""
        self._owed = set()
        self._since = set()
        self._sounding = None
        self._soundings = 0

    def _free(self) -> Iterator[Request]:
        if self._known is not None:
            for count in self._known.fewer:
                other = replace(self._known, count=count, fewer=())
                if self.clear_for(other):
                    yield other
