"""The journal made small, and back again byte for byte.

A depot says the same thing all day long: who reports next is who came next the time before, he
comes when he came before and a period later, and he says what he said before. So each record
becomes its difference from what was expected, every kind of difference goes into a column of its
own, and each column is compressed by itself (zlib). What is expected is learnt from the records,
alike on both sides: batches can be read in their order only, from the first.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from controller.journal import JournalError, Kind, join, split
from controller.units import NS_PER_MS, NS_PER_S, whole_ms

_TIMED = frozenset({Kind.READING, Kind.REPORT, Kind.CONTACT})  # device, instant, fields
_FIELDS = {Kind.READING: 3, Kind.REPORT: 7, Kind.CONTACT: 1}
_ORDER_WORDS = 10
_SWITCH_WORDS = 6

_NEXT = 0x40  # in a head: the device that was expected
_SAME = 0x80  # and it says what it said before; a tick: the next one, and nothing changed
_KIND = 0x3F

_NEAR_MS = 60  # a difference that fits into one byte
_FAR, _FINE = 254, 255  # whole milliseconds, or nanoseconds, from what was expected
_SHORTLY = 120  # ms, likewise, from a reading to the tick that it woke
_MISSES = 3  # in a row: another rhythm

_HEAD, _TIME, _TIMES, _WHO, _MASK, _REST = range(6)
_LOW = {Kind.READING: 6, Kind.REPORT: 8, Kind.CONTACT: 10}
_COLUMNS = 12  # and behind each low one its high one
_MOST_BYTES = 64 * 1024 * 1024  # of one column: a damaged length must not fill the memory
_MOST_VARINT = 10  # bytes: 64 bits with a sign need no more


class PackError(ValueError):
    """Bytes that no packer has made."""


def _zigzag(value: int) -> int:
    return value * 2 if value >= 0 else -value * 2 - 1


def _unzigzag(value: int) -> int:
    return value >> 1 if value % 2 == 0 else -(value + 1 >> 1)


def _put(to: bytearray, value: int) -> None:
    while value > 0x7F:
        to.append(value & 0x7F | 0x80)
        value >>= 7
    to.append(value)


class _Column:
    """To be read from its beginning."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        if self._at == len(self._data):
            raise PackError("a column is too short")
        self._at += 1
        return self._data[self._at - 1]

    def number(self) -> int:
        value = 0
        for place in range(_MOST_VARINT):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return value
        raise PackError("a number is too long")

    def take(self, count: int) -> bytes:
        self._at += count
        if self._at > len(self._data):
            raise PackError("a column is too short")
        return self._data[self._at - count : self._at]

    @property
    def ended(self) -> bool:
        return self._at == len(self._data)


class _Rhythm:
    """When a device is heard next, learnt from when it was heard."""

    __slots__ = ("_last_ns", "_misses", "_phase_ns", "_step_ns")

    def __init__(self) -> None:
        self._phase_ns = 0
        self._step_ns = NS_PER_S
        self._last_ns = 0
        self._misses = _MISSES  # the first one is where it begins

    @property
    def due_ns(self) -> int:
        return whole_ms(self._phase_ns + self._step_ns)

    @property
    def last_ns(self) -> int:
        return self._last_ns

    def heard(self, at_ns: int, near: bool) -> None:
        if near:
            due_ns = self._phase_ns + self._step_ns
            self._phase_ns = due_ns + (at_ns - due_ns) // 8
            self._misses = 0
        elif self._misses + 1 >= _MISSES:
            if 0 < at_ns - self._last_ns < 60 * NS_PER_S:
                self._step_ns = at_ns - self._last_ns
            self._phase_ns = at_ns
            self._misses = 0
        else:
            self._misses += 1
        self._last_ns = at_ns


class _Expectation:
    """What both sides know of what comes next."""

    def __init__(self) -> None:
        self.said: dict[tuple[int, int], Sequence[int]] = {}
        self.told: dict[tuple[int, int], Sequence[int]] = {}
        self.after: dict[tuple[int, int], int] = {}
        self.before: dict[int, int] = {}
        self.rhythms: dict[tuple[int, int], _Rhythm] = {}
        self.tick = 0
        self.reading_ns: int | None = None  # since the last tick

    def next_device(self, kind: int) -> int:
        return self.after.get((kind, self.before.get(kind, -1)), 0)

    def heard(self, kind: int, device: int) -> None:
        self.after[kind, self.before.get(kind, -1)] = device
        self.before[kind] = device

    def rhythm(self, kind: int, device: int) -> _Rhythm:
        return self.rhythms.setdefault((kind, device), _Rhythm())


class Packer:
    """Of one file, from its first record on."""

    def __init__(self) -> None:
        self._known = _Expectation()
        self._columns = [bytearray() for _ in range(_COLUMNS)]
        self.lost = 0  # records of which the journal says that they are missing

    def pack(self, journal: bytes) -> bytes:
        """Whole records, as `Kernel.drain()` gives them. Raises JournalError."""
        self._columns = [bytearray() for _ in range(_COLUMNS)]
        for _, kind, words in split(journal):
            if kind == Kind.TICK:
                self._tick(words)
            elif kind in _TIMED and len(words) == 2 + _FIELDS[Kind(kind)]:
                self._timed(Kind(kind), words)
            else:
                self._other(kind, words)
        packed = bytearray()
        for column in self._columns:
            small = zlib.compress(column, 6, -zlib.MAX_WBITS) if column else b""
            stored = len(small) >= len(column)
            _put(packed, len(column) * 2 + stored)
            if not stored:
                _put(packed, len(small))
            packed += column if stored else small
        return bytes(packed)

    def _timed(self, kind: Kind, words: Sequence[int]) -> None:
        known, columns = self._known, self._columns
        device, at_ns, *fields = words
        said = known.said.get((kind, device)) or [0] * len(fields)
        head = int(kind)
        if device == known.next_device(kind):
            head |= _NEXT
        else:
            _put(columns[_WHO], _zigzag(device))
        known.heard(kind, device)
        if fields == said:
            head |= _SAME
        else:
            low, high = columns[_LOW[kind]], columns[_LOW[kind] + 1]
            mask = 0
            for place, (now, before) in enumerate(zip(fields, said, strict=True)):
                if now != before:
                    mask |= 1 << place
                    change = _zigzag(now - before)
                    low.append(change & 0xFF)
                    _put(high, change >> 8)
            columns[_MASK].append(mask)
            known.said[kind, device] = fields
        columns[_HEAD].append(head)
        self._when(known.rhythm(kind, device), at_ns)
        if kind == Kind.READING:
            known.reading_ns = at_ns

    def _when(self, rhythm: _Rhythm, at_ns: int) -> None:
        off_ns = at_ns - rhythm.due_ns
        near = off_ns % NS_PER_MS == 0 and abs(off_ns) <= _NEAR_MS * NS_PER_MS
        if near:
            self._columns[_TIME].append(_zigzag(off_ns // NS_PER_MS))
        else:
            self._far(at_ns - rhythm.last_ns)
        rhythm.heard(at_ns, near)

    def _far(self, off_ns: int) -> None:
        fine = off_ns % NS_PER_MS != 0
        self._columns[_TIME].append(_FINE if fine else _FAR)
        _put(self._columns[_TIMES], _zigzag(off_ns if fine else off_ns // NS_PER_MS))

    def _tick(self, words: Sequence[int]) -> None:
        known, columns = self._known, self._columns
        tick, now_ns, orders, switches = words[:4]
        same = len(words) == 4 and tick == known.tick + 1
        columns[_HEAD].append(Kind.TICK | (_SAME if same else 0))
        if not same:
            rest = columns[_REST]
            _put(rest, _zigzag(tick - known.tick))
            _put(rest, orders)
            _put(rest, switches)
            self._told(Kind.TICK, words[4 : 4 + orders * _ORDER_WORDS], _ORDER_WORDS)
            self._told(Kind.CONTACT, words[4 + orders * _ORDER_WORDS :], _SWITCH_WORDS)
        known.tick = tick
        self._tick_time(now_ns)

    def _tick_time(self, now_ns: int) -> None:
        known = self._known
        reading_ns, known.reading_ns = known.reading_ns, None
        if reading_ns is None:
            self._when(known.rhythm(Kind.TICK, 0), now_ns)
            return
        off_ns = now_ns - reading_ns
        if off_ns % NS_PER_MS == 0 and 0 <= off_ns <= _SHORTLY * NS_PER_MS:
            self._columns[_TIME].append(off_ns // NS_PER_MS)
        else:
            self._far(off_ns)

    def _told(self, kind: Kind, words: Sequence[int], each: int) -> None:
        """Orders or contactors of a tick, as differences from what was told of them before."""
        rest, told = self._columns[_REST], self._known.told
        for at in range(0, len(words), each):
            device, *now = words[at : at + each]
            before = told.get((kind, device)) or [0] * len(now)
            _put(rest, _zigzag(device))
            for value, old in zip(now, before, strict=True):
                _put(rest, _zigzag(value - old))
            told[kind, device] = now

    def _other(self, kind: int, words: Sequence[int]) -> None:
        self.lost += words[0] if kind == Kind.LOST else 0
        self._columns[_HEAD].append(_KIND)
        rest = self._columns[_REST]
        for value in (kind, len(words), *words):
            _put(rest, _zigzag(value))


class Unpacker:
    """Of one file, from its first batch on."""

    def __init__(self) -> None:
        self._known = _Expectation()
        self._columns: list[_Column] = []

    def unpack(self, packed: bytes) -> bytes:
        """What the packer was given. Raises PackError; there is nothing to go on with then."""
        try:
            self._columns = list(_columns(packed))
            return b"".join(self._records())
        except (zlib.error, OverflowError, IndexError, JournalError) as error:
            raise PackError(str(error)) from error

    def _records(self) -> Iterator[bytes]:
        heads = self._columns[_HEAD]
        while not heads.ended:
            head = heads.byte()
            kind = head & _KIND
            if kind == Kind.TICK:
                yield self._joined(Kind.TICK, self._tick(head))
            elif kind in _TIMED:
                yield self._joined(kind, self._timed(Kind(kind), head))
            elif kind == _KIND:
                yield self._other()
            else:
                raise PackError(f"there is no head {head}")
        if not all(column.ended for column in self._columns):
            raise PackError("a column is too long")

    def _joined(self, kind: int, words: Sequence[int]) -> bytes:
        if not all(-(2**63) <= word < 2**63 for word in words):
            raise PackError("a number is out of range")
        return join(kind, words)

    def _timed(self, kind: Kind, head: int) -> Sequence[int]:
        known, columns = self._known, self._columns
        next_device = known.next_device(kind)
        device = next_device if head & _NEXT else _unzigzag(columns[_WHO].number())
        known.heard(kind, device)
        fields = list(known.said.get((kind, device)) or [0] * _FIELDS[kind])
        if not head & _SAME:
            low, high = columns[_LOW[kind]], columns[_LOW[kind] + 1]
            mask = columns[_MASK].byte()
            for place in range(_FIELDS[kind]):
                if mask >> place & 1:
                    fields[place] += _unzigzag(low.byte() | high.number() << 8)
            known.said[kind, device] = fields
        at_ns = self._when(known.rhythm(kind, device))
        if kind == Kind.READING:
            known.reading_ns = at_ns
        return [device, at_ns, *fields]

    def _when(self, rhythm: _Rhythm) -> int:
        code = self._columns[_TIME].byte()
        near = code < _FAR
        if near:
            at_ns = rhythm.due_ns + _unzigzag(code) * NS_PER_MS
        else:
            at_ns = rhythm.last_ns + self._far(code)
        rhythm.heard(at_ns, near)
        return at_ns

    def _far(self, code: int) -> int:
        off = _unzigzag(self._columns[_TIMES].number())
        return off if code == _FINE else off * NS_PER_MS

    def _tick(self, head: int) -> Sequence[int]:
        known, rest = self._known, self._columns[_REST]
        words: list[int] = []
        orders = switches = 0
        if head & _SAME:
            known.tick += 1
        else:
            known.tick += _unzigzag(rest.number())
            orders, switches = rest.number(), rest.number()
            words += self._told(Kind.TICK, orders, _ORDER_WORDS)
            words += self._told(Kind.CONTACT, switches, _SWITCH_WORDS)
        return [known.tick, self._tick_time(), orders, switches, *words]

    def _tick_time(self) -> int:
        known = self._known
        reading_ns, known.reading_ns = known.reading_ns, None
        if reading_ns is None:
            return self._when(known.rhythm(Kind.TICK, 0))
        code = self._columns[_TIME].byte()
        return reading_ns + (code * NS_PER_MS if code < _FAR else self._far(code))

    def _told(self, kind: Kind, count: int, each: int) -> list[int]:
        rest, told = self._columns[_REST], self._known.told
        words: list[int] = []
        for _ in range(count):
            device = _unzigzag(rest.number())
            before = told.get((kind, device)) or [0] * (each - 1)
            now = [old + _unzigzag(rest.number()) for old in before]
            told[kind, device] = now
            words += [device, *now]
        return words

    def _other(self) -> bytes:
        rest = self._columns[_REST]
        kind, count = _unzigzag(rest.number()), _unzigzag(rest.number())
        if not 0 <= kind < 2**31:
            raise PackError(f"there is no kind {kind}")
        return self._joined(kind, [_unzigzag(rest.number()) for _ in range(count)])


def _columns(packed: bytes) -> Iterator[_Column]:
    reader = _Column(packed)
    for _ in range(_COLUMNS):
        length, stored = divmod(reader.number(), 2)
        if length > _MOST_BYTES:
            raise PackError("a column is too long")
        if stored:
            yield _Column(reader.take(length))
            continue
        small = reader.take(reader.number())
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        column = unpacking.decompress(small, length)
        if len(column) != length or unpacking.decompress(unpacking.unconsumed_tail, 1):
            raise PackError("a column is not as long as it says")
        yield _Column(column)
    if not reader.ended:
        raise PackError("there is more than columns")
