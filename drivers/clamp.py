"""Lines of CT clamps: bytes in, frames and named faults out, and nothing else.

Nothing in such a line proves it: no checksum, no length. So a line is believed only when all
of it is as its format says; half of it is none.

RPICT boards (lechacal.com): one line a measurement, numbers between spaces (or commas), CR LF.
- `rpict7v1`: node, 7 real powers in W, 7 currents in A, voltage in V
- `rpict3v1`: node, then for each of 3 CTs real power, apparent power, current in A, voltage,
  power factor
- `rpict3t1`: node, 3 powers estimated as current times an assumed voltage, temperature

emonTx and emonPi (openenergymonitor.org): pairs of a name and a number, as text or JSON.
- `emontx3`: `MSG:1,Vrms:246.81,P1:79,…`
- `emontx4` (emonTx4, emonTx5, emonPi2): `MSG:1,V1:…,V2:…,P1:…,…`; a current `I1` where it is
  there is taken, else it is power by voltage and power factor

All currents are magnitudes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from controller.document.entries.clamp import Format
from controller.strictjson import JsonError, loads
from controller.units import milliamps

LINE_BYTES = 512  # twice the longest line of any of these devices
LEAST_V, MOST_V = 80.0, 300.0  # line to neutral; what lies outside measures no mains
_NUMBER = re.compile(r"[+-]?\d{1,9}(\.\d{0,9})?")
_NO_NUMBER = re.compile(r"[+-]?(nan|inf(inity)?|ovf)", re.IGNORECASE)
_MOST = 1e9
_NOISE_W = 100.0
_RPICT7_CTS, _RPICT3_CTS = 7, 3
_RPICT3V1_PER_CT = 5


class Fault(Enum):
    """Why a line is no reading, in the installer's words."""

    NOT_TEXT = "what comes is no text: wrong baud, or noise?"
    TOO_LONG = f"more than {LINE_BYTES} bytes without the end of a line: wrong baud?"
    STRANGE = "what comes is no line of this format: another device, or its start-up text?"
    COUNT = "a line has not as many numbers as this format: another board or firmware?"
    NODE = "a line is of another node"
    NOT_FINITE = "a line holds what is no finite number: is a sensor missing?"
    MISSING = "a line lacks a current or power that is needed"
    AT_ODDS = "a line tells more power than its current and voltage make: it lost a digit?"
    VOLTAGE = "a line tells powers, but no voltage of a mains: is its supply adapter plugged in?"


class Frame(NamedTuple):
    """One whole line."""

    current_ma: tuple[int, int, int]  # magnitudes, of the three CTs asked for
    number: int | None  # of the line, where the device counts them
    text: bytes  # as it came


class Kept(NamedTuple):
    """What is left of the bytes so far; at most LINE_BYTES. The first line is never whole."""

    line: bytes = b""
    skips: bool = True  # all up to the next end of a line
    skipped: int = 0  # bytes, no further than what is too long


@dataclass(frozen=True, slots=True)
class Layout:
    """Which of a format's lines count, and what in them."""

    format: Format
    channels: tuple[int, int, int]  # CT numbers at terminals 1, 2, 3
    node: int | None  # of RPICT boards
    assumed_v: float  # by which `rpict3t1` multiplies
    power_factor: float  # where only real power tells a current


def parse(layout: Layout, kept: Kept, data: bytes) -> tuple[Kept, list[Frame | Fault]]:
    """Everything that `data` completes, in its order, however the bytes were cut."""
    found: list[Frame | Fault] = []
    *ends, rest = data.split(b"\n")
    for part in ends:
        kept = _longer(kept, part, found)
        if not kept.skips and (whole := kept.line.strip(b"\r \t")):
            found.append(read(layout, whole))
        kept = Kept(skips=False)
    return _longer(kept, rest, found), found


def _longer(kept: Kept, part: bytes, found: list[Frame | Fault]) -> Kept:
    """The line so far with its next part; one that gets too long is told, once, and skipped."""
    length = (kept.skipped if kept.skips else len(kept.line)) + len(part)
    if length > LINE_BYTES:
        if kept.skipped <= LINE_BYTES:
            found.append(Fault.TOO_LONG)
        return Kept(skipped=LINE_BYTES + 1)
    return Kept(skipped=length) if kept.skips else Kept(kept.line + part, skips=False)


def read(layout: Layout, line: bytes) -> Frame | Fault:
    """One whole line, without its end."""
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        return Fault.NOT_TEXT
    if not text.isprintable() and not text.replace("\t", " ").isprintable():
        return Fault.NOT_TEXT
    taken = _READERS[layout.format](layout, text)
    if isinstance(taken, Fault):
        return taken
    amperes, number = taken
    try:
        first, second, third = (milliamps(abs(value)) for value in amperes)
    except ValueError:
        return Fault.NOT_FINITE
    return Frame((first, second, third), number, line)


_Taken = tuple[list[float], int | None] | Fault


def _rpict(layout: Layout, text: str, count: int) -> list[float] | Fault:
    words = text.replace(",", " ").split()
    if not words or not words[0].isdecimal():
        return Fault.STRANGE
    if len(words) != count:
        return Fault.COUNT
    if len(words[0]) > 3 or int(words[0]) != layout.node:
        return Fault.NODE
    return _numbers(words[1:])


def _rpict7v1(layout: Layout, text: str) -> _Taken:
    values = _rpict(layout, text, 1 + _RPICT7_CTS + _RPICT7_CTS + 1)
    if isinstance(values, Fault):
        return values
    volts = values[-1]
    amperes = []
    for channel in layout.channels:
        power, current = values[channel - 1], values[_RPICT7_CTS + channel - 1]
        if _at_odds(power, current, volts):
            return Fault.AT_ODDS
        amperes.append(current)
    return amperes, None


def _rpict3v1(layout: Layout, text: str) -> _Taken:
    values = _rpict(layout, text, 1 + _RPICT3_CTS * _RPICT3V1_PER_CT)
    if isinstance(values, Fault):
        return values
    amperes = []
    for channel in layout.channels:
        power, _, current, volts, _ = values[_RPICT3V1_PER_CT * (channel - 1) :][:_RPICT3V1_PER_CT]
        if _at_odds(power, current, volts):
            return Fault.AT_ODDS
        amperes.append(current)
    return amperes, None


def _at_odds(power_w: float, current_a: float, volts: float) -> bool:
    """Real power is never above apparent; noise and rounding are."""
    return volts >= LEAST_V and abs(power_w) > 1.1 * volts * abs(current_a) + _NOISE_W


def _rpict3t1(layout: Layout, text: str) -> _Taken:
    values = _rpict(layout, text, 1 + _RPICT3_CTS + 1)
    if isinstance(values, Fault):
        return values
    return [values[channel - 1] / layout.assumed_v for channel in layout.channels], None


def _emontx(layout: Layout, text: str) -> _Taken:
    pairs = _json_pairs(text) if text.startswith("{") else _text_pairs(text)
    if isinstance(pairs, Fault):
        return pairs
    number = pairs.get("MSG")
    if number is None or number < 0 or number != int(number):
        return Fault.STRANGE
    amperes = []
    for channel in layout.channels:
        value = _emontx_ampere(layout, pairs, channel)
        if isinstance(value, Fault):
            return value
        amperes.append(value)
    return amperes, int(number)


def _emontx_ampere(layout: Layout, pairs: Mapping[str, float], channel: int) -> float | Fault:
    current = pairs.get(f"I{channel}")
    if current is not None:
        return current
    power = pairs.get(f"P{channel}")
    if power is None:
        return Fault.MISSING
    own_v = f"V{(channel - 1) % 3 + 1}"  # CT 4 sits on phase 1 again
    volts = next((pairs[name] for name in (own_v, "V1", "Vrms") if name in pairs), 0.0)
    if not LEAST_V <= volts <= MOST_V:
        return Fault.VOLTAGE
    return abs(power) / (volts * layout.power_factor)


def _text_pairs(text: str) -> dict[str, float] | Fault:
    if not text.startswith("MSG:"):
        return Fault.STRANGE
    names, words = [], []
    for pair in text.split(","):
        name, colon, word = pair.strip().partition(":")
        if not colon or not name.isalnum():
            return Fault.STRANGE
        names.append(name)
        words.append(word.strip())
    if len(set(names)) < len(names):
        return Fault.STRANGE  # two lines run into one another
    values = _numbers(words)
    return values if isinstance(values, Fault) else dict(zip(names, values, strict=True))


def _json_pairs(text: str) -> dict[str, float] | Fault:
    try:
        data: Any = loads(text.encode(), max_bytes=LINE_BYTES)
    except JsonError:
        return Fault.NOT_FINITE if re.search(r":\s*-?(nan|inf)", text, re.I) else Fault.STRANGE
    if not isinstance(data, dict):
        return Fault.STRANGE
    pairs = {}
    for name, value in data.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            return Fault.STRANGE
        if not abs(value) <= _MOST:  # no NaN, and no infinity of many digits
            return Fault.NOT_FINITE
        pairs[name] = float(value)
    return pairs


def _numbers(words: list[str]) -> list[float] | Fault:
    values = []
    for word in words:
        if _NO_NUMBER.fullmatch(word):
            return Fault.NOT_FINITE
        if not _NUMBER.fullmatch(word):
            return Fault.STRANGE
        values.append(float(word))
    return values


_READERS: dict[Format, Callable[[Layout, str], _Taken]] = {
    "rpict7v1": _rpict7v1,
    "rpict3v1": _rpict3v1,
    "rpict3t1": _rpict3t1,
    "emontx3": _emontx,
    "emontx4": _emontx,
}
