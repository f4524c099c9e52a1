"""A site document's bytes into plain data: TOML from a file, JSON from a file or a message."""

import re
import tomllib
from typing import Any

from controller import strictjson
from controller.document.problems import DocumentError, Problem, printable

BYTES_MAX = 1024 * 1024
WHOLE = "document"


def read_toml(raw: bytes) -> dict[str, Any]:
    """Raises DocumentError that names line and column."""
    if len(raw) > BYTES_MAX:
        raise _refused(WHOLE, f"{len(raw)} bytes are more than {BYTES_MAX}")
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _refused(f"line {line}", f"not UTF-8 text (byte {error.start})") from error
    except RecursionError as error:
        raise _refused(WHOLE, "nested too deeply") from error
    except ValueError as error:
        raise _refused(*_toml_place(str(error))) from error


def read_json(raw: bytes) -> dict[str, Any]:
    """Raises DocumentError: too many bytes, values or levels, a key twice, NaN, no object."""
    try:
        data = strictjson.loads(raw, max_bytes=BYTES_MAX)
    except strictjson.JsonError as error:
        raise _refused(WHOLE, str(error)) from error
    if not isinstance(data, dict):
        raise _refused(WHOLE, "must be a JSON object, { … }")
    return data


def _toml_place(text: str) -> tuple[str, str]:
    """Splits tomllib's message into its place and the rest."""
    message, _, place = printable(text, 300).partition(" (at ")
    if message == "Cannot overwrite a value":
        message = "this key stands twice in its table"
    place = re.sub(r"\)$", "", place) or WHOLE
    return place, message[:1].lower() + message[1:]


def _refused(path: str, message: str) -> DocumentError:
    return DocumentError([Problem(path, message)])
