"""The black box: what went into the kernel and what came out of it, on disk, for whoever must find
out afterwards.

The loop hands over what the kernel's journal says and never waits; a thread of its own makes it
small and writes it, every few seconds. A disk that is full, slow or gone stops nobody: what could
not be kept is counted and said, and recording begins anew, with a fresh state of the kernel, as
soon as the disk takes it.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from cext.snapshot import snapshot
from controller.blackbox.pack import Packer
from controller.blackbox.segment import (
    Note,
    Stamp,
    header_chunk,
    journal_chunk,
    note_chunk,
    state_chunk,
)
from controller.clock import WallClock
from controller.events import Event, Events
from controller.journal import Kind, split
from controller.threads import name_this_thread
from controller.units import NS_PER_S
from controller.version import VERSION

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from cext.tick import Kernel
    from controller.blackbox.shelf import Shelf
    from controller.image import Clock
    from controller.site import Site
    from controller.tables import Tables
    from controller.tap import Tap

FORMAT = 1
WRITE_EVERY_S = 5.0  # so much a crash can take with it
SEGMENT_NS = 3600 * NS_PER_S
SEGMENT_BYTES = 8 * 1024 * 1024
BATCH_BYTES = 64 * 1024  # of journal in one chunk
WAITING_BYTES = 2 * 1024 * 1024  # of journal, for a disk that is slow
WAITING_ITEMS = 10_000  # batches and notes, likewise
RETRY_NS = 10 * NS_PER_S
HANGS_NS = 15 * NS_PER_S  # a write that takes longer

INCIDENTS = frozenset({"latched", "circuit_beyond_control"})
"""Events around which segments are kept."""

log: FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class State:
    """How recording stands."""

    since_ns: int | None  # it records without a gap since then; None: it does not
    lost: int  # records of the journal, since the process began
    problem: str | None  # why it does not


@dataclass(frozen=True, slots=True)
class _Open:
    header: dict[str, Any]
    state: bytes
    now_ns: int


@dataclass(frozen=True, slots=True)
class _Freeze:
    pass


_Item = _Open | Note | bytes | _Freeze


class BlackBox:
    """Of one process. Methods are for the I/O thread, but for what begins with `_write`."""

    def __init__(
        self,
        shelf: Shelf,
        clock: Clock,
        wall: WallClock,
        boot_id: str,
        write_every_s: float = WRITE_EVERY_S,
    ) -> None:
        self._shelf = shelf
        self._clock = clock
        self._wall = wall
        self._boot_id = boot_id
        self._write_every_s = write_every_s
        self._changed = threading.Condition()
        # Between the threads, under that condition's lock.
        self._items: list[_Item] = []
        self._waiting_bytes = 0
        self._closing = False
        self._urgent = False
        self._wants = ""  # why another segment is wanted
        self._recording = False  # what comes next follows what was kept last
        self._since_ns: int | None = None
        self._lost = 0
        self._problem: str | None = None
        self._busy_ns: int | None = None  # a write is under way since then
        # Of the thread.
        self._packer = Packer()
        self._rest: Iterator[_Item] = iter(())  # of what is being written: not looked at yet
        self._at_risk: list[bytes] = []  # journal that is not on the disk yet
        self._missing = 0  # records of which the journal said that they are
        self._segment_ns = 0
        self._open = False
        self._retry_ns = 0
        self._thread = threading.Thread(target=self._work, name="black box", daemon=True)
        self._begun = False
        self._told: str | None = None

    # What the loop calls; none of it waits.

    def begin(
        self, site: Site, tables: Tables, kernel: Kernel, tap: Tap, mode: str, why: str
    ) -> None:
        """Another segment, from the kernel's present state on; `tap` is of that kernel."""
        taken = snapshot(kernel)
        tap.hand_on(taken.journal)
        stamp = self._stamp()
        header = self._header(site, tables, mode, why, stamp)
        with self._changed:
            self._wants = ""
            self._items.append(_Open(header, taken.state, stamp.now_ns))
            self._recording = True
        if not self._begun:
            self._begun = True
            self._thread.start()

    def take(self, journal: bytes) -> None:
        """Some of the kernel's journal, in its order."""
        with self._changed:
            full = len(self._items) >= WAITING_ITEMS
            full = full or self._waiting_bytes + len(journal) > WAITING_BYTES
            if self._recording and full:
                self._stop_recording("the disk is too slow")
            if not self._recording:
                self._lost += _records(journal) if self._begun else 0
                return
            self._items.append(journal)
            self._waiting_bytes += len(journal)

    def note(self, event: Event) -> None:
        """An event is kept with the journal; around an incident, segments are frozen."""
        with self._changed:
            if not self._recording or len(self._items) >= WAITING_ITEMS:
                return
            self._items.append(Note(event.at_ns, event.what, event.subject, event.why))
        if event.what in INCIDENTS:
            self._freeze()

    def freeze(self, why: str) -> None:
        """Keeps the segments of now and shortly before, beyond the others, and writes at once."""
        with self._changed:
            if self._recording:
                self._items.append(Note(self._clock.now_ns(), "frozen", "", why))
        self._freeze()

    def _freeze(self) -> None:
        with self._changed:
            if len(self._items) >= WAITING_ITEMS:
                return
            self._items.append(_Freeze())
            self._urgent = True
            self._changed.notify()

    def look(self, events: Events) -> None:
        """Tells when recording ends and when it goes on."""
        problem = self.state.problem
        if problem == self._told:
            return
        if problem is None:
            log.info("the black box records again")
            events.happened("recording", "", "the black box records again")
        elif self._told is None:
            log.error("the black box does not record; control goes on", why=problem)
            events.happened("not_recording", "", f"the black box: {problem}; control goes on")
        self._told = problem

    def wanted(self) -> str:
        """Why `begin` is to be called again; empty: it is not."""
        with self._changed:
            crowded = len(self._items) > WAITING_ITEMS // 2
            if crowded or self._waiting_bytes > WAITING_BYTES // 2:
                return ""  # what begins a segment is large: not beside all that waits
            return self._wants

    @property
    def state(self) -> State:
        with self._changed:
            problem, busy_ns = self._problem, self._busy_ns
            if problem is None and busy_ns is not None:
                for_ns = self._clock.now_ns() - busy_ns
                if for_ns > HANGS_NS:
                    problem = "the disk does not answer"
            return State(self._since_ns if self._recording else None, self._lost, problem)

    def close(self, within_s: float = 2.0) -> None:
        """Writes what waits, if the disk takes it in that time."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._begun:
            self._thread.join(within_s)

    # The thread.

    def _work(self) -> None:
        name_this_thread("black box")
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._urgent or self._closing, self._write_every_s)
                items, self._items = self._items, []
                self._urgent = False
                ends = self._closing
                self._busy_ns = self._clock.now_ns()
            try:
                self._write(items)
            except OSError as error:
                self._write_failed(error.strerror or str(error))
            except (ValueError, LookupError, MemoryError) as error:  # ours; control goes on
                self._write_failed(f"{type(error).__name__}: {error}")
            with self._changed:
                self._waiting_bytes = sum(map(len, _journals(self._items)))
                self._busy_ns = None
            if ends:
                self._shelf.close()
                return

    def _write(self, items: list[_Item]) -> None:
        """All of it, with one write for each segment."""
        out, journal = bytearray(), bytearray()
        self._rest = iter(items)
        for item in self._rest:
            match item:
                case bytes():
                    if not self._open:
                        self._write_lost(_records(item))
                        continue
                    self._at_risk.append(item)
                    journal += item
                    if len(journal) >= BATCH_BYTES:
                        out += self._packed(journal)
                case Note():
                    out += self._packed(journal) + note_chunk(item)
                case _Open():
                    if self._open:
                        self._append(out + self._packed(journal))
                    out.clear()
                    self._write_segment(item)
                case _Freeze():
                    self._shelf.freeze()
        if self._open:
            self._append(out + self._packed(journal))
        self._write_looks_ahead()

    def _append(self, data: bytearray) -> None:
        self._shelf.append(bytes(data))
        self._at_risk.clear()
        self._missing += self._packer.lost
        self._packer.lost = 0

    def _packed(self, journal: bytearray) -> bytes:
        if not journal:
            return b""
        packed = self._packer.pack(bytes(journal))
        journal.clear()
        return journal_chunk(self._stamp(), packed)

    def _write_segment(self, item: _Open) -> None:
        self._open = False
        self._shelf.open(header_chunk(item.header) + state_chunk(item.state))
        self._packer = Packer()
        self._segment_ns = item.now_ns
        self._open = True
        with self._changed:
            if self._since_ns is None:
                self._since_ns = item.now_ns
            self._problem = None

    def _write_looks_ahead(self) -> None:
        """Whether another segment is due."""
        now_ns = self._clock.now_ns()
        why = ""
        if not self._open:
            why = "the disk is tried again" if now_ns >= self._retry_ns else ""
        elif self._missing:
            why = f"{self._missing} records were lost before they were taken"
        elif now_ns - self._segment_ns >= SEGMENT_NS or self._shelf.written_bytes > SEGMENT_BYTES:
            why = "the one before was full"
        with self._changed:
            if why and not self._wants:
                self._wants = why
        self._write_lost(self._missing)
        self._missing = 0

    def _write_failed(self, problem: str) -> None:
        self._open = False
        self._shelf.close()
        now_ns = self._clock.now_ns()
        self._retry_ns = now_ns + RETRY_NS
        self._packer = Packer()
        with self._changed:
            self._stop_recording(problem)
            self._wants = ""
            waited, self._items = self._items, []
        lost = [*self._at_risk, *_journals(self._rest), *_journals(waited)]
        self._at_risk.clear()
        self._write_lost(sum(map(_records, lost)) + self._missing)
        self._missing = 0

    def _write_lost(self, records: int) -> None:
        with self._changed:
            self._lost += records

    # Both.

    def _stop_recording(self, problem: str) -> None:
        """The lock is held."""
        self._recording = False
        self._since_ns = None
        self._problem = problem
        self._wants = problem

    def _stamp(self) -> Stamp:
        return Stamp(self._clock.now_ns(), self._wall.utc_ns(), self._wall.trusted())

    def _header(
        self, site: Site, tables: Tables, mode: str, why: str, stamp: Stamp
    ) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "machine": platform.machine(),
            "site": site.id,
            "timezone": site.timezone,
            "installation_hash": site.installation_hash,
            "mode": mode,
            "boot_id": self._boot_id,
            "why": why,
            **stamp._asdict(),
            "tick_ns": tables.tick_ns,
            "circuits": tables.circuits,
            "sources": tables.sources,
            "chargers": tables.chargers,
            "slots": tables.slots,
            "contactors": tables.contactors,
            "tuning": tables.tuning,
            "circuit_ids": list(tables.circuit_index),
            "source_ids": list(tables.source_index),
            "charger_ids": list(tables.charger_index),
            "powers": [
                each and (each.mv, each.pause_mw, each.step_mw) for each in tables.charger_watts
            ],
            "slot_ids": list(tables.slot_index),
            "contactor_ids": list(tables.contactor_index),
        }


def _journals(items: Iterable[_Item]) -> Iterator[bytes]:
    return (item for item in items if isinstance(item, bytes))


def _records(journal: bytes) -> int:
    """Those in it, and those of which it says that they are missing."""
    return sum(words[0] if kind == Kind.LOST else 1 for _, kind, words in split(journal))
