"""Leases kept over a restart.

In the same boot they go on as they were. After a reboot the monotonic clock has begun anew
and nobody knows how long the power was off: each source counts as lost since now, so that its
last limit binds for its hold and then its fail-safe cap. The site document may have changed
meanwhile: no lease outlives the present `lease_s`, and none says "unlimited" for another
installation than the one that it was given to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cext.check import MOST_MA
from cext.rows import NEVER_NS, Phases
from controller.limits import MAX_TTL_S, Lease, Limits
from controller.saver import Saver, UnreadableError, read_back
from controller.units import NS_PER_S

FILE_BYTES = 1 << 20
_Milliamps = Annotated[int, Field(ge=0, le=MOST_MA)]
_Instant = Annotated[int, Field(ge=0, le=NEVER_NS)]


class LimitFileError(Exception):
    """A saved file that cannot be read, with the reason in words."""


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    circuit: str
    limit_ma: tuple[_Milliamps, _Milliamps, _Milliamps] | None
    limit_until_ns: _Instant
    alive_until_ns: _Instant


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    format: Literal[1] = 1
    boot_id: str
    installation_hash: str = ""  # unknown: another one than ours
    limits: dict[str, _Kept]


class LimitFile:
    """The file of one site's leases, written by a thread of its own."""

    def __init__(self, path: Path, boot_id: str, installation_hash: str) -> None:
        self._path = path
        self._boot_id = boot_id
        self._installation_hash = installation_hash
        self._saver = Saver(path)
        self._saved: dict[str, tuple[Phases | None, int]] = {}

    @property
    def problem(self) -> str | None:
        """Why leases cannot be saved, if they cannot."""
        return self._saver.problem

    def switch(self, installation_hash: str) -> None:
        """Another document is in force."""
        self._installation_hash = installation_hash

    def save(self, limits: Limits) -> None:
        """At once when a limit changed; mere renewals wait for a few seconds."""
        leases = limits.leases
        asked = {source: (lease.limit_ma, lease.limit_until_ns) for source, lease in leases.items()}
        circuits = {source.id: source.circuit for source in limits.sources}
        kept = {
            source: _Kept(
                circuit=circuits[source],
                limit_ma=lease.limit_ma,
                limit_until_ns=lease.limit_until_ns,
                alive_until_ns=lease.alive_until_ns,
            )
            for source, lease in leases.items()
        }
        file = _File(boot_id=self._boot_id, installation_hash=self._installation_hash, limits=kept)
        self._saver.save(file.model_dump_json().encode(), urgent=asked != self._saved)
        self._saved = asked

    def restore(self, limits: Limits, now_ns: int) -> list[str]:
        """Hands the saved leases on; returns their sources. Raises LimitFileError."""
        file = self._read()
        if file is None:
            return []
        rebooted = file.boot_id != self._boot_id
        moved = file.installation_hash != self._installation_hash
        lease_ns = {source.id: source.lease_ns for source in limits.sources}
        restored = []
        for source, kept in file.limits.items():
            latest_ns = now_ns + lease_ns.get(source, 0)
            alive_until_ns = min(kept.alive_until_ns, latest_ns)
            lease = Lease(kept.limit_ma, kept.limit_until_ns, alive_until_ns)
            lifts = kept.limit_ma is None or kept.limit_until_ns <= now_ns
            absurd = kept.alive_until_ns > now_ns + MAX_TTL_S * NS_PER_S
            if rebooted or absurd or (moved and lifts):
                lease = Lease(kept.limit_ma, NEVER_NS, now_ns)
            if limits.restore(source, kept.circuit, lease):
                restored.append(source)
        if restored:
            self.save(limits)  # with this boot's times: another restart must not prolong the hold
        return restored

    def close(self) -> None:
        """Writes what is pending, if the disk takes it soon."""
        self._saver.close()

    def _read(self) -> _File | None:
        try:
            return read_back(self._path, _File, FILE_BYTES)
        except UnreadableError as error:
            raise LimitFileError(f"{self._path}: {error}") from error
