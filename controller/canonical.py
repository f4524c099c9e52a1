"""One form of JSON for one content, so that everybody signs and hashes the same bytes.

It is that of RFC 8785: keys in the order of their UTF-16 code units, no white space, UTF-8, and
numbers as JavaScript writes them. Numbers that Python and JavaScript write differently, or that
JSON libraries do not keep exact, are refused instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from math import isfinite

SAFE_INTEGER = 2**53 - 1
_SMALL, _LARGE = 1e-6, 1e15  # between them nobody writes an exponent


class NotCanonicalError(ValueError):
    """A value that has no canonical form, with the reason in words."""


def canonical(value: object) -> bytes:
    """The canonical form of plain JSON data. Raises NotCanonicalError."""
    try:
        return _text(value).encode()
    except UnicodeEncodeError as error:
        raise NotCanonicalError("text that is not proper Unicode") from error
    except RecursionError as error:
        raise NotCanonicalError("nested too deeply") from error


def digest(value: object) -> str:
    """sha256 of the canonical form. Raises NotCanonicalError."""
    return sha256(canonical(value)).hexdigest()


def _text(value: object) -> str:
    match value:
        case None | bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int():
            if abs(value) > SAFE_INTEGER:
                raise NotCanonicalError("a whole number that JSON libraries do not keep exact")
            return str(value)
        case float():
            return _number(value)
        case Mapping():
            keys = sorted(value, key=_utf16)
            return "{" + ",".join(f"{_text(key)}:{_text(value[key])}" for key in keys) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_text, value)) + "]"
    raise NotCanonicalError(f"a {type(value).__name__}, which JSON does not know")


def _number(value: float) -> str:
    if value == 0:
        return "0"
    if not isfinite(value) or not _SMALL <= abs(value) < _LARGE:
        raise NotCanonicalError(f"the number {value!r}: none or far too large or small")
    if value.is_integer():
        return str(int(value))
    return format(Decimal(repr(value)), "f")  # repr has an exponent below 0.0001


def _utf16(key: object) -> bytes:
    if not isinstance(key, str):
        raise NotCanonicalError("a key that is no text")
    return key.encode("utf-16-be")
