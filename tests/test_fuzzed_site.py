"""Whatever is written in a site document, it is taken or refused, and nothing breaks."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.document.text import read_json, read_toml
from controller.site import DocumentError, Site, json_schema, parse
from tests.documents import SHELF, document

SCHEMA = json_schema()
KEYS = {key for part in (SCHEMA, *SCHEMA["$defs"].values()) for key in part["properties"]}
WORDS = st.sampled_from([*sorted(KEYS), "grid", "row", "plain", "fuse", "bay-{n}", "tcp://h"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=8),
    WORDS,
    st.dates(),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(WORDS, st.text()), inner, max_size=6)
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(WORDS, ANYTHING, max_size=8))
def test_no_data_but_raises_document_error(data: dict[str, Any]) -> None:
    try:
        parse(data, SHELF)
    except DocumentError as error:
        assert error.problems
        assert all(problem.message.isprintable() for problem in error.problems)


def places(data: Any, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """All keys and positions in a document."""
    found: list[tuple[str | int, ...]] = []
    keyed = dict(enumerate(data)) if isinstance(data, list) else data
    for key, value in keyed.items() if isinstance(keyed, dict) else ():
        found += [(*here, key), *places(value, (*here, key))]
    return found


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_good_document_with_anything_anywhere_is_taken_or_refused(data: st.DataObject) -> None:
    """Whatever replaces whatever in it, nothing but DocumentError comes of it."""
    changed = json.loads(
        json.dumps(
            document(
                control={"tick_s": 0.1},
                bus=[{"id": "gate", "url": "tcp://h"}],
                link={"broker": "mqtt://h"},
            )
        )
    )
    for _ in range(data.draw(st.integers(1, 2))):
        *way, last = data.draw(st.sampled_from(places(changed)))
        table = changed
        for key in way:
            table = table[key]
        table[last] = data.draw(ANYTHING)
    try:
        taken: Site = parse(changed, SHELF)
    except DocumentError as error:
        assert error.problems
    else:
        assert taken.circuits[0].parent is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_but_raise_document_error(raw: bytes) -> None:
    for read in (read_toml, read_json):
        try:
            read(raw)
        except DocumentError as error:
            assert len(error.problems) == 1
