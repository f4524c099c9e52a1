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
from time import perf_counter

from hil.mutants.fault import ROOT, Fault, UnfitError
from hil.mutants.means import (
    GUARD,
    ORACLE,
    ORACLES,
    PROPERTY,
    SEARCH,
    Answer,
    judged_by_pytest,
    judged_by_status,
    own_and_other,
    test_files,
)

BESIDE = ("controller", "drivers", "hil", "tests", "docs", "systemd", "setup.py", "pyproject.toml")
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
        self._place = place
        self._fault = fault
        self._took_s = took_s

    def make(self) -> None:
        """Raises RuntimeError where the copy cannot be built."""
        shutil.copytree(ROOT / "cext", self._place / "cext")
        for built in [*(ROOT / "build").glob("lib.*"), *(ROOT / "build").glob("temp.*")]:
            shutil.copytree(built, self._place / "build" / built.name)
        for name in BESIDE:
            (self._place / name).symlink_to(ROOT / name)
        if self._fault is not None:
            text = self._fault.patched_source()
            (self._place / "cext" / self._fault.file).write_text(text, encoding="utf-8")
            self._touch_dependants(self._fault.file)
        ran = self._run("setup.py", "--quiet", "build_ext", "--inplace")
        if ran.status != 0:
            name = self._fault.name if self._fault else "the kernel as it is"
            raise RuntimeError(f"{name} does not build: {ran.err[-2000:]}")

    def _touch_dependants(self, file: str) -> None:
        """What cimports a changed .pxd, by whatever way, is to be built anew."""
        if not file.endswith(".pxd"):
            return
        cext = self._place / "cext"
        changed, found = {file.removesuffix(".pxd")}, {""}
        while found:
            found = {
                path.stem
                for path in cext.glob("*.px[dy]")
                if path.stem not in changed
                and any(
                    re.search(rf"^from cext\.{stem} cimport", path.read_text(), re.MULTILINE)
                    for stem in changed
                )
            }
            changed |= found
        for stem in changed:
            if (cext / f"{stem}.pyx").exists():
                (cext / f"{stem}.pyx").touch()

    def judge(self, own: tuple[str, ...]) -> Answer:
        """Stops at the first who notices; the cheapest first."""
        mine, others = own_and_other(own)
        asks: list[Callable[[], Answer]] = [
            self.looked_at,
            partial(self.tested, PROPERTY, others),
            partial(self.tested, ORACLE, test_files(ORACLES)),
        ]
        if mine:
            asks.insert(0, partial(self.tested, PROPERTY, mine))
        for ask in asks:
            answer = ask()
            if answer.by or answer.broken:
                return answer
        return Answer()

    def judge_by_all(self, own: tuple[str, ...]) -> dict[str, Answer]:
        """Each means by itself, whoever has noticed before."""
        mine, others = own_and_other(own)
        found = self.looked_at_by_both()
        found[PROPERTY] = self.tested(PROPERTY, [*mine, *others])
        found[ORACLE] = self.tested(ORACLE, test_files(ORACLES))
        return found

    def tested(self, by: str, files: list[str]) -> Answer:
        words = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files)
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
                cwd=self._place,
                env={**usual, **os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
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


@contextmanager
def copied(fault: Fault | None, home: Path, took_s: Took | None = None) -> Iterator[Bed]:
    """A copy that is gone afterwards."""
    with TemporaryDirectory(prefix="mutant-", dir=home) as place:
        made = Bed(Path(place), fault, took_s)
        made.make()
        yield made


def tried(fault: Fault, home: Path, took_s: Took, by_all: bool) -> Outcome:
    """One fault, from its copy to its verdict."""
    began = perf_counter()
    outcome = Outcome(fault.name)
    try:
        with copied(fault, home, took_s) as made:
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
    outcome.took_s = perf_counter() - began
    return outcome
