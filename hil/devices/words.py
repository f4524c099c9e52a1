"""Where a simulated device keeps a number, and the words that it stands there as."""

from __future__ import annotations

import struct
from dataclasses import dataclass

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
