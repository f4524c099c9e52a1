"""A site document's bytes, JSON or (where they begin with a comment) TOML: a site, or its problems.

Most of what a fuzzer makes up is neither, and is refused within microseconds; TOML's parser takes
twenty times as long to do so, so only some of it goes there.
"""

from __future__ import annotations

import json

from controller.document.text import read_json, read_toml
from controller.site import DocumentError, json_schema, parse
from tests.documents import SHELF, clamp, document

_SCHEMA = json_schema()
_PARTS = (_SCHEMA, *_SCHEMA["$defs"].values())
_KEYS = sorted({key for part in _PARTS for key in part["properties"]})
_TOML = b"""# TOML
schema = 1
[site]
id = "d"
[[circuit]]
id = "g"
rating_a = 100
worst_base_a = 20
[[meter]]
id = "m"
circuit = "g"
profile = "meter"
bus = "tcp://h"
[[charger]]
id = "b-{n}"
count = 2
circuit = "g"
profile = "plain"
bus = "tcp://192.0.2.{n}"
max_a = 32
fallback_a = 6
"""
SEEDS = [
    _TOML,
    json.dumps(document()).encode(),
    json.dumps(document(clamp=[clamp()], link={"broker": "mqtt://h"})).encode(),
    json.dumps(document(charger=None, limit_source=None)).encode(),
]
WORDS = [key.encode() for key in _KEYS]
WORDS += [b"[[", b"]]", b" = ", b'"tcp://', b'"rtu:///dev/ttyS0?baud=', b"{n}", b"1e400", b"nan"]


def execute(data: bytes) -> str:
    try:
        plain = (read_toml if data[:1] == b"#" else read_json)(data)
    except DocumentError as error:
        assert len(error.problems) == 1
        return "no table"
    try:
        site = parse(plain, SHELF)
    except DocumentError as error:
        assert error.problems
        assert all(each.message.isprintable() for each in error.problems)
        return "refused"
    assert site.circuits[0].parent is None
    assert all(ma > 0 for circuit in site.circuits for ma in circuit.rating_ma)
    assert len(site.installation_hash) == 64
    return "taken"
