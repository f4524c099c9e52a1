"""Modbus in letters: its frames, and a line of them against slaves good, late and bad."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.__main__ import main
from controller.document.buses import SerialAddress, bus_address
from drivers.asciiframes import LONGEST_PAUSE_S, Ascii, checksum
from drivers.device import BadReplyError, NoReplyError, Request
from drivers.frames import GarbledError, message_of
from drivers.serialline import SerialLine
from tests import test_rtu_line, test_rtu_traps
from tests.encode import floats
from tests.serial_wire import Heard, SerialWire, Slave, lettered
from tests.test_rtu_line import (
    FIRST,
    NEIGHBOUR,
    OTHER_UNIT,
    PATIENT_S,
    WRITE,
    WRITE_TWO,
    ask,
    ask_until_answered,
    once,
    told,
    words,
)

ASCII = Ascii()
REPLY = bytes((1, 4, 6, 0, 1, 0xAB, 0xCD, 0, 3))
URL = "ascii:///dev/ttyUSB0?baud=9600&bits=7&parity=E&stop=1"


# Frames.


def test_known_frames() -> None:
    """The second is the example of the specification for function 3, worked out by hand."""
    assert ASCII.frame(message_of(Request("x", 1, 3, 0, 10))) == b":01030000000AF2\r\n"
    assert ASCII.frame(bytes.fromhex("0203006b0003")) == b":0203006B00038D\r\n"
    assert checksum(b"") == b"\0"
    assert checksum(bytes((0xFF, 0x01))) == b"\0"


@given(st.integers(1, 125), st.binary(max_size=9))
def test_a_reply_is_found_whatever_follows(count: int, rest: bytes) -> None:
    body = bytes((1, 4, 2 * count)) + bytes(2 * count)
    assert ASCII.split(lettered(body) + rest) == (body, rest)
    assert ASCII.split(lettered(body).lower()) == (body, b"")


@given(st.binary(max_size=30).filter(lambda data: b":" not in data), st.integers(0, 22))
def test_a_colon_begins_anew(noise: bytes, kept: int) -> None:
    """Noise before it, and a frame that was broken off, spoil nothing."""
    assert ASCII.split(noise.replace(b"\n", b"") + lettered(REPLY)) == (REPLY, b"")
    assert ASCII.split(noise + b":" + lettered(REPLY)) == (REPLY, b"") or b"\n" in noise
    assert ASCII.split(lettered(REPLY)[:kept] + lettered(REPLY)) == (REPLY, b"")


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.data())
def test_however_it_is_cut_the_same_comes_of_it(data: st.DataObject) -> None:
    """What is heard in pieces, and what at once; and nothing but whole frames is a message."""
    spoilt = bytearray(lettered(REPLY) * 2)
    for _ in range(data.draw(st.integers(0, 3))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    at = data.draw(st.integers(0, len(spoilt)))
    whole, pieces = bytes(spoilt), [bytes(spoilt[:at]), bytes(spoilt[at:])]
    found = messages(whole)
    assert messages(*pieces) == found
    for message in found:
        assert message is None or lettered(message).lower() in whole.lower()


def messages(*pieces: bytes) -> list[bytes | None]:
    """Of a stream; None and no more where it was garbled."""
    found: list[bytes | None] = []
    heard = b""
    for piece in pieces:
        heard += piece
        while True:
            try:
                message, heard = ASCII.split(heard)
            except GarbledError:
                return [*found, None]
            if not message:
                break
            found.append(message)
    return found


@given(st.binary(max_size=600))
def test_anything_is_a_message_or_garbled_or_not_whole_yet(data: bytes) -> None:
    try:
        message, rest = ASCII.split(data)
    except GarbledError:
        return
    assert len(rest) <= len(data)
    assert not message or lettered(message).lower() in data.lower()


def test_one_wrong_bit_is_always_found() -> None:
    """Whichever: the LRC bears none; and a digit's case says nothing."""
    good = lettered(REPLY)
    for i in range(len(good)):
        for bit in range(8):
            spoilt = bytearray(good)
            spoilt[i] ^= 1 << bit
            assert set(messages(bytes(spoilt))) <= {None, REPLY}


# Its place in a site document.


def test_its_url_says_how_the_port_is_set() -> None:
    address = bus_address(URL)
    assert address == SerialAddress("/dev/ttyUSB0", 9600, "E", 1, "ascii", 7)
    assert address.url == URL
    assert address.place == bus_address("rtu:///dev/ttyUSB0?baud=19200&parity=E&stop=1").place
    assert isinstance(address, SerialAddress)
    assert address.character_s == 10 / 9600


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (URL.replace("&bits=7", ""), "each of baud, bits, parity and stop once"),
        (URL.replace("bits=7", "bits=6"), "needs 7 or 8 data bits"),
        (URL.replace("bits=7", "bits=7&bits=8"), "each of baud, bits"),
        (URL.replace("/dev", "/tmp"), "path of a port in /dev"),
        ("rtu:///dev/ttyUSB0?baud=9600&bits=7&parity=E&stop=1", "each of baud, parity and stop"),
    ],
)
def test_a_url_that_says_it_otherwise_is_refused(wrong: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        bus_address(wrong)


# One line.


def test_many_devices_share_it(tmp_path: Path) -> None:
    async def story(line: SerialLine, wire: SerialWire) -> None:
        for request in (FIRST, OTHER_UNIT, WRITE, NEIGHBOUR, WRITE_TWO, FIRST):
            assert await ask(line, request) == words(request)
        assert len(wire.heard) == 6

    told(tmp_path, story, framing="ascii")


@pytest.mark.parametrize(
    "before",
    [b"\xff\xfe\x00", b":0104", b":0104061234", b":", b"0A12\r\n", b"\r\n\r\n"],
    ids=["noise", "a frame", "more of one", "a colon", "an end", "two ends"],
)
def test_what_comes_before_its_reply_spoils_nothing(tmp_path: Path, before: bytes) -> None:
    async def story(line: SerialLine, _: SerialWire) -> None:
        assert await ask(line) == words(FIRST)
        assert await ask(line, NEIGHBOUR) == words(NEIGHBOUR)

    told(tmp_path, story, once(lambda heard: before + heard.reply()), framing="ascii")


def test_a_frame_that_stops_for_too_long_is_none(tmp_path: Path) -> None:
    """Its second half is nobody's; the first is not kept for it."""

    async def halting(heard: Heard, wire: SerialWire) -> None:
        reply = heard.reply()
        wire.send(reply[:9])
        await asyncio.sleep(LONGEST_PAUSE_S + 0.2)
        wire.send(reply[9:])

    async def story(line: SerialLine, wire: SerialWire) -> None:
        with pytest.raises(BadReplyError, match="framing"):
            await ask(line)

    told(tmp_path, story, halting, LONGEST_PAUSE_S + 0.6, framing="ascii")


def test_nothing_but_noise_is_told_as_such(tmp_path: Path) -> None:
    async def story(line: SerialLine, _: SerialWire) -> None:
        with pytest.raises(BadReplyError, match="garbled"):
            await ask(line)
        assert await ask_until_answered(line, NEIGHBOUR) == words(NEIGHBOUR)

    told(tmp_path, story, once(lambda _: b"\x17\x2a\x99"), 0.2, framing="ascii")


@pytest.mark.parametrize("noise", [b"", b"\xff", b":01"], ids=["alone", "after noise", "begun"])
def test_an_echo_is_no_answer(tmp_path: Path, noise: bytes) -> None:
    async def echoed(heard: Heard, wire: SerialWire) -> None:
        wire.send(noise + lettered(bytes((heard.unit,)) + heard.pdu))
        if heard.function == 4:
            wire.send(heard.reply())

    async def story(line: SerialLine, _: SerialWire) -> None:
        assert await ask(line) == words(FIRST)
        with pytest.raises(BadReplyError if noise else NoReplyError):
            await ask(line, WRITE)
        assert await ask_until_answered(line, NEIGHBOUR) == words(NEIGHBOUR)

    told(tmp_path, story, echoed, 0.3, framing="ascii")


@pytest.mark.parametrize("offset", [0, 5, 22])
@pytest.mark.parametrize("second", [NEIGHBOUR, OTHER_UNIT, WRITE, FIRST])
def test_a_reply_that_ends_when_the_next_is_under_way_lands_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: int, second: Request
) -> None:
    monkeypatch.setattr(test_rtu_line, "told", in_letters)
    test_rtu_line.test_a_reply_that_ends_when_the_next_is_under_way_lands_nowhere(
        tmp_path, offset, second
    )


@pytest.mark.parametrize("late", [1.2, 2.3])
@pytest.mark.parametrize("offset", [0, 7, 20])
def test_with_every_reply_late_no_value_lands_in_a_wrong_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: int, late: float
) -> None:
    monkeypatch.setattr(test_rtu_traps, "told", in_letters)
    test_rtu_traps.test_with_every_reply_late_no_value_lands_in_a_wrong_place(
        tmp_path, offset, late
    )


def in_letters(
    folder: Path,
    story: test_rtu_line.Story,
    behave: Slave,
    timeout_s: float = PATIENT_S,
) -> None:
    told(folder, story, behave, timeout_s, "ascii")


def test_the_command_reads_over_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def meter(heard: Heard, wire: SerialWire) -> None:
        blocks = {
            (0, 18): floats(230, 230, 230, 10.5, 2, 0, 2415, -460, 0),
            (52, 2): floats(1955),
        }
        content = blocks.get((heard.address, heard.count), bytes(2 * heard.count))
        wire.send(heard.frame(bytes((4, len(content))) + content))

    async def story(_: SerialLine, wire: SerialWire) -> None:
        url = f"ascii://{wire.port}?baud=9600&bits=7&parity=N&stop=1"
        arguments = ["read", "eastron_sdm630_v2", url, "--unit", "7"]
        assert await asyncio.to_thread(main, arguments) == 0

    told(tmp_path, story, meter, framing="ascii")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["current_l2", "-2.0", "A"] in lines
