"""JSON from outside: bounded in size, depth and number of values, no key twice, no NaN.

What costs more to look at than its bytes is refused here: a megabyte of `1,1,1,…` where tables
belong takes a model over a second and half a gigabyte to complain of, with all else at a stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import NoReturn

MAX_DEPTH = 32
MAX_VALUES = 50_000  # in all
MAX_INSIDE = 5000  # in one list or object

_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[][{}]', re.DOTALL)
_TOO_MANY = f"more than {MAX_VALUES} values"


class JsonError(ValueError):
    """Not acceptable as JSON, with the reason in words."""


def loads(data: bytes | str, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> object:
    """The value in `data`. Raises JsonError."""
    if len(data) > max_bytes:
        raise JsonError(f"{len(data)} bytes are more than {max_bytes}")
    try:
        text = data.decode() if isinstance(data, bytes) else data
        _check_text(text, max_depth)
        value: object = json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise JsonError(f"not JSON: {error.msg} (line {error.lineno}, {error.colno})") from error
    except JsonError:
        raise
    except ValueError as error:
        raise JsonError("a whole number of absurd size") from error
    _check_shape(value, max_depth)
    return value


def _check_text(text: str, max_depth: int) -> None:
    """What must not even be parsed: the parser calls itself at each bracket, on a thread's stack
    of 256 kB, and some versions of it run over the end of that."""
    if text.count(",") > MAX_VALUES:
        raise JsonError(_TOO_MANY)
    depth = 0
    for number, found in enumerate(_STRING_OR_BRACKET.finditer(text)):
        if number > 4 * MAX_VALUES:  # a name, a text and two brackets for each
            raise JsonError(_TOO_MANY)
        if (each := found[0]) in ("[", "{"):
            depth += 1
            if depth > max_depth:
                raise JsonError(f"nested deeper than {max_depth}")
        elif each in ("]", "}"):
            depth -= 1


def _no_twins(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in pairs:
        if key in result:
            raise JsonError(f"key {key[:64]!a} stands twice")
        if not key.isprintable():  # lone surrogates too: nobody could write them out again
            raise JsonError(f"key {key[:64]!a} has characters that cannot be shown")
        result[key] = value
    return result


def _no_number(name: str) -> NoReturn:
    raise JsonError(f"{name} is not a number")


def _check_shape(value: object, max_depth: int) -> None:
    level, left = [value], MAX_VALUES
    for _ in range(max_depth + 1):
        containers = [each for each in level if isinstance(each, dict | list)]
        if not containers:
            return
        if max(map(len, containers)) > MAX_INSIDE:
            raise JsonError(f"a list or object with more than {MAX_INSIDE} entries")
        left -= sum(map(len, containers))
        if left < 0:
            raise JsonError(_TOO_MANY)
        level = [inner for outer in containers for inner in _inside(outer)]
    raise JsonError(f"nested deeper than {max_depth}")


def _inside(value: dict[str, object] | list[object]) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value
