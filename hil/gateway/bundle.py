"""What is delivered: the bundle of this tree, a folder of wheels for where there is no internet,
and two versions that come after it: one that is as good, and one that does not start.

The latter two are the same bundle with another number, and one with a line in it that fails. All
of it is kept beside the roots, by what it was made of.
"""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controller.version import VERSION
from hil.making import roots
from hil.making.bundle import sum_up

NEXT = "99.0.1"  # versions that nobody will ever deliver
BROKEN = "99.0.2"
KEPT = 3  # of each kind, the last to be used
IN_USE_S = 3600.0  # a run takes a few minutes
_ROOT = Path(__file__).parents[2]
_MADE_OF = (
    *("cext", "controller", "drivers", "docs", "systemd"),
    *(
        "setup.py",
        "pyproject.toml",
        "Makefile",
        "README.md",
        "CHANGELOG.md",
        "hil/making/bundle.py",
    ),
)


class BundleError(RuntimeError):
    """A bundle that cannot be made, with the last words of whoever failed."""


@dataclass(frozen=True, slots=True)
class Bundles:
    """Folders, each with its own install.sh; and wheels of all libraries."""

    now: Path
    next: Path
    broken: Path
    wheels: Path

    @property
    def folders(self) -> list[tuple[str, Path]]:
        return [
            ("bundle", self.now),
            ("next", self.next),
            ("broken", self.broken),
            ("wheels", self.wheels),
        ]


def bundles(python: str) -> Bundles:
    """For a root with that Python, such as "3.11". Raises BundleError, RootError."""
    kept = roots.cache().parent / "bundles"
    now = _kept(kept, f"now-{_of_sources()}", _made) / "bundle"
    name = now.parent.name.removeprefix("now-")

    def as_good(at: Path) -> None:
        revise(now, at / "bundle", NEXT)

    def worse(at: Path) -> None:
        revise(now, at / "bundle", BROKEN, _spoil)

    return Bundles(
        now,
        _kept(kept, f"next-{name}", as_good) / "bundle",
        _kept(kept, f"broken-{name}", worse) / "bundle",
        libraries(kept, now, python),
    )


def revise(
    bundle: Path, at: Path, version: str, change: Callable[[str, bytes], bytes] | None = None
) -> None:
    """The same bundle as another version; `change` sees each file of the wheel. BundleError."""
    shutil.copytree(bundle, at, symlinks=True)
    wheels = list(at.glob("loadkeeper-*.whl"))
    if not wheels:
        raise BundleError(f"{bundle} holds no wheel of loadkeeper")
    for old in wheels:
        before = old.name.split("-")[1]
        new = old.with_name(old.name.replace(f"-{before}-", f"-{version}-", 1))
        _rewrite(old, new, before, version, change or _as_it_is)
        old.unlink()
    (at / "VERSION").write_text(version + "\n")
    sum_up(at)


def _rewrite(
    old: Path, new: Path, before: str, version: str, change: Callable[[str, bytes], bytes]
) -> None:
    """A wheel is a zip with a list of its files' sums."""
    info, record = f"loadkeeper-{version}.dist-info", []
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as made:
        for entry in source.infolist():
            name = entry.filename.replace(f"loadkeeper-{before}.dist-info", info)
            if name == f"{info}/RECORD":
                continue
            data = source.read(entry)
            if name == f"{info}/METADATA":
                data = data.replace(
                    f"\nVersion: {before}\n".encode(), f"\nVersion: {version}\n".encode()
                )
            if name == "controller/version.py":
                data = data.replace(f'"{before}"'.encode(), f'"{version}"'.encode())
            data = change(name, data)
            made.writestr(name, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}")
        made.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,"]) + "\n")


def _as_it_is(name: str, data: bytes) -> bytes:
    return data


def _spoil(name: str, data: bytes) -> bytes:
    """It is installed and checks documents like any other; its enforcer dies as it begins."""
    if name == "controller/enforcer.py":
        return data + b'\n\ndef hold(enforcer: object) -> int:\n    raise RuntimeError("spoilt")\n'
    return data


def _kept(kept: Path, name: str, make: Callable[[Path], None]) -> Path:
    """A folder of that name, made now where it is not there; old ones of its kind go, but none that
    another run may still be using."""
    found = kept / name
    with suppress(FileNotFoundError):
        os.utime(found)
        return found
    kept.mkdir(parents=True, exist_ok=True)
    kind = name.split("-", maxsplit=1)[0]
    with roots.alone(kept / f"{kind}.lock"):
        if not found.is_dir():
            making = kept / f"{name}.making"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            make(making)
            making.rename(found)
            old = [each for each in kept.glob(f"{kind}-*") if each.suffix != ".making"]
            old.sort(key=lambda each: each.stat().st_mtime)
            for each in old[:-KEPT]:
                if time.time() - each.stat().st_mtime > IN_USE_S:
                    shutil.rmtree(each, ignore_errors=True)
    return found


def _made(at: Path) -> None:
    """`make bundle`, as whoever delivers it does."""
    _do(["make", "bundle", f"PYTHON={sys.executable}"], cwd=_ROOT)
    shutil.copytree(_ROOT / "dist" / f"loadkeeper-{VERSION}", at / "bundle", symlinks=True)


def libraries(kept: Path, bundle: Path, python: str) -> Path:
    """What pip would fetch on the gateway, fetched here for that Python."""
    lists = [bundle / name for name in ("requirements.txt", "pins.txt")]
    texts = [each.read_bytes() for each in lists if each.exists()]
    key = hashlib.sha256(b"\0".join([python.encode(), *texts])).hexdigest()[:12]

    def fetch(at: Path) -> None:
        for each in lists:
            if each.exists():
                _download(each, at, python, must=each.name == "requirements.txt")

    return _kept(kept, f"wheels-{key}", fetch)


def _download(listed: Path, at: Path, python: str, *, must: bool) -> None:
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    words += ["--no-deps", "--only-binary=:all:", "--require-hashes", f"--python-version={python}"]
    machine = platform.machine()
    words += [f"--platform=manylinux_2_{minor}_{machine}" for minor in (36, 34, 28, 17)]
    words += [f"--platform=manylinux2014_{machine}", f"--dest={at}", f"--requirement={listed}"]
    if must:
        _do(words)
    else:
        with suppress(BundleError):  # install.sh goes on without
            _do(words)


def _of_sources() -> str:
    """What a bundle is made of, in a few characters."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *_MADE_OF],
        cwd=_ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        raise BundleError("not a git clone: nobody knows what a bundle is made of")
    sums = hashlib.sha256()
    for name in sorted(filter(None, listed.stdout.decode().split("\0"))):
        if (_ROOT / name).is_file():
            sums.update(f"{name}\0".encode() + hashlib.sha256((_ROOT / name).read_bytes()).digest())
    return sums.hexdigest()[:12]


def _do(words: Sequence[str], cwd: Path | None = None) -> None:
    done = subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise BundleError(f"exit status {done.returncode}: {' '.join(words[:6])} …\n{said}")
