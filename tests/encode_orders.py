"""Makes what chargers are told, from tests/orders/, with struct alone.

One table a charger says what its documents say: function, address, type and raw value of each
write, in their order: for a current, for what must stand in its memory, and for what feeds its
watchdog. It becomes a part of the charger's capture file, in whole packets.
"""

import struct
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.encode import packet

TABLES = Path(__file__).parent / "orders"
FORMS = {"int16": ">h", "uint16": ">H", "uint32": ">I", "float32": ">f"}
ON = {0: 0x0000, 1: 0xFF00}  # of a coil


def request(unit: int, function: int, address: int, kind: str, raw: float) -> bytes:
    """A write of one register, all its words at once."""
    head = struct.pack(">BBH", unit, function, address)
    if kind == "coil":
        return packet(head + struct.pack(">H", ON[int(raw)]))
    content = struct.pack(FORMS[kind], raw)
    if function == 16:
        head += struct.pack(">HB", len(content) // 2, len(content))
    return packet(head + content)


def document(name: str) -> str:
    """The part of a capture file; empty for what is told nothing."""
    table = tables().get(name)
    return "" if table is None else "\n".join([*_lines(table), ""])


@cache
def tables() -> dict[str, dict[str, Any]]:
    return {path.stem: tomllib.loads(path.read_text()) for path in sorted(TABLES.glob("*.toml"))}


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    for order in table["order"]:
        yield from ("", "[[order]]", f'amperes = "{order["amperes"]}"')
        yield f"enabled = {str(order.get('enabled', False)).lower()}"
        yield from _requests(table["unit"], order["writes"])
    for key in ("arm", "feed"):
        if key in table:
            its = table[key]
            yield from ("", f"[{key}]")
            yield from (
                f'{name} = "{its[name]}"' for name in ("fallback_a", "delay_s") if name in its
            )
            yield from _requests(table["unit"], its["writes"])


def _requests(unit: int, writes: Sequence[Sequence[Any]]) -> Iterator[str]:
    yield "requests = ["
    yield from (f'  "{request(unit, *write).hex()}",' for write in writes)
    yield "]"
