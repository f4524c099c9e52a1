"""The model's refusals in an installer's words: where, what was found, what would be right."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from controller.document.entries.base import Entry
from controller.document.model import Document
from controller.document.problems import PROBLEMS_MAX, Problem, found, printable

UNITS = {"a": "amperes", "s": "seconds", "v": "volts", "pct": "percent"}

KEY_CHARS = 60  # of a key that is shown whole

Loc = Sequence[str | int]


def explain(
    error: ValidationError, data: Mapping[str, Any], whole: type[Entry] = Document
) -> list[Problem]:
    """Every refusal as a problem, up to one more than anybody is shown; `whole` refused `data`."""
    return [
        Problem(place(data, detail["loc"]), _message(detail, whole))
        for detail in error.errors(include_url=False)[: PROBLEMS_MAX + 1]
    ]


def place(data: Mapping[str, Any], loc: Loc) -> str:
    """A path such as `charger[3].min_a (bay-04)`: keys as written, and the entry's id."""
    path, name = "", ""
    here: Any = data
    for depth, part in enumerate(loc):
        inside: Any = None
        if isinstance(part, int):
            path += f"[{part}]"
            inside = here[part] if isinstance(here, list | tuple) and part < len(here) else None
            if isinstance(inside, Mapping) and isinstance(inside.get("id"), str):
                name = inside["id"]
        elif isinstance(here, Mapping) and part not in here and depth < len(loc) - 1:
            continue  # the kind of a protection, not a key
        else:
            path += ("." if path else "") + _key(part)
            inside = here.get(part) if isinstance(here, Mapping) else None
        here = inside
    return (path or "document") + (f" ({printable(name)})" if name else "")


def _key(key: str) -> str:
    short = len(key) <= KEY_CHARS and key.isidentifier() and key.isascii()
    return key if short else found(key)


def _message(detail: ErrorDetails, whole: type[Entry]) -> str:
    ctx = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(ctx["error"])
        case "missing":
            field = _fields(detail["loc"][:-1], whole).get(str(detail["loc"][-1]))
            about = (field.description or "") if field else ""
            return f"is missing: {about[:1].lower()}{about[1:]}" if about else "is missing"
        case "extra_forbidden":
            return _unknown(str(detail["loc"][-1]), list(_fields(detail["loc"][:-1], whole)))
        case "string_pattern_mismatch":
            wanted = ctx["pattern"]
            if wanted.startswith("^[a-z0-9]"):
                wanted = "small letters, digits and -, such as bay-01"
            else:
                wanted = "printable text"
            return f"must be {wanted}; found {found(detail['input'])}"
        case "union_tag_invalid" | "union_tag_not_found":
            tag = f", found {found(ctx['tag'])}" if "tag" in ctx else ""
            return f'must have a kind, one of "fuse", "mcb", "mccb", "electronic"{tag}'
    return f"{_wanted(detail['type'], ctx)}, found {found(detail['input'])}"


def _wanted(kind: str, ctx: Mapping[str, Any]) -> str:
    wanted = {
        "model_type": "must be a table of keys and values",
        "dict_type": "must be a table of keys and values",
        "tuple_type": "must be a list of tables",
        "string_type": "must be text in quotes",
        "int_type": "must be a whole number",
        "bool_type": "must be true or false",
        "literal_error": "must be {expected}",
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "must be at most {le}",
        "string_too_short": "must not be empty",
        "string_too_long": "must have at most {max_length} letters",
        "too_long": "must have at most {max_length} entries",
        "string_unicode": "must be proper Unicode text",
        "invalid_key": "keys must be text",
    }.get(kind, "cannot be used")
    return wanted.format_map(ctx)


def _unknown(key: str, known: Sequence[str]) -> str:
    stem = key.rpartition("_")[0] or key
    same = [name for name in known if stem in (name, name.rpartition("_")[0])]
    near = same or get_close_matches(key, known, n=1)
    if not near:
        return f"unknown key; known here: {', '.join(known)}"
    unit = UNITS.get(near[0].rpartition("_")[2])
    return f'unknown key; did you mean "{near[0]}"{f" ({unit})" if unit else ""}?'


def _fields(loc: Loc, whole: type[Entry]) -> dict[str, FieldInfo]:
    """The fields that may stand in the table at `loc`, by the key people write."""
    models: list[type[Entry]] = [whole]
    for part in loc:
        field = _keys(models).get(part) if isinstance(part, str) else None
        if field is not None:
            models = _models(field.annotation)
        elif isinstance(part, str):  # the kind of a protection
            models = [m for m in models if part in get_args(m.model_fields["kind"].annotation)]
    return _keys(models)


def _keys(models: Sequence[type[Entry]]) -> dict[str, FieldInfo]:
    return {
        field.alias or name: field for model in models for name, field in model.model_fields.items()
    }


def _models(annotation: object) -> list[type[Entry]]:
    if isinstance(annotation, type) and issubclass(annotation, Entry):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]
