"""Documents and the disk: power is cut at every byte and between all writes; the state that comes
up is the old one or the new one, whole."""

import asyncio
import errno
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from controller import saver
from controller.reported import Reported
from controller.revisions import DamagedError, Kept, Memory, Revisions, pack, unpack

FILE = Path("/state/documents.json")


class Inode:
    """A file's content: as written, and how much of it has surely reached the disk."""

    def __init__(self) -> None:
        self.written = b""
        self.synced: bytes | None = None  # None: not even that it is there


class Disk:
    """Stands in for `os`: what it was asked to do, and every disk a power cut could leave.

    Nothing is sure before its fsync: bytes of a file may be there in part, as zeros or not at all;
    names may have changed or not, one without the other.
    """

    O_WRONLY, O_CREAT, O_TRUNC, O_CLOEXEC, O_RDONLY, O_DIRECTORY = 1, 2, 4, 8, 16, 32

    def __init__(self, content: bytes) -> None:
        old = Inode()
        old.written = old.synced = content
        self.names = {FILE.name: old}  # as they surely are
        self.moves: list[tuple[str, str, Inode]] = []  # since the directory's last fsync
        self.open_files: list[Inode | None] = []
        self.states: list[dict[str, bytes]] = []
        self.steps: list[str] = []

    # What the saver calls.

    def open(self, path: Path, flags: int, mode: int = 0) -> int:
        if flags & self.O_DIRECTORY:
            self.open_files.append(None)
        else:
            made = Inode()
            self.moves.append(("create", Path(path).name, made))
            self.open_files.append(made)
        return self._done("open")

    def write(self, descriptor: int, data: memoryview) -> int:
        inode = self.open_files[descriptor]
        assert inode is not None
        taken = bytes(data[: max(1, len(data) // 2)])  # a write may take less than it was given
        for count in range(len(taken) + 1):
            before = inode.written
            inode.written = before + taken[:count]
            self._cut()
            inode.written = before
        inode.written += taken
        self._done("write")
        return len(taken)

    def fsync(self, descriptor: int) -> None:
        inode = self.open_files[descriptor]
        if inode is not None:
            inode.synced = inode.written
        else:
            for what, name, moved in self.moves:
                self._move(self.names, what, name, moved)
            self.moves.clear()
        self._done("fsync")

    def replace(self, source: Path, target: Path) -> None:
        here = dict(self.names)
        for what, name, moved in self.moves:
            self._move(here, what, name, moved)
        self.moves.append(("rename", f"{source.name} {target.name}", here[source.name]))
        self._done("replace")

    def close(self, descriptor: int) -> None:
        self._done("close")

    # What a power cut leaves.

    def _done(self, step: str) -> int:
        self.steps.append(step)
        self._cut()
        return len(self.open_files) - 1

    def _cut(self) -> None:
        for count in range(len(self.moves) + 1):
            for chosen in combinations(self.moves, count):
                names = dict(self.names)
                for what, name, moved in chosen:
                    self._move(names, what, name, moved)
                for content in self._contents(names.get(FILE.name)):
                    self.states.append({} if content is None else {FILE.name: content})

    @staticmethod
    def _contents(inode: Inode | None) -> Iterator[bytes | None]:
        if inode is None:
            yield None
            return
        if inode.synced is not None:
            yield inode.synced
            return
        for length in range(len(inode.written) + 1):
            yield inode.written[:length]
            yield inode.written[:length] + bytes(len(inode.written) - length)

    @staticmethod
    def _move(names: dict[str, Inode], what: str, name: str, moved: Inode) -> None:
        if what == "create":
            names[name] = moved
        else:
            source, target = name.split()
            names.pop(source, None)
            names[target] = moved


def kept(revision: int) -> Kept:
    return Kept(revision=revision, sha256="f" * 8, operation={"x": revision}, installation=None)


OLD = Memory(installer="i", last=1, active=kept(1))
NEW = Memory(installer="i", last=2, active=kept(1), trial=kept(2))


def test_wherever_power_is_cut_the_old_or_the_new_state_comes_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Disk(pack(OLD))
    monkeypatch.setattr(saver, "os", disk)
    saver.write_atomically(FILE, pack(NEW))
    found = [unpack(state[FILE.name]) for state in disk.states]  # the file is always there
    assert found[0] == OLD
    assert found[-1] == NEW
    assert {each.last for each in found} == {1, 2}
    assert len(found) > len(pack(NEW))


@pytest.mark.parametrize("left_out", ["fsync of the file", "fsync of the directory"])
def test_the_disk_of_these_tests_notices_what_is_not_synced(
    left_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Careless(Disk):
        def fsync(self, descriptor: int) -> None:
            is_file = self.open_files[descriptor] is not None
            if is_file != (left_out == "fsync of the file"):
                super().fsync(descriptor)

    disk = Careless(pack(OLD))
    monkeypatch.setattr(saver, "os", disk)
    saver.write_atomically(FILE, pack(NEW))
    if left_out == "fsync of the directory":
        assert pack(OLD) in [state.get(FILE.name) for state in disk.states[-8:]]
        return
    broken = 0
    for state in disk.states:
        try:
            unpack(state.get(FILE.name, b""))
        except DamagedError:
            broken += 1
    assert broken


@pytest.mark.parametrize("position", [0, 30, 60, 95, -2])
def test_a_flipped_bit_is_noticed_and_the_installers_file_is_gone_on_with(
    position: int, tmp_path: Path
) -> None:
    data = bytearray(pack(OLD))
    data[position] ^= 1
    with pytest.raises(DamagedError):
        unpack(bytes(data))
    (tmp_path / "documents.json").write_bytes(data)
    with capture_logs() as logs:
        revisions = Revisions(tmp_path / "documents.json", "i")
    assert revisions.memory == Memory(installer="i")
    assert logs[0]["event"] == "saved documents cannot be used"
    assert "checksum" in (revisions.problem or "")
    good = pack(OLD)
    (tmp_path / "documents.json").write_bytes(good)
    assert Revisions(tmp_path / "documents.json", "i").problem is None


def test_what_is_no_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "documents.json").mkdir()
    revisions = Revisions(tmp_path / "documents.json", "i")
    assert revisions.memory == Memory(installer="i")
    assert "it is no file" in (revisions.problem or "")
    assert Revisions(tmp_path / "none.json", "i").problem is None


def test_a_disk_that_wakes_up_late_keeps_what_is_true_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial was given up while the disk hung; then both writes arrive, the newer one last."""
    asked: list[bytes] = []

    def fails_once(path: Path, data: bytes) -> None:
        asked.append(data)
        if len(asked) == 1:
            raise OSError(errno.EIO, "Input/output error")
        path.write_bytes(data)

    async def run() -> None:
        monkeypatch.setattr(saver, "write_atomically", fails_once)
        revisions = Revisions(tmp_path / "documents.json", "i")
        candidate: Any = type("Candidate", (), {})()
        candidate.revision, candidate.sha256 = 3, "s"
        candidate.operation, candidate.installation = {}, None
        with pytest.raises(Exception, match="Input/output"):
            await revisions.begin(candidate)
        assert revisions.memory.trial is None
        revisions.close()
        assert unpack(asked[-1]) == revisions.memory
        again = Revisions(tmp_path / "documents.json", "i")
        assert again.memory == revisions.memory

    asyncio.run(run())


def test_a_trial_that_the_process_did_not_survive_is_remembered_as_failed(tmp_path: Path) -> None:
    path = tmp_path / "documents.json"
    path.write_bytes(pack(NEW))
    revisions = Revisions(path, "i")
    assert revisions.memory.active == kept(1)
    assert revisions.memory.trial is None
    failed = revisions.memory.failed
    assert isinstance(failed, Reported)
    assert (failed.revision, failed.state) == (2, "rolled_back")
    assert Revisions(path, "another").memory == Memory(installer="another", last=2)
