"""How often chargers' registers of limited endurance were written, kept over a restart.

Each has so many writes in all, and so many a day. The day is counted while the process runs, for
no clock can be trusted over a power cut: what was left of it at the end is what is left at the
start. A write that is withheld is told. A reduction is counted and never withheld.

A register is one of a device on its line: connectors that share it share its budget, whatever the
site document calls them. The file says more than was written: some writes ahead, so that it need
not be saved at each, and a crash or a power cut never gives any back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

import structlog
from pydantic import BaseModel, ConfigDict, Field

from controller.saver import Saver, UnreadableError, read_back
from controller.units import NS_PER_S
from drivers.chargerparts import Endurance

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

DAY_S = 86_400
DAY_NS = DAY_S * NS_PER_S
FILE_BYTES = 4 << 20
WRITES_MOST = 1 << 40
LAZY_S = 300.0  # so long what is not urgent waits for more
AHEAD_MOST = 50  # writes that the file is ahead

log: FilteringBoundLogger = structlog.get_logger()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class _Kept(_Strict):
    written: Annotated[int, Field(ge=0, le=WRITES_MOST)] = 0
    left_s: Annotated[int, Field(ge=-DAY_S, le=DAY_S)] = DAY_S  # of a day, to be spent on writes


class _File(_Strict):
    format: Literal[2] = 2
    devices: dict[str, dict[str, _Kept]] = Field(default_factory=dict)


class Keeper(Protocol):
    """Of the file: what it is given last is what stands there in the end."""

    def save(self, data: bytes, *, urgent: bool) -> None: ...
    def close(self) -> None: ...


Kept = Callable[[bytes, str | None], None]  # what was written, or why it was not


def saver(path: Path, on_attempt: Kept) -> Keeper:
    return Saver(path, LAZY_S, on_attempt)


class _Register:
    """One register of one device."""

    def __init__(self, kept: _Kept, now_ns: int) -> None:
        self.written = kept.written
        self.asked = kept.written  # that the file is to say
        self.on_disk = kept.written  # that it says, for certain
        self._cost_ns = 0  # of a write, of the day
        self._left_ns = kept.left_s * NS_PER_S
        self._seen_ns = now_ns

    def left_ns(self, now_ns: int) -> int:
        self._left_ns = min(self._left_ns + now_ns - self._seen_ns, DAY_NS)
        self._seen_ns = now_ns
        return self._left_ns

    def spend(self, cost_ns: int, now_ns: int) -> None:
        self.written = min(self.written + 1, WRITES_MOST)
        self._left_ns = max(self.left_ns(now_ns) - cost_ns, -DAY_NS)

    def reserve(self, endurance: Endurance) -> bool:
        """Whether the file is to be saved, for it is hardly ahead any more."""
        block = max(1, min(endurance.writes_a_day // 8, AHEAD_MOST))
        self._cost_ns = DAY_NS // endurance.writes_a_day
        if self.asked - self.written > block // 2:
            return False
        self.asked = min(self.written + block, WRITES_MOST)
        return True

    def kept(self, now_ns: int) -> _Kept:
        ahead_ns = max(self.asked - self.written, 0) * self._cost_ns
        left_s = max(self.left_ns(now_ns) - ahead_ns, -DAY_NS) // NS_PER_S
        return _Kept(written=max(self.asked, self.written), left_s=left_s)


class Wear:
    """Of all devices of one gateway. Used from the I/O thread only."""

    def __init__(
        self,
        now_ns: Callable[[], int],
        path: Path | None = None,
        keeper: Callable[[Path, Kept], Keeper] = saver,
    ) -> None:
        """Without a `path` it counts from now on, and forgets at the end."""
        self._now_ns = now_ns
        self._path = path
        self._make_keeper = keeper
        self._keeper: Keeper | None = None
        self._registers: dict[tuple[str, str], _Register] = {}
        self._new = _Kept()  # of one that nothing is known of
        self._asked: bytes | None = None  # to be in the file
        self._hurried = False  # with no delay
        self._on_disk: bytes | None = None  # set by the keeper's thread
        self._known: bytes | None = None  # of that, what was taken note of
        if path is not None:
            self._resume(path)

    def bears(self, device: str, place: str, endurance: Endurance) -> str | None:
        """Why no write goes there now; None where its memory bears one."""
        register = self._of(device, place)
        if register.written >= endurance.writes:
            return f"{register.written} times, as often as its memory bears"
        if register.left_ns(self._now_ns()) < DAY_NS // endurance.writes_a_day:
            return f"{register.written} times, {endurance.writes_a_day} within this day"
        self._reserve(register, endurance)
        return None

    def wrote(self, device: str, place: str, endurance: Endurance) -> None:
        """It may have arrived."""
        register = self._of(device, place)
        register.spend(DAY_NS // endurance.writes_a_day, self._now_ns())
        self._reserve(register, endurance)

    def written(self, device: str, place: str) -> int:
        """How often so far."""
        return self._of(device, place).written

    def close(self) -> None:
        """At the end: what was reserved and not written is given back."""
        if self._keeper is None:
            return
        for register in self._registers.values():
            register.asked = register.written
        self._save(urgent=True)
        self._keeper.close()

    @property
    def saved(self) -> bool:
        """Whether the file says all of it, or there was nothing to be said."""
        return self._on_disk is self._asked

    def _of(self, device: str, place: str) -> _Register:
        key = device, place
        if key not in self._registers:
            self._registers[key] = _Register(self._new, self._now_ns())
        return self._registers[key]

    def _resume(self, path: Path) -> None:
        try:
            file = read_back(path, _File, FILE_BYTES)
        except UnreadableError as error:
            log.error("wear of chargers' memories unknown", file=str(path), problem=str(error))
            self._new = _Kept(left_s=0)  # a day's writes may have been used up
            return
        now_ns = self._now_ns()
        for device, places in (_File() if file is None else file).devices.items():
            for place, kept in places.items():
                self._registers[device, place] = _Register(kept, now_ns)

    def _reserve(self, register: _Register, endurance: Endurance) -> None:
        """So that the file says more than will have been written when it is saved next."""
        if self._path is None:
            return
        if self.saved and self._known is not self._asked:
            self._known = self._asked
            for each in self._registers.values():
                each.on_disk = each.asked
        more, bare = register.reserve(endurance), register.on_disk <= register.written
        if more or (bare and not self._hurried):
            self._save(urgent=bare)

    def _save(self, *, urgent: bool) -> None:
        assert self._path is not None
        if self._keeper is None:
            self._keeper = self._make_keeper(self._path, self._attempted)
        devices: dict[str, dict[str, _Kept]] = {}
        now_ns = self._now_ns()
        for (device, place), register in self._registers.items():
            devices.setdefault(device, {})[place] = register.kept(now_ns)
        self._asked = _File(devices=devices).model_dump_json().encode()
        self._hurried = urgent
        self._keeper.save(self._asked, urgent=urgent)

    def _attempted(self, data: bytes, problem: str | None) -> None:
        if problem is None:
            self._on_disk = data
