"""One thread of a process held still while its others go on (ptrace(2): SEIZE and INTERRUPT).

Needs no privilege and no help from the process. Who holds is a process of its own: whoever waits
for the held one's end must not be told of its pauses. Should the holder die, the thread goes on.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

from hil.faults.process import Child, die_with_parent

Name = Literal["kernel", "io"]
HELD = b"held\n"
BEGIN_WITHIN_S = 5.0
_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_WALL = 0x4000_0000  # waitpid(2): threads as well
_LOOK_S = 0.02


class ThreadError(RuntimeError):
    """A thread that is not there, or must not be held."""


class ThreadFault:
    """A thread of a child held at `begin`, let go at `end`."""

    def __init__(self, child: Child, name: Name) -> None:
        self._child = child
        self._name = name
        self._holder: asyncio.subprocess.Process | None = None

    async def begin(self) -> None:
        if self._holder is not None or self._child.pid is None:
            return
        self._holder = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, str(thread(self._child.pid, self._name))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            preexec_fn=die_with_parent,
        )
        assert self._holder.stdout is not None
        said = await asyncio.wait_for(self._holder.stdout.readline(), BEGIN_WITHIN_S)
        if said != HELD:
            raise ThreadError(f"the {self._name} thread of the {self._child.name} cannot be held")

    async def end(self) -> None:
        holder, self._holder = self._holder, None
        if holder is not None:
            assert holder.stdin is not None
            holder.stdin.close()
            await holder.wait()


def thread(pid: int, name: Name) -> int:
    """The id of a process's thread. Raises ThreadError."""
    if name == "io":
        return pid  # the main thread
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it has just ended
            if (task / "comm").read_text().strip() == name:
                return int(task.name)
    raise ThreadError(f"process {pid} has no thread {name}")


def hold(tid: int) -> None:
    """Until standard input is closed, or the thread has ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    for request in (_SEIZE, _INTERRUPT):
        if libc.ptrace(request, tid, None, None) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.waitpid(tid, _WALL)
    os.write(1, HELD)
    while not select.select([0], [], [], _LOOK_S)[0]:
        with suppress(ChildProcessError):
            done, status = os.waitpid(tid, os.WNOHANG | _WALL)
            if done and not os.WIFSTOPPED(status):
                return  # killed meanwhile; its parent hears of it only now
    libc.ptrace(_DETACH, tid, None, None)


if __name__ == "__main__":
    hold(int(sys.argv[1]))
