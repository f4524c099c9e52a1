"""The black box on the plant: recorded, cut off, damaged, full, and replayed."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from controller.blackbox.pack import Packer
from controller.blackbox.reader import Batch, Segment
from controller.blackbox.recorder import BlackBox
from controller.blackbox.replay import NotReplayableError, find, replay
from controller.blackbox.segment import (
    FRAME,
    MAGIC,
    Note,
    header_chunk,
    journal_chunk,
    number_of,
    segments_in,
    state_chunk,
)
from controller.blackbox.shelf import Shelf
from controller.commands.status import screen
from controller.events import Event, Events
from controller.journal import decode, encode
from controller.records import Fallback, Lost, Reading, Record, Tick
from controller.status_report import RecordingReport
from controller.tap import Tap
from tests.depots import Depot, document
from tests.recorded import BOOT, Recorded
from tests.test_wire import REPORT

S = 1_000_000_000


def recorded(directory: Path, seed: int = 1, seconds: float = 60) -> Recorded:
    box = Recorded(Depot(seed, document(seed)), directory)
    for _ in range(round(seconds / 5)):
        before = box.shelved.written_bytes
        box.live(5)
        while box.shelved.written_bytes == before:  # a chunk of its own for each
            time.sleep(0.001)
    box.close()
    return box


@pytest.mark.parametrize("seed", range(3))
def test_what_was_recorded_is_decided_again(tmp_path: Path, seed: int) -> None:
    box = recorded(tmp_path, seed, 120)
    outcome = replay(find(tmp_path))
    assert outcome.difference is None
    assert outcome.gaps == []
    assert outcome.ticks == box.depot.enforcer.kernel.ticks
    assert box.box.state.lost == 0


def test_another_segment_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    box = Recorded(Depot(2, document(2)), tmp_path)
    for _ in range(4):
        box.live(20)
        box.begin("the test wants it")
    box.live(5)
    box.close()
    paths = find(tmp_path)
    assert len(paths) == 5
    outcome = replay(paths)
    assert (outcome.difference, outcome.gaps) == (None, [])
    assert outcome.ticks == box.depot.enforcer.kernel.ticks
    for path in paths:
        assert replay([path]).difference is None, "each can be replayed alone"


# --- what a crash leaves -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """One segment, and how many ticks are in it."""
    directory = tmp_path_factory.mktemp("box")
    box = recorded(directory, seconds=120)  # so that its beginning is a small part of it
    (path,) = segments_in(directory)
    return path, box.depot.enforcer.kernel.ticks


@pytest.mark.parametrize("share", [0.5, 0.8, 0.97])
def test_what_was_written_before_a_crash_is_used(
    whole: tuple[Path, int], tmp_path: Path, share: float
) -> None:
    data = whole[0].read_bytes()
    cut = tmp_path / "box-0000000001.lkb"
    cut.write_bytes(data[: int(len(data) * share)])
    outcome = replay([cut])
    assert outcome.difference is None
    assert 0 < outcome.ticks < whole[1]
    assert "cut off" in outcome.gaps[0]


@pytest.mark.parametrize("byte", range(12))
def test_no_byte_before_a_chunk_may_be_another(
    whole: tuple[Path, int], tmp_path: Path, byte: int
) -> None:
    """A longer last one may be a crash's; every other change is damage."""
    data = bytearray(whole[0].read_bytes())
    places = [len(MAGIC)]
    while places[-1] < len(data):
        _, _, length, _ = FRAME.unpack_from(data, places[-1])
        places.append(places[-1] + FRAME.size + length)
    data[places[-2] + byte] ^= 0x10
    hurt = tmp_path / "box-0000000001.lkb"
    hurt.write_bytes(data)
    outcome = replay([hurt])
    assert (outcome.ticks < whole[1], len(outcome.gaps)) == (True, 1)


@pytest.mark.parametrize("place", [0.6, 0.8, 0.999])
def test_damage_ends_a_segment_and_is_said(
    whole: tuple[Path, int], tmp_path: Path, place: float
) -> None:
    data = bytearray(whole[0].read_bytes())
    data[int(len(data) * place)] ^= 0x10
    hurt = tmp_path / "box-0000000001.lkb"
    hurt.write_bytes(data)
    outcome = replay([hurt])
    assert outcome.difference is None
    assert outcome.ticks < whole[1]
    assert len(outcome.gaps) == 1


@pytest.mark.parametrize("length", [0, 10, 30, 60, 1000])
def test_a_segment_without_its_beginning_is_none(
    whole: tuple[Path, int], tmp_path: Path, length: int
) -> None:
    stump = tmp_path / "box-0000000001.lkb"
    stump.write_bytes(whole[0].read_bytes()[:length])
    with pytest.raises(NotReplayableError, match=r"box-0000000001\.lkb"):
        replay([stump])


def test_the_next_segment_goes_on_behind_a_gap(tmp_path: Path) -> None:
    box = Recorded(Depot(3, document(3)), tmp_path)
    box.live(20)
    box.begin("the test wants it")
    box.live(20)
    box.close()
    first, second = find(tmp_path)
    first.write_bytes(first.read_bytes()[:-400])
    outcome = replay([first, second])
    assert outcome.difference is None
    assert outcome.segments == 2
    cut, missing = outcome.gaps
    assert "cut off" in cut
    assert "were not recorded" in missing


# --- differences -------------------------------------------------------------------------------


def forged(source: Path, to: Path, change: Callable[[list[Record]], None]) -> None:
    """The same segment, with other words in its journal and sound checksums."""
    segment = Segment(source)
    packer = Packer()
    records = [
        record
        for part in segment.parts()
        if isinstance(part, Batch)
        for record in decode(part.journal)
    ]
    change(records)
    header = segment.header.model_dump(mode="json")
    data = MAGIC + header_chunk(header) + state_chunk(segment.state)
    to.write_bytes(data + journal_chunk(segment.header.stamp, packer.pack(encode(records))))


def test_the_first_difference_is_named(whole: tuple[Path, int], tmp_path: Path) -> None:
    at: list[Tick] = []

    def change(records: list[Record]) -> None:
        changed = [
            i
            for i, record in enumerate(records)
            if isinstance(record, Tick) and record.orders and record.tick > 50
        ]
        tick = records[changed[0]]
        assert isinstance(tick, Tick)
        order = tick.orders[0]
        other = order._replace(setpoint_ma=(order.setpoint_ma or 0) + 100)
        records[changed[0]] = tick._replace(orders=(other, *tick.orders[1:]))
        at.append(tick)

    forged(whole[0], tmp_path / "box-0000000001.lkb", change)
    outcome = replay(find(tmp_path))
    found = outcome.difference
    assert found is not None
    assert found.tick == at[0].tick
    assert found.what in Segment(whole[0]).header.charger_ids
    assert found.recorded != found.replayed


def test_another_input_makes_another_decision(whole: tuple[Path, int], tmp_path: Path) -> None:
    def change(records: list[Record]) -> None:
        for i, record in enumerate(records):
            if isinstance(record, Reading) and i > 100:
                records[i] = record._replace(current_ma=(124_000, 124_000, 124_000))

    forged(whole[0], tmp_path / "box-0000000001.lkb", change)
    assert replay(find(tmp_path)).difference is not None


def test_a_loss_ends_a_segment_and_is_said(whole: tuple[Path, int], tmp_path: Path) -> None:
    forged(whole[0], tmp_path / "box-0000000001.lkb", lambda records: records.insert(200, Lost(7)))
    outcome = replay(find(tmp_path))
    assert outcome.difference is None
    assert outcome.gaps == ["box-0000000001.lkb: 7 records were lost before they were taken"]


# --- disks -------------------------------------------------------------------------------------


def settle(box: Recorded, done: Callable[[], bool]) -> None:
    """Lives on until the black box's thread has come so far."""
    for _ in range(2000):
        box.live(1)
        if done():
            return
        time.sleep(0.01)
    raise AssertionError(box.box.state)


def test_a_missing_disk_stops_nobody_and_recording_resumes(tmp_path: Path) -> None:
    place = tmp_path / "box"
    place.write_text("in the way")
    box = Recorded(Depot(1, document(1)), place)
    settle(box, lambda: box.box.state.problem is not None)
    assert box.box.state.since_ns is None
    box.live(30)
    assert box.box.state.lost > 0
    place.unlink()
    settle(box, lambda: box.box.state.since_ns is not None and box.box.state.problem is None)
    lost = box.box.state.lost
    box.live(20)
    box.close()
    assert box.box.state.lost == lost, "nothing is lost any more"
    outcome = replay(find(place))
    assert outcome.difference is None
    assert outcome.ticks > 100


def test_a_full_disk_is_said_and_left_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.statvfs(tmp_path)
    few = SimpleNamespace(f_bavail=1, f_blocks=whole.f_blocks, f_frsize=whole.f_frsize)
    monkeypatch.setattr(os, "statvfs", lambda _: few)
    box = Recorded(Depot(1, document(1)), tmp_path)
    settle(box, lambda: box.box.state.problem is not None)
    assert "full" in str(box.box.state.problem)
    assert segments_in(tmp_path) == []
    box.close()


class SlowShelf(Shelf):
    """A disk that does not answer until it is let go."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.go = threading.Event()

    def append(self, data: bytes) -> None:
        self.go.wait(60)
        super().append(data)


def test_a_slow_disk_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.blackbox.recorder.WAITING_BYTES", 64 * 1024)
    depot = Depot(1, document(1))
    box = Recorded(depot, tmp_path)
    box.close()
    shelf = SlowShelf(tmp_path)
    clock = depot.enforcer.clock
    box.box = BlackBox(shelf, clock, clock, BOOT, write_every_s=0.01)
    box.tap = Tap(depot.enforcer.kernel)
    box.tap.follow_bytes(box.box.take)
    box.begin("a slow disk")
    events = Events(clock)
    settle(box, lambda: box.box.state.lost > 0)
    assert box.box.state.problem is not None
    box.box.look(events)
    shelf.go.set()
    settle(box, lambda: box.box.state.since_ns is not None and box.box.state.problem is None)
    box.box.look(events)
    assert [event.what for event in events.kept] == ["not_recording", "recording"]
    box.live(5)
    box.close()
    assert replay(find(tmp_path)).difference is None


def test_small_batches_behind_a_slow_disk_are_bounded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each segment begins with the kernel's whole state: it is not asked for again and again."""
    monkeypatch.setattr("controller.blackbox.recorder.WAITING_ITEMS", 10)
    shelf = SlowShelf(tmp_path)
    depot = Depot(1, document(1))
    clock = depot.enforcer.clock
    box = Recorded(depot, tmp_path / "other")
    box.close()
    box.box = BlackBox(shelf, clock, clock, BOOT, write_every_s=0.01)
    box.tap = Tap(depot.enforcer.kernel)
    box.begin("a slow disk")
    small = encode([Fallback(0, 6_000)])
    for _ in range(1000):
        box.box.take(small)
        if why := box.box.wanted():
            box.begin(why)
    assert box.box.state.lost > 0
    assert len(box.box._items) <= 12
    shelf.go.set()
    box.close()


class FailingShelf(Shelf):
    """Takes files, and no content."""

    def append(self, data: bytes) -> None:
        raise OSError(5, "Input/output error")


def test_beginnings_that_fail_leave_nothing_behind(tmp_path: Path) -> None:
    shelf = FailingShelf(tmp_path)
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            shelf.open(b"begin")
    assert list(tmp_path.iterdir()) == []


# --- space -------------------------------------------------------------------------------------


def test_the_oldest_goes_first(tmp_path: Path) -> None:
    box = Recorded(Depot(1, document(1)), tmp_path, {"keep_bytes": 40_000})
    for _ in range(12):
        box.live(10)
        box.begin("the test wants it")
        settle(box, lambda: box.shelved.written_bytes > 0)
    box.close()
    left = segments_in(tmp_path)
    assert sum(path.stat().st_size for path in left[:-1]) <= 40_000
    assert [number_of(path) for path in left] == list(range(14 - len(left), 14))
    assert replay(left).difference is None


def test_an_incident_keeps_its_segments(tmp_path: Path) -> None:
    box = Recorded(Depot(1, document(1)), tmp_path, {"keep_bytes": 1})
    box.live(5)
    box.box.note(Event(1, box.depot.now_ns, 0, "circuit_beyond_control", "grid", "too much"))
    for _ in range(4):
        box.live(5)
        box.begin("the test wants it")
        time.sleep(0.05)
    box.close()
    kept = [path.name for path in segments_in(tmp_path)]
    assert kept[0] == "frozen-0000000001.lkb"
    assert "box-0000000002.lkb" not in kept
    notes = [part for part in Segment(tmp_path / kept[0]).parts() if isinstance(part, Note)]
    assert [(note.what, note.subject) for note in notes] == [("circuit_beyond_control", "grid")]


# --- what is said of it ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (RecordingReport(since_s=7200, lost=0, problem=None), "records without a gap since 2 h"),
        (
            RecordingReport(since_s=None, lost=0, problem="No space left"),
            "DOES NOT RECORD: No space",
        ),
        (RecordingReport(since_s=3, lost=12, problem=None), "12 records were lost"),
    ],
)
def test_status_tells_how_recording_stands(report: RecordingReport, line: str) -> None:
    lines = list(screen(REPORT.model_copy(update={"recording": report})))
    assert any(line in each for each in lines)
