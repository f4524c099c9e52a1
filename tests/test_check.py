"""`loadkeeper check` as an installer sees it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from controller.__main__ import main
from controller.version import VERSION

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "north-depot.toml"


def variant(folder: Path, **replaced: str) -> str:
    """The example with some of its text replaced."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for key, value in replaced.items():
        before = next(line for line in text.splitlines() if line.startswith(f"{key} ="))
        text = text.replace(before, f"{key} = {value}")
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def answer(text: str) -> Any:
    return json.loads(text.splitlines()[-1])


def test_the_example_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLE)]) == 0
    out = capsys.readouterr().out
    assert out.endswith("Passed.\n")
    for title in ("1  Unattended", "2  After a power cut", "4  Fail-safe caps"):
        assert title in out
    assert "watchdog after a reboot: 10 x alfen_eve in row-a arm it by themselves" in out


def test_the_example_passes_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(EXAMPLE)]) == 0
    told = answer(capsys.readouterr().out)
    assert (told["passed"], told["site"], told["problems"]) == (True, "north-depot", [])
    first = told["findings"][0]
    assert (first["line"], first["circuit"], first["phase"]) == (1, "grid", "L1")
    assert first["sum_a"] == pytest.approx(182.8)
    assert len(told["installation_hash"]) == 64


def test_a_site_that_fails_is_told_why_and_what_would_help(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = variant(tmp_path, fallback_a="16")
    assert main(["check", path]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "Failed: this site must not be left to itself."
    row = next(line for line in lines if line.lstrip().startswith("row-a"))
    assert row.split() == ["row-a", "L1", "L2", "L3", "0", "165.8", "165.8", "160", "-5.8", "FAILS"]
    assert "      10 x 16.58 A  10 chargers in row-a: fallback 16 A" in lines
    assert (
        "    - lower the fallback of 10 chargers in row-a from 16 A to 15 A: "
        "saves 10.3 A on L1 L2 L3 (enough)" in lines
    )
    assert "   row-a L1 L2 L3 is 5.8 A over: as under 1" in lines  # line 2
    assert main(["check", "--json", path]) == 1
    told = answer(capsys.readouterr().out)
    assert not told["passed"]
    assert any(each["remedies"] for each in told["findings"])


def test_tables_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(EXAMPLE)])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.endswith(" ok")]
    assert len(rows) == 17
    assert len({len(line) for line in rows[:4]}) == 1


def test_all_problems_of_a_document_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = variant(tmp_path, worst_base_a='"all"', profile='"unheard_of"', lease_s="0")
    assert main(["check", path]) == 1
    out = capsys.readouterr().out
    for place in ("circuit[0].worst_base_a (grid)", "meter[0].profile", "limit_source[0].lease_s"):
        assert place in out
    assert main(["check", "--json", path]) == 1
    told = answer(capsys.readouterr().out)
    assert not told["passed"]
    assert {"path", "message"} == set(told["problems"][0])


def test_toml_that_is_none_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "site.toml"
    path.write_text("schema = 1\n[site\n", encoding="utf-8")
    assert main(["check", str(path)]) == 1
    assert "line 2, column 6" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["chekc"],
        ["check"],
        ["check", "/nowhere/site.toml"],
        ["check", str(ROOT)],
        ["check", str(EXAMPLE), "--loud"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "loadkeeper" in err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"loadkeeper {VERSION}\n"


def test_a_command_imports_nothing_of_the_others() -> None:
    """So a missing extra or a slow import burdens nobody else."""
    code = (
        "import sys; from controller.__main__ import main; main(['check', sys.argv[1]]);"
        "sys.exit(bool({'paho', 'pymodbus', 'controller.commands.run'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(EXAMPLE)], cwd=ROOT, stdout=subprocess.DEVNULL, check=False
    )
    assert ran.returncode == 0


def spoken(path: str, stdout: int) -> "subprocess.CompletedProcess[bytes]":
    """`check` in a process of its own, on a terminal that knows no letter but ASCII."""
    return subprocess.run(
        [sys.executable, "-m", "controller", "check", path],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        check=False,
    )


def test_a_terminal_that_lacks_a_letter(tmp_path: Path) -> None:
    ran = spoken(variant(tmp_path, parent='"row-a"'), subprocess.PIPE)
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert rb'"row-a" \u2192 "row-a"' in ran.stdout


def test_a_reader_that_has_seen_enough() -> None:
    read, write = os.pipe()
    os.close(read)
    ran = spoken(str(EXAMPLE), write)
    os.close(write)
    assert (ran.returncode, ran.stderr) == (1, b"")
