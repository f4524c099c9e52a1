"""The libraries that go to a gateway: all it needs, each file known by its hash."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LIBRARIES = ROOT / "systemd" / "requirements.txt"
PINS = ROOT / "systemd" / "pins.txt"
PYTHONS = ["3.11", "3.12", "3.13"]
MACHINES = ["x86_64", "aarch64"]
LOCKED = re.compile(r"(\S+)==(\S+?)(?: ; (.+?))? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
# Debian 12 has glibc 2.36.
GLIBC = ["manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014"]


def locked(path: Path) -> dict[NormalizedName, tuple[Version, Marker | None]]:
    found: dict[NormalizedName, tuple[Version, Marker | None]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if one := LOCKED.fullmatch(line):
            marker = Marker(one[3]) if one[3] else None
            found[canonicalize_name(one[1])] = (Version(one[2]), marker)
    return found


def gateways() -> Iterator[dict[str, str]]:
    """As markers see them."""
    for python in PYTHONS:
        for machine in MACHINES:
            yield {
                **{name: str(value) for name, value in default_environment().items()},
                "python_version": python,
                "python_full_version": f"{python}.2",
                "platform_machine": machine,
                "platform_system": "Linux",
                "sys_platform": "linux",
            }


@pytest.mark.parametrize("path", [LIBRARIES, PINS], ids=lambda path: path.name)
def test_every_line_is_a_version_with_its_hashes(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    rest = [line for line in lines if not line.startswith("#")]
    wrong = [line for line in rest if not LOCKED.fullmatch(line) and not HASH.fullmatch(line)]
    assert not wrong
    ends = [line for line in rest if not line.endswith("\\")]
    assert len(ends) == len(locked(path)) > 0  # each has at least one hash, and then it ends


@pytest.mark.parametrize(
    ("path", "wanted"),
    [(LIBRARIES, PROJECT["dependencies"]), (PINS, PROJECT["optional-dependencies"]["pi"])],
    ids=["libraries", "pins"],
)
def test_what_is_asked_for_is_locked_within_its_bounds(path: Path, wanted: list[str]) -> None:
    known = locked(path)
    for each in map(Requirement, wanted):
        version, marker = known[canonicalize_name(each.name)]
        assert each.specifier.contains(version), f"{each} is locked to {version}: make lock"
        assert all(marker is None or marker.evaluate(gateway) for gateway in gateways())


def test_nothing_of_the_workshop_goes_to_a_gateway() -> None:
    workshop = {
        canonicalize_name(Requirement(each).name)
        for extra in ("dev", "rig")
        for each in PROJECT["optional-dependencies"][extra]
    }
    assert not workshop & set(locked(LIBRARIES))


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", PYTHONS)
def test_there_is_a_wheel_of_every_library_for_every_gateway(
    python: str, machine: str, tmp_path: Path
) -> None:
    """Asks the package index: pip refuses what is not as locked."""
    tag = f"cp{python.replace('.', '')}"
    kind = ["--python-version", python, "--implementation", "cp"]
    kind += [word for abi in (tag, "abi3", "none") for word in ("--abi", abi)]
    kind += [word for glibc in GLIBC for word in ("--platform", f"{glibc}_{machine}")]
    how = ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    files = [LIBRARIES] if python == "3.13" else [LIBRARIES, PINS]  # 3.13 takes Debian's lgpio
    for file in files:
        words = [sys.executable, "-m", "pip", "download", *how, *kind, "-d", str(tmp_path)]
        subprocess.run([*words, "-r", str(file)], check=True)
    wheels = {canonicalize_name(path.name.split("-")[0]) for path in tmp_path.glob("*.whl")}
    assert wheels >= set(locked(LIBRARIES))
