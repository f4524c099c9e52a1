"""Makes the captured exchanges of meters, from tests/registers/, with struct alone.

One table a meter says what its documents say: addresses, types, scales, word order, what is asked.
Each meter is shown in the same states, with values that no other register has at the time, and
with junk wherever its documents name nothing: no word can be taken for another one.
"""

import struct
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from tests import encode_chargers
from tests.encode import CAPTURES, MADE, Case, Exchange, document, packet
from tests.encode_orders import document as told
from tests.encode_states import document as states

TABLES = Path(__file__).parent / "registers"
FORMS = {
    **{"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q"},
    **{"uint64": ">Q", "float32": ">f"},
}
NAN = "7fc00000"
MOST_MA = 2**31 - 1  # no current is larger
FACTORS = {  # of a SunSpec device in two states
    "current_sf": (-2, -1),
    "voltage_sf": (-1, -2),
    "frequency_sf": (-2, -2),
    "power_sf": (1, 0),
    "apparent_power_sf": (0, 1),
    "reactive_power_sf": (1, 1),
    "power_factor_sf": (-1, -1),
    "energy_sf": (1, 2),
}

# What is measured, in units: on L1, L2, L3 and of all, in two states.
IMPORT: dict[str, tuple[float, ...]] = {
    "voltage": (231.3, 228.9, 233.6, 231.2),
    "current": (43.217, 5.634, 71.982, 120.833),
    "power": (9650.4, 1260.7, 15980.2, 26891.3),
    "apparent_power": (9996.1, 1289.6, 16815.4, 28101.1),
    "reactive_power": (2606.3, -271.2, 5231.9, 7567.0),
    "power_factor": (0.965, -0.978, 0.951, 0.957),
    "frequency": (0, 0, 0, 49.98),
    "energy_import": (423_456_700, 312_345_600, 298_765_400, 1_034_567_700),
    "energy_export": (87_654_300, 76_543_200, 65_432_100, 229_629_600),
    "reactive_energy_import": (0, 0, 0, 87_651_234),
    "reactive_energy_export": (0, 0, 0, 23_456_789),
    "energy": (0, 0, 0, 1_264_197_300),
}
EXPORT: dict[str, tuple[float, ...]] = {
    "voltage": (229.4, 235.2, 230.7, 231.8),
    "current": (12.345, 65.537, 131.074, 208.956),
    "power": (2750.3, -15080.6, 21040.8, 8710.5),
    "apparent_power": (2831.9, 15414.3, 30238.8, 48485.0),
    "reactive_power": (-675.2, 3190.4, 21718.3, 24233.5),
    "power_factor": (0.971, -0.978, 0.696, 0.18),
    "frequency": (0, 0, 0, 50.03),
    "energy_import": (423_556_700, 312_346_600, 298_865_400, 1_034_768_700),
    "energy_export": (87_655_300, 77_543_200, 65_433_100, 230_631_600),
    "reactive_energy_import": (0, 0, 0, 87_751_234),
    "reactive_energy_export": (0, 0, 0, 23_556_789),
    "energy": (0, 0, 0, 1_265_400_300),
}


@dataclass(frozen=True)
class Place:
    """A register, as its table has it."""

    addr: int
    kind: str
    scale: Fraction
    factor: str | None = None

    @property
    def bytes(self) -> int:
        return struct.calcsize(FORMS[self.kind])


Contents = dict[str, bytes]  # of each register, high word first


@dataclass(frozen=True)
class Meter:
    """One table."""

    name: str
    table: Mapping[str, Any]

    @cached_property
    def places(self) -> dict[str, Place]:
        return {
            name: Place(addr, kind, Fraction(scale), *factor)
            for name, (addr, kind, scale, *factor) in self.table["registers"].items()
        }

    def cases(self) -> Iterator[Case]:
        yield self._case("import on all phases", self._measured(0, IMPORT))
        export = EXPORT
        if self.table["phases"] == 1:  # the one that exports
            export = {name: (two, one, *rest) for name, (one, two, *rest) in EXPORT.items()}
        yield self._case("export on one of them", self._measured(1, export))
        yield self._case("every number at an edge of its type", self._edges())
        unknown = self._unknown(self._measured(0, IMPORT))
        if unknown is not None:
            picked = ("current_l1", "power_l2", *self.table.get("unknown_of", ()))
            some = {name: unknown[name] for name in picked if name in unknown}
            if some and some != unknown:
                contents = self._measured(1, EXPORT) | some
                yield self._case("what is unknown is no number, and has no direction", contents)
            yield self._case("all is unknown that can say so", self._measured(0, IMPORT) | unknown)
        for i, (function, address, contents) in enumerate(self.table.get("or_proof", ())):
            for content in contents:
                proof = [*self.table["proof"]]
                proof[i] = [function, address, content]
                other = replace(self, table={**self.table, "proof": proof})
                yield other._case(f"register {address} is {content}", self._measured(0, IMPORT))
        for number in self.table.get("other_models", ()):
            contents = self._measured(0, IMPORT) | {"model": struct.pack(">H", number)}
            yield self._case(f"model {number}", contents)
        if self.table["may_lack"]:
            contents = self._measured(0, IMPORT)
            yield self._case("one that has not got all of it", contents, lacking=True)

    def _measured(self, state: int, values: Mapping[str, tuple[float, ...]]) -> Contents:
        factors = {name: each[state] for name, each in FACTORS.items() if name in self.places}
        contents = {name: struct.pack(">h", each) for name, each in factors.items()}
        for name, place in self.places.items():
            if name in factors:
                continue
            scale = place.scale * Fraction(10) ** factors.get(place.factor or "", 0)
            value = Fraction(str(_value(name, values))) / scale
            if name.startswith("power_factor") and place.factor:
                value *= 100  # in percent
            if place.kind.startswith("uint"):
                value = abs(value)
            raw = float(value) if place.kind == "float32" else round(value)
            contents[name] = struct.pack(FORMS[place.kind], raw)
        return contents | self._first

    @property
    def _first(self) -> Contents:
        """Number and length of a SunSpec model."""
        if "first" not in self.table:
            return {}
        number, length = self.table["first"]
        return {"model": struct.pack(">H", number), "length": struct.pack(">H", length)}

    def _edges(self) -> Contents:
        """Highest bits set: whether a number is signed shows in each of them."""
        contents: Contents = {}
        for i, (name, place) in enumerate(self.places.items(), 1):
            if place.kind == "float32":
                contents[name] = struct.pack(">f", -1.5 * 7**i % 1_000_003)
            else:
                bits = 8 * place.bytes
                raw = (1 << (bits - 1)) + 257 * i
                contents[name] = raw.to_bytes(place.bytes, "big")
            if name in FACTORS:
                contents[name] = struct.pack(">h", -FACTORS[name][0])
        return contents | self._first

    def _unknown(self, contents: Contents) -> Contents | None:
        """As the device says that it does not know; None where it cannot."""
        marks = {"float32": NAN} | self.table.get("unknown", {})
        own = self.table.get("unknown_of", {})
        told = {
            name: bytes.fromhex(own.get(name) or marks[place.kind])
            for name, place in self.places.items()
            if (name in own or place.kind in marks) and name not in self._first
        }
        return told or None

    def _case(self, why: str, contents: Contents, lacking: bool = False) -> Case:
        absent = self.table["may_lack"] if lacking else []
        number = struct.unpack(">H", contents["model"])[0] if self._first else 0
        exchanges = [*self._found(number), *self._proven()]
        gone = self._of_no_phase(number)
        for function, start, words in self.table["reads"]:
            if [start, words] in absent:
                exchanges.append(self._refused(function, start, words))
                gone |= {
                    name
                    for name, place in self.places.items()
                    if start <= place.addr < start + words
                }
            else:
                content = self._block(start, words, contents)
                exchanges.append(self._read(function, self._base + start, content))
        expected = {
            name: None if name in gone else self._meaning(name, contents) for name in self.places
        }
        expected |= self._net(expected) | self._signed(expected)
        words = [f"{name} {self._text(name, value)}" for name, value in expected.items()]
        return Case(why, exchanges, "  ".join(words))

    def _of_no_phase(self, number: int) -> set[str]:
        """What is told of phases that a SunSpec model of fewer does not measure."""
        phases = self.table.get("phases_of", {}).get(str(number), 3)
        ends = tuple(f"_l{n}" for n in range(phases + 1, 4))
        return {name for name in self.places if name.endswith(ends)} if ends else set()

    def _text(self, name: str, value: Fraction | None) -> str:
        place = self.places.get(name)
        percent = place is not None and place.factor == "power_factor_sf" and value is not None
        return _text(value) + "%" * percent

    def without_what_it_may_lack(self, case: Case) -> Case:
        """A case of its own, of a device that has only what it shows."""
        refused = [
            self._refused(function, start, words)
            for function, start, words in self.table["reads"]
            if [start, words] in self.table["may_lack"]
        ]
        gone = [
            f"{name} -"
            for name, place in self.places.items()
            if any(a <= place.addr < a + words for a, words in self.table["may_lack"])
        ]
        expect = "  ".join([" ".join(case.expect.split()), *gone])
        return replace(case, exchanges=[*case.exchanges, *refused], expect=expect)

    def _block(self, start: int, words: int, contents: Contents) -> bytes:
        """Junk, and the registers in it."""
        block = bytearray(b"".join(struct.pack(">H", 0x5A00 + 7 * i) for i in range(words)))
        for name, place in self.places.items():
            if start <= place.addr < start + words:
                raw = contents[name]
                if self.table["order"] == "low_first":
                    raw = b"".join(raw[i : i + 2] for i in range(len(raw) - 2, -2, -2))
                at = 2 * (place.addr - start)
                block[at : at + len(raw)] = raw
        assert len(block) == 2 * words
        return bytes(block)

    def _meaning(self, name: str, contents: Contents) -> Fraction | None:
        """Thousandths of the unit, rounded half to even; the number itself where it has none."""
        place, raw = self.places[name], contents[name]
        unknown = self._unknown(contents) or {}
        if raw == unknown.get(name):
            return None
        value = Fraction(struct.unpack(FORMS[place.kind], raw)[0]) * place.scale
        if place.factor is not None:
            factor = self._meaning(place.factor, contents)
            if factor is None:
                return None
            value *= Fraction(10) ** int(factor)
        return value if name in PLAIN else Fraction(round(value * 1000), 1000)

    def _net(self, values: Mapping[str, Fraction | None]) -> dict[str, Fraction | None]:
        found: dict[str, Fraction | None] = {}
        for name, (more, less) in self.table.get("net", {}).items():
            first, second = values[more], values[less]
            found[name] = None if first is None or second is None else first - second
        return found

    def _signed(self, values: Mapping[str, Fraction | None]) -> dict[str, Fraction | None]:
        """Import positive; an export with its active part alone, rounded to the smaller mA."""
        found: dict[str, Fraction | None] = {}
        for n in range(1, self.table["phases"] + 1):
            if f"current_l{n}" in values:
                current, power, voltage = (
                    values.get(f"{what}_l{n}") for what in ("current", "power", "voltage")
                )
                told = self.table["direction"] == "power"
                found[f"signed_l{n}"] = _direction(current, power, voltage, told)
        return found

    # What goes over the line.

    @property
    def _base(self) -> int:
        return 40070 if "first" in self.table else 0

    def _found(self, number: int) -> Iterator[Exchange]:
        """The walk through a SunSpec device: the mark, the common model, the meter, the end."""
        if "first" not in self.table:
            return
        length = self.table["first"][1]
        yield self._read(3, 40000, b"SunS")
        yield self._read(3, 40002, struct.pack(">HH", 1, 66))
        yield self._read(3, self._base, struct.pack(">HH", number, length))
        yield self._read(3, self._base + 2 + length, struct.pack(">HH", 0xFFFF, 0))

    def _proven(self) -> Iterator[Exchange]:
        for function, address, content in self.table.get("proof", ()):
            yield self._read(function, address, bytes.fromhex(content))

    def _read(self, function: int, address: int, content: bytes) -> Exchange:
        unit = self.table["unit"]
        asked = struct.pack(">BBHH", unit, function, address, len(content) // 2)
        return Exchange(
            packet(asked), packet(struct.pack(">BBB", unit, function, len(content)) + content)
        )

    def _refused(self, function: int, address: int, words: int) -> Exchange:
        unit = self.table["unit"]
        asked = struct.pack(">BBHH", unit, function, self._base + address, words)
        return Exchange(packet(asked), packet(struct.pack(">BBB", unit, function | 0x80, 2)))


PLAIN = {*FACTORS, "model", "length", "phase_sequence"}  # numbers without a unit


def _value(name: str, values: Mapping[str, tuple[float, ...]]) -> float:
    """What a register shows, by its name; nothing that two of them show at once."""
    if name in ("model", "length"):
        return 0
    if name == "phase_sequence":
        return -1 if values is EXPORT else 0
    odd = {
        "current_neutral": 8.123,
        "energy_import_float": 1_034_500_000,
        "energy_import_int64": 1_034_560_001,
        "energy_export_int64": 229_620_002,
        "power_import_total": 26_899.5,
        "power_export_total": 8.25,
    }
    if name in odd:
        return odd[name] + (1000 if values is EXPORT else 0)
    what, _, which = name.rpartition("_")
    if which in ("l1", "l2", "l3"):
        return values[what][int(which[1]) - 1]
    return values[what if which in ("total", "avg") else name][3]


def _direction(
    current: Fraction | None, power: Fraction | None, voltage: Fraction | None, told: bool
) -> Fraction | None:
    if current is None or abs(current * 1000) > MOST_MA:
        return None
    if not told:
        return abs(current)
    if power is None:
        return None
    if power >= 0:
        return abs(current)
    if voltage is None or voltage <= 0:
        return None
    return -min(abs(current), Fraction(abs(power) * 1000 // voltage, 1000))


def _text(value: Fraction | None) -> str:
    if value is None:
        return "-"
    if value.denominator == 1:
        return str(value.numerator)
    thousandths = value * 1000
    assert thousandths.denominator == 1
    sign, whole = "-" if value < 0 else "", abs(thousandths.numerator)
    return f"{sign}{whole // 1000}.{whole % 1000:03}".rstrip("0")


def encoded() -> dict[str, list[Case]]:
    """All cases of all devices: those of single devices, and then those of the tables."""
    every = {name: list(cases) for name, cases in MADE.items()}
    for path in sorted(TABLES.glob("*.toml")):
        table = tomllib.loads(path.read_text())
        meter = Meter(path.stem, table)
        own = [meter.without_what_it_may_lack(case) for case in every.get(path.stem, ())]
        every[path.stem] = own + list(meter.cases())
    return every | encode_chargers.encoded()


def whole(name: str, cases: list[Case]) -> str:
    """A capture file."""
    return document(cases) + states(name) + encode_chargers.stated(name) + told(name)


if __name__ == "__main__":
    for device, every_case in encoded().items():
        (CAPTURES / f"{device}.toml").write_text(whole(device, every_case))
