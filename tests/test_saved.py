"""`loadkeeper check --state`: whether what came over MQTT would be taken up again."""

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.__main__ import main
from controller.revisions import Kept, Memory, fingerprint, pack

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "north-depot.toml"
Ask = Callable[[], tuple[int, dict[str, Any]]]


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Exit status, and what it says of the saved documents."""

    def answered() -> tuple[int, dict[str, Any]]:
        status = main(["check", str(tmp_path / "site.toml"), "--state", str(tmp_path), "--json"])
        return status, json.loads(capsys.readouterr().out.splitlines()[-1])["saved"]

    text = EXAMPLE.read_text(encoding="utf-8").partition("\n[link]")[0]
    (tmp_path / "site.toml").write_text(text, encoding="utf-8")
    return answered


def keep(place: Path, operation: dict[str, Any], installer: str | None = None) -> None:
    ground = tomllib.loads((place / "site.toml").read_text(encoding="utf-8"))
    active = Kept(revision=7, sha256="0" * 64, operation=operation, installation=None)
    memory = Memory(installer=installer or fingerprint(ground), last=7, active=active)
    (place / "documents.json").write_bytes(pack(memory))


def test_nothing_saved_and_one_that_is_good(ask: Ask, tmp_path: Path) -> None:
    assert ask() == (0, {"standing": "none", "revision": None, "why": None})
    keep(tmp_path, {"site": {"name": "North"}})
    assert ask() == (0, {"standing": "good", "revision": 7, "why": None})


def test_one_that_stands_on_another_document_is_void(ask: Ask, tmp_path: Path) -> None:
    keep(tmp_path, {}, installer="f" * 64)
    assert ask() == (0, {"standing": "outdated", "revision": 7, "why": None})


def test_one_that_cannot_be_in_force_again_is_refused(ask: Ask, tmp_path: Path) -> None:
    keep(tmp_path, {"charger": [{"id": "no-such", "max_a": 6}]})
    status, said = ask()
    assert (status, said["standing"]) == (1, "refused")
    assert "no-such" in said["why"]


def test_what_cannot_be_read_is_said_and_nothing_is_waited_for(ask: Ask, tmp_path: Path) -> None:
    documents = tmp_path / "documents.json"
    documents.write_bytes(b"half of it")
    assert ask()[1]["standing"] == "unreadable"
    documents.unlink()
    os.mkfifo(documents)  # whoever reads it waits until somebody writes
    assert ask() == (1, {"standing": "unreadable", "revision": None, "why": "it is no file"})
