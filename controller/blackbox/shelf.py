"""The directory of the black box: segments in bounded space, the oldest go first.

Segments around an incident are frozen: they have a bound of their own, so that a quiet week does
not push them out. Used from the black box's thread only; every call may wait for the disk and
raise OSError.
"""

from __future__ import annotations

import os
from pathlib import Path

from controller.blackbox.segment import MAGIC, SUFFIX, number_of, segments_in

KEEP_BYTES = 192 * 1024 * 1024  # more than a week of a hundred chargers
FROZEN_BYTES = 64 * 1024 * 1024
FREE_BYTES = 64 * 1024 * 1024  # of the file system, left to everybody else
FREE_SHARE = 4  # or so much of a small one: a quarter
FULL = "its file system is full: what little is free there is not for the black box"


class Shelf:
    """Writes one segment at a time."""

    def __init__(
        self,
        directory: Path,
        keep_bytes: int = KEEP_BYTES,
        frozen_bytes: int = FROZEN_BYTES,
        free_bytes: int = FREE_BYTES,
    ) -> None:
        self._directory = directory
        self._keep_bytes = keep_bytes
        self._frozen_bytes = frozen_bytes
        self._free_bytes = free_bytes
        self._descriptor: int | None = None
        self._path: Path | None = None
        self._before: Path | None = None  # the segment before this one, of the same process
        self.written_bytes = 0  # of this segment

    def open(self, begin: bytes) -> None:
        """Another segment, with what it begins with."""
        self.close()
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._make_room()
        found = segments_in(self._directory)
        path = self._directory / f"box-{number_of(found[-1]) + 1 if found else 1:010}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        self._before, self._path = self._path, path
        self.written_bytes = 0
        try:
            self.append(MAGIC + begin)
        except OSError:
            self.close()
            path.unlink(missing_ok=True)  # or failed beginnings would push out what is good
            raise
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def append(self, data: bytes) -> None:
        """On the disk when this returns."""
        assert self._descriptor is not None
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        os.fdatasync(self._descriptor)
        self.written_bytes += len(data)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def freeze(self) -> None:
        """Keeps this segment and the one before it, until others that are frozen need the room."""
        self._path, self._before = self._frozen(self._path), self._frozen(self._before)
        self._drop_oldest("frozen", self._frozen_bytes)

    def _frozen(self, path: Path | None) -> Path | None:
        if path is None or path.name.startswith("frozen") or not path.exists():
            return path
        return path.rename(path.with_name(path.name.replace("box", "frozen", 1)))

    def _make_room(self) -> None:
        self._drop_oldest("box", self._keep_bytes)
        self._drop_oldest("frozen", self._frozen_bytes)
        while self._full():
            boxes = [path for path in self._segments("box") if path != self._path]
            if not boxes:
                raise OSError(0, FULL)
            boxes[0].unlink()

    def _drop_oldest(self, kind: str, keep_bytes: int) -> None:
        segments = self._segments(kind)
        sizes = [path.stat().st_size for path in segments]
        while len(segments) > 1 and sum(sizes) > keep_bytes:
            segments.pop(0).unlink()
            sizes.pop(0)

    def _segments(self, kind: str) -> list[Path]:
        return [path for path in segments_in(self._directory) if path.name.startswith(kind)]

    def _full(self) -> bool:
        space = os.statvfs(self._directory)
        left = min(self._free_bytes, space.f_blocks * space.f_frsize // FREE_SHARE)
        return space.f_bavail * space.f_frsize < left
