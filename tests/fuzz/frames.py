"""What a serial line hears: the first byte chooses its framing, the second where it is cut.

Anything is messages, garbled or not whole yet. However it is cut, the same messages come of it; and
each of them stood on the line, framed and sealed, as long as it says.
"""

from __future__ import annotations

from drivers.asciiframes import Ascii
from drivers.frames import Framing, GarbledError, reply_bytes
from drivers.rtu import Rtu
from tests.serial_wire import lettered, sealed

FRAMINGS: tuple[tuple[str, Framing], ...] = (("rtu", Rtu()), ("ascii", Ascii()))
_REPLIES = [
    bytes((1, 4, 6, 0, 1, 0xAB, 0xCD, 0, 3)),
    bytes((17, 3, 2, 0, 133)),
    bytes((1, 1, 2, 0x0D, 0x01)),
    bytes((1, 6, 1, 5, 0, 133)),
    bytes((1, 16, 1, 44, 0, 2)),
    bytes((1, 0x84, 2)),
]
SEEDS = [
    bytes((i, cut)) + before + seal(reply) + seal(_REPLIES[0])
    for i, seal in enumerate((sealed, lettered))
    for reply in _REPLIES
    for before, cut in ((b"", 0), (b"", 9), (b":0104" if i else b"", 5))
]
WORDS = [b":", b"\r\n", b"\n", b"\r", b"0104", b"FF", b"\x01\x04\x02", b"\x01\x84", b"\0", b"G"]


def execute(data: bytes) -> str:
    if len(data) < 2:
        return "nothing"
    name, framing = FRAMINGS[data[0] % len(FRAMINGS)]
    stream, at = data[2:], data[1]
    found, garbled = messages(framing, stream)
    assert messages(framing, stream[:at], stream[at:]) == (found, garbled)
    for message in found:
        assert reply_bytes(message) == len(message)
        framed = framing.frame(message)
        assert framed in stream if name == "rtu" else framed.lower() in stream.lower()
    return name if found else "garbled" if garbled else "nothing whole"


def messages(framing: Framing, *pieces: bytes) -> tuple[list[bytes], bool]:
    """Of what is heard piece by piece; and whether it ended garbled."""
    found: list[bytes] = []
    heard = b""
    for piece in pieces:
        heard = framing.begun(heard + piece)
        while True:
            try:
                message, rest = framing.split(heard)
            except GarbledError:
                return found, True
            assert len(rest) < len(heard) or not message
            heard = rest
            if not message:
                break
            found.append(message)
    return found, False
