"""One wheel serves Python 3.11 and every later one, and holds all that runs."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cext", "controller", "drivers")
OPTIONS = ("--quiet", "--no-deps", "--no-build-isolation")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built in a copy, so that nothing built earlier slips in."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ["pyproject.toml", "setup.py", "README.md"]:
        shutil.copy(ROOT / name, copy)
    for package in PACKAGES:
        built = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
        shutil.copytree(ROOT / package, copy / package, ignore=built)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *OPTIONS, "--wheel-dir", "dist", "."],
        cwd=copy,
        check=True,
    )
    (wheel,) = (copy / "dist").glob("*.whl")
    return wheel


def test_wheel_is_for_every_python_since_3_11(wheel: Path) -> None:
    assert "-cp311-abi3-" in wheel.name
    subprocess.run([sys.executable, "-m", "abi3audit", "--strict", str(wheel)], check=True)


def test_wheel_holds_all_that_runs(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for pattern in ("*.py", "*.pyi", "*.pxd", "*.toml", "py.typed")
        for path in (ROOT / package).rglob(pattern)
    }
    modules = {f"cext/{path.stem}.abi3.so" for path in (ROOT / "cext").glob("*.pyx")}
    assert needed | modules <= inside
    assert not [name for name in inside if name.endswith((".c", ".pyx"))]
