"""Every change of a profile that somebody could make by mistake, one field at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, get_args

from drivers.register import LENGTHS, Unit, Whole

WORDS = {"schema", "kind", "vendor", "model", "sources", "confidence", "conf", "notes", "note"}
WORDS |= {"wrong"}  # what only people read, and what says which sort of profile it is
PLACES = ("addr", "start")
SIZES = ("count", "len")
STATES = "ABCDEF"
LISTED = {"values", "models", "sentinels", *get_args(Whole)}
Path = tuple[str | int, ...]
_LEFT_OUT = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One field becomes `new`; `_LEFT_OUT`: it is not written any more."""

    path: Path
    what: str
    new: Any

    @property
    def field(self) -> str:
        return ".".join(map(str, self.path))

    @property
    def name(self) -> str:
        return f"{self.field}: {self.what}"

    def applied(self, data: Mapping[str, Any]) -> dict[str, Any]:
        changed: dict[str, Any] = deepcopy(dict(data))
        place: Any = changed
        for key in self.path[:-1]:
            place = place[key]
        if self.new is _LEFT_OUT:
            del place[self.path[-1]]
        else:
            place[self.path[-1]] = self.new
        return changed


def changes(data: Mapping[str, Any]) -> list[Change]:
    """All of them, each once; ten times 0 is no change."""
    tried = (each for each in _of(data, data, ()) if each.applied(data) != data)
    found = {(each.path, repr(each.new)): each for each in tried}
    return list(found.values())


def _of(data: Mapping[str, Any], place: Any, path: Path) -> Iterator[Change]:
    if isinstance(place, dict):
        for key, value in place.items():
            if not (key in WORDS and not _names(path)):
                yield from _of_field(data, value, (*path, key))
        if _is_register(place):
            yield from _unwritten(data, place, path)
        if path and path[-1] == "difference":
            return
    elif isinstance(place, list):
        yield from _of_list(data, place, path)


def _names(path: Path) -> bool:
    """Whether the keys here are names that somebody chose."""
    return path in ((("registers"),), (("computed"),), ("status", "iec"))


def _of_field(data: Mapping[str, Any], value: Any, path: Path) -> Iterator[Change]:
    key = path[-1]
    if path == ("word_order",) and not _long(data):
        return  # no register has two words: nothing can be the other way round
    if isinstance(value, dict | list):
        yield from _of(data, value, path)
    elif isinstance(value, bool):
        yield Change(path, f"{str(not value).lower()}", not value)
    elif isinstance(value, int | float):
        yield from (Change(path, what, new) for what, new in _numbers(str(key), value))
    elif isinstance(value, str):
        yield from (Change(path, new, new) for new in _texts(data, path, value))
    if path[:2] == ("status", "iec"):
        yield Change(path, "left out", _LEFT_OUT)


def _numbers(key: str, value: float) -> Iterator[tuple[str, float]]:
    if key in PLACES:
        steps: Sequence[int] = (-2, -1, 1, 2)
        yield from ((f"{step:+}", value + step) for step in steps)
    elif key in SIZES or key in ("unit", "phases", "every", "length", "port", "max_registers"):
        yield from ((f"{step:+}", value + step) for step in (-1, 1))
    elif key == "fc":
        yield from ((str(each), each) for each in (1, 2, 3, 4, 5, 6, 16) if each != value)
    elif key == "mask":
        yield "shifted", int(value) << 1
        yield "another bit", int(value) ^ (int(value) & -int(value)) or int(value) << 2
    else:
        yield "x 10", value * 10
        yield "/ 10", value // 10 if isinstance(value, int) and value % 10 == 0 else value / 10
        if isinstance(value, int):
            yield from ((f"{step:+}", value + step) for step in (-1, 1))


def _texts(data: Mapping[str, Any], path: Path, value: str) -> Iterator[str]:
    key = str(path[-1])
    registers: Mapping[str, Any] = data["registers"]
    if key == "type":
        yield from (kind for kind in (*LENGTHS, "ascii") if kind != value)
    elif key == "word_order":
        yield "low_first" if value == "high_first" else "high_first"
    elif key == "half":
        yield "low" if value == "high" else "high"
    elif path[:2] == ("status", "iec"):
        yield from (state for state in STATES if state != value)
    elif key == "unit":
        yield from (unit for unit in get_args(Unit) if unit != value)
    elif key == "current_sign":
        yield from (sign for sign in ("own", "power", "none") if sign != value)
    elif value in registers:
        yield from (name for name in registers if name != value)
    elif key in CHOICES:
        yield from (each for each in CHOICES[key] if each != value)
    else:
        yield f"{value}x"


CHOICES: dict[str, tuple[str, ...]] = {
    "zero": ("pauses", "ends_session"),
    "commands": ("ac", "dc"),
    "measures": ("ac", "dc"),
    "per": ("device", "phase"),
}


def _of_list(data: Mapping[str, Any], place: list[Any], path: Path) -> Iterator[Change]:
    key = path[-1]
    if key == "transports":
        return  # a list of what it is sold with, for people
    if key == "difference":
        yield Change(path, "swapped", place[::-1])
    plain = all(not isinstance(each, dict | list) for each in place)
    if plain and place:
        for i in range(len(place)):
            yield Change(path, f"without {place[i]}", [*place[:i], *place[i + 1 :]])
    for i, value in enumerate(place):
        if isinstance(value, int | float) and key in LISTED:
            yield Change((*path, i), "+1", value + 1)
        else:
            yield from _of_field(data, value, (*path, i))


def _long(data: Mapping[str, Any]) -> bool:
    """Whether any register's words have an order."""
    kinds = [str(each.get("type")) for each in data["registers"].values() if isinstance(each, dict)]
    return any(LENGTHS.get(kind, 1) > 1 for kind in kinds)


def _is_register(place: Mapping[str, Any]) -> bool:
    return "addr" in place and "type" in place


def _unwritten(data: Mapping[str, Any], place: Mapping[str, Any], path: Path) -> Iterator[Change]:
    """What a register takes from the profile, or has by itself."""
    kind = place["type"]
    if LENGTHS.get(kind, 1) > 1 and "word_order" not in place:
        order = data.get("word_order", "high_first")
        other = "low_first" if order == "high_first" else "high_first"
        yield Change((*path, "word_order"), other, other)
    if "fc" not in place and kind != "bool":
        other_fc = 4 if data.get("fc", 3) == 3 else 3
        yield Change((*path, "fc"), str(other_fc), other_fc)
    if "scale" not in place and "unit" in place:
        yield Change((*path, "scale"), "x 10", 10)
        yield Change((*path, "scale"), "/ 10", 0.1)
    if "scale" in place:
        yield Change((*path, "scale"), "left out", _LEFT_OUT)
    if "scale_factor" in place:
        yield Change((*path, "scale_factor"), "left out", _LEFT_OUT)
    if "sentinels" in place:
        yield Change((*path, "sentinels"), "left out", _LEFT_OUT)
