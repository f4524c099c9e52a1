"""Where a simulated device keeps a number, and the words that it stands there as."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hil.devices.pdu import Code, RefusalError

FORMS = {1: ">H", 2: ">I"}


@dataclass(frozen=True)
class Place:
    """Function that reads it, first address, words; what its number counts: mA, ms, or nothing."""

    function: int
    address: int
    words: int = 1
    per: int = 1
    low_first: bool = False
    single: bool = False  # a 32-bit float

    def shows(self, value: float) -> dict[tuple[int, int], bytes]:
        """By function and address."""
        if self.single:
            raw = struct.pack(">f", value / self.per)
        else:
            raw = struct.pack(FORMS[self.words], round(value) // self.per)
        words = [raw[i : i + 2] for i in range(0, len(raw), 2)]
        if self.low_first:
            words.reverse()
        return {(self.function, self.address + i): word for i, word in enumerate(words)}

    def spells(self, said: str) -> dict[tuple[int, int], bytes]:
        """Likewise, of a text: two characters a word, and nothing after its end."""
        raw = said.encode().ljust(2 * self.words, b"\0")
        assert len(raw) == 2 * self.words
        return {
            (self.function, self.address + i): raw[2 * i : 2 * i + 2] for i in range(self.words)
        }


def words_at(
    function: int, address: int, count: int, words: Mapping[tuple[int, int], bytes]
) -> bytes:
    """Those asked for, of what stands where. Raises RefusalError where nothing stands."""
    wanted = [(function, address + i) for i in range(count)]
    if any(each not in words for each in wanted):
        raise RefusalError(Code.ILLEGAL_ADDRESS)
    return b"".join(words[each] for each in wanted)


def number_written(address: int, words: bytes, places: Iterable[Place]) -> tuple[Place, int]:
    """Which of the places it is written to, and the raw number. Raises RefusalError."""
    place = next((each for each in places if each.address == address), None)
    if place is None or len(words) != 2 * place.words:
        raise RefusalError(Code.ILLEGAL_ADDRESS)
    raw: int = struct.unpack(FORMS[place.words], words)[0]
    return place, raw
