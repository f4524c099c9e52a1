"""What a clamp's lines mean, however they come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.clamp import LINE_BYTES, Fault, Frame, Kept, Layout, parse
from tests.clamp_lines import emontx3, emontx4, emontx4_json, rpict3t1, rpict3v1, rpict7v1

RPICT7 = Layout("rpict7v1", (1, 2, 3), node=11, assumed_v=240.0, power_factor=0.95)
RPICT3V = replace(RPICT7, format="rpict3v1")
RPICT3T = replace(RPICT7, format="rpict3t1")
EMON3 = replace(RPICT7, format="emontx3", node=None, power_factor=1.0)
EMON4 = replace(EMON3, format="emontx4")
LAYOUTS: dict[str, Layout] = {
    each.format: each for each in (RPICT7, RPICT3V, RPICT3T, EMON3, EMON4)
}
FORMATS = st.sampled_from(sorted(LAYOUTS))
AMPS = [12.5, 0.25, 103.0]


def lines(layout: Layout, *of: bytes) -> list[Frame | Fault]:
    """What comes of whole lines, heard from their beginning."""
    return parse(layout, Kept(b"", skips=False), b"".join(of))[1]


def line(layout: Layout, of: bytes) -> Frame | Fault:
    (found,) = lines(layout, of)
    return found


def currents(layout: Layout, of: bytes) -> list[float]:
    found = line(layout, of)
    assert isinstance(found, Frame)
    return [ma / 1000 for ma in found.current_ma]


@pytest.mark.parametrize(
    ("layout", "of", "within_a"),
    [
        (RPICT7, rpict7v1(AMPS), 0.001),
        (RPICT7, rpict7v1(AMPS, between=","), 0.001),
        (RPICT7, rpict7v1(AMPS, between=", "), 0.001),
        (RPICT7, rpict7v1(AMPS, volts=0.9), 0.001),  # no voltage adapter: its currents still hold
        (RPICT3V, rpict3v1(AMPS), 0.001),
        (RPICT3T, rpict3t1(AMPS), 0.001),
        (EMON3, emontx3(AMPS, 1), 0.003),  # whole watts
        (EMON4, emontx4(AMPS, 7), 0.003),
        (EMON4, emontx4_json(AMPS, 7), 0.003),
        (EMON4, b"MSG:9,V1:240,P1:5,P2:5,P3:5,I1:12.5,I2:0.25,I3:-103\r\n", 0.001),
    ],
)
def test_a_line_tells_three_currents(layout: Layout, of: bytes, within_a: float) -> None:
    assert currents(layout, of) == pytest.approx(AMPS, abs=within_a)


def test_currents_are_magnitudes() -> None:
    of = rpict7v1([-5.0, 6.0, 7.0])
    assert b"-5.000" in of
    assert currents(RPICT7, of) == [5.0, 6.0, 7.0]
    assert currents(EMON3, emontx3([-5.0, 6.0, 7.0], 1)) == pytest.approx([5, 6, 7], abs=0.003)


def test_any_three_of_the_transformers() -> None:
    of = rpict7v1([1, 2, 3, 4, 5, 6, 7])
    assert currents(replace(RPICT7, channels=(7, 2, 5)), of) == [7.0, 2.0, 5.0]


def test_each_transformer_has_the_voltage_of_its_phase() -> None:
    of = b"MSG:1,V1:200,V2:250,V3:100,P1:2000,P2:2000,P3:2000,P4:2000\n"
    assert currents(EMON4, of) == [10.0, 8.0, 20.0]
    assert currents(replace(EMON4, channels=(4, 2, 3)), of)[0] == 10.0


def test_power_is_a_current_at_the_least_power_factor() -> None:
    """What a current may be, not what it is at best: less would look like headroom."""
    of = b"MSG:1,Vrms:200,P1:1900,P2:0,P3:0\n"
    assert currents(replace(EMON3, power_factor=0.95), of)[0] == 10.0


def test_lines_are_numbered_where_the_device_does() -> None:
    numbers = [each.number for each in lines(EMON3, emontx3(AMPS, 3), emontx3(AMPS, 5))]  # type: ignore[union-attr]
    assert numbers == [3, 5]
    found = line(RPICT7, rpict7v1(AMPS))
    assert isinstance(found, Frame)
    assert found.number is None


def changed(number: int, to: str) -> bytes:
    words = rpict7v1(AMPS).split()
    words[number] = to.encode()
    return b" ".join(words) + b"\r\n"


@pytest.mark.parametrize(
    ("layout", "of", "fault"),
    [
        (RPICT7, rpict7v1(AMPS, node=12), Fault.NODE),
        (RPICT7, rpict7v1(AMPS, node=1111), Fault.NODE),
        (RPICT7, rpict3v1([1, 2, 3])[:-9] + b"\r\n", Fault.COUNT),
        (RPICT7, rpict7v1(AMPS)[:-20] + b"\n", Fault.COUNT),
        (RPICT7, rpict7v1(AMPS)[:-2] + rpict7v1(AMPS), Fault.COUNT),  # two run into one
        (RPICT3V, rpict7v1(AMPS)[:-9] + b"\r\n", Fault.COUNT),
        (RPICT7, changed(9, "nan"), Fault.NOT_FINITE),
        (RPICT7, changed(9, "-inf"), Fault.NOT_FINITE),
        (RPICT7, changed(9, "ovf"), Fault.NOT_FINITE),
        (RPICT7, changed(9, "999999999"), Fault.NOT_FINITE),
        (RPICT7, changed(9, "0x10"), Fault.STRANGE),
        (RPICT7, changed(9, "1e9"), Fault.STRANGE),
        (RPICT7, changed(9, "1_0"), Fault.STRANGE),
        (RPICT7, changed(10, "3.000"), Fault.AT_ODDS),  # 103.000 that lost two digits
        (RPICT3V, rpict3v1(AMPS).replace(b" 12.500", b" 2.500"), Fault.AT_ODDS),
        (RPICT7, b"hello\r\n", Fault.STRANGE),
        (RPICT7, emontx3(AMPS, 1), Fault.STRANGE),
        (RPICT7, "11 ½\r\n".encode(), Fault.NOT_TEXT),
        (RPICT7, b"\x00\x80\xfe\x1e\n", Fault.NOT_TEXT),
        (RPICT7, b"11 1\x001\n", Fault.NOT_TEXT),
        (RPICT7, b"1" * (LINE_BYTES + 1) + b"\n", Fault.TOO_LONG),
        (EMON3, b"emonTx V3 CM\r\n", Fault.STRANGE),
        (EMON3, rpict7v1(AMPS), Fault.STRANGE),
        (EMON3, b"MSG:1,Vrms:240,P1:1,P2:2\n", Fault.MISSING),
        (EMON3, b"MSG:1,P1:1,P2:2,P3:3\n", Fault.VOLTAGE),
        (EMON3, b"MSG:1,Vrms:0,P1:1,P2:2,P3:3\n", Fault.VOLTAGE),
        (EMON3, b"MSG:1,Vrms:nan,P1:1,P2:2,P3:3\n", Fault.NOT_FINITE),
        (EMON3, b"MSG:1.5,Vrms:240,P1:1,P2:2,P3:3\n", Fault.STRANGE),
        (EMON3, b"MSG:-1,Vrms:240,P1:1,P2:2,P3:3\n", Fault.STRANGE),
        (EMON3, emontx3(AMPS, 1)[:-2] + b"," + emontx3(AMPS, 2), Fault.STRANGE),
        (EMON4, b'{"MSG":1,"V1":NaN,"P1":1,"P2":2,"P3":3}\n', Fault.NOT_FINITE),
        (EMON4, b'{"MSG":1,"V1":240,"P1":1' + b"0" * 400 + b"}\n", Fault.NOT_FINITE),
        (EMON4, b'{"MSG":1,"V1":"240"}\n', Fault.STRANGE),
        (EMON4, b'{"MSG":true}\n', Fault.STRANGE),
        (EMON4, b'{"MSG":1\n', Fault.STRANGE),
        (EMON4, b"{" * 200 + b"\n", Fault.STRANGE),
    ],
)
def test_what_is_no_whole_line_of_the_format_is_no_reading(
    layout: Layout, of: bytes, fault: Fault
) -> None:
    assert line(layout, of) is fault


def test_the_first_line_was_cut_by_the_opening() -> None:
    """`…3 4 5` may look like a whole line of other numbers."""
    cut = rpict3t1([1, 2, 3])
    _, found = parse(RPICT3T, Kept(), b"8" + cut + rpict3t1([4, 5, 6]))
    assert [each.current_ma for each in found if isinstance(each, Frame)] == [(4000, 5000, 6000)]


def test_an_empty_line_says_nothing() -> None:
    assert lines(RPICT7, b"\r\n\n  \r\n") == []


def test_after_garbage_the_next_line_counts() -> None:
    found = lines(RPICT7, b"\xff" * 700 + b"\n", b"no\n", rpict7v1(AMPS))
    assert found[:2] == [Fault.TOO_LONG, Fault.STRANGE]
    assert isinstance(found[2], Frame)
    assert len(found) == 3


def test_an_endless_line_is_told_once_and_not_kept() -> None:
    kept, told = Kept(b"", skips=False), []
    for _ in range(100):
        kept, found = parse(RPICT7, kept, b"x" * 100)
        told += found
        assert len(kept.line) <= LINE_BYTES
    assert told == [Fault.TOO_LONG]


def test_noise_that_never_ends_a_line_is_told_though_the_first_is_dropped() -> None:
    kept, told = Kept(), []
    for _ in range(100):
        kept, found = parse(RPICT7, kept, b"\xf8" * 100)
        told += found
    assert told == [Fault.TOO_LONG]
    _, found = parse(RPICT7, kept, b"\n" + rpict7v1(AMPS))
    assert len(found) == 1
    assert isinstance(found[0], Frame)


WRITERS: dict[str, Callable[[list[float]], bytes]] = {
    "rpict7v1": rpict7v1,
    "rpict3v1": rpict3v1,
    "rpict3t1": rpict3t1,
    "emontx3": lambda amps: emontx3(amps, 1),
    "emontx4": lambda amps: emontx4(amps, 2),
}
AMPERES = st.lists(st.floats(0, 500), min_size=3, max_size=3)
BYTES = st.binary(max_size=700)
PIECES = st.lists(BYTES | st.sampled_from([b"\n", b"\r\n", b"11 ", b"MSG:1,", b"nan", b"{"]))


@st.composite
def streams(draw: st.DrawFn) -> tuple[Layout, bytes]:
    """Lines of a format, with whatever between them."""
    name = draw(FORMATS)
    pieces = draw(PIECES)
    good = draw(st.lists(AMPERES, max_size=3))
    mixed = draw(st.permutations(pieces + [WRITERS[name](amps) for amps in good]))
    return LAYOUTS[name], b"".join(mixed)


@given(streams(), st.lists(st.integers(0, 3000), max_size=12))
def test_however_it_is_cut_the_same_frames_come(
    stream: tuple[Layout, bytes], cuts: list[int]
) -> None:
    layout, data = stream
    _, whole = parse(layout, Kept(), data)
    kept, pieces = Kept(), []
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        kept, found = parse(layout, kept, data[start:end])
        pieces += found
        assert len(kept.line) <= LINE_BYTES
    assert pieces == whole


@given(FORMATS, AMPERES, st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_a_damaged_line_raises_nothing_and_keeps_its_bounds(
    name: str, amps: list[float], place: int, put: bytes
) -> None:
    of = WRITERS[name](amps)
    place %= len(of)
    for found in lines(LAYOUTS[name], of[:place] + put + of[place + 1 :]):
        assert isinstance(found, Fault) or all(0 <= ma < 2**31 for ma in found.current_ma)


@given(FORMATS, AMPERES)
def test_what_is_written_is_read(name: str, amps: list[float]) -> None:
    assert currents(LAYOUTS[name], WRITERS[name](amps)) == pytest.approx(amps, abs=0.02)
