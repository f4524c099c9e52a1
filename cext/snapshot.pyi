from typing import NamedTuple

from cext.tick import Kernel

class Snapshot(NamedTuple):
    """A kernel at one instant, between two ticks."""

    journal: bytes  # what came before it and was not drained yet
    state: bytes  # all that the next tick goes by

def snapshot(kernel: Kernel) -> Snapshot:
    """May be called from any thread; ticks go on meanwhile. The next one in the journal tells
    every output.

    The state is for a kernel of the same tables and version, on x86-64 or 64-bit Arm.
    """

def restore(kernel: Kernel, state: bytes) -> None:
    """Puts a kernel that has not ticked where the other one was: it goes on, bit for bit.

    Raises ValueError, and leaves the kernel as it was, when the state is of another version, of
    other tables, or damaged: when what a tick goes by leads nowhere, or is not what the tables say.
    """
