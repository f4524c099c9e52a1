"""A copy of the kernel with a fault in it, built beside everything else as it is, and judged."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from time import perf_counter

from hil.mutants.fault import ROOT, Fault, UnfitError
from hil.mutants.means import (
    GUARD,
    ORACLE,
    ORACLES,
    PROPERTY,
    SEARCH,
    Answer,
    Turn,
    by_own,
    in_turn,
    judged_by_pytest,
    judged_by_status,
    test_files,
)

BESIDE = ("controller", "drivers", "hil", "tests", "docs", "systemd", "setup.py", "pyproject.toml")
# One plugin of pytest's is needed, and each copy would load all of them anew.
PLAIN = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "LOADKEEPER_THOROUGH": "1",  # all the random depots
}
UNSHRUNK = ("-p", "_hypothesis_pytestplugin", "--hypothesis-profile=unshrunk")
TIMEOUT_S = 900  # of one who is asked about the sound kernel
TIMES = 5  # so many times what the sound kernel takes, and it never ends
LEAST_S = 60  # but no sooner
DAYS = "hil.mutants.trial"
Took = Mapping[str, float]  # by the sound kernel, in s: each file, and the days


@dataclass(slots=True)
class Outcome:
    """What became of one fault."""

    fault: str
    first: Answer = field(default_factory=Answer)
    all: dict[str, Answer] = field(default_factory=dict)  # by means, where all were asked
    took_s: float = 0.0
    own: bool = False  # noticed by the tests of its room

    @property
    def survived(self) -> bool:
        return not self.first.by

    @property
    def words(self) -> str:
        return f"{self.fault}: {self.first.words} ({self.took_s:.0f} s)"


@dataclass(frozen=True, slots=True)
class Ran:
    status: int | None  # None: ended after its time
    out: str
    err: str


class Bed:
    """One copy, in `place`."""

    def __init__(self, place: Path, fault: Fault | None, took_s: Took | None = None) -> None:
        """`took_s`: what the sound kernel took for each who is asked; None: this one is it."""
        self.place = place
        self._fault = fault
        self._took_s = took_s

    def make(self, of: Path = ROOT) -> None:
        """Of what stands in that folder, which is left alone. Without a fault all of it is copied
        and built; with one only what the fault changes, beside the modules of a copy without.
        Raises RuntimeError where it cannot be built, UnfitError."""
        if self._fault is None:
            self._copy_all(of)
        else:
            self._lay_beside(of, self._fault)
        ran = self._run("setup.py", "--quiet", "build_ext", "--inplace")
        if ran.status != 0:
            name = self._fault.name if self._fault else "the kernel as it is"
            raise RuntimeError(f"{name} does not build: {ran.err[-2000:]}")
        for path in (of / "cext").glob("*.pyx"):  # for whoever reads the sources
            if not (self.place / "cext" / path.name).exists():
                (self.place / "cext" / path.name).symlink_to(path)

    def _copy_all(self, of: Path) -> None:
        """So that whoever works on in `of` meanwhile changes nothing here."""
        for name in ("cext", *BESIDE):
            if (of / name).is_dir():
                shutil.copytree(of / name, self.place / name)
            else:
                shutil.copy2(of / name, self.place / name)
        for built in [*(of / "build").glob("lib.*"), *(of / "build").glob("temp.*")]:
            shutil.copytree(built, self.place / "build" / built.name)

    def _lay_beside(self, of: Path, fault: Fault) -> None:
        """Sources only of what is to be built; all other modules are those of `of`."""
        (self.place / "cext").mkdir()
        for name in BESIDE:
            (self.place / name).symlink_to(of / name)
        changed = dependants(of / "cext", fault.file)
        for path in (of / "cext").iterdir():
            stem = path.name.partition(".")[0]
            to = self.place / "cext" / path.name
            if path.suffix == ".so" and stem not in changed:
                to.symlink_to(path)
            elif path.suffix in (".pxd", ".py", ".pyi", ".typed") or (
                path.suffix == ".pyx" and stem in changed
            ):
                shutil.copy2(path, to)
        faulty = fault.patched((of / "cext" / fault.file).read_text(encoding="utf-8"))
        (self.place / "cext" / fault.file).write_text(faulty, encoding="utf-8")

    def judge(self, own: tuple[str, ...]) -> Answer:
        """Stops at the first who notices: the tests of its room, then the cheapest."""
        for ask in self._asks(in_turn(own)):
            answer = ask()
            if answer.by or answer.broken:
                return answer
        return Answer()

    def _asks(self, turn: Turn) -> Iterator[Callable[[], Answer]]:
        yield partial(self.tested, PROPERTY, turn.own)
        yield partial(self.tested, ORACLE, turn.own_oracles)
        yield self.looked_at
        yield partial(self.tested, PROPERTY, turn.quick)
        yield partial(self.tested, PROPERTY, turn.slow)
        yield partial(self.tested, ORACLE, turn.oracles)

    def judge_by_all(self, own: tuple[str, ...]) -> dict[str, Answer]:
        """Each means by itself, whoever has noticed before."""
        turn = in_turn(own)
        found = self.looked_at_by_both()
        found[PROPERTY] = self.tested(PROPERTY, [*turn.own, *turn.quick, *turn.slow])
        found[ORACLE] = self.tested(ORACLE, [*turn.own_oracles, *turn.oracles])
        return found

    def tested(self, by: str, files: list[str]) -> Answer:
        """By nobody, if that are no files."""
        if not files:
            return Answer()
        quickly = ("-q", "-x", "-p", "no:cacheprovider", *UNSHRUNK)
        words = ("-m", "pytest", *quickly, *files)
        ran = self._run(*words, most_s=self._most_s(*files))
        return judged_by_pytest(by, ran.status, ran.out, self._took_s is not None)

    def timed(self, by: str, file: str) -> tuple[Answer, float]:
        """Asks one who may be asked again about a fault, and how long he took; DAYS: the days."""
        began = perf_counter()
        answer = self.looked_at() if file == DAYS else self.tested(by, [file])
        return answer, perf_counter() - began

    def _most_s(self, *asked: str) -> float:
        if self._took_s is None:
            return TIMEOUT_S
        return max(LEAST_S, TIMES * sum(self._took_s[each] for each in asked))

    def looked_at(self) -> Answer:
        ran = self._run("-m", DAYS, most_s=self._most_s(DAYS))
        answer = _not_looked(ran, self._took_s is not None)
        if answer is not None:
            return answer
        for by, found in json.loads(ran.out.splitlines()[-1]).items():
            return _seen(by, found)
        return Answer()

    def looked_at_by_both(self) -> dict[str, Answer]:
        ran = self._run("-m", DAYS, "--all", most_s=self._most_s(DAYS, DAYS))
        answer = _not_looked(ran, self._took_s is not None)
        if answer is not None:
            return {GUARD: answer, SEARCH: answer}
        found = json.loads(ran.out.splitlines()[-1])
        return {by: _seen(by, found[by]) if by in found else Answer() for by in (GUARD, SEARCH)}

    def _run(self, *words: str, most_s: float = TIMEOUT_S) -> Ran:
        usual = {"CC": "ccache gcc", "CCACHE_NOHASHDIR": "1"} if shutil.which("ccache") else {}
        try:
            done = subprocess.run(
                [sys.executable, *words],
                cwd=self.place,
                env={**usual, **os.environ, **PLAIN},
                capture_output=True,
                text=True,
                check=False,
                timeout=most_s,
            )
        except subprocess.TimeoutExpired:
            return Ran(None, "", "")
        return Ran(done.returncode, done.stdout, done.stderr)


def _not_looked(ran: Ran, endless: bool) -> Answer | None:
    """Where the days could not be told to their end; None: they were."""
    answer = judged_by_status(SEARCH, ran.status, endless)
    if answer is not None:
        return answer
    if ran.status not in (0, 1) or not ran.out:
        return Answer(broken=f"the search ended with {ran.status}: {ran.err.strip()[-300:]}")
    return None


def _seen(by: str, found: dict[str, object]) -> Answer:
    return Answer(by, f"seed {found['seed']}: {found['what']}")


class NoticedError(Exception):
    """Somebody notices something in the kernel as it is: then nobody's word counts."""


class Sound(dict[str, float]):
    """The kernel without a fault, and what each took who was asked about it, in s.

    Whoever is asked about a fault is asked about this one before, once, by himself. Several may be
    asked at once.
    """

    def __init__(self, bed: Bed) -> None:
        super().__init__()
        self.bed = bed
        self._lock = Lock()

    def __missing__(self, asked: str) -> float:
        """A file of tests, or the days. Raises NoticedError."""
        with self._lock:
            if asked not in self:
                oracle = asked in test_files(ORACLES)
                answer, took_s = self.bed.timed(ORACLE if oracle else PROPERTY, asked)
                if answer.by or answer.broken:
                    raise NoticedError(f"asked {asked}: {answer.words}")
                self[asked] = took_s
        return self[asked]


def dependants(cext: Path, file: str) -> set[str]:
    """The rooms that are to be built anew when that file has changed: of a .pxd all that cimport
    it, by whatever way."""
    changed = {file.partition(".")[0]}
    if not file.endswith(".pxd"):
        return changed
    found = changed
    while found:
        words = "|".join(sorted(changed))
        cimports = re.compile(rf"^from cext\.({words}) cimport", re.MULTILINE)
        found = {
            path.stem
            for path in cext.glob("*.p[xy][dx]")
            if path.stem not in changed and cimports.search(path.read_text(encoding="utf-8"))
        }
        changed |= found
    return changed


@contextmanager
def copied(
    fault: Fault | None, home: Path, took_s: Took | None = None, of: Path = ROOT
) -> Iterator[Bed]:
    """A copy that is gone afterwards."""
    with TemporaryDirectory(prefix="mutant-", dir=home) as place:
        made = Bed(Path(place), fault, took_s)
        made.make(of)
        yield made


def tried(fault: Fault, home: Path, sound: Sound, by_all: bool) -> Outcome:
    """One fault, from its copy to its verdict. Raises NoticedError."""
    began = perf_counter()
    outcome = Outcome(fault.name)
    try:
        with copied(fault, home, sound, sound.bed.place) as made:
            if by_all:
                outcome.all = made.judge_by_all(fault.tests)
                answers = [outcome.all[by] for by in (PROPERTY, GUARD, SEARCH, ORACLE)]
                noticed = [each for each in answers if each.by]
                broken = [each for each in answers if each.broken]
                outcome.first = (noticed or broken or [Answer()])[0]
            else:
                outcome.first = made.judge(fault.tests)
    except (RuntimeError, UnfitError) as error:
        outcome.first = Answer(broken=str(error))
    outcome.own = by_own(fault.tests, outcome.first)
    outcome.took_s = perf_counter() - began
    return outcome
