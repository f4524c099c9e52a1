"""The table of docs/performance.md: what one run of `python -m hil bench` measured, and where."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from controller.version import VERSION
from hil.figures import Figure
from hil.figures.measuring import Result, shown

_ROOT = Path(__file__).parents[1]
PAGE = Path("docs/performance.md")  # in the project
_BEGIN = "<!-- written by python -m hil bench --write -->"
_END = "<!-- end of what is written -->"


def written(figures: Sequence[Figure], results: Mapping[str, Result]) -> None:
    """Puts the table into the page, in place of the one before; the rest stays."""
    page = _ROOT / PAGE
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"{PAGE} has lost the marks between which its table stands")
    text = f"{before}{_BEGIN}\n\n{table(figures, results)}\n\n{_END}{after}"
    page.write_text(text, encoding="utf-8")


def table(figures: Sequence[Figure], results: Mapping[str, Result]) -> str:
    """All figures; what this run did not measure is said to be so."""
    where = machine()
    rows = [
        f"Version {where['version']}, {where['date']}: {where['cpu']}, {where['cores']} cores, "
        f"{where['system']}, Python {where['python']}.",
        "",
        "| field | measured | must be | what |",
        "|---|---|---|---|",
    ]
    for figure in figures:
        cells = (
            f"`{figure.field}`",
            _measured(figure, results.get(figure.field)),
            str(figure.must),
            figure.how,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _measured(figure: Figure, result: Result | None) -> str:
    if result is None:
        return "not measured"
    if result.value is None:
        return f"not measured: {result.why.replace('|', '/')}"
    said = f"{shown(result.value)} {figure.unit}"
    said = said if result.met else f"**{said}: misses**"
    return f"{said} (disturbed)" if result.disturbed else said


def machine() -> dict[str, str | int]:
    """What the figures hold for."""
    return {
        "version": f"{VERSION} ({_commit()})",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _commit() -> str:
    """As git names it, with a word when files differ from it."""
    words = ["git", "describe", "--always", "--dirty= and changes", "--abbrev=10"]
    try:
        told = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "commit unknown"
    return told.stdout.strip() or "commit unknown"


def _cpu() -> str:
    """The processor's own name, or on a Pi the board's."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or "unknown processor"
