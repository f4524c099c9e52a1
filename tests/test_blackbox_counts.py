"""What the black box says of itself: how much is lost, to the record, and what a replay proves."""

import json
import threading
import time
from pathlib import Path

import pytest

from controller.__main__ import main
from controller.blackbox.reader import Batch, Segment, SegmentError
from controller.blackbox.recorder import BlackBox
from controller.blackbox.replay import find
from controller.blackbox.segment import FRAME, MAGIC, header_chunk, state_chunk
from controller.blackbox.shelf import Shelf
from controller.journal import decode, encode
from controller.records import Fallback, Lost
from controller.tap import Tap
from tests.depots import Depot, document
from tests.recorded import BOOT, Recorded


class Moody(Shelf):
    """Fails the appends that it is told to, after the disk has taken a part."""

    def __init__(self, directory: Path, fails: set[int]) -> None:
        super().__init__(directory)
        self.fails = fails
        self.appends = 0
        self.done = threading.Event()

    def append(self, data: bytes) -> None:
        self.appends += 1
        if self.appends in self.fails:
            super().append(data[: len(data) // 3])
            raise OSError(5, "Input/output error")
        super().append(data)


def boxed(directory: Path, fails: set[int]) -> Recorded:
    """As `Recorded`, on a shelf that fails now and then. What was taken stands in `taken`."""
    recorded = Recorded(Depot(1, document(1)), directory / "unused")
    recorded.close()
    clock = recorded.depot.enforcer.clock
    recorded.shelved = Moody(directory, fails)
    recorded.box = BlackBox(recorded.shelved, clock, clock, BOOT, write_every_s=0.005)
    recorded.tap = Tap(recorded.depot.enforcer.kernel)
    recorded.tap.follow_bytes(recorded.box.take)
    return recorded


def records_in(directory: Path) -> int:
    return sum(
        len(list(decode(part.journal)))
        for path in find(directory)
        for part in Segment(path).parts()
        if isinstance(part, Batch)
    )


@pytest.mark.parametrize("fails", [{2}, {3}, {2, 3, 5}, {4, 5, 6}])
def test_what_a_failing_disk_loses_is_counted_to_the_record(
    tmp_path: Path, fails: set[int]
) -> None:
    box = boxed(tmp_path / "box", fails)
    taken = 0

    def count(journal: bytes) -> None:
        nonlocal taken
        taken += len(list(decode(journal)))

    box.begin("the test began")  # what came before is nobody's yet
    box.tap.follow_bytes(count)
    for _ in range(60):
        box.live(1)
        time.sleep(0.01)
    box.close()
    shelf = box.shelved
    assert isinstance(shelf, Moody)
    assert shelf.appends > max(fails)
    lost = box.box.state.lost
    assert lost > 0
    assert records_in(tmp_path / "box") == taken - lost


def test_a_loss_that_the_journal_tells_of_is_not_lost_with_its_batch(tmp_path: Path) -> None:
    box = boxed(tmp_path / "box", {2})
    box.begin("the test began")
    box.box.take(encode([Lost(70), Fallback(0, 6000)]))
    box.close()
    assert box.box.state.lost == 71


def test_a_loss_that_the_journal_tells_of_counts_once(tmp_path: Path) -> None:
    box = boxed(tmp_path / "box", set())
    box.begin("the test began")
    box.box.take(encode([Lost(70), Fallback(0, 6000)]))
    box.close()
    assert box.box.state.lost == 70


# --- what a replay proves ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("box")
    box = Recorded(Depot(1, document(1)), directory)
    for _ in range(4):
        box.live(5)
        written = box.shelved.written_bytes
        while box.shelved.written_bytes == written:  # a chunk of its own for each
            time.sleep(0.001)
            box.live(1)
    box.close()
    (path,) = find(directory)
    return path


def answer(capsys: pytest.CaptureFixture[str], path: Path) -> tuple[int, str, dict[str, object]]:
    status = main(["replay", str(path)])
    words = capsys.readouterr().out
    assert main(["replay", str(path), "--json"]) == status
    return status, words, json.loads(capsys.readouterr().out.splitlines()[-1])


def first_chunk_of_journal(data: bytes) -> int:
    at = len(MAGIC)
    for _ in range(2):  # the header, the state
        at += FRAME.size + FRAME.unpack_from(data, at)[2]
    return at


def test_a_whole_recording_proves_something(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, words, found = answer(capsys, whole)
    assert (status, found["alike"], found["damaged"]) == (0, True, 0)
    assert "alike, bit for bit" in words


def test_damage_is_no_proof_of_what_stands_behind_it(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(whole.read_bytes())
    data[-20] ^= 1
    path = tmp_path / "box-0000000001.lkb"
    path.write_bytes(data)
    status, words, found = answer(capsys, path)
    assert (status, found["alike"], found["damaged"]) == (1, False, 1)
    assert isinstance(found["ticks"], int)
    assert found["ticks"] > 0
    assert "nothing is proved" in words
    assert "bit for bit" not in words


def test_no_decision_is_no_proof(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damaged from the first chunk on; and one that a crash ended when it had begun."""
    data = bytearray(whole.read_bytes())
    begins = first_chunk_of_journal(bytes(data))
    path = tmp_path / "box-0000000001.lkb"
    path.write_bytes(data[:begins])
    status, words, found = answer(capsys, path)
    assert (status, found["alike"], found["ticks"], found["damaged"]) == (1, False, 0, 0)
    assert "there is no decision in it" in words
    data[begins + FRAME.size] ^= 1
    path.write_bytes(data)
    status, words, found = answer(capsys, path)
    assert (status, found["alike"], found["ticks"], found["damaged"]) == (1, False, 0, 1)


def test_what_a_crash_cut_off_is_no_damage(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "box-0000000001.lkb"
    path.write_bytes(whole.read_bytes()[:-7])
    (tmp_path / "box-0000000002.lkb").write_bytes(whole.read_bytes()[:100])
    status, words, found = answer(capsys, tmp_path)
    assert (status, found["damaged"]) == (0, 0)
    assert words.count("cut off at byte") == 2


@pytest.mark.parametrize("length", [0, 1, len(MAGIC) - 1, len(MAGIC), len(MAGIC) + 3])
def test_a_crash_right_after_a_file_was_begun_is_no_damage(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], length: int
) -> None:
    """Its name is there, and nothing or not the whole of its beginning is written."""
    (tmp_path / "box-0000000001.lkb").write_bytes(whole.read_bytes())
    begun = tmp_path / "box-0000000002.lkb"
    begun.write_bytes(whole.read_bytes()[:length])
    status, _, found = answer(capsys, tmp_path)
    assert (status, found["damaged"]) == (0, 0)
    with pytest.raises(SegmentError) as caught:
        Segment(begun)
    assert caught.value.cut_off


def test_what_was_never_one_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "box-0000000001.lkb"
    for data in (b"x", MAGIC[:-1] + b"x", MAGIC + b"\0" * 400):
        path.write_bytes(data)
        with pytest.raises(SegmentError) as caught:
            Segment(path)
        assert not caught.value.cut_off


def test_a_state_that_is_none_is_said(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segment = Segment(whole)
    path = tmp_path / "box-0000000001.lkb"
    path.write_bytes(
        MAGIC
        + header_chunk(segment.header.model_dump(mode="json"))
        + state_chunk(segment.state[8:])
    )
    assert main(["replay", str(path)]) == 1
    assert "replay it with the version that recorded it" in capsys.readouterr().err
