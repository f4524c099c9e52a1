"""The kernel's journal, read and written: every input and output as a plain record.

Bytes in, records out, nothing else. `Kernel.drain()` gives whole records; each is its kind and its
length in bytes (32 bits each), and then whole numbers of 64 bits, little-endian:

| kind | numbers |
|---|---|
| 1 reading | source, at, mA of each phase |
| 2 distrust | source, 0 or 1 |
| 3 report | charger, at, setpoint in force (-1: unknown), whether its current is known, |
| | mA of each phase, vehicle, the tick whose order was written |
| 4 fallback | charger, mA |
| 5 proven | charger, 0 the device cannot tell, 1 proven, 2 not |
| 6 contact | contactor, at, closed |
| 7 limit | slot, unlimited, mA of each phase, its end, end of its lease |
| 8 leave | |
| 9 latch | 0 or 1 |
| 10 tick | tick, now, how many orders and contactors it tells; each order: charger, |
| | setpoint (-1: none), why, cause; each contactor: contactor, closed, why. |
| | A reason: rule, circuit, phase, slot |
| 11 lost | how many records were dropped here because nobody took them in time |
| 12 heat | circuit, at, image of each phase, worn of each phase, mA of each phase |
| 13 worst | circuit, mA of each phase |
| 14 advice | charger, weight (0: none), floor and cap in mA (-1: none), its end |

A tick tells what is not as it was told before; the first one, and the first after a loss,
tells everything.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from functools import lru_cache

from cext.rows import Advice, Heat, Phases, Rule, Vehicle, Why
from controller.records import (
    Advised,
    Contact,
    Distrust,
    Fallback,
    Latch,
    Leave,
    Limit,
    Lost,
    Order,
    Proven,
    Reading,
    Record,
    Report,
    RestoredHeat,
    RestoredWorst,
    Switch,
    Tick,
)

UNKNOWN = -1
_HEAD = struct.Struct("<iI")
_TICK_WORDS = 4
_ORDER_WORDS = 10
_SWITCH_WORDS = 6


class Kind(IntEnum):
    """Of a record; those of cext/journal.pxd."""

    READING = 1
    DISTRUST = 2
    REPORT = 3
    FALLBACK = 4
    PROVEN = 5
    CONTACT = 6
    LIMIT = 7
    LEAVE = 8
    LATCH = 9
    TICK = 10
    LOST = 11
    HEAT = 12
    WORST = 13
    ADVICE = 14


class JournalError(ValueError):
    """Bytes that are no journal: what is wrong, and at which byte."""


# --- reading -----------------------------------------------------------------------------------


def decode(journal: bytes) -> Iterator[Record]:
    """All records in their order. Raises JournalError at the first that is none."""
    for at, kind, words in split(journal):
        try:
            yield record(kind, words)
        except JournalError as error:
            raise JournalError(f"byte {at}: {error}") from None


def record(kind: int, words: Sequence[int]) -> Record:
    """What these numbers say. Raises JournalError."""
    try:
        return _READ[kind](words)
    except KeyError:
        raise JournalError(f"there is no record of kind {kind}") from None
    except (ValueError, IndexError) as error:
        raise JournalError(f"this is no {Kind(kind).name.lower()}: {error}") from None


def split(journal: bytes) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Each record's place, kind and numbers, whatever they mean. Raises JournalError."""
    at = 0
    while at < len(journal):
        if len(journal) - at < _HEAD.size:
            raise JournalError(f"byte {at}: the journal ends within a record's head")
        kind, length = _HEAD.unpack_from(journal, at)
        if length < _HEAD.size or length % 8 or length > len(journal) - at:
            raise JournalError(f"byte {at}: a record cannot be {length} bytes long here")
        yield at, kind, _numbers(length // 8 - 1).unpack_from(journal, at + _HEAD.size)
        at += length


@lru_cache(maxsize=64)  # nearly all records are of a few lengths
def _numbers(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}q")


def ticks_in(journal: bytes) -> int:
    """How many ticks it tells of, without reading them; what is no journal is not noticed here."""
    at = count = 0
    while at + _HEAD.size <= len(journal):
        kind, length = _HEAD.unpack_from(journal, at)
        count += kind == Kind.TICK
        at += max(length, _HEAD.size)
    return count


def join(kind: int, words: Sequence[int]) -> bytes:
    """One record of such numbers."""
    return _HEAD.pack(kind, _HEAD.size + 8 * len(words)) + struct.pack(f"<{len(words)}q", *words)


Words = Sequence[int]


def _exactly(words: Words, count: int) -> Words:
    if len(words) != count:
        raise ValueError(f"{len(words)} numbers instead of {count}")
    return words


def _phases(words: Words) -> Phases:
    first, second, third = words
    return first, second, third


def _phases_if(known: bool, words: Words) -> Phases | None:
    if not known and any(words):
        raise ValueError("currents that are not known are written as 0")
    return _phases(words) if known else None


def _flag(word: int) -> bool:
    if word not in (0, 1):
        raise ValueError(f"{word} is neither 0 nor 1")
    return bool(word)


def _known(word: int) -> int | None:
    if word < UNKNOWN:
        raise ValueError(f"{word} mA is no setpoint")
    return None if word == UNKNOWN else word


def _count(word: int) -> int:
    if word < 0:
        raise ValueError(f"{word} is no count")
    return word


def _why(words: Words) -> Why:
    rule, circuit, phase, slot = words
    return Why(Rule(rule), circuit, phase, slot)


def _reading(words: Words) -> Reading:
    source, at_ns, one, two, three = _exactly(words, 5)
    return Reading(_count(source), at_ns, (one, two, three))


def _distrust(words: Words) -> Distrust:
    source, distrusted = _exactly(words, 2)
    return Distrust(_count(source), _flag(distrusted))


def _report(words: Words) -> Report:
    charger, at_ns, in_force, known, *current, vehicle, written = _exactly(words, 9)
    return Report(
        _count(charger),
        at_ns,
        _known(in_force),
        _phases_if(_flag(known), current),
        Vehicle(vehicle),
        written,
    )


def _fallback(words: Words) -> Fallback:
    charger, fallback_ma = _exactly(words, 2)
    return Fallback(_count(charger), _count(fallback_ma))


def _proven(words: Words) -> Proven:
    charger, proof = _exactly(words, 2)
    return Proven(_count(charger), (None, True, False)[_count(proof)])


def _contact(words: Words) -> Contact:
    contactor, at_ns, closed = _exactly(words, 3)
    return Contact(_count(contactor), at_ns, _flag(closed))


def _limit(words: Words) -> Limit:
    slot, unlimited, *limit, limit_until, alive_until = _exactly(words, 7)
    return Limit(_count(slot), _phases_if(not _flag(unlimited), limit), limit_until, alive_until)


def _advised(words: Words) -> Advised:
    charger, weight, floor, cap, until_ns = _exactly(words, 5)
    advice = Advice(_count(weight) or None, _known(floor), _known(cap), until_ns)
    return Advised(_count(charger), advice)


def _leave(words: Words) -> Leave:
    _exactly(words, 0)
    return Leave()


def _latch(words: Words) -> Latch:
    return Latch(_flag(_exactly(words, 1)[0]))


def _heat(words: Words) -> RestoredHeat:
    circuit, at_ns, *state = _exactly(words, 11)
    heat = Heat(at_ns, _phases(state[:3]), _phases(state[3:6]), _phases(state[6:]))
    return RestoredHeat(_count(circuit), heat)


def _worst(words: Words) -> RestoredWorst:
    circuit, *worst = _exactly(words, 4)
    return RestoredWorst(_count(circuit), _phases(worst))


def _order(words: Words) -> Order:
    return Order(_count(words[0]), _known(words[1]), _why(words[2:6]), _why(words[6:10]))


def _switch(words: Words) -> Switch:
    return Switch(_count(words[0]), _flag(words[1]), _why(words[2:6]))


def _tick(words: Words) -> Tick:
    if len(words) < _TICK_WORDS:
        raise ValueError(f"{len(words)} numbers are too few")
    tick, now_ns, orders, switches = words[:_TICK_WORDS]
    orders_end = _TICK_WORDS + _count(orders) * _ORDER_WORDS
    _exactly(words, orders_end + _count(switches) * _SWITCH_WORDS)
    return Tick(
        tick,
        now_ns,
        tuple(
            _order(words[i : i + _ORDER_WORDS])
            for i in range(_TICK_WORDS, orders_end, _ORDER_WORDS)
        ),
        tuple(
            _switch(words[i : i + _SWITCH_WORDS])
            for i in range(orders_end, len(words), _SWITCH_WORDS)
        ),
    )


def _lost(words: Words) -> Lost:
    return Lost(_count(_exactly(words, 1)[0]))


_READ: dict[int, Callable[[Words], Record]] = {
    Kind.READING: _reading,
    Kind.DISTRUST: _distrust,
    Kind.REPORT: _report,
    Kind.FALLBACK: _fallback,
    Kind.PROVEN: _proven,
    Kind.CONTACT: _contact,
    Kind.LIMIT: _limit,
    Kind.LEAVE: _leave,
    Kind.LATCH: _latch,
    Kind.TICK: _tick,
    Kind.LOST: _lost,
    Kind.HEAT: _heat,
    Kind.WORST: _worst,
    Kind.ADVICE: _advised,
}

# --- writing -----------------------------------------------------------------------------------


def encode(records: Iterable[Record]) -> bytes:
    """The same records as the kernel would write them."""
    return b"".join(join(*spell(record)) for record in records)


def spell(record: Record) -> tuple[Kind, list[int]]:  # noqa: PLR0911, PLR0912  # one case a kind
    """A record's kind and numbers."""
    match record:
        case Reading(source, at_ns, current_ma):
            return Kind.READING, [source, at_ns, *current_ma]
        case Distrust(source, distrusted):
            return Kind.DISTRUST, [source, distrusted]
        case Report(charger, at_ns, in_force_ma, current, vehicle, written_tick):
            in_force = UNKNOWN if in_force_ma is None else in_force_ma
            known = (0, 0, 0, 0) if current is None else (1, *current)
            return Kind.REPORT, [charger, at_ns, in_force, *known, vehicle, written_tick]
        case Fallback(charger, fallback_ma):
            return Kind.FALLBACK, [charger, fallback_ma]
        case Proven(charger, proven):
            return Kind.PROVEN, [charger, (None, True, False).index(proven)]
        case Contact(contactor, at_ns, closed):
            return Kind.CONTACT, [contactor, at_ns, closed]
        case Limit(slot, limit_ma, limit_until_ns, alive_until_ns):
            asked = (1, 0, 0, 0) if limit_ma is None else (0, *limit_ma)
            return Kind.LIMIT, [slot, *asked, limit_until_ns, alive_until_ns]
        case Advised(charger, advice):
            floor = UNKNOWN if advice.floor_ma is None else advice.floor_ma
            cap = UNKNOWN if advice.cap_ma is None else advice.cap_ma
            return Kind.ADVICE, [charger, advice.weight or 0, floor, cap, advice.until_ns]
        case Leave():
            return Kind.LEAVE, []
        case Latch(latched):
            return Kind.LATCH, [latched]
        case Tick(tick, now_ns, orders, switches):
            words = [tick, now_ns, len(orders), len(switches)]
            for order in orders:
                setpoint = UNKNOWN if order.setpoint_ma is None else order.setpoint_ma
                words += [order.charger, setpoint, *order.why, *order.cause]
            for switch in switches:
                words += [switch.contactor, switch.closed, *switch.why]
            return Kind.TICK, words
        case Lost(lost):
            return Kind.LOST, [lost]
        case RestoredHeat(circuit, (at_ns, image, worn, current_ma)):
            return Kind.HEAT, [circuit, at_ns, *image, *worn, *current_ma]
        case RestoredWorst(circuit, worst_ma):
            return Kind.WORST, [circuit, *worst_ma]
