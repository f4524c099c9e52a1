"""What every command says, whether it comes to an answer or not."""

import json
from pathlib import Path

import pytest

from controller.__main__ import COMMANDS, main

EXAMPLE = str(Path(__file__).parents[1] / "docs" / "examples" / "north-depot.toml")


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (["check", "/nowhere.toml"], 2, "/nowhere.toml: No such file"),
        (["run", "/nowhere.toml"], 2, "/nowhere.toml: No such file"),
        (["run", EXAMPLE, "--allow", "nobody-at-all"], 2, "there is no user"),
        (["link", "/nowhere.toml"], 2, "/nowhere.toml: No such file"),
        (["status", "--runtime", "/nowhere"], 1, "no enforcer"),
        (["read", "no_such_profile", "tcp://192.0.2.1"], 2, "there is no"),
        (["read", "alfen_eve", "nonsense"], 2, "BUS "),
        (["set", "alfen_eve", "nonsense", "6"], 2, "BUS "),
        (["set", "alfen_eve", "tcp://192.0.2.1", "99999"], 2, "AMPS "),
        (["check"], 2, "the following arguments are required: SITE"),
        (["check", EXAMPLE, "--nonsense"], 2, "unrecognized arguments: --nonsense"),
        (["nonsense"], 2, "invalid choice"),
    ],
)
def test_where_there_is_no_answer_the_last_line_says_why(
    words: list[str], status: int, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--json"]) == status
    out, err = capsys.readouterr()
    told = json.loads(out.splitlines()[-1])
    assert error in told["error"]
    assert told["status"] == status
    assert error in err


def test_without_it_nothing_is_said_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "/nowhere.toml"]) == 2
    assert capsys.readouterr().out == ""


def test_an_answer_is_given_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", EXAMPLE, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["passed"]
    assert "check" in COMMANDS


def test_help_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--help", "--json"]) == 0
    assert "usage" in capsys.readouterr().out
