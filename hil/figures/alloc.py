"""What the kernel's thread allocates while it ticks: nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from hil.figures import CannotMeasureError, Figure, Must
from hil.figures.ticking import SIZES

TICKS = 100_000
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]


def count(ticks: int, spill_bytes: int = 0) -> dict[str, int]:
    """Ticks, calls and bytes of real kernel threads in a process of their own; how many these are,
    and for how many chargers orders changed meanwhile.

    `spill_bytes`: the control, threads that allocate so much at each wait, so that one can see the
    counter count.
    """
    with TemporaryDirectory(prefix="loadkeeper-") as place:
        library = _built(Path(place) / "count.so", spill_bytes)
        words = [sys.executable, "-m", "hil.figures.ticking", str(ticks)]
        env = os.environ | {"LD_PRELOAD": str(library)}
        ended = subprocess.run(
            words, cwd=_ROOT, env=env, capture_output=True, text=True, check=False
        )
    if ended.returncode != 0:
        last = (ended.stderr.splitlines() or ["it said nothing"])[-1]
        raise CannotMeasureError(f"the process that ticks has failed: {last}")
    counted: dict[str, int] = json.loads(ended.stdout.splitlines()[-1])
    return counted


def allocated_bytes() -> int:
    counted = count(TICKS)
    counts_all = counted["threads"] == len(SIZES)
    if not counts_all or counted["ticks"] < TICKS or not counted["reordered"]:
        raise CannotMeasureError(f"not what is claimed: {counted}")
    # A call that asks for nothing is a call all the same.
    return max(counted["bytes"], counted["calls"])


def _built(library: Path, spill_bytes: int) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise CannotMeasureError("there is no C compiler for the library that counts")
    spill = [f"-DSPILL={spill_bytes}"] if spill_bytes else []
    words = [compiler, "-O2", "-shared", "-fPIC", *spill, "-o", str(library)]
    built = subprocess.run(
        [*words, str(_HERE / "count_allocations.c")], capture_output=True, text=True, check=False
    )
    if built.returncode != 0:
        raise CannotMeasureError(f"the library that counts cannot be built: {built.stderr}")
    return library


FIGURES = (
    Figure(
        field="tick_alloc_bytes",
        unit=f"bytes in {TICKS:,} ticks".replace(",", "\N{NO-BREAK SPACE}"),
        must=Must("=", 0),
        how=f"what {len(SIZES)} kernels' threads ask of the allocator, on inputs that change all "
        "the time",
        measure=allocated_bytes,
    ),
)
