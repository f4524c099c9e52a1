"""The house stays as it was drawn: rooms, doors, sizes, names."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.version import VERSION

ROOT = Path(__file__).parents[1]
RECIPE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PRODUCT = ("cext", "controller", "drivers")
KERNEL_SOURCES = sorted((ROOT / "cext").glob("*.pyx"))

# Each outside world is imported by one module; what is no world is a tool for all.
WORLDS = {
    "pymodbus": "drivers/modbus.py",
    "paho": "controller/link/mqtt.py",
    "serial": "drivers/serialport.py",
    "gpiozero": "drivers/pins.py",
    "cryptography": "controller/trust.py",
}
TOOLS = {"pydantic", "pydantic_core", "structlog"}

STUBTEST = ("--concise", "--ignore-missing-stub", "--ignore-disjoint-bases")
LONGEST = 450
LONGEST_TABLE_OF_CASES = 600

# What only the place knows where the code was written. Spelt so that this file passes.
WORKPLACE = re.compile(
    "|".join(
        ["/wor" + "k/", "/roo" + r"t\b", r"\.\./shar" + "ed", "DESI" + "GN", "STYL" + r"E\.md"]
    )
)


def tracked() -> list[Path]:
    """All files of the project, as git knows them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git clone")
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).exists()]


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def product_files() -> list[Path]:
    return sorted(path for package in PRODUCT for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Top-level names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]


# --- doors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", WORLDS)
def test_one_module_imports_each_outside_world(world: str) -> None:
    importers = [place(path) for path in product_files() if world in imported(path)]
    assert importers == [WORLDS[world]]


def test_the_product_imports_only_what_it_declares() -> None:
    """So neither NumPy nor anything else of the workshop is needed at run time."""
    allowed = {*PRODUCT, *WORLDS, *TOOLS, *sys.stdlib_module_names}
    strangers = {
        f"{place(path)}: {name}"
        for path in product_files()
        for name in imported(path)
        if name not in allowed
    }
    assert not strangers


@pytest.mark.parametrize(
    ("command", "never"),
    [
        ("run", {"paho", "gpiozero", "numpy", "scipy", "cryptography"}),
        (
            "link",
            {
                "pymodbus",
                "gpiozero",
                "drivers.modbus",
                "cext.tick",
                "numpy",
                "scipy",
                "cryptography",
            },
        ),
    ],
)
def test_each_process_loads_only_its_own_world(command: str, never: set[str]) -> None:
    code = f"import sys, controller.commands.{command}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not never & set(loaded.stdout.split())


def test_every_package_is_installed() -> None:
    on_disk = {
        place(init.parent).replace("/", ".")
        for package in PRODUCT
        for init in (ROOT / package).rglob("__init__.py")
    }
    assert on_disk == set(RECIPE["tool"]["setuptools"]["packages"])


def test_versions_agree() -> None:
    assert RECIPE["project"]["version"] == VERSION
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d[^]]*)]", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == VERSION


# --- the kernel's modules ----------------------------------------------------------------------


def public(module: str) -> set[str]:
    """Names that a compiled module itself defines for Python."""
    loaded = importlib.import_module(module)
    return {
        name
        for name, value in vars(loaded).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module
    }


def declared(tree: ast.Module | ast.ClassDef) -> set[str]:
    """Public names that a stub declares at this level."""
    names = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    fields = (node.target for node in tree.body if isinstance(node, ast.AnnAssign))
    return names | {field.id for field in fields if isinstance(field, ast.Name)}


def test_stubs_tell_the_truth() -> None:
    """What the stubs say is there, with these signatures."""
    modules = [f"cext.{stub.stem}" for stub in (ROOT / "cext").glob("*.pyi")]
    subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", *STUBTEST, *modules],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)},
        check=True,
    )


@pytest.mark.parametrize("source", KERNEL_SOURCES, ids=lambda source: source.stem)
def test_stubs_tell_everything(source: Path) -> None:
    module = importlib.import_module(f"cext.{source.stem}")
    stub = source.with_suffix(".pyi")
    tree = ast.parse(stub.read_text(encoding="utf-8") if stub.exists() else "")
    assert declared(tree) == public(module.__name__)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            members = vars(getattr(module, node.name))
            assert declared(node) == {
                name
                for name in members
                # A named tuple brings two of its own.
                if not name.startswith("_")
                and (name not in {"count", "index"} or name in declared(node))
            }


@pytest.mark.parametrize("source", KERNEL_SOURCES, ids=lambda source: source.stem)
def test_module_is_not_older_than_its_sources(source: Path) -> None:
    built = Path(str(importlib.import_module(f"cext.{source.stem}").__file__))
    shared = [path for path in (ROOT / "cext").glob("*.pxd") if cimports(source, path.stem)]
    newest = max(path.stat().st_mtime for path in [source, *shared])
    assert built.stat().st_mtime >= newest, "run make build"


def cimports(source: Path, name: str) -> bool:
    text = source.read_text(encoding="utf-8")
    return (
        name == source.stem or re.search(rf"cimport.*\b{name}\b|\b{name} cimport", text) is not None
    )


@pytest.mark.parametrize("source", KERNEL_SOURCES, ids=lambda source: source.stem)
def test_no_kernel_function_swallows_an_error(source: Path) -> None:
    """Where a noexcept function can fail, Cython prints the error and goes on with 0."""
    generated = source.with_suffix(".c")
    if not generated.exists():
        pytest.skip("no generated C beside the source: installed, not built here")
    calls = re.findall(r'__Pyx_WriteUnraisable\("([^"]+)"', generated.read_text(encoding="utf-8"))
    # When an object goes away there is nobody to tell; it holds the GIL and decides nothing.
    assert not [name for name in calls if not name.endswith(".__dealloc__")]


# --- the files ---------------------------------------------------------------------------------


def test_nothing_generated_is_in_git() -> None:
    generated = {".so", ".o", ".pyc", ".whl", ".egg-info"}
    assert not [
        place(path)
        for path in tracked()
        if path.suffix in generated or (path.suffix == ".c" and path.with_suffix(".pyx").exists())
    ]


def test_no_file_is_too_long() -> None:
    code = {".py", ".pyx", ".pxd", ".pyi", ".sh"}
    lengths = {
        place(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in tracked()
        if path.suffix in code
    }
    too_long = {
        name: lines
        for name, lines in lengths.items()
        if lines > (LONGEST_TABLE_OF_CASES if name.startswith("tests/") else LONGEST)
    }
    assert not too_long


def test_the_project_speaks_of_itself_only() -> None:
    found = [
        f"{place(path)}:{number}: {line.strip()}"
        for path in tracked()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if WORKPLACE.search(line)
    ]
    assert not found


@pytest.mark.parametrize("script", ["run", "test", ".ci/run"])
def test_scripts_can_be_started(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111 == 0o111
