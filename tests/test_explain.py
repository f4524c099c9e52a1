"""Why had that charger that setpoint then? And: when was that?"""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from controller.__main__ import main
from controller.blackbox.explain import explain
from controller.blackbox.explained import lines
from controller.blackbox.moments import MomentError, Recorded, moment
from controller.blackbox.reader import Batch, Segment
from controller.blackbox.replay import Play, find
from controller.blackbox.segment import Stamp
from controller.journal import decode
from controller.records import Tick
from hil.story.replayed import unlike
from tests import recorded
from tests.depots import Depot, document

S = 1_000_000_000
BERLIN = {"id": "depot", "timezone": "Europe/Berlin"}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes: at 300 s a limit of 20 A falls on the grid, at 420 s it is lost."""
    directory = tmp_path_factory.mktemp("night")
    site = document(5) | {"site": BERLIN, "limit_source": [recorded.LIMITED]}
    box = recorded.Recorded(Depot(5, site), directory)
    kernel = box.depot.enforcer.kernel
    for minute in range(10):
        if minute < 5:
            kernel.set_limit(0, None, 2**62, 2**62)
        if minute == 5:
            kernel.set_limit(0, (20_000,) * 3, 2**62, box.depot.now_ns + 120 * S)
        box.live(60)
        box.begin("the test wants it")
    box.close()
    return directory


def said(path: Path, when: str, charger: str) -> str:
    return "\n".join(lines(explain(find(path), when, charger)))


def test_it_says_what_the_kernel_went_by(night: Path) -> None:
    """Every figure against a kernel that was played by hand."""
    answer = explain(find(night), "365", "row-a-1")
    path = answer_path(night, 365 * S)
    play = Play(Segment(path))
    for _ in play.steps(365 * S):
        pass
    index = play.header.charger_ids.index("row-a-1")
    output = play.kernel.output(index)
    assert (answer.tick, answer.setpoint_ma) == (output.tick, output.setpoint_ma)
    assert answer.rule == output.why.rule.name.lower()
    assert [place.circuit for place in answer.places] == ["row-a", "grid"]
    grid = play.kernel.circuit(0)
    assert answer.places[1].cap_ma == grid.cap_ma == (20_000,) * 3
    assert answer.places[1].bound_by == ("cloud",) * 3
    assert answer.places[1].reading_ma == grid.reading_ma


def answer_path(directory: Path, now_ns: int) -> Path:
    """Where two meet, the one before is written a moment later."""
    return [path for path in find(directory) if Segment(path).header.now_ns <= now_ns][-1]


@pytest.mark.parametrize("charger", ["row-a-1", "row-a-3", "row-b-2"])
@pytest.mark.parametrize("at_s", [30, 299, 305, 415, 425, 599])
def test_the_order_and_its_beginning_are_what_the_ticks_say(
    night: Path, charger: str, at_s: int
) -> None:
    """Over all segments: since when, and from what."""
    answer = explain(find(night), str(at_s), charger)
    order: list[tuple[int, int | None]] = []
    for path in find(night):
        segment = Segment(path)
        index = segment.header.charger_ids.index(charger)
        for part in segment.parts():
            for record in decode(part.journal) if isinstance(part, Batch) else ():
                if isinstance(record, Tick) and record.now_ns <= at_s * S:
                    order += [
                        (record.now_ns, each.setpoint_ma)
                        for each in record.orders
                        if each.charger == index and (not order or order[-1][1] != each.setpoint_ma)
                    ]
    assert answer.setpoint_ma == order[-1][1]
    if len(order) > 1:
        assert answer.change.ago_ns == at_s * S - order[-1][0]
        assert answer.change.from_ma == order[-2][1]


def test_it_is_told_in_words(night: Path) -> None:
    text = said(night, "365", "row-a-3")
    assert "row-a-3 at 2027-01-15 09:06:05 CET" in text
    assert "cap 20 A (cloud)" in text
    assert "limit from cloud on grid" in text
    assert "measured" in text
    assert "BUT" not in text


def test_the_command_answers(night: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(night)]) == 0
    assert "bit for bit" in capsys.readouterr().out
    assert main(["replay", str(night), "--json", "--explain", "09:06:05", "row-a-1"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["charger"] == "row-a-1"
    assert answer["at"] == "2027-01-15T09:06:05+01:00"
    assert len(answer["places"]) == 2


WRONG = [
    (["--explain", "02:14", "row-a-1"], "nothing was recorded at 02:14"),
    (["--explain", "25:14", "row-a-1"], "no time of day"),
    (["--explain", "yesterday", "row-a-1"], "is no time"),
    (["--explain", "9999", "row-a-1"], "nothing was recorded"),
    (["--explain", "365", "bay-99"], "there is no charger bay-99"),
]


@pytest.mark.parametrize(("words", "why"), WRONG, ids=[why for _, why in WRONG])
def test_wrong_questions_are_answered_so(
    night: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    assert main(["replay", str(night), *words]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"something else", b"loadkeeper black box 1\n"])
def test_what_is_no_black_box_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "box-0000000001.lkb"
    if content is not None:
        path.write_bytes(content)
    assert main(["replay", str(path), "--json"]) == (2 if content is None else 1)
    assert "box-0000000001.lkb" in json.loads(capsys.readouterr().out)["error"]


def test_an_empty_directory_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tmp_path)]) == 1
    assert "no segment" in capsys.readouterr().err


# --- when --------------------------------------------------------------------------------------


class Named:
    """A header, as far as times need it."""

    timezone = "Europe/Berlin"
    boot_id = "one"


def days(*spans: tuple[str, str], boots: Callable[[int], str] = lambda _: "one") -> list[Recorded]:
    """Recordings from one UTC time to another; the monotonic clock of each boot begins at 0."""
    found = []
    for number, (begins, ends) in enumerate(spans):
        header = Named()
        header.boot_id = boots(number)
        first = round(datetime.fromisoformat(begins).timestamp()) * S
        last = round(datetime.fromisoformat(ends).timestamp()) * S
        zero = 0 if header.boot_id != "one" else first - 1_700_000_000 * S
        stamps = (Stamp(zero, first, True), Stamp(zero + last - first, last, True))
        found.append(Recorded(Path(f"box-{number}.lkb"), header, stamps))  # type: ignore[arg-type]
    return found


DAY = ("2027-02-11T00:00:00Z", "2027-02-11T12:00:00Z")
AUTUMN = ("2027-10-30T22:00:00Z", "2027-10-31T12:00:00Z")
SPRING = ("2027-03-27T23:00:00Z", "2027-03-28T12:00:00Z")


@pytest.mark.parametrize(
    ("text", "spans", "local"),
    [
        ("02:14", [DAY], "2027-02-11T02:14:00+01:00"),
        ("2:14", [DAY], "2027-02-11T02:14:00+01:00"),
        ("02:14:30.5", [DAY], "2027-02-11T02:14:30.500000+01:00"),
        ("2027-02-11 02:14", [DAY], "2027-02-11T02:14:00+01:00"),
        ("2027-02-11T01:14:00Z", [DAY], "2027-02-11T02:14:00+01:00"),
        ("2027-10-31T02:30:00+01:00", [AUTUMN], "2027-10-31T02:30:00+01:00"),
        ("03:30", [SPRING], "2027-03-28T03:30:00+02:00"),
    ],
)
def test_a_time_is_found(text: str, spans: list[tuple[str, str]], local: str) -> None:
    assert moment(text, days(*spans)).local.isoformat() == local


@pytest.mark.parametrize(
    ("text", "spans", "why"),
    [
        ("02:14", [DAY, ("2027-02-12T00:00:00Z", "2027-02-12T12:00:00Z")], "more than one moment"),
        ("02:30", [AUTUMN], r"02:30:00\+02:00, 2027-10-31T02:30:00\+01:00"),
        ("02:30", [SPRING], "nothing was recorded"),
        ("23:14", [DAY], "nothing was recorded at 23:14: this recording goes from 2027-02-11"),
        ("2027-02-30 02:14", [DAY], "is no time"),
    ],
)
def test_a_time_that_is_none_or_several_is_refused(
    text: str, spans: list[tuple[str, str]], why: str
) -> None:
    with pytest.raises(MomentError, match=why):
        moment(text, days(*spans))


def test_where_two_segments_meet_the_later_one_has_it() -> None:
    spans = [DAY, (DAY[1], "2027-02-11T20:00:00Z")]
    assert moment("13:00", days(*spans)).recorded.path.name == "box-1.lkb"


def test_seconds_of_two_boots_are_two_moments() -> None:
    two = days(DAY, DAY, boots=lambda number: f"boot {number}")
    with pytest.raises(MomentError, match="more than one moment"):
        moment("60", two)


def test_an_end_before_that_moment_is_said(night: Path, tmp_path: Path) -> None:
    path = answer_path(night, 365 * S)
    cut = tmp_path / path.name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # of the last chunk: its stamp is in reach of nobody
    cut.write_bytes(data)
    last_ns = Segment(cut).stamps()[-1].now_ns
    with pytest.raises(MomentError, match="nothing was recorded"):
        explain([cut], str(last_ns // S + 2), "row-a-1")


# --- what stories go by ------------------------------------------------------------------------


def test_a_recording_that_is_too_short_is_no_proof(night: Path) -> None:
    assert unlike(night, 500) == ""
    assert "only" in unlike(night, 5000)
    assert "cannot be replayed" in unlike(night / "nothing", 1)
