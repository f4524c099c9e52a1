"""A document as TOML: Python's own library reads it only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date


def dumps(document: Mapping[str, object]) -> str:
    """One key a line, tables in line. Raises TypeError for what TOML has no word for."""
    return "".join(f"{json.dumps(key)} = {_value(value)}\n" for key, value in document.items())


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case int() | float():
            return repr(value)
        case date():
            return value.isoformat()
        case Mapping():
            pairs = (f"{json.dumps(key)} = {_value(each)}" for key, each in value.items())
            return "{ " + ", ".join(pairs) + " }"
        case Sequence():
            return "[" + ", ".join(_value(each) for each in value) + "]"
    raise TypeError(f"TOML has no word for {value!r}")
