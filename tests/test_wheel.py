"""One wheel serves Python 3.11 and every later one, holds all that runs, and can be installed."""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.version import VERSION
from hil.gateway.bundle import libraries
from hil.making import roots
from hil.making.bundle import BundleError, archive, bundle
from tests.test_docs import PLACE

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


# --- the bundle, and what install.sh makes of it in a Debian root ---------------------------------

DEBIAN = ("dbus", "iproute2", "kmod", "procps", "python3", "python3-venv", "systemd-sysv", "udev")
SETUP = "/opt/loadkeeper/current/setup/install.sh"
EVERYTHING = r"find /etc /opt /usr/local /var/lib -printf '%p %y %m %u %g %i %T@ %l\n' | sort"


@pytest.fixture(scope="module")
def made(wheel: Path) -> Path:
    return bundle(wheel.parent)


def test_a_bundle_is_whole(made: Path, wheel: Path) -> None:
    subprocess.run(["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], cwd=made, check=True)
    listed = {line.split("  ")[1] for line in (made / "SHA256SUMS").read_text().splitlines()}
    there = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert there - listed == {"SHA256SUMS"}
    assert {wheel.name, "install.sh", "units/loadkeeper.service"} <= there
    with tarfile.open(archive(made)) as tar:
        assert {entry.name for entry in tar if entry.isfile()} == {
            f"{made.name}/{n}" for n in there
        }
        assert {entry.uid for entry in tar} == {0}


def test_a_wheel_of_other_sources_makes_no_bundle(wheel: Path, tmp_path: Path) -> None:
    old = tmp_path / wheel.name
    shutil.copy(wheel, old)
    with zipfile.ZipFile(old, "a") as opened:
        opened.writestr("controller/gone.py", "")
    with pytest.raises(BundleError, match="not built from what lies here"):
        bundle(tmp_path)


@pytest.fixture(scope="module")
def machine(made: Path) -> Iterator[Path]:
    """A Debian 12 with the bundle and all wheels in it, in which no systemd runs."""
    if roots.host_arch() != "amd64" or (lacks := roots.missing("amd64")):
        pytest.skip(f"no Debian root can be made here: {lacks if lacks else roots.host_arch()}")
    kept = roots.cache().parent
    wheels = libraries(kept / "bundles", made, "3.11")
    folder = Path(tempfile.mkdtemp(prefix="installed-", dir=kept))
    try:
        layer = roots.Layer(roots.root("bookworm", "amd64", DEBIAN), folder)
        layer.make()
        for source, name in ((made, "bundle"), (wheels, "wheels")):
            shutil.copytree(source, layer.upper / name)
        yield folder
    finally:
        shutil.rmtree(folder)


def inside(machine: Path, *words: str) -> str:
    layer = roots.Layer(roots.root("bookworm", "amd64", DEBIAN), machine)
    return roots.enter(layer, words).stdout


def test_installed_and_again_and_with_a_site_and_removed(machine: Path, made: Path) -> None:
    """As while an image is made. Under systemd it is the gateway bench's."""
    install = ("sh", "/bundle/install.sh", "--wheels", "/wheels")
    assert "is in force" in inside(machine, *install)
    assert inside(machine, "loadkeeper", "--version") == f"loadkeeper {VERSION}\n"
    page = (made / "doc" / "install.md").read_text(encoding="utf-8")
    later = re.compile(r"/run/|/var/lib/|/site\.toml$|\.service\.d$|/previous$|/states$|/usb-")
    places = {each.rstrip("./") for each in PLACE.findall(page) if not later.search(each)}
    inside(machine, "ls", "-d", *sorted(places))

    before = inside(machine, "sh", "-c", EVERYTHING)
    assert "is complete" in inside(machine, *install)
    assert inside(machine, "sh", "-c", EVERYTHING) == before

    inside(machine, "cp", "/etc/loadkeeper/site.toml.example", "/etc/loadkeeper/site.toml")
    inside(machine, "sed", "-i", "/^\\[link\\]/,$d", "/etc/loadkeeper/site.toml")
    document = inside(machine, "cat", "/etc/loadkeeper/site.toml")
    inside(machine, "sh", SETUP)
    drop_in = inside(machine, "cat", "/etc/systemd/system/loadkeeper.service.d/site.conf")
    assert "IPAddressAllow=" in drop_in
    assert "enabled" in inside(machine, "systemctl", "is-enabled", "loadkeeper.service")
    inside(machine, *install)
    assert inside(machine, "cat", "/etc/loadkeeper/site.toml") == document
    mode = inside(machine, "stat", "-c", "%a %U %G", "/etc/loadkeeper/site.toml")
    assert mode == "640 root loadkeeper\n"

    inside(machine, "sh", SETUP, "--remove")
    left = inside(machine, "sh", "-c", "find / -xdev -name '*loadkeeper*' -path '/[eou]*'")
    assert left == "/etc/loadkeeper\n"
    assert inside(machine, "cat", "/etc/loadkeeper/site.toml") == document


def test_what_cannot_be_used_changes_nothing(machine: Path) -> None:
    """A wheel is missing, and the document is wrong."""
    inside(machine, "sh", "-c", "mkdir -p /some /etc/loadkeeper && cp /wheels/py*.whl /some")
    inside(machine, "sh", "-c", "echo 'schema = 99' > /etc/loadkeeper/site.toml")
    before = inside(machine, "sh", "-c", EVERYTHING)
    with pytest.raises(roots.RootError, match="cryptography=="):
        inside(machine, "sh", "/bundle/install.sh", "--wheels", "/some")
    assert inside(machine, "sh", "-c", EVERYTHING) == before
    with pytest.raises(roots.RootError, match="would not run the documents"):
        inside(machine, "sh", "/bundle/install.sh", "--check", "--wheels", "/wheels")
    assert inside(machine, "sh", "-c", EVERYTHING) == before
