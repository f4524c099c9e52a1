"""What chargers are told, from tests/orders/, made with struct alone.

One table a charger says what its documents say: function, address, type and raw value of each
write, in their order: for a current, for what must stand in its memory, and for what feeds its
watchdog. `never`: what must never be written as its setpoint. `range_a`: the least current that it
can be told and the most, where a document says that.
"""

import struct
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.encode import packet

TABLES = Path(__file__).parent / "orders"
FORMS = {"int16": ">h", "uint16": ">H", "uint32": ">I", "float32": ">f"}
ON = {0: 0x0000, 1: 0xFF00}  # of a coil


@cache
def tables() -> dict[str, dict[str, Any]]:
    return {path.stem: tomllib.loads(path.read_text()) for path in sorted(TABLES.glob("*.toml"))}


def document(name: str) -> str:
    """The part of a capture file that shows it."""
    table = tables().get(name, {})
    lines: list[str] = []
    if "range_a" in table:
        least, *most = table["range_a"]
        lines += ["", "[range]", f'least_a = "{least}"', *(f'most_a = "{each}"' for each in most)]
    for order in table.get("order", ()):
        lines += ["", "[[order]]", f'amperes = "{order["amperes"]}"']
        lines += ["enabled = true"] if order.get("enabled") else []
        lines += _requests(table, order)
    for part in ("arm", "feed"):
        if part in table:
            lines += ["", f"[{part}]"]
            for key in ("fallback_a", "delay_s"):
                lines += [f"{key} = {table[part][key]}"] if key in table[part] else []
            lines += _requests(table, table[part])
    return "\n".join([*lines, ""]) if lines else ""


def _requests(table: Mapping[str, Any], its: Mapping[str, Any]) -> Iterator[str]:
    yield "requests = ["
    for write in its["writes"]:
        yield f'  "{packet(request(table["unit"], *write)).hex()}",'
    yield "]"


def request(unit: int, function: int, address: int, kind: str, raw: float) -> bytes:
    """A write of one register, all its words at once."""
    head = struct.pack(">BBH", unit, function, address)
    if kind == "coil":
        return head + struct.pack(">H", ON[int(raw)])
    content = struct.pack(FORMS[kind], raw)
    if function == 16:
        head += struct.pack(">HB", len(content) // 2, len(content))
    return head + content
