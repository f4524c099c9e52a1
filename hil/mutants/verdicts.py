"""What was found out about each fault, kept in a file: what takes hours may be interrupted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from hil.mutants.bed import Outcome
from hil.mutants.fault import ROOT, Fault
from hil.mutants.means import Answer, by_own


def kernel_digest(root: Path = ROOT) -> str:
    """Which kernel was tried: another one as soon as any source in cext/ differs."""
    digest = hashlib.sha256()
    for path in sorted((root / "cext").glob("*.p[xy]*")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


class Verdicts:
    """Lines of JSON, one for each fault that was tried; of several about one the last counts.

    Only what somebody noticed is a verdict for good: a fault that survived is tried again, for
    there may be another test by now.
    """

    def __init__(self, path: Path | None) -> None:
        """`path` None: nothing is kept."""
        self._path = path
        self._kernel = kernel_digest() if path else ""
        self._known: dict[str, dict[str, Any]] = {}
        if path is None or not path.exists():
            return
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["kernel"] == self._kernel:
                self._known[row["fault"]] = row

    def of(self, fault: Fault) -> Outcome | None:
        """What is known to be noticed; None: it is to be tried."""
        row = self._known.get(_digest(fault))
        if row is None or not row["by"]:
            return None
        answer = Answer(row["by"], row["how"])
        own = by_own(fault.tests, answer)
        return Outcome(fault.name, answer, took_s=row["took_s"], own=own)

    def add(self, fault: Fault, outcome: Outcome) -> None:
        if self._path is None:
            return
        row = {
            "kernel": self._kernel,
            "fault": _digest(fault),
            "name": fault.name,
            "by": outcome.first.by,
            "how": outcome.first.how,
            "broken": outcome.first.broken,
            "took_s": round(outcome.took_s, 1),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _digest(fault: Fault) -> str:
    return hashlib.sha256(repr((fault.file, fault.old, fault.new)).encode()).hexdigest()[:12]
