"""A state that was spoilt is refused with the reason, or worked on without harm."""

import struct
import subprocess
import sys
from pathlib import Path

from cext.snapshot import restore, snapshot
from tests.spoilt import VALUES, depot, live

ROOT = Path(__file__).parents[1]
PATIENCE_S = 900  # under sanitizers, beside other work


def test_no_word_of_a_state_can_crash_a_kernel() -> None:
    """Each word of it in turn becomes each of some numbers; in a process of its own, for what is
    feared is its end."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.spoilt", "0", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    said = told.stdout.splitlines()
    assert told.returncode == 0, f"word {said[-1] if said else None}: {told.stderr[-2000:]}"
    words, refused = int(said[-1].split()[0]), int(said[-1].split()[2])
    kernel = depot()
    live(kernel, 1, 150)
    assert words == len(snapshot(kernel).state) // 4, "each of them"
    assert words > refused > 500, "what the tables say, every index and every amount"


def test_a_refusal_names_what_is_wrong_and_leaves_the_kernel_as_it_was() -> None:
    kernel = depot()
    live(kernel, 1, 50)
    state = snapshot(kernel).state
    other, reasons = depot(), set()
    before = snapshot(other).state
    for word in range(len(state) // 4):
        spoilt = bytearray(state)
        struct.pack_into("<i", spoilt, word * 4, VALUES[-1])
        try:
            restore(other, bytes(spoilt))
        except ValueError as error:
            reasons.add(str(error))
            assert snapshot(other).state == before
        else:
            other = depot()
            before = snapshot(other).state
    for what in ("circuit 1", "protection of circuit 0", "source 1", "charger 3", "contactor 1"):
        assert any(what in reason for reason in reasons), what
    assert any("the order in which chargers are asked" in reason for reason in reasons)
    restore(other, state)
    assert other.setpoints() == kernel.setpoints()
