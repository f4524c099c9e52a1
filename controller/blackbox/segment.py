"""A segment: one file of the black box, from which a replay can begin.

It begins with a line that names it, and goes on with chunks: kind, length and checksum (one byte,
three of nothing, and twice 32 bits, little-endian), then so many bytes. The first is the header
(JSON: versions, tables, names, clocks), the second the kernel's state, both compressed; then
journal and notes, in their order. What a crash cut off in the middle does not match its checksum:
it and whatever follows is not there, and all before it is.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

MAGIC = b"loadkeeper black box 1\n"
SUFFIX = ".lkb"
HEADER, STATE, JOURNAL, NOTE = 1, 2, 3, 4
FRAME = struct.Struct("<B3sII")  # kind, three bytes of 0, length, checksum
STAMP = struct.Struct("<qq?")


class Stamp(NamedTuple):
    """Both clocks at one instant."""

    now_ns: int
    utc_ns: int
    trusted: bool  # the wall clock was synchronised


class Note(NamedTuple):
    """Something that happened: an event, a loss, an incident."""

    at_ns: int
    what: str
    subject: str
    why: str


# --- writing -----------------------------------------------------------------------------------


def chunk(kind: int, payload: bytes) -> bytes:
    return FRAME.pack(kind, bytes(3), len(payload), checksum_of(kind, payload)) + payload


def header_chunk(header: dict[str, Any]) -> bytes:
    """`header` has the fields of `Header`; rows as they are."""
    return chunk(HEADER, zlib.compress(json.dumps(header).encode()))


def state_chunk(state: bytes) -> bytes:
    return chunk(STATE, zlib.compress(state))


def journal_chunk(stamp: Stamp, packed: bytes) -> bytes:
    return chunk(JOURNAL, STAMP.pack(*stamp) + packed)


def note_chunk(note: Note) -> bytes:
    return chunk(NOTE, json.dumps(note).encode())


def checksum_of(kind: int, payload: bytes) -> int:
    return zlib.crc32(payload, kind)


def number_of(path: Path) -> int:
    """Segments are numbered on, whatever the clocks say. Raises ValueError for another name."""
    kind, _, number = path.stem.partition("-")
    if path.suffix != SUFFIX or kind not in ("box", "frozen"):
        raise ValueError(path.name)
    return int(number)


def segments_in(directory: Path) -> list[Path]:
    """All of a directory, oldest first. Raises OSError."""
    found = []
    for path in directory.iterdir():
        try:
            found.append((number_of(path), path))
        except ValueError:
            continue
    return [path for _, path in sorted(found)]
