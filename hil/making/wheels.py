"""The wheel: built from the sources alone, for this machine or across, and looked into.

Across means: by a compiler that runs here against the headers and libraries of a root of the other
machine (hil/making/roots.py), which takes seconds where a compiler under emulation takes many
minutes. What comes of it is then tried on that root.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("cext", "controller", "drivers")
FILES = ("pyproject.toml", "setup.py", "README.md")
CROSS = "aarch64-linux-gnu-gcc"
CROSS_PACKAGE = "gcc-aarch64-linux-gnu"
# By the wheel's platform tag: the machine an ELF file names, and the largest page its kernels use.
# A Raspberry Pi 5 runs with pages of 16 KiB, others with 4; arm64 knows 64, too.
_MACHINES = {"x86_64": (62, 4 << 10), "aarch64": (183, 64 << 10)}
_LOAD = 1


class WheelError(RuntimeError):
    """A wheel that cannot be built, or is not what it says."""


@dataclass(frozen=True, slots=True)
class Module:
    """What an ELF file says of itself."""

    machine: int
    align_bytes: int  # the least of its loaded segments


def build(to: Path, sysroot: Path | None = None) -> Path:
    """A wheel of the sources as they lie here, for this machine, or for arm64 by that root.

    Built in a copy, so that nothing built earlier slips in. Raises WheelError.
    """
    shutil.rmtree(to, ignore_errors=True)
    sources, dist = to / "sources", to / "dist"
    sources.mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, sources)
    built = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, sources / package, ignore=built)
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*words, "--wheel-dir", str(dist), "."],
        cwd=sources,
        env={**os.environ, **(_across(sysroot) if sysroot else {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise WheelError(f"no wheel was built:\n{(done.stdout + done.stderr)[-2000:]}")
    (wheel,) = dist.glob("*.whl")
    return wheel


def _across(sysroot: Path) -> dict[str, str]:
    """What has setuptools build for arm64. Raises WheelError."""
    if shutil.which(CROSS) is None:
        raise WheelError(f"{CROSS} is not there: apt-get install {CROSS_PACKAGE}")
    headers = sorted((sysroot / "usr/include").glob("python3.*/Python.h"))
    if not headers:
        raise WheelError(f"{sysroot} has no Python.h: it needs python3-dev")
    compiler = f"{CROSS} --sysroot={sysroot}"
    return {
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
        "CFLAGS": f"-I{headers[0].parent}",  # before our own Python's
        "_PYTHON_HOST_PLATFORM": "linux-aarch64",
    }


def audit(wheel: Path) -> int:
    """How many modules it has, all of them for the stable ABI and the machine of its name.

    Raises WheelError.
    """
    done = subprocess.run(
        [sys.executable, "-m", "abi3audit", "--strict", str(wheel)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise WheelError(f"{wheel.name} is not for the stable ABI:\n{done.stdout}{done.stderr}")
    machine = next((each for each in _MACHINES if wheel.stem.endswith(each)), None)
    if machine is None or "-cp311-abi3-" not in wheel.name:
        raise WheelError(f"{wheel.name} is for nobody: {', '.join(_MACHINES)}, cp311-abi3")
    wanted, page_bytes = _MACHINES[machine]
    found = dict(modules(wheel))
    for name, module in found.items():
        if module.machine != wanted:
            raise WheelError(f"{wheel.name}: {name} is for ELF machine {module.machine}")
        if module.align_bytes < page_bytes:
            raise WheelError(
                f"{wheel.name}: {name} is aligned to {module.align_bytes} bytes and cannot be "
                f"loaded where pages have {page_bytes}"
            )
    sources = {f"cext/{path.stem}.abi3.so" for path in (ROOT / "cext").glob("*.pyx")}
    if sources != set(found):
        raise WheelError(f"{wheel.name} lacks, or has beside them: {sources ^ set(found)}")
    return len(found)


def modules(wheel: Path) -> Iterator[tuple[str, Module]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".so"):
                yield name, elf(archive.read(name))


def elf(image: bytes) -> Module:
    """Of a 64-bit little-endian ELF file (elf(5)). Raises WheelError."""
    if image[:6] != b"\x7fELF\x02\x01":
        raise WheelError("no 64-bit little-endian ELF file")
    (machine,) = struct.unpack_from("<H", image, 18)
    (at,) = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", image, at + size * i) for i in range(count)]
    return Module(machine, min(header[7] for header in headers if header[0] == _LOAD))
