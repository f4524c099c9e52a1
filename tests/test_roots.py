"""Roots of Debian: where they are kept, when they are made, and what changes them."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from hil.making import roots
from hil.making.roots import Layer, RootError


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was asked to be made, in a cache of this test's own; making is imitated."""
    asked: list[Path] = []

    def make(at: Path, suite: str, arch: str, packages: Sequence[str]) -> None:
        asked.append(at)
        at.mkdir()
        if "broken" in packages:
            raise RootError("the archive does not answer")
        (at / "packages").write_text(" ".join(packages))

    monkeypatch.setattr(roots, "cache", lambda: tmp_path / "roots")
    monkeypatch.setattr(roots, "missing", lambda arch: [])
    monkeypatch.setattr(roots, "_make", make)
    return asked


def test_a_root_is_made_once(made: list[Path]) -> None:
    first = roots.root("bookworm", "amd64", ["systemd", "dbus"])
    assert roots.root("bookworm", "amd64", ["dbus", "systemd", "dbus"]) == first
    assert (first / "packages").read_text() == "dbus systemd"
    assert len(made) == 1


def test_whatever_differs_makes_another(made: list[Path]) -> None:
    kinds = [("bookworm", "amd64", ["dbus"]), ("bookworm", "arm64", ["dbus"])]
    kinds += [("trixie", "amd64", ["dbus"]), ("bookworm", "amd64", ["dbus", "udev"])]
    assert len({roots.root(*kind) for kind in kinds}) == 4


def test_a_half_made_root_is_never_used(made: list[Path]) -> None:
    for _ in range(2):
        with pytest.raises(RootError, match="does not answer"):
            roots.root("bookworm", "amd64", ["broken"])
    assert len(made) == 2
    assert not [each for each in roots.cache().iterdir() if each.is_dir()]


def test_what_a_killed_maker_left_is_made_anew(made: list[Path]) -> None:
    there = roots.root("bookworm", "amd64", [])
    there.rename(there.with_suffix(".making"))
    (there.with_suffix(".making") / "half").touch()
    assert roots.root("bookworm", "amd64", []) == there
    assert not (there / "half").exists()


def test_clean_leaves_what_is_being_made(made: list[Path]) -> None:
    there = roots.root("bookworm", "amd64", [])
    being_made = roots.root("bookworm", "amd64", ["dbus"]).with_suffix(".making")
    being_made.mkdir()
    roots.clean()
    assert not there.exists()
    assert being_made.exists()


def test_what_is_lacking_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(roots, "cache", lambda: tmp_path / "none")
    monkeypatch.setattr(roots, "missing", lambda arch: ["debootstrap", "root's rights"])
    with pytest.raises(RootError, match="needs debootstrap; root's rights"):
        roots.root("bookworm", "amd64", [])


def test_a_failing_command_says_its_last_words() -> None:
    with pytest.raises(RootError, match=r"exit status 3(?s:.*)no such luck"):
        roots._do(["sh", "-c", "echo no such luck >&2; exit 3"], 10.0)


@pytest.mark.skipif(bool(roots.missing("amd64")), reason=f"needs {roots.missing('amd64')}")
def test_a_layer_takes_what_is_written(tmp_path: Path) -> None:
    """With a root that holds nothing but what this machine's shell needs, bound to it."""
    bare = tmp_path / "bare"
    for name in ("proc", "sys", "tmp", "usr", "bin", "lib", "lib64", "etc"):
        (bare / name).mkdir(parents=True)
    (bare / "etc/said").write_text("before\n")
    layer = Layer(bare, tmp_path / "layer")
    binds = {each: str(each) for each in map(Path, ("/usr", "/bin", "/lib", "/lib64"))}
    how = roots.Run(binds={each: at for each, at in binds.items() if each.exists()})
    done = roots.enter(layer, ["sh", "-c", "cat /etc/said; echo after > /etc/said; id -u"], how)
    assert done.stdout.split() == ["before", "0"]
    assert (bare / "etc/said").read_text() == "before\n"
    assert (layer.upper / "etc/said").read_text() == "after\n"
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(tmp_path) not in mounts
    assert subprocess.run(["mountpoint", "-q", layer.at], check=False).returncode != 0
