"""Who is told again, how often, and what is said of it; no rig is needed for that."""

import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller.facts import Profiles
from hil.profiles import StoryProfiles
from hil.stage import Outcome
from hil.story import telling
from hil.story.expect import Failure, Trace
from hil.story.expectations import Energy
from hil.story.script import Story, StoryError, parse
from hil.story.telling import ends_in_order, retold, tell_all

WANTED = Energy(kind="energy", at_least_kwh=1.0, why="it charges")


def story(name: str, duration_s: float = 1.0) -> Story:
    expected = [{"kind": "energy", "at_least_kwh": 1, "why": "it charges"}]
    base = {"schema": 1, "about": "A test.", "site": {}, "expect": expected}
    return parse({**base, "name": name, "duration_s": duration_s})


def outcome(told: Story, how: str) -> Outcome:
    """`how`: one letter of P (passed), F (failed); behind a D it saw the machine stall."""
    failures = [] if "P" in how else [Failure(WANTED, {"energy_kwh": 0.0})]
    return Outcome(told.name, "rig", Trace([], []), failures, disturbed="D" in how)


def tell_from(folder: Path, told: Story, _: Profiles) -> Outcome:
    """As the folder's file of that name says, a word each time; in the order of a common diary."""
    with (folder / "diary").open("a") as diary:
        diary.write(f"{told.name}\n")
    script = folder / told.name
    how, *later = script.read_text().split()
    script.write_text(" ".join(later))
    if how == "ends":
        raise SystemExit(3)
    return outcome(told, how)


@pytest.mark.parametrize(
    ("script", "tellings", "passed"),
    [
        ("P", 1, True),
        ("DP", 1, True),  # in spite of a stall: it proves no less
        ("F P", 1, False),  # the machine was quiet: what fails now and then fails
        ("DF P", 2, True),
        ("DF F P", 2, False),
        ("DF DF P", 3, True),
        ("DF DF DF P", 3, False),  # twice at the most
    ],
)
def test_only_the_machine_is_an_excuse(
    tmp_path: Path, script: str, tellings: int, passed: bool
) -> None:
    (tmp_path / "one").write_text(script)
    found = retold(partial(tell_from, tmp_path), story("one"), StoryProfiles())
    assert (found.tellings, found.passed) == (tellings, passed)
    again = "told again, for the machine had stalled, and failed: it charges"
    assert found.remarks == [again] * (tellings - 1)
    assert found.as_json()["tellings"] == tellings


def all_told(folder: Path, at_once: int, **scripts: str) -> list[Outcome]:
    """The first story is the shortest."""
    stories = [story(name, 1.0 + i) for i, name in enumerate(scripts)]
    for name, script in scripts.items():
        (folder / name).write_text(script)
    return list(tell_all(partial(tell_from, folder), stories, StoryProfiles(), at_once))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(telling, "STARTS_EVERY_S", 0.0)


def test_the_longest_comes_first_and_what_is_told_again_last(tmp_path: Path) -> None:
    found = all_told(tmp_path, 1, short="P", middle="F", long="DF P")
    assert [(each.story, each.tellings, each.passed) for each in found] == [
        ("short", 1, True),
        ("middle", 1, False),
        ("long", 2, True),
    ]
    assert (tmp_path / "diary").read_text().split() == ["long", "middle", "short", "long"]


def test_many_at_once_come_out_in_their_order(tmp_path: Path) -> None:
    found = all_told(tmp_path, 3, a="P", b="DF DF DF", c="P", d="P")
    assert [(each.story, each.tellings) for each in found] == [
        ("a", 1),
        ("b", 3),
        ("c", 1),
        ("d", 1),
    ]


def test_being_ended_twice_cuts_no_tidying_up_short() -> None:
    tidied: list[str] = []

    async def tell() -> None:
        ends_in_order()
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.01)
            tidied.append("all")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(tell())
    assert tidied == ["all"]


def test_a_bench_that_is_ended_tidies_up_first() -> None:
    """As after Ctrl-C: the command's own finally is reached."""
    script = (
        "import os, signal, sys, types\n"
        "from hil import __main__ as hil\n"
        "def run(args):\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n"
        "    finally: os.kill(os.getpid(), signal.SIGTERM); print('tidied')\n"
        "hil.bench = sys.modules['hil.bench'] = types.SimpleNamespace(\n"
        "    register=lambda subparsers: subparsers.add_parser('bench'), run=run)\n"
        "hil.start(['bench'])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (143, "tidied\n"), ended.stderr


def test_one_whose_process_ends_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoryError, match="one: the process that told it has ended"):
        all_told(tmp_path, 1, one="ends")
