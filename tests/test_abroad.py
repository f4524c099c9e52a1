"""What is judged of a wheel and of a run on another machine, without one of those machines."""

import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hil.making import abroad, wheels
from hil.making.abroad import PLACES, TESTED, AbroadError, compare, counted, requirements
from hil.making.wheels import Module, WheelError, audit, elf
from tests import digest
from tests.digest import Noted, Scene, everything
from tests.door import Door
from tests.oracle.story import PEACE, tell

ROOT = Path(__file__).parents[1]
X86_64, AARCH64 = 62, 183
OUTPUTS = 2  # where they stand in everything()


def image(machine: int, *aligned: int) -> bytes:
    """An ELF file of which only the headers matter; a segment of each alignment, one not loaded."""
    head = struct.pack(
        "<6s10xHHIQQQIHHH", b"\x7fELF\x02\x01", 3, machine, 1, 0, 64, 0, 0, 64, 56, len(aligned) + 1
    )
    rows = [(1, align) for align in aligned] + [(4, 8)]
    return head.ljust(64, b"\0") + b"".join(
        struct.pack("<IIQQQQQQ", kind, 4, 0, 0, 0, 0, 0, align) for kind, align in rows
    )


def test_an_elf_file_tells_its_machine_and_its_least_alignment() -> None:
    assert elf(image(AARCH64, 0x10000, 0x4000)) == Module(AARCH64, 0x4000)
    (built, *_) = sorted((ROOT / "cext").glob("*.so"))
    assert elf(built.read_bytes()).align_bytes >= 4096
    with pytest.raises(WheelError, match="64-bit"):
        elf(b"\x7fELF\x01\x01" + bytes(58))


def wheel(folder: Path, tag: str, module: bytes, lacks: str = "") -> Path:
    """One with a module for each source."""
    at = folder / f"loadkeeper-0.1.0-{tag}.whl"
    with zipfile.ZipFile(at, "w") as archive:
        for source in (ROOT / "cext").glob("*.pyx"):
            if source.stem != lacks:
                archive.writestr(f"cext/{source.stem}.abi3.so", module)
    return at


@pytest.fixture
def stable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever abi3audit is asked about is for the stable ABI."""
    fine = subprocess.CompletedProcess[str]([], 0, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: fine)


@pytest.mark.usefixtures("stable")
def test_a_wheel_for_pages_of_64_kib_passes(tmp_path: Path) -> None:
    good = wheel(tmp_path, "cp311-abi3-linux_aarch64", image(AARCH64, 0x10000, 0x10000))
    assert audit(good) == len(list((ROOT / "cext").glob("*.pyx")))


@pytest.mark.usefixtures("stable")
@pytest.mark.parametrize(
    ("tag", "module", "lacks", "says"),
    [
        ("cp311-abi3-linux_aarch64", image(X86_64, 0x10000), "", "is for ELF machine 62"),
        ("cp311-abi3-linux_aarch64", image(AARCH64, 0x10000, 0x1000), "", "aligned to 4096 bytes"),
        ("cp311-abi3-linux_aarch64", image(AARCH64, 0x10000), "tick", r"cext/tick\.abi3\.so"),
        ("cp311-cp311-linux_aarch64", image(AARCH64, 0x10000), "", "for nobody"),
        ("cp311-abi3-linux_riscv64", image(243, 0x10000), "", "for nobody"),
    ],
)
def test_a_wheel_that_is_not_what_it_says_is_refused(
    tmp_path: Path, tag: str, module: bytes, lacks: str, says: str
) -> None:
    with pytest.raises(WheelError, match=says):
        audit(wheel(tmp_path, tag, module, lacks))


def test_what_abi3audit_refuses_is_refused(tmp_path: Path) -> None:
    nothing = wheel(tmp_path, "cp311-abi3-linux_aarch64", b"no ELF file at all")
    with pytest.raises(WheelError, match="not for the stable ABI"):
        audit(nothing)


def test_without_a_compiler_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(WheelError, match="apt-get install gcc-aarch64-linux-gnu"):
        wheels.build(tmp_path / "here", sysroot=tmp_path)


HERE = {"a": {"in": "1", "out": "2", "ticks": 3}}


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ({"a": {"in": "1", "out": "9", "ticks": 3}}, "comes out of 'a'"),
        ({"a": {"in": "1", "out": "2", "ticks": 4}}, "comes out of 'a'"),
        ({"a": {"in": "9", "out": "2", "ticks": 3}}, "goes into 'a'"),
        ({}, "other scenes"),
    ],
)
def test_a_bit_that_differs_is_told(there: dict[str, Any], says: str) -> None:
    compare("somewhere", HERE, HERE)
    with pytest.raises(AbroadError, match=says):
        compare("somewhere", HERE, there)


def test_tests_are_counted_and_none_is_no_success() -> None:
    said = "....\n12 skipped lines\n1234 passed, 5 skipped, 1 deselected in 61.02s (0:01:01)\n"
    assert counted(said) == (1234, 5)
    assert counted("3 passed in 0.10s") == (3, 0)
    for nothing in ("", "no tests ran in 0.01s", "2 failed, 3 passed in 1.00s"):
        with pytest.raises(AbroadError):
            counted(nothing)


def test_what_is_run_abroad_is_there() -> None:
    for names in TESTED.values():
        for name in names.split():
            assert (ROOT / "tests" / f"test_{name}.py").is_file(), name
    assert {"pymodbus", "pytest"} <= {abroad._name(each) for each in requirements()}
    assert {place.machine for place in PLACES.values()} == {"aarch64", "x86_64"}


# -- the scenes ---------------------------------------------------------------------------------


def told(seed: int) -> dict[str, Any]:
    """A short story of the kernel, written down."""
    scene = Scene()
    tell(lambda site: Noted(site, scene), seed, PEACE, chargers=2, circuits=1, beats=0)
    return scene.as_json()


def test_a_scene_is_the_same_each_time_and_another_is_another() -> None:
    assert told(1) == told(1)
    assert told(1)["ticks"] > 100
    assert told(1)["in"] != told(2)["in"]
    assert told(1)["out"] != told(2)["out"]


def test_one_milliamp_in_one_tick_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def bent(door: Door) -> list[Any]:
        told = everything(door)
        if door.kernel.ticks == 40:
            first = told[OUTPUTS][0]
            told[OUTPUTS][0] = first._replace(setpoint_ma=(first.setpoint_ma or 0) + 1)
        return told

    real = told(1)
    monkeypatch.setattr(digest, "everything", bent)
    assert told(1) == real | {"out": told(1)["out"]} != real


def test_fair_shares_and_plants_have_scenes_too() -> None:
    assert digest.fillings(range(1)).as_json() != digest.fillings(range(1, 2)).as_json()
    assert digest.SCENES.keys() == {"stories", "plants", "fillings"}
