"""Makes the captured exchanges of chargers, from tests/chargers/, with struct alone.

One table a charger says what its documents say: function, address, type, scale. Its cases say what
it shows, in units, and what that means for the state of the vehicle and the current in force. What
a case does not name shows a number that no other register shows, and there is junk wherever the
documents name nothing.
"""

import struct
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.encode import Case, Exchange, packet

TABLES = Path(__file__).parent / "chargers"
FORMS = {
    **{"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q"},
    **{"uint64": ">Q", "float32": ">f"},
}
COILS = (1, 2)


@dataclass(frozen=True)
class Place:
    """A register, as its table has it."""

    name: str
    function: int
    addr: int
    kind: str
    scale: Fraction
    order: str

    @property
    def words(self) -> int:
        if self.kind.startswith("text"):
            return int(self.kind[4:])
        return 1 if self.kind == "bool" else struct.calcsize(FORMS[self.kind]) // 2

    def content(self, value: str | float) -> bytes:
        """High word first."""
        if isinstance(value, str):
            if value.startswith("hex:"):
                return bytes.fromhex(value[4:])
            return value.encode("latin1").ljust(2 * self.words, b"\0")
        exact = Fraction(str(value)) / self.scale
        return struct.pack(
            FORMS[self.kind], float(exact) if self.kind == "float32" else round(exact)
        )

    def meaning(self, content: bytes) -> str:
        if self.kind.startswith("text"):
            return content.rstrip(b"\0 ").decode("ascii")
        value = Fraction(struct.unpack(FORMS[self.kind], content)[0]) * self.scale
        return _text(Fraction(round(value * 1000), 1000))


def cases(table: Mapping[str, Any]) -> Iterator[Case]:
    places = [
        Place(name, function, addr, kind, Fraction(scale), *(order or [table["order"]]))
        for name, (function, addr, kind, scale, *order) in table["registers"].items()
    ]
    for case in table["case"]:
        shown: dict[str, str | float] = {
            place.name: _other(i, place) for i, place in enumerate(places)
        }
        yield _case(table, case, places, shown | case["values"])


def _case(
    table: Mapping[str, Any],
    case: Mapping[str, Any],
    places: Sequence[Place],
    shown: Mapping[str, str | float],
) -> Case:
    unit, expected = table["unit"], {}
    exchanges = [
        _reply(unit, function, address, bytes.fromhex(content))
        for function, address, content in table.get("proof", ())
    ]
    for function, start, count in table["reads"]:
        held = [
            each
            for each in places
            if each.function == function and start <= each.addr < start + count
        ]
        if function in COILS:
            bits = {each.addr - start: int(shown[each.name]) for each in held}
            raw = sum(bits.get(i, 1) << i for i in range(count))
            content = raw.to_bytes((count + 7) // 8, "little")
            exchanges.append(_reply(unit, function, start, content, count))
        else:
            exchanges.append(_reply(unit, function, start, _block(start, count, held, shown)))
    for each in places:
        if each.kind == "bool":
            expected[each.name] = str(int(shown[each.name]))
        elif each.name not in case.get("meaning", {}):
            percent = "%" if each.name in table.get("percent", ()) else ""
            expected[each.name] = each.meaning(each.content(shown[each.name])) + percent
    expected |= case.get("meaning", {})
    expected |= {"vehicle": case["vehicle"], "in_force": case["in_force"]}
    return Case(case["why"], exchanges, "  ".join(f"{k} {v}" for k, v in expected.items()))


def _block(
    start: int, count: int, held: Sequence[Place], shown: Mapping[str, str | float]
) -> bytes:
    block = bytearray(b"".join(struct.pack(">H", 0x5A00 + 7 * i) for i in range(count)))
    for each in held:
        raw = each.content(shown[each.name])
        if each.order == "low_first" and not each.kind.startswith("text"):
            raw = b"".join(raw[i : i + 2] for i in range(len(raw) - 2, -2, -2))
        at = 2 * (each.addr - start)
        block[at : at + len(raw)] = raw
    assert len(block) == 2 * count
    return bytes(block)


def _other(index: int, place: Place) -> str | float:
    """What no other register shows."""
    if place.kind.startswith("text"):
        return "A"
    if place.kind == "bool":
        return 1
    return float((20 + 3 * index) * place.scale)


def _reply(unit: int, function: int, address: int, content: bytes, count: int = 0) -> Exchange:
    asked = struct.pack(">BBHH", unit, function, address, count or len(content) // 2)
    return Exchange(
        packet(asked), packet(struct.pack(">BBB", unit, function, len(content)) + content)
    )


def _text(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    thousandths = abs(value * 1000).numerator
    sign = "-" if value < 0 else ""
    return f"{sign}{thousandths // 1000}.{thousandths % 1000:03}".rstrip("0")


def stated(name: str) -> str:
    """The part of a capture file that shows its states, and what is written to it."""
    path = TABLES / f"{name}.toml"
    if not path.exists():
        return ""
    table = tomllib.loads(path.read_text())
    lines = ["", "[codes]", *(f'{code} = "{its}"' for code, its in table["codes"].items())]
    for each in table["write"]:
        addr, kind, scale, order = each["place"]
        place = Place(each["register"], each["function"], addr, kind, Fraction(scale), order)
        words = place.content(float(each["value"]))
        if order == "low_first":
            words = b"".join(words[i : i + 2] for i in range(len(words) - 2, -2, -2))
        make = _one if place.function == 6 else _many
        request = make(table["unit"], addr, words)
        lines += ["", "[[write]]", f'register = "{place.name}"', f'value = "{each["value"]}"']
        lines += [f'request = "{packet(request).hex()}"']
    return "\n".join([*lines, ""])


def _one(unit: int, address: int, word: bytes) -> bytes:
    return struct.pack(">BBH", unit, 6, address) + word


def _many(unit: int, address: int, content: bytes) -> bytes:
    head = struct.pack(">BBHHB", unit, 16, address, len(content) // 2, len(content))
    return head + content


def encoded() -> dict[str, list[Case]]:
    """All cases of all devices that have a table."""
    return {
        path.stem: list(cases(tomllib.loads(path.read_text())))
        for path in sorted(TABLES.glob("*.toml"))
    }
