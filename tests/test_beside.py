"""Commissioning beside an enforcer that controls: each command refuses, and asks no device."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from controller.__main__ import main
from tests.linked import free_port, world

NOBODY = "tcp://127.0.0.1:9"
EXAMPLE = str(Path(__file__).parents[1] / "docs" / "examples" / "north-depot.toml")


@pytest.mark.parametrize(
    "words",
    [["scan", NOBODY], ["check", EXAMPLE, "--live"], ["identify", EXAMPLE, "bay-01"]],
    ids=lambda words: words[0],
)
def test_it_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    async def whole() -> int:
        async with world(free_port(), "enforcer") as made:
            await made.report()
            runtime = str(made.places.runtime)
            return await asyncio.to_thread(main, [*words, "--runtime", runtime, "--json"])

    assert asyncio.run(asyncio.wait_for(whole(), 40)) == 1
    captured = capsys.readouterr()
    assert "an enforcer controls test from here: stop it first" in captured.out
    assert json.loads(captured.out.splitlines()[-1])


def test_who_gives_what_goes_with_live_alone_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--contactors"], ["--report", "x"], ["--by", "x"]):
        assert main(["check", EXAMPLE, *words]) == 2
        assert "goes with --live" in capsys.readouterr().err


def test_identify_knows_its_chargers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identify", EXAMPLE, "bay-99"]) == 2
    assert "there is no charger 'bay-99'" in capsys.readouterr().err
    assert main(["identify", "nowhere.toml", "bay-01"]) == 2
    assert main(["identify", EXAMPLE, "bay-01", "--step", "20"]) == 2
    assert "a step is 2 to 10 A" in capsys.readouterr().err
