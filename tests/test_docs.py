"""What the documents name exists."""

import ast
import re
from pathlib import Path

import pytest

from controller.__main__ import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"(?:cext|controller|drivers|hil|tests|docs|systemd)/[\w./-]*|Makefile|setup\.py")
FUNCTION = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*)\(\)")


def named(page: Path) -> list[str]:
    return CODE.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [
        link for link in links if "://" not in link and not (page.parent / link).resolve().exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_exist(page: Path) -> None:
    files = [name for name in named(page) if FILE.fullmatch(name)]
    assert not [name for name in files if not (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_functions_are_where_the_page_says(page: Path) -> None:
    """A function, written with its parentheses, is in the file last named before it."""
    known: set[str] = set()
    missing = []
    for name in named(page):
        if FILE.fullmatch(name):
            known = defined(ROOT / name)
        elif (function := FUNCTION.fullmatch(name)) and function[1] not in known:
            missing.append(name)
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    said = {word for name in named(page) for word in re.findall(r"\bloadkeeper ([a-z]+)", name)}
    assert said <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_to_type_exist(page: Path) -> None:
    """In blocks of shell, where a line begins with the command, or with sudo."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    typed = re.findall(r"^(?:sudo )?(?:\S*/)?loadkeeper ([a-z]+)", "\n".join(blocks), re.MULTILINE)
    assert set(typed) <= set(COMMANDS)


PLACE = re.compile(r"/(?:opt|etc|usr|var|run)/[\w./-]*loadkeeper[\w./-]*")


def test_places_on_a_gateway_are_those_that_are_laid() -> None:
    """What a page says is there after an installation, install.sh, a unit or tmpfiles makes."""
    scripts = [*(ROOT / "systemd").iterdir(), *(ROOT / "systemd" / "steps").iterdir()]
    text = "\n".join(each.read_text(encoding="utf-8") for each in scripts if each.is_file())
    for _ in range(2):  # names stand for places that begin with other names
        for name, place in re.findall(r"^(\w+)=(/\S+|\$\w+/\S+)", text, re.MULTILINE):
            text = text.replace(f"${name}/", f"{place}/").replace(f'${name}"', f'{place}"')
    for folder in re.findall(r"^\w*(State|Runtime)Directory=(\S+)", text, re.MULTILINE):
        text += {"State": f" /var/lib/{folder[1]} ", "Runtime": f" /run/{folder[1]} "}[folder[0]]
    install = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    said = {each.rstrip("./") for each in PLACE.findall(install)}
    assert len(said) > 15
    assert not [place for place in sorted(said) if place not in text]


def defined(file: Path) -> set[str]:
    """Functions and classes in a file, and `Class.method` for methods."""
    if not file.is_file():
        return set()
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return defined_in_python(ast.parse(text))
    found, inside = set(), ""
    for line in text.splitlines():
        if opened := re.match(r"(?:cdef )?class (\w+)", line):
            inside = opened[1]
            found.add(inside)
        elif begun := re.match(r"(\s*)(?:def|cdef|cpdef)\b[^(=]*?(\w+)\(", line):
            found.add(f"{inside}.{begun[2]}" if begun[1] else begun[2])
    return found


def defined_in_python(tree: ast.Module) -> set[str]:
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (ast.FunctionDef, ast.AsyncFunctionDef)
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, methods)}
    return found
