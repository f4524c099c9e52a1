"""A clamp's bytes: the first chooses a format, the second where they are cut, the rest come, and
come once more where its highest bit is set.

However they are cut, the same frames come of them; and what a frame says stands in its line.
"""

from __future__ import annotations

import re
from dataclasses import replace

from controller.units import MA_MAX
from drivers.clamp import LINE_BYTES, Fault, Frame, Kept, Layout, parse
from tests.clamp_lines import emontx3, emontx4, emontx4_json, rpict3t1, rpict3v1, rpict7v1

_RPICT7 = Layout("rpict7v1", (1, 2, 3), node=11, assumed_v=240.0, power_factor=0.95)
_EMON3 = replace(_RPICT7, format="emontx3", node=None, power_factor=1.0)
LAYOUTS = (
    _RPICT7,
    replace(_RPICT7, format="rpict3v1"),
    replace(_RPICT7, format="rpict3t1"),
    _EMON3,
    replace(_EMON3, format="emontx4"),
)
_AMPS = (12.5, 0.25, 103.0)
_LINES = (
    (0, rpict7v1(_AMPS)),
    (0, rpict7v1(_AMPS, between=", ")),
    (1, rpict3v1(_AMPS)),
    (2, rpict3t1(_AMPS)),
    (3, emontx3(_AMPS, 1)),
    (4, emontx4(_AMPS, 7)),
    (4, emontx4_json(_AMPS, 7)),
    (4, b"MSG:9,V1:240,P1:5,P2:5,P3:5,I1:12.5,I2:0.25,I3:-103\r\n"),
)
SEEDS = [bytes((i, cut)) + b"cut off\r\n" + line for i, line in _LINES for cut in (0, 10)]
WORDS = [b"\r\n", b"nan", b"inf", b"OVF", b"MSG:", b"11 ", b"Vrms:", b",P1:", b",I1:", b"1e9", b"-"]
WORDS += [b'{"MSG":', b'"I1":', b"NaN", b"\xff", b"\t", b"000000000"]
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_NOTHING_MA = 1  # what rounding makes


def execute(data: bytes) -> str:
    if len(data) < 2:
        return "nothing"
    layout, cut, stream = LAYOUTS[data[0] % len(LAYOUTS)], 3 * (data[1] & 0x7F), data[2:]
    stream += stream if data[1] & 0x80 else b""
    kept, found = parse(layout, Kept(), stream)
    if cut:
        first, begun = parse(layout, Kept(), stream[:cut])
        rest, ended = parse(layout, first, stream[cut:])
        assert (rest, begun + ended) == (kept, found)
    assert len(kept.line) <= LINE_BYTES
    frames = [each for each in found if isinstance(each, Frame)]
    for frame in frames:
        _check(layout, frame, stream)
    if frames:
        return "frame"
    faults = [each for each in found if isinstance(each, Fault)]
    return faults[-1].name.lower() if faults else "no line"


def _check(layout: Layout, frame: Frame, stream: bytes) -> None:
    assert len(frame.text) <= LINE_BYTES
    assert frame.text in stream.partition(b"\n")[2], "the first line is never whole"
    assert all(0 <= ma <= MA_MAX for ma in frame.current_ma)
    text = frame.text.decode("ascii")
    told = [abs(float(word)) for word in _NUMBER.findall(text)]
    if max(frame.current_ma) <= _NOTHING_MA:
        return
    if layout.format == "rpict3t1":
        told = [each / layout.assumed_v for each in told]
    elif layout.node is None:  # a current itself, or a power by one of its voltages
        volts = [each for each in told if 80 <= each <= 300]
        told += [each / (volt * layout.power_factor) for each in told for volt in volts]
    for ma in frame.current_ma:
        assert any(abs(1000 * each - ma) <= _NOTHING_MA for each in told), "out of nothing"
