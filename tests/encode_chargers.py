"""Makes the captured exchanges of chargers, from tests/chargers/, with struct alone.

One table a charger says what its documents say: function, address, type, scale. Its cases say what
it shows, in units, and what that means for the state of the vehicle and the current in force. What
a case does not name shows a number that no other register shows; where the case is `far`, one at
the far end of its type: above what a signed number of as many bits holds, or negative. There is
junk wherever the documents name nothing.
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


def _places(table: Mapping[str, Any], part: str) -> list[Place]:
    return [
        Place(name, function, addr, kind, Fraction(scale), *(order or [table["order"]]))
        for name, (function, addr, kind, scale, *order) in table.get(part, {}).items()
    ]


def cases(table: Mapping[str, Any]) -> Iterator[Case]:
    places = _places(table, "registers")
    for case in table["case"]:
        other = _far if case.get("far") else _other
        shown = {place.name: other(i, place) for i, place in enumerate(places)}
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
    for i, each in enumerate(_places(table, "identity")):
        content = _block(each.addr, each.words, [each], {each.name: _who(i, each)})
        exchanges.append(_reply(unit, each.function, each.addr, content))
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


def _far(index: int, place: Place) -> str | float:
    """Likewise, and no two words of it alike."""
    if place.kind not in FORMS or place.kind == "float32":
        return _other(index, place)
    half = 1 << (16 * place.words - 1)
    raw = half + 20 + 3 * index
    raw += sum((0x0102 + 0x0101 * i) << 16 * (i + 1) for i in range(place.words - 1))
    if place.kind.startswith("int"):
        raw -= 2 * half
    return "hex:" + struct.pack(FORMS[place.kind], raw).hex()


def _who(index: int, place: Place) -> str | float:
    """What it says of itself, to the last character of its register."""
    if place.kind.startswith("text"):
        return "".join(chr(ord("A") + (index + i) % 26) for i in range(2 * place.words))
    return _far(index, place)


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
    """The part of a capture file that shows its states, and who it says it is."""
    path = TABLES / f"{name}.toml"
    if not path.exists():
        return ""
    table = tomllib.loads(path.read_text())
    lines = ["", "[codes]", *(f'{code} = "{its}"' for code, its in table["codes"].items())]
    for i, each in enumerate(_places(table, "identity")):
        lines += ["", "[identity]"] if i == 0 else []
        lines.append(f'{each.name} = "{each.meaning(each.content(_who(i, each)))}"')
    return "\n".join([*lines, ""])


def encoded() -> dict[str, list[Case]]:
    """All cases of all devices that have a table."""
    return {
        path.stem: list(cases(tomllib.loads(path.read_text())))
        for path in sorted(TABLES.glob("*.toml"))
    }
