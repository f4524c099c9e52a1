"""What chargers are told, from tests/orders/, made with struct alone.

One table a charger says what its documents say: function, address, type and raw value of each
write, in their order: for a current, for what must stand in its memory, and for what feeds its
watchdog.
"""

import struct
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

TABLES = Path(__file__).parent / "orders"
FORMS = {"int16": ">h", "uint16": ">H", "uint32": ">I", "float32": ">f"}
ORDER, ARM, FEED = "order", "arm", "feed"
ON = {0: 0x0000, 1: 0xFF00}  # of a coil


@dataclass(frozen=True)
class Told:
    """One of its orders, what must stand in its memory, or what feeds its watchdog."""

    what: str
    requests: tuple[bytes, ...]  # unit and PDU of each
    ma: int = 0
    enabled: bool = False  # it was, before the order
    fallback_ma: int | None = None
    delay_ns: int | None = None


@cache
def tables() -> dict[str, dict[str, Any]]:
    return {path.stem: tomllib.loads(path.read_text()) for path in sorted(TABLES.glob("*.toml"))}


def told(name: str) -> Iterator[Told]:
    table = tables()[name]
    for order in table[ORDER]:
        ma = int(Decimal(str(order["amperes"])) * 1000)
        yield Told(ORDER, _requests(table, order), ma, order.get("enabled", False))
    if ARM in table:
        arm = table[ARM]
        fallback, delay = arm.get("fallback_a"), arm.get("delay_s")
        yield Told(
            ARM,
            _requests(table, arm),
            fallback_ma=None if fallback is None else fallback * 1000,
            delay_ns=None if delay is None else delay * 10**9,
        )
    if FEED in table:
        yield Told(FEED, _requests(table, table[FEED]))


def _requests(table: Mapping[str, Any], its: Mapping[str, Any]) -> tuple[bytes, ...]:
    return tuple(request(table["unit"], *write) for write in its["writes"])


def request(unit: int, function: int, address: int, kind: str, raw: float) -> bytes:
    """A write of one register, all its words at once."""
    head = struct.pack(">BBH", unit, function, address)
    if kind == "coil":
        return head + struct.pack(">H", ON[int(raw)])
    content = struct.pack(FORMS[kind], raw)
    if function == 16:
        head += struct.pack(">HB", len(content) // 2, len(content))
    return head + content
