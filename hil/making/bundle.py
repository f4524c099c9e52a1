"""`python -m hil bundle`: what goes to a gateway, in one folder and one archive in dist/.

The wheels of this version that lie in dist/ (for this machine's processor, and for a Raspberry Pi's
where one was built), the locked libraries, install.sh with its steps, the units and the documents.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import time
import zipfile
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from controller.commands.output import FINE, NO, complain, say
from controller.version import VERSION

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "systemd"
AT_THE_TOP = ("install.sh", "steps", "requirements.txt", "pins.txt")
SUMS = "SHA256SUMS"


class BundleError(Exception):
    """Nothing that could be installed, with the reason in words."""


def wheels(dist: Path) -> list[Path]:
    """Those of this version, and all of the same sources. Raises BundleError."""
    found = sorted(dist.glob(f"loadkeeper-{VERSION}-*.whl"))
    if not found:
        raise BundleError(f"{dist} holds no wheel of {VERSION}: make wheel")
    sources = {wheel: _sources(wheel) for wheel in found}
    for wheel, content in sources.items():
        if content != _tree():
            raise BundleError(f"{wheel.name} was not built from what lies here: build it again")
    return found


def bundle(dist: Path) -> Path:
    """Makes the folder, replacing one of the same version. Raises BundleError."""
    inside = wheels(dist)
    folder = dist / f"loadkeeper-{VERSION}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for wheel in inside:
        shutil.copy(wheel, folder)
    for name in AT_THE_TOP:
        source = SYSTEMD / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    (folder / "units").mkdir()
    for source in sorted(SYSTEMD.iterdir()):
        if source.name not in AT_THE_TOP:
            shutil.copy(source, folder / "units")
    shutil.copytree(ROOT / "docs", folder / "doc")
    shutil.copy(ROOT / "docs" / "examples" / "north-depot.toml", folder / "site.toml.example")
    (folder / "VERSION").write_text(f"{VERSION}\n", encoding="utf-8")
    (folder / "BUILT").write_text(f"{_built_s()}\n", encoding="utf-8")
    sum_up(folder)
    return folder


def sum_up(folder: Path) -> None:
    """The list of what is in it, each file with its sum, as sha256sum -c reads it; anew."""
    listed = folder / SUMS
    listed.unlink(missing_ok=True)
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    lines = [
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.relative_to(folder).as_posix()}\n"
        for each in files
    ]
    listed.write_text("".join(lines), encoding="utf-8")


def archive(folder: Path) -> Path:
    """Beside the folder; everything in it is root's."""
    made = folder.with_name(f"{folder.name}.tar.gz")

    def roots(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    with tarfile.open(made, "w:gz") as tar:
        tar.add(folder, folder.name, filter=roots)
    return made


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    subparsers.add_parser("bundle", help="what goes to a gateway, from the wheels in dist/")


def run(args: Namespace) -> int:
    try:
        folder = bundle(ROOT / "dist")
    except BundleError as error:
        complain(f"no bundle: {error}")
        return NO
    say(f"{archive(folder)}: {', '.join(each.name for each in sorted(folder.glob('*.whl')))}")
    return FINE


def _built_s() -> int:
    """Of the commit, so that the same sources say the same; now, outside a clone."""
    asked = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return int(asked.stdout) if asked.returncode == 0 else int(time.time())


def _sources(wheel: Path) -> dict[str, bytes]:
    """What a wheel holds that is the same for every processor."""
    with zipfile.ZipFile(wheel) as opened:
        return {
            name: hashlib.sha256(opened.read(name)).digest()
            for name in opened.namelist()
            if name.endswith((".py", ".pxd", ".pyi", ".toml"))
        }


def _tree() -> dict[str, bytes]:
    return {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).digest()
        for package in ("cext", "controller", "drivers")
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".py", ".pxd", ".pyi", ".toml"}
    }
