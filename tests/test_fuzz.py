"""The fuzzer's targets, fed by Hypothesis: a little of each, always the same (see tests/fuzz/)."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import fuzz
from tests.fuzz import canary, target

ROOT = Path(__file__).parents[1]


@st.composite
def spoilt(draw: st.DrawFn, seeds: list[bytes], words: list[bytes]) -> bytes:
    """A good input with a few places of it replaced, and any bytes at all now and then."""
    data = draw(st.one_of(st.sampled_from(seeds), st.binary(max_size=200)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from((0, 1, 2, 8, 60))))
        put = draw(st.one_of(st.binary(max_size=4), st.sampled_from(words), st.just(data[start:])))
        data = data[:start] + put + data[end:]
    return data


@pytest.mark.parametrize("name", fuzz.NAMES)
def test_nothing_from_outside_breaks_a_promise(name: str) -> None:
    aim = target(name)

    @settings(max_examples=300, derandomize=True, deadline=None)
    @given(spoilt(list(aim.SEEDS), list(aim.WORDS)))
    def run(data: bytes) -> None:
        assert aim.execute(data)

    run()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("register", {"int", "str"}),
        ("reply", {"known"}),
        ("frames", {"rtu", "ascii"}),
        ("clamp", {"frame"}),
        ("profile", {"taken"}),
        ("site", {"taken"}),
    ],
)
def test_what_it_begins_with_goes_all_the_way(name: str, wanted: set[str]) -> None:
    """Else a fuzzer would only ever see the door."""
    aim = target(name)
    assert wanted <= {aim.execute(each) for each in aim.SEEDS}


def fuzzed(*words: str) -> subprocess.CompletedProcess[str]:
    if find_spec("atheris") is None:
        pytest.skip("atheris is not installed: `make fuzz` installs it")
    command = [sys.executable, "-m", "tests.fuzz", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_what_was_executed_and_kept_is_told() -> None:
    ended = fuzzed("--runs", "2000", "register")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.match(
        r"register: 2,000 executions in \d+ s of processor time \(.*/s\), corpus \d+ \(",
        ended.stdout,
    )


@pytest.mark.slow
def test_a_broken_promise_is_found_and_shown() -> None:
    ended = fuzzed("--runs", "1000000", "canary")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "BROKEN" in ended.stdout
    assert "AssertionError: opened" in ended.stdout
    (kept,) = (ROOT / "build/fuzz/canary").glob("crash-*")
    assert kept.read_bytes().startswith(canary.OPENS)
