"""`python -m hil abroad`: the wheel on other machines and other Pythons.

In a Debian of that kind (hil/making/roots.py; arm64 by qemu) its own pip installs the wheel, and
its own Python runs the tests of kernel, decoder and document, and the scenes of tests/digest.py,
against what was installed: none of our sources is in reach. The scenes must come out as they do
here, bit for bit, and what a black box has recorded here must be decided there again alike. A wheel
that has passed lies in dist/, where `python -m hil bundle` takes it from. Needs root, and says what
else it lacks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from argparse import ArgumentParser, Namespace, _SubParsersAction
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controller.commands.output import FINE, NO, answer_json, complain, say
from hil.making import roots, wheels
from hil.making.wheels import ROOT, WheelError

HERE = ROOT / "build" / "abroad"
TESTED = {
    "kernel": "adopt contactors contactors_in_doubt escalation frozen hand_over kernel_edges lapse "
    "paced pause phases plant plant_random promises rules shares switch switched_promises thread "
    "traps unproven virtual",
    "decoder": "clamp decode profiles rtu",
    "document": "amounts derogations fuzzed_site gpio_document limit_file limits operation proof "
    "refusals relays signed site",
}
TOOLS = ("hypothesis", "jsonschema", "pytest", "pytest-xdist")
STAGED = ("tests", "hil", "docs", "pyproject.toml")
_GLIBC = {"bookworm": 36, "trixie": 41}  # 2.…, and wheels for older ones do as well
_MOST_S = 3600.0
# Inside. Its own pip, which Debian keeps as a wheel, must take ours for one of this machine.
_INSIDE = """
set -e
umask 022
pip=$(ls /usr/share/python-wheels/pip-*.whl)
python3 "$pip/pip" install --quiet --disable-pip-version-check --root-user-action=ignore \
    --no-index --no-deps --no-compile --target /tmp/own /mnt/dist/*.whl
export PYTHONPATH=/tmp/own:/mnt/site
python3 -m tests.digest
for box in /mnt/boxes/*; do python3 -m controller replay --json "$box"; done
[ $# -gt 0 ] || exit 0
exec python3 -m pytest -p no:cacheprovider "$@"
"""


@dataclass(frozen=True, slots=True)
class Place:
    suite: str
    arch: str  # as Debian has it
    python: str

    @property
    def machine(self) -> str:
        return {arch: machine for machine, arch in roots.HOSTS.items()}[self.arch]

    def root(self) -> Path:
        """Raises RootError."""
        headers = ["python3-dev"] if self == _CROSS_ROOT else []
        return roots.root(self.suite, self.arch, ["python3", "python3-venv", *headers])


PLACES = {
    f"{suite}-{arch}": Place(suite, arch, python)
    for suite, python in (("bookworm", "3.11"), ("trixie", "3.13"))
    for arch in ("arm64", "amd64")
}
_CROSS_ROOT = PLACES["bookworm-arm64"]  # the oldest C library that is served


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one place."""

    place: str
    machine: str
    python: str
    wheel: str
    modules: int
    passed: int
    skipped: int
    decisions: int  # in scenes that came out as they do here
    replayed: int  # decisions that a black box has recorded here
    seconds: float


class AbroadError(RuntimeError):
    """It went otherwise there than here, or could not be tried."""


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("abroad", help="test the wheel on other machines and Pythons")
    parser.add_argument("place", nargs="+", choices=PLACES)
    parser.add_argument(
        "--agree", action="store_true", help="decisions only: no tests, and no wheel for dist/"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")


def run(args: Namespace) -> int:
    """0: all went as it must, everywhere."""
    told = []
    try:
        here = scenes(_here([sys.executable, "-m", "tests.digest"]))
        for name in args.place:
            say(f"{name}: builds, installs and tests, which takes minutes.")
            sys.stdout.flush()
            told.append(_try(name, PLACES[name], here, tests=not args.agree))
            _say(told[-1])
    except (AbroadError, WheelError, roots.RootError) as error:
        complain(str(error))
        return NO
    if args.json:
        answer_json({"places": [asdict(each) for each in told]})
    return FINE


def _say(told: Told) -> None:
    say(
        f"{told.place}: {told.machine}, Python {told.python}: {told.wheel} with {told.modules} "
        f"modules; {told.passed} tests passed, {told.skipped} skipped; {told.decisions} decisions "
        f"and {told.replayed} of a black box bit for bit as here; {told.seconds:.0f} s."
    )
    sys.stdout.flush()


def _try(name: str, place: Place, here: dict[str, Any], *, tests: bool) -> Told:
    root = place.root()
    if place.arch != roots.host_arch():
        roots.emulate(place.arch)
    began_s = time.monotonic()
    stage = HERE / name
    across = _CROSS_ROOT.root() if place.arch == "arm64" != roots.host_arch() else None
    wheel = wheels.build(HERE / "wheels" / place.arch, across)
    modules = wheels.audit(wheel)
    _stage(stage, place, wheel)
    recorded = replays(_here([sys.executable, "-m", "tests.recorded", str(stage / "boxes")]))
    files = [f"tests/test_{each}.py" for subject in TESTED.values() for each in subject.split()]
    chosen = ["-n", str(os.cpu_count()), "-m", "not rig and not slow", *files] if tests else []
    done = roots.enter(
        root,
        ["sh", "-c", _INSIDE, "sh", *chosen],
        roots.Run(
            env={"PYTHONPYCACHEPREFIX": "/tmp/pyc", "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/found"},
            binds={stage: "/mnt"},
            cwd="/mnt",
            timeout_s=_MOST_S,
        ),
    )
    first, *rest = done.stdout.splitlines()
    where = json.loads(first)["where"]
    _is_there(where, place)
    there = scenes(first)
    compare(name, here, there)
    again = replays("\n".join(rest))
    if again != recorded or not sum(again):
        raise AbroadError(f"{name}: of {recorded} recorded decisions only {again} were replayed")
    passed, skipped = counted("\n".join(rest)) if tests else (0, 0)
    if tests:
        (ROOT / "dist").mkdir(exist_ok=True)
        shutil.copy(wheel, ROOT / "dist")
    return Told(
        name,
        where["machine"],
        where["python"],
        wheel.name,
        modules,
        passed,
        skipped,
        sum(scene["ticks"] for scene in there.values()),
        sum(again),
        round(time.monotonic() - began_s, 1),
    )


def _here(words: list[str]) -> str:
    """What a command says that runs on this machine. Raises AbroadError."""
    done = subprocess.run(
        words, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise AbroadError(f"failed: {' '.join(words)}\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _is_there(where: dict[str, str], place: Place) -> None:
    """That it was that machine, that Python and the installed kernel which ran."""
    right = where["machine"] == place.machine and where["python"].startswith(f"{place.python}.")
    if not right or not where["kernel"].startswith("/tmp/own/"):
        raise AbroadError(f"{place.machine} and Python {place.python} were to run, but: {where}")


def scenes(said: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said)["scenes"]
    return found


def replays(said: str) -> list[int]:
    """How many decisions of each black box were alike. Raises AbroadError where one was not."""
    outcomes = [json.loads(line) for line in said.splitlines() if line.startswith('{"alike"')]
    for each in outcomes:
        if not each["alike"] or each["gaps"]:
            raise AbroadError(f"a black box is not decided again alike: {each}")
    return [each["ticks"] for each in outcomes]


def compare(place: str, here: dict[str, Any], there: dict[str, Any]) -> None:
    """Raises AbroadError where a scene came out otherwise."""
    if here.keys() != there.keys() or not here:
        raise AbroadError(f"{place} told other scenes: {sorted(there)}, here {sorted(here)}")
    for scene, ours in here.items():
        if ours["in"] != there[scene]["in"]:
            raise AbroadError(f"{place}: what goes into {scene!r} is not the same as here")
        if ours != there[scene]:
            raise AbroadError(f"{place}: what comes out of {scene!r} is not the same as here")


def counted(said: str) -> tuple[int, int]:
    """Tests passed and skipped, by pytest's closing line. Raises AbroadError without one."""
    found = re.findall(r"^(\d+) passed(?:, (\d+) skipped)?[^\n]* in [\d.]+s", said, re.MULTILINE)
    if not found:
        raise AbroadError(f"no test has passed:\n{said[-2000:]}")
    passed, skipped = found[-1]
    return int(passed), int(skipped or 0)


def _stage(stage: Path, place: Place, wheel: Path) -> None:
    """What is to be seen inside: the tests and all that they need, but none of our packages."""
    stage.mkdir(parents=True, exist_ok=True)
    made = shutil.ignore_patterns("__pycache__")
    for name in (*STAGED, "dist", "boxes"):
        shutil.rmtree(stage / name, ignore_errors=True)
    for name in STAGED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, stage / name, ignore=made)
        else:
            shutil.copy(ROOT / name, stage)
    (stage / "dist").mkdir()
    shutil.copy(wheel, stage / "dist")
    _libraries(stage, place)


def _libraries(stage: Path, place: Place) -> None:
    """For that machine and Python, by our pip, into `site`; again only when other ones are needed.
    Raises AbroadError."""
    wanted = json.dumps([asdict(place), requirements()])
    stamp, site = stage / "site.json", stage / "site"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    shutil.rmtree(site, ignore_errors=True)
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site)]
    words += ["--only-binary", ":all:", "--no-compile", "--python-version", place.python]
    for minor in range(17, _GLIBC[place.suite] + 1):
        words += ["--platform", f"manylinux_2_{minor}_{place.machine}"]
    _here([*words, *requirements()])
    stamp.write_text(wanted)


def requirements() -> list[str]:
    """What the product needs, and the tests that are run abroad."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tools = project["optional-dependencies"]["dev"]
    return [*project["dependencies"], *(each for each in tools if _name(each) in TOOLS)]


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0]
