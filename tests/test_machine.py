"""./run and ./test on machines that lack something. Nothing is installed here: no apt-get is in
reach of these scripts, and no sudo."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASICS = ["sh", "cat", "cksum", "date", "dirname", "env", "id", "mktemp", "readlink", "rm"]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The scripts and what they read, without .venv."""
    clone = tmp_path / "clone"
    (clone / "hil").mkdir(parents=True)
    for name in ["run", "test", "hil/machine.sh", "pyproject.toml", "setup.py"]:
        shutil.copy(ROOT / name, clone / name)
    shutil.copytree(ROOT / "cext", clone / "cext", ignore=shutil.ignore_patterns("*.so", "*.c"))
    return clone


def tools(folder: Path, names: Sequence[str]) -> Path:
    """A folder to be the whole PATH, with just these tools in it."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found is not None, name
        (folder / name).symlink_to(found)
    return folder


def start(clone: Path, script: str, path: Path, cc: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which("sh") or "sh", script],
        cwd=clone,
        env={"PATH": str(path), "CC": cc, "TMPDIR": str(clone)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("script", ["run", "test"])
def test_all_that_is_missing_is_named_at_once(clone: Path, tmp_path: Path, script: str) -> None:
    ended = start(clone, script, tools(tmp_path / "bin", BASICS), cc="no-such-compiler")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "a C compiler that works (no-such-compiler)" in ended.stderr
    assert "- make\n" in ended.stderr
    assert "gcc libc6-dev" in ended.stderr
    assert "There is no apt-get here" in ended.stderr
    assert not (clone / ".venv").exists()


def test_a_compiler_that_cannot_link_does_not_count(clone: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", [*BASICS, "make"])
    broken = path / "broken-cc"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    ended = start(clone, "run", path, cc="broken-cc")
    assert ended.returncode == 2
    assert "a C compiler that works (broken-cc)" in ended.stderr
    assert "- make\n" not in ended.stderr


def test_a_python_that_does_not_start_is_passed_over(clone: Path, tmp_path: Path) -> None:
    """Like a shim of a version manager that knows the name and has no such version."""
    path = tools(tmp_path / "bin", BASICS)
    shim = path / "python3"
    shim.write_text("#!/bin/sh\necho 'python3: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    ended = start(clone, "run", path, cc="no-such-compiler")
    assert ended.returncode == 2
    assert str(shim) not in ended.stderr


def machine(clone: Path, path: Path, extra: str) -> subprocess.CompletedProcess[str]:
    """Looks whether this machine can do it, with that PATH and nothing beside it."""
    script = clone / "hil" / "machine.sh"
    kept = [line for line in script.read_text().splitlines() if not line.startswith("PATH=")]
    script.write_text("\n".join(kept))
    asked = clone / "asked"
    asked.write_text(f". hil/machine.sh\nextra={extra}\nmachine\n")
    return start(clone, "asked", path, cc="true-cc")


@pytest.fixture
def complete(tmp_path: Path) -> Path:
    """A PATH on which all is that Loadkeeper needs, but no mosquitto and no apt-get."""
    path = tools(tmp_path / "bin", [*BASICS, "make"])
    python = path / "python3"
    python.write_text(f'#!/bin/sh\nexec {sys._base_executable} "$@"\n')  # type: ignore[attr-defined]
    python.chmod(0o755)
    (path / "true-cc").symlink_to(shutil.which("true") or "/bin/true")
    return path


def test_run_can_do_without_mosquitto_and_says_so(clone: Path, complete: Path) -> None:
    ended = machine(clone, complete, "rig")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == "There is no mosquitto: the embedded MQTT broker takes its place.\n"


def test_the_tests_cannot(clone: Path, complete: Path) -> None:
    ended = machine(clone, complete, "dev")
    assert ended.returncode == 2
    assert "- mosquitto, the MQTT broker" in ended.stderr
    assert "embedded" not in ended.stderr


def test_a_mosquitto_that_cannot_be_installed_stops_nothing(clone: Path, complete: Path) -> None:
    """As root, where apt-get knows no such package."""
    for name, does in (("apt-get", 'echo "no such package: $*"; exit 100'), ("id", "echo 0")):
        (complete / name).unlink(missing_ok=True)
        (complete / name).write_text(f"#!/bin/sh\n{does}\n")
        (complete / name).chmod(0o755)
    ended = machine(clone, complete, "rig")
    assert ended.returncode == 0, ended.stderr
    assert "would like, and this machine does not have:\n  - mosquitto" in ended.stderr
    assert "no such package: -qq install --no-install-recommends mosquitto" in ended.stderr
    assert ended.stderr.endswith("the embedded MQTT broker takes its place.\n")


@pytest.mark.parametrize("script", ["run", "test", "hil/machine.sh"])
def test_scripts_are_sound(script: str) -> None:
    subprocess.run(["sh", "-n", script], cwd=ROOT, check=True)
