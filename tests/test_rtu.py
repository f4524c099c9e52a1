"""Frames on a serial line, and what a unit may owe: pure, and on every order of events."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.debts import Debts
from drivers.device import Request
from drivers.frames import GarbledError, message_of, shape, shape_of
from drivers.rtu import Rtu, checksum
from tests.serial_wire import crc

RTU = Rtu()
READ = Request("x", 1, 4, 100, 3, fewer=(2, 1))
SAME_SHAPE = Request("x", 1, 4, 200, 3, fewer=(2, 1))
WRITE = Request("x", 1, 6, 261, 1, (7,))


@given(st.binary(max_size=300))
def test_the_checksum_is_that_of_modbus(data: bytes) -> None:
    assert checksum(data) == crc(data)


def framed(request: Request) -> bytes:
    return RTU.frame(message_of(request))


def test_a_known_frame() -> None:
    assert framed(Request("x", 1, 3, 0, 10)).hex() == "01030000000ac5cd"
    assert framed(WRITE)[:6] == bytes.fromhex("010601050007")
    assert framed(Request("x", 1, 16, 300, 1, (7,)))[:9] == bytes.fromhex("0110012c0001020007")
    assert framed(Request("x", 1, 1, 19, 9))[:6] == bytes.fromhex("010100130009")
    assert framed(Request("x", 1, 5, 400, 1, (1,)))[:6] == bytes.fromhex("01050190ff00")
    assert framed(Request("x", 1, 5, 400, 1, (0,)))[:6] == bytes.fromhex("010501900000")
    with pytest.raises(ValueError, match="function 15"):
        framed(Request("x", 1, 15, 0, 1))


@given(st.binary(max_size=40))
def test_anything_is_a_frame_or_garbled_or_not_whole_yet(data: bytes) -> None:
    try:
        whole, rest = RTU.split(data)
    except GarbledError:
        return
    assert (whole + crc(whole) if whole else b"") + rest == data


@given(st.integers(1, 20), st.binary(max_size=9))
def test_a_reply_is_found_whatever_follows(count: int, rest: bytes) -> None:
    body = bytes((1, 4, 2 * count)) + bytes(2 * count)
    reply = body + crc(body)
    assert RTU.split(reply + rest) == (body, rest)
    assert RTU.split(reply[:-1]) == (b"", reply[:-1])
    assert shape_of(body) == shape(Request("x", 1, 4, 0, count))


@dataclass
class Unit:
    """Answers in order, each reply as late as fate wants or never; judges what is believed."""

    debts: Debts = field(default_factory=Debts)
    owes: list[tuple[bytes, int]] = field(default_factory=list)  # shape and which request
    asked: int = 0

    def exchange(self, request: Request, late: int, answers: bool, keeps: bool) -> bool:
        """`late` owed replies come first. If it answers, all that it owed comes before, or is
        lost; if not, the reply may still be kept for later. True for a reply believed."""
        self.debts.learn(request)
        sounds = not self.debts.clear_for(request)
        if sounds:
            sounding = self.debts.sounding()
            assert sounding is not None  # two other counts are always enough
            request = sounding
        self.asked += 1
        self.debts.sent(request)
        coming, self.owes = self.owes[:late], self.owes[late:]
        if answers:
            coming, self.owes = [*coming, *self.owes, (shape(request), self.asked)], []
        elif keeps:
            self.owes.append((shape(request), self.asked))
        for i, (reply, which) in enumerate(coming):
            if reply == shape(request):
                self.owes = coming[i + 1 :] + self.owes
                assert which == self.asked or sounds  # a sounding's values are never used
                self.debts.answered(request)
                return True
        return False


STEP = st.tuples(
    st.sampled_from([READ, SAME_SHAPE, WRITE]),
    st.sampled_from([0, 0, 1, 2]),
    st.sampled_from([False, False, True]),
    st.sampled_from([False, True, True]),
)


@settings(max_examples=1500, deadline=None)
@given(st.lists(STEP, min_size=10, max_size=40))
def test_no_reply_is_ever_taken_for_another(steps: list[tuple[Request, int, bool, bool]]) -> None:
    """However late, and whichever are lost; and a unit that answers again is heard again."""
    unit = Unit()
    unit.exchange(READ, 0, True, False)
    for step in steps:
        unit.exchange(*step)
    assert any(unit.exchange(READ, 0, True, False) for _ in range(3))
    assert unit.exchange(READ, 0, True, False)
    assert unit.debts.clear_for(READ)
