"""Keys, signatures, and what of a document over MQTT is refused before anybody tries it."""

import json
import stat
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from controller import trust
from controller.__main__ import main
from controller.canonical import NotCanonicalError, canonical, digest
from controller.desired import (
    JUMP_MAX,
    Base,
    Candidate,
    RefusedDocumentError,
    judge,
    read_message,
)
from controller.document.problems import Problem
from controller.document.text import BYTES_MAX
from controller.site import parse
from tests.documents import ROW, SHELF, Table, charger, circuit, document, slow_breaker
from tests.linked import DOCUMENT

KEY = Ed25519PrivateKey.generate()
STRANGER = Ed25519PrivateKey.generate()
GRID = circuit("grid", rating_a=100)


def keyed(key: Ed25519PrivateKey, **sections: Any) -> Table:
    entry = {"id": "anna", "role": "installer", "ed25519": trust.public_text(key)}
    return document(**{"key": [entry]} | sections)


def base(last: int = 5, **sections: Any) -> Base:
    data = keyed(KEY, **sections)
    return Base(data, digest(data), parse(data, SHELF), "", last)


def message(
    revision: int = 6,
    operation: Any = None,
    installation: Any = None,
    key: Ed25519PrivateKey | None = None,
    site: str = "depot",
) -> Table:
    parts = {"operation": operation, "installation": installation}
    written = {name: part for name, part in parts.items() if part is not None}
    made: Table = {"revision": revision, "document": written}
    if key is not None:
        made["signature"] = trust.sign(key, site, revision, written)
    return made


def judged(sent: object, against: Base | None = None) -> Candidate:
    text = sent if isinstance(sent, str) else json.dumps(sent)
    return judge(*read_message(text), against or base(), SHELF)


def refusal(sent: object, against: Base | None = None) -> RefusedDocumentError:
    with pytest.raises(RefusedDocumentError) as error:
        judged(sent, against)
    return error.value


def paths(refused: RefusedDocumentError) -> list[str]:
    return [problem.path for problem in refused.problems]


# --- the canonical form ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, "x"]}, '{"a":[true,null,"x"],"b":1}'),
        ([1.0, -0.0, 0.5, 1e-5, 123456789012.5], "[1,0,0.5,0.00001,123456789012.5]"),
        ({"\u20ac": '\u20ac\n\x01"\\/\x7f'}, '{"\u20ac":"\u20ac\\n\\u0001\\"\\\\/\x7f"}'),
        ({"\ufb33": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ufb33":1}'),  # by UTF-16 units
        ((), "[]"),
    ],
)
def test_the_canonical_form_is_that_of_rfc_8785(value: object, text: str) -> None:
    assert canonical(value).decode() == text


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, 1e300, 1e-9, "\ud800", {1: 2}, {1, 2}, b"x"]
)
def test_what_libraries_write_differently_has_no_canonical_form(value: object) -> None:
    with pytest.raises(NotCanonicalError):
        canonical(value)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text() | st.floats(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_the_canonical_form_survives_being_read_and_written(value: object) -> None:
    try:
        first = canonical(value)
    except NotCanonicalError:
        return
    assert canonical(json.loads(first)) == first


# --- keys and signatures -----------------------------------------------------------------------


def test_a_signature_counts_for_its_key_site_revision_and_document_only() -> None:
    parts = {"installation": {"a": 1}}
    signature = trust.sign(KEY, "depot", 6, parts)
    mine = [trust.public_text(KEY)]
    assert trust.complaint(signature, mine, "depot", 6, parts) is None
    assert trust.complaint(signature, mine, "other", 6, parts)
    assert trust.complaint(signature, mine, "depot", 7, parts)
    assert trust.complaint(signature, mine, "depot", 6, {"installation": {"a": 2}})
    assert trust.complaint(signature, [trust.public_text(STRANGER)], "depot", 6, parts)
    forged = {**signature, "key": trust.public_text(STRANGER)}
    assert trust.complaint(forged, [*mine, forged["key"]], "depot", 6, parts)
    for broken in ("", "x", b64encode(bytes(64)).decode(), signature["ed25519"][:-4]):
        assert trust.complaint({**signature, "ed25519": broken}, mine, "depot", 6, parts)


def test_what_is_signed_is_what_the_page_says() -> None:
    """Made without trust.py, by the words of docs/mqtt.md."""
    parts = {"operation": {"site": {"name": "Nord"}}}
    signature = trust.sign(KEY, "depot", 6, parts)
    said = (
        b"loadkeeper site document v1\n"
        b'{"document":{"operation":{"site":{"name":"Nord"}}},"revision":6,"site":"depot"}'
    )
    public = Ed25519PublicKey.from_public_bytes(b64decode(signature["key"]))
    public.verify(b64decode(signature["ed25519"]), said)


def test_a_key_file_is_private_and_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "anna.key"
    assert main(["keys", str(path), "--id", "anna", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made["key"]["ed25519"] == trust.public_text(trust.read_key(path))
    parse(document(key=[made["key"]]), SHELF)
    assert main(["keys", str(path)]) == 1
    assert "never overwritten" in capsys.readouterr().err
    assert main(["keys", str(path), "--public"]) == 0
    assert made["key"]["ed25519"] in capsys.readouterr().out
    path.write_text("no key")
    assert main(["keys", str(path), "--public"]) == 1
    assert main(["keys", str(tmp_path / "none" / "x.key")]) == 1
    assert main(["keys"]) == 2


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Path]:
    """Files in a directory of their own: the site with a key, or whatever is given."""
    assert main(["keys", str(tmp_path / "key"), "--id", "anna"]) == 0
    public = trust.public_text(trust.read_key(tmp_path / "key"))
    entry = {"id": "anna", "role": "installer", "ed25519": public}

    def write(name: str, **changes: Any) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps({**DOCUMENT, "key": [entry], **changes}))
        return path

    return write


def test_signed_and_verified_on_the_command_line(
    bench: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    present = bench("present.json")
    circuits = [DOCUMENT["circuit"][0], {**DOCUMENT["circuit"][1], "rating_a": 50}]
    sources = [DOCUMENT["limit_source"][0], {**DOCUMENT["limit_source"][1], "failsafe_a": 50}]
    next_ = bench("next.json", circuit=circuits, limit_source=sources)
    (tmp_path / "operation.toml").write_text('[[charger]]\nid = "bay"\nmax_a = 16\n')
    words = ["sign", str(next_), "--key", str(tmp_path / "key"), "--revision", "7"]
    words += ["--operation", str(tmp_path / "operation.toml")]
    signed = tmp_path / "message.json"
    assert main([*words, "--output", str(signed)]) == 0
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["message"] == json.loads(signed.read_text())
    verify = ["verify", str(present), str(signed), "--json"]
    assert main(verify) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["passed"]
    assert answer["installation_changed"]
    assert answer["sha256"] == told["sha256"]
    assert answer["installation_hash"] == told["installation_hash"]
    assert main([*verify, "--last", "7"]) == 1
    assert json.loads(capsys.readouterr().out)["step"] == "revision"
    signed.write_text(signed.read_text().replace('"rating_a":50', '"rating_a":51'))
    assert main(verify) == 1
    assert json.loads(capsys.readouterr().out)["errors"][0]["path"] == "signature"
    signed.write_bytes(b" " * (BYTES_MAX + 1))
    assert main(verify) == 1
    assert "bytes are more" in capsys.readouterr().out
    assert main(["verify", str(present), str(tmp_path / "none")]) == 2


def test_a_date_as_toml_writes_it_is_signed_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = Path(__file__).parents[1] / "docs" / "examples" / "north-depot.toml"
    derogation = (
        '[[derogation]]\nline = "power_cut"\ncircuit = "grid"\nreason = "r"\nexcess_a = 1\n'
        'trips_after_s = 60\nby = "Anna"\ndate = 2027-03-01\n'
    )
    site = tmp_path / "site.toml"
    site.write_text(f"{example.read_text(encoding='utf-8')}\n{derogation}", encoding="utf-8")
    assert main(["keys", str(tmp_path / "key")]) == 0
    capsys.readouterr()
    assert main(["sign", str(site), "--key", str(tmp_path / "key"), "--revision", "1"]) == 0
    sent, _ = read_message(capsys.readouterr().out)
    assert sent.document.installation is not None
    assert sent.document.installation["derogation"][0]["date"] == "2027-03-01"


def test_what_is_not_fit_is_not_signed(
    bench: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = str(tmp_path / "key")
    good = str(bench("good.json"))
    words = ["--key", key, "--revision", "1"]
    assert main(["sign", str(bench("bad.json", colour="red")), *words]) == 1
    assert "colour" in capsys.readouterr().err
    unsafe = [{**DOCUMENT["circuit"][0], "worst_base_a": 199}, DOCUMENT["circuit"][1]]
    assert main(["sign", str(bench("unsafe.json", circuit=unsafe)), *words]) == 1
    assert "ratings by itself" in capsys.readouterr().err
    assert main(["sign", good, "--key", good, "--revision", "1"]) == 1
    assert main(["sign", good, "--key", key, "--revision", "0"]) == 2
    assert main(["sign", str(tmp_path / "none"), *words]) == 2


# --- what is tried, and what is refused --------------------------------------------------------


def test_the_operation_part_needs_no_signature() -> None:
    candidate = judged(message(operation={"charger": [{"id": "bay-1", "weight": 3, "max_a": 16}]}))
    bay = candidate.site.chargers[0]
    assert (bay.weight, bay.ceiling_ma, bay.max_ma) == (3, 16_000, 32_000)
    assert candidate.site.installation_hash == base().site.installation_hash
    assert candidate.installation is None


def test_an_unchanged_installation_needs_none_either() -> None:
    assert judged(message(installation=keyed(KEY))).installation is None


def test_a_changed_installation_needs_the_installers() -> None:
    changed = keyed(KEY, circuit=[circuit("grid", rating_a=90, protection=slow_breaker()), ROW])
    assert judged(message(installation=changed, key=KEY)).installation == changed
    for sent in (
        message(installation=changed),
        message(installation=changed, key=STRANGER),
        message(installation=changed, key=KEY, site="other"),
        {**message(installation=changed, key=KEY), "revision": 7},
    ):
        refused = refusal(sent)
        assert (refused.step, paths(refused)) == ("signature", ["signature"])
        assert refused.sha256 == digest(sent["document"])


def test_who_signs_for_himself_in_the_new_document_is_a_stranger() -> None:
    assert refusal(message(installation=keyed(STRANGER), key=STRANGER)).step == "signature"


def test_a_wrong_signature_is_refused_even_where_none_is_needed() -> None:
    assert refusal(message(operation={}, key=STRANGER)).step == "signature"


def test_revisions_only_grow() -> None:
    assert refusal(message(revision=5)).step == "revision"
    assert paths(refusal({**message(revision=4), "signature": {"key": "", "ed25519": ""}})) == [
        "revision",
        "signature",
    ]
    assert refusal(message(revision=5 + JUMP_MAX + 1)).step == "revision"
    assert judged(message(revision=5 + JUMP_MAX))
    assert judged(message(revision=2**53 - 1, key=KEY))


def test_every_problem_of_both_parts_is_told_with_its_path() -> None:
    installation = keyed(KEY, charger=[charger(max_a="x")], circuit=[GRID, {**ROW, "parent": "no"}])
    operation = {"charger": [{"id": "bay-1", "max_a": -1, "colour": "red"}], "x": 1}
    refused = refusal(message(operation=operation, installation=installation, key=KEY))
    assert refused.step == "document"
    assert set(paths(refused)) == {
        "installation.circuit[1].parent (row)",
        "installation.charger[0].max_a (bay)",
        "operation.charger[0].max_a (bay-1)",
        "operation.charger[0].colour (bay-1)",
        "operation.x",
    }


def test_the_operation_part_only_lowers_and_names_what_is_there() -> None:
    operation: Table = {
        "circuit": [{"id": "row", "limit_a": [63, 64, 63]}, {"id": "attic", "limit_a": 1}],
        "charger": [
            {"id": "bay-1", "max_a": 33},
            {"id": "bay-9"},
            {"id": "bay-2"},
            {"id": "bay-2"},
        ],
    }
    operation["charger"][0]["max_a"] = 33
    refused = refusal(message(operation=operation))
    assert paths(refused) == [
        "operation.circuit[1].id (attic)",
        "operation.charger[1].id (bay-9)",
        "operation.charger[3].id (bay-2)",
        "operation.circuit[0].limit_a (row)",
        "operation.charger[0].max_a (bay-1)",
    ]
    assert "can only lower" in refused.problems[3].message


def test_nothing_of_the_installation_hides_in_the_operation_part() -> None:
    for entry in ({"fallback_a": 32}, {"circuit": "grid"}, {"profile": "hungry"}, {"min_a": 1}):
        sent = message(operation={"charger": [{"id": "bay-1", **entry}]})
        assert refusal(sent).step == "document"
    assert refusal(message(operation={"mode": "observe"})).step == "document"


def test_a_gateway_keeps_its_site() -> None:
    moved = keyed(KEY, site={"id": "elsewhere"})
    assert paths(refusal(message(installation=moved, key=KEY))) == ["installation.site.id"]


def test_the_commissioning_proof_is_repeated() -> None:
    unsafe = keyed(KEY, circuit=[circuit("grid", worst_base_a=99), ROW])
    refused = refusal(message(installation=unsafe, key=KEY))
    assert refused.step == "proof"
    assert "proof.unattended.grid.L1" in paths(refused)


LETTERS = ",".join(f'"x{n}": 1' for n in range(5001))
ZEROS = ",".join("0" * 4000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "not json",
        "[" * 100_000,
        '{"a":' * 100 + "1" + "}" * 100,
        '{"revision": 6, "revision": 7, "document": {}}',
        '{"revision": NaN, "document": {}}',
        '{"revision": 6, "document": {"operation": {"x": 1e400}}}',
        '{"revision": 6, "document": {"operation": {"x": ' + "9" * 5000 + "}}}",
        '{"revision": true, "document": {}}',
        '{"revision": 0, "document": {}}',
        '{"revision": 9007199254740992, "document": {}}',
        '{"revision": 6, "document": {"installation": null, "colour": 1}}',
        '{"revision": 6}',
        '{"revision": 6, "document": {"operation": {"x": "\\ud800"}}}',
        '{"revision": 6, "document": {"operation": {"charger": [' + "1," * 5000 + "1]}}}",
        '{"revision": 6, "document": {"operation": {' + LETTERS + "}}}",
        '{"revision": 6, "document": {"operation": {"x": [' + f"[{ZEROS}]," * 13 + "1]}}}",
        '{"revision": 6, "document": {"operation": {"x": [' + "[]," * 300_000 + "1]}}}",
        '{"revision": 6, "document": {"operation": {"site": {"name": "B\ufffdro"}}}}',
        "\ud800",
        " " * (BYTES_MAX + 1),
    ],
)
def test_what_is_no_message_is_refused_as_such(text: str) -> None:
    refused = refusal(text)
    assert refused.step == "form"
    assert all(problem.message for problem in refused.problems)


def test_what_costs_more_to_complain_of_than_to_write_is_not_looked_into() -> None:
    """A table where a model has to complain of each entry: the loop would stand meanwhile."""
    sent = message(operation={"charger": [1] * 5000})
    assert len(refusal(sent).problems) == 501
    sent["document"]["operation"]["charger"].append(1)
    assert refusal(sent).problems == (
        Problem("document", "a list or object with more than 5000 entries"),
    )


def test_a_key_of_any_length_makes_a_short_path() -> None:
    refused = refusal(message(operation={"k" * 100_000: 1, "charger": [{"id": "x" * 100_000}]}))
    assert refused.step == "document"
    assert max(len(str(problem)) for problem in refused.problems) < 300


def test_a_megabyte_is_read_and_one_byte_more_is_not() -> None:
    name = "x" * (BYTES_MAX - len(json.dumps(message(operation={"site": {"name": ""}}))))
    whole = json.dumps(message(operation={"site": {"name": name}}))
    assert len(whole) == BYTES_MAX
    assert paths(refusal(whole)) == ["operation.site.name"]
    assert refusal(whole + " ").step == "form"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(["revision", "document", "signature", "operation", "charger", "id", "key"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, ANYTHING | st.dictionaries(KEYS, ANYTHING), max_size=5))
def test_whatever_is_sent_it_is_taken_or_refused(sent: dict[str, object]) -> None:
    try:
        judged(sent, BASE)
    except RefusedDocumentError as refused:
        assert refused.problems


BASE = base()
