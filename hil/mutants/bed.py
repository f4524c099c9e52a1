"""A copy of the kernel with a fault in it, built beside everything else as it is, and judged."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BESIDE = ("controller", "drivers", "hil", "tests", "docs", "systemd", "setup.py", "pyproject.toml")
TIMEOUT_S = 1_800
# Rules of single rooms and whole stories; the oracles import nothing of ours.
RULES = (
    *("rules", "kernel_edges", "limits", "pacing", "paced", "unproven", "hand_over", "lapsed"),
    *("contactors", "contactors_in_doubt", "escalation", "circuit_bounds", "phases", "latch"),
)
ORACLES = ("promises", "switched_promises", "shares")


@dataclass(frozen=True, slots=True)
class Outcome:
    caught_by: str  # guard, search, property, oracle or the compiler; "": nobody
    how: str  # the seed or the test

    @property
    def words(self) -> str:
        return f"caught by {self.caught_by}, {self.how}" if self.caught_by else "SURVIVED"


class Bed:
    """One copy. `patch` is a file of cext/ and its new text; None leaves the kernel as it is."""

    def __init__(self, place: Path, patch: tuple[str, str] | None) -> None:
        self._place = place
        self._patch = patch

    def judge(self) -> Outcome:
        """Stops at the first who notices; the cheapest first."""
        self._make()
        try:
            return self._built() or self._searched() or self._tested()
        finally:
            shutil.rmtree(self._place, ignore_errors=True)

    def _make(self) -> None:
        shutil.copytree(ROOT / "cext", self._place / "cext")
        for name in BESIDE:
            (self._place / name).symlink_to(ROOT / name)
        if self._patch is not None:
            file, text = self._patch
            (self._place / "cext" / file).write_text(text, encoding="utf-8")

    def _built(self) -> Outcome | None:
        done = self._run("setup.py", "--quiet", "build_ext", "--inplace")
        if done.returncode == 0:
            return None
        if self._patch is None:
            return Outcome("the compiler", done.stderr[-300:])
        raise RuntimeError(f"{self._patch[0]} does not build: {done.stderr[-2000:]}")

    def _searched(self) -> Outcome | None:
        done = self._run("-m", "hil.mutants.trial")
        if done.returncode not in (0, 1):
            return Outcome("search", f"which broke down: {done.stderr[-200:]}")
        found = json.loads(done.stdout.splitlines()[-1])
        if not found:
            return None
        by = "guard" if found["kind"] == "guard" else "search"
        return Outcome(by, f"seed {found['seed']}: {found['what']}")

    def _tested(self) -> Outcome:
        for by, names in (("property", RULES), ("oracle", ORACLES)):
            files = [f"tests/test_{name}.py" for name in names]
            here = [file for file in files if (ROOT / file).exists()]
            done = self._run("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *here)
            if done.returncode != 0:
                failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
                return Outcome(by, failed[1] if failed else done.stdout[-200:])
        return Outcome("", "")

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        usual = {"CC": "ccache gcc", "CCACHE_NOHASHDIR": "1"} if shutil.which("ccache") else {}
        try:
            return subprocess.run(
                [sys.executable, *words],
                cwd=self._place,
                env={**usual, **os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(words, 2, "", "it did not end")
