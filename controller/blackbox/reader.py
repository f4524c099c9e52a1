"""Reads segments of the black box: what a replay is made from."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from cext.rows import ChargerRow, CircuitRow, ContactorRow, SlotRow, SourceRow, Tuning
from controller.blackbox.pack import PackError, Unpacker
from controller.blackbox.segment import (
    FRAME,
    HEADER,
    JOURNAL,
    MAGIC,
    NOTE,
    STAMP,
    STATE,
    Note,
    Stamp,
    checksum_of,
)

_MOST_BYTES = 256 * 1024 * 1024  # of one chunk when it is not compressed


class SegmentError(Exception):
    """A file that is no segment, or none from which a replay can begin; says why.

    `cut_off`: it is what a crash leaves of one that had only been begun.
    """

    def __init__(self, why: str, cut_off: bool = False) -> None:
        super().__init__(why)
        self.cut_off = cut_off


class Header(BaseModel):
    """All that a kernel is built from, and who and where it was."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    version: str  # of the program
    machine: str
    site: str
    timezone: str | None
    installation_hash: str
    mode: str
    boot_id: str
    why: str  # this segment begins
    now_ns: int
    utc_ns: int
    trusted: bool
    tick_ns: int
    circuits: tuple[CircuitRow, ...]
    sources: tuple[SourceRow, ...]
    chargers: tuple[ChargerRow, ...]
    slots: tuple[SlotRow, ...]
    contactors: tuple[ContactorRow, ...]
    tuning: Tuning
    circuit_ids: tuple[str, ...]
    source_ids: tuple[str, ...]
    charger_ids: tuple[str, ...]
    slot_ids: tuple[str, ...]
    contactor_ids: tuple[str, ...]
    # Of chargers commanded in watts: the volts of an ampere in mV, mW written for a pause, and of a
    # step.
    powers: tuple[tuple[int, int, int] | None, ...] = ()

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.now_ns, self.utc_ns, self.trusted)


class Batch(NamedTuple):
    """Some of the journal; the stamp is of the moment when it was packed."""

    stamp: Stamp
    journal: bytes


class Segment:
    """One file, read from its beginning. `problem` tells after reading why it ended early, and
    `damaged` that this was no crash, which leaves what was written last half written."""

    def __init__(self, path: Path) -> None:
        """Raises SegmentError."""
        self.path = path
        self.problem: str | None = None
        self.damaged = False
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SegmentError(f"{path}: {error.strerror}") from error
        if len(data) < len(MAGIC) and MAGIC.startswith(data):
            raise SegmentError(f"{path}: cut off at byte {len(data)}: it had only been begun", True)
        if not data.startswith(MAGIC):
            raise SegmentError(f"{path}: no black box of Loadkeeper, or of another format")
        self._chunks = self._split(data)
        self.header = self._header()
        self.state = self._expected(STATE, "the kernel's state")

    def parts(self) -> Iterator[Batch | Note]:
        """Journal and notes, in their order. Once only."""
        unpacker = Unpacker()
        for kind, payload in self._chunks:
            try:
                if kind == JOURNAL:
                    stamp = Stamp(*STAMP.unpack_from(payload))
                    yield Batch(stamp, unpacker.unpack(payload[STAMP.size :]))
                elif kind == NOTE:
                    at_ns, what, subject, why = json.loads(payload)
                    yield Note(int(at_ns), str(what), str(subject), str(why))
                else:
                    raise PackError(f"there is no chunk of kind {kind}")
            except (PackError, ValueError, TypeError, struct.error) as error:
                self.fail(f"a chunk cannot be read, and nothing after it: {error}")
                return

    def fail(self, problem: str) -> None:
        """What stands there says nothing, although it is whole."""
        self.problem, self.damaged = problem, True

    def stamps(self) -> list[Stamp]:
        """Both clocks at its beginning, and whenever something was written. Instead of parts()."""
        found = [self.header.stamp]
        for kind, payload in self._chunks:
            if kind == JOURNAL and len(payload) >= STAMP.size:
                found.append(Stamp(*STAMP.unpack_from(payload)))
        return found

    def _split(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        at = len(MAGIC)
        while at < len(data):
            if len(data) - at < FRAME.size:
                self.problem = f"cut off at byte {at}: what was written last is not whole"
                return
            kind, rest, length, checksum = FRAME.unpack_from(data, at)
            payload = data[at + FRAME.size : at + FRAME.size + length]
            if len(payload) < length:
                self.problem = f"cut off at byte {at}: what was written last is not whole"
                return
            if any(rest) or checksum_of(kind, payload) != checksum:
                self.fail(f"damaged at byte {at}: nothing from there on can be trusted")
                return
            yield kind, payload
            at += FRAME.size + length

    def _expected(self, kind: int, what: str) -> bytes:
        found, payload = next(self._chunks, (None, b""))
        if found != kind:
            cut_off = found is None and not self.damaged
            raise SegmentError(f"{self.path}: {what} is missing" + self._because(), cut_off)
        try:
            unpacking = zlib.decompressobj()
            data = unpacking.decompress(payload, _MOST_BYTES)
        except zlib.error as error:
            raise SegmentError(f"{self.path}: {what} cannot be read: {error}") from error
        if unpacking.unconsumed_tail or not unpacking.eof:
            raise SegmentError(f"{self.path}: {what} is not whole")
        return data

    def _header(self) -> Header:
        try:
            return Header.model_validate_json(self._expected(HEADER, "the header"))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise SegmentError(
                f"{self.path}: recorded by another version: {where}: {first['msg']}"
            ) from error

    def _because(self) -> str:
        return f": {self.problem}" if self.problem else ""
