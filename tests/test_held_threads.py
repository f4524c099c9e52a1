"""One thread of a process held still, or all of them, and what stands for systemd beside them."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hil.faults.process import Child, PauseFault
from hil.faults.thread import Name, ThreadError, ThreadFault, thread
from hil.service import Service
from tests.patience import until

TWO_THREADS = """
import ctypes, os, pathlib, socket, sys, threading, time
here = pathlib.Path(sys.argv[1])

def count(name):
    comm = f"/proc/self/task/{threading.get_native_id()}/comm"
    if name == "kernel":
        pathlib.Path(comm).write_text(name)
    for n in range(10**9):
        (here / name).write_text(str(n))
        time.sleep(0.005)

threading.Thread(target=count, args=("kernel",), daemon=True).start()
count("io")
"""


class Pair:
    """A process with a thread `kernel` and a main thread; both count."""

    def __init__(self, directory: Path) -> None:
        self.child = Child(
            "pair", [sys.executable, "-c", TWO_THREADS, str(directory)], directory / "log"
        )
        self._directory = directory

    def count(self, name: str) -> str:
        file = self._directory / name
        return file.read_text() if file.exists() else ""

    async def goes(self, name: str) -> None:
        before = self.count(name)
        await until(lambda: self.count(name) not in ("", before))

    async def stands(self, name: str) -> None:
        before = self.count(name)
        await asyncio.sleep(0.1)
        assert self.count(name) == before


@asynccontextmanager
async def pair(directory: Path) -> AsyncIterator[Pair]:
    made = Pair(directory)
    await made.child.start()
    try:
        await made.goes("kernel")
        await made.goes("io")
        yield made
    finally:
        await made.child.kill()


@pytest.mark.parametrize(("held", "other"), [("kernel", "io"), ("io", "kernel")])
def test_one_thread_stands_still_and_the_other_goes_on(
    tmp_path: Path, held: Name, other: Name
) -> None:
    async def story() -> None:
        async with pair(tmp_path) as it:
            fault = ThreadFault(it.child, held)
            await fault.begin()
            await fault.begin()
            await it.stands(held)
            await it.goes(other)
            await fault.end()
            await fault.end()
            await it.goes(held)
            assert it.child.running

    asyncio.run(story())


@pytest.mark.parametrize("held", ["kernel", "io"])
def test_a_process_with_a_held_thread_can_be_killed(tmp_path: Path, held: Name) -> None:
    async def story() -> None:
        async with pair(tmp_path) as it:
            fault = ThreadFault(it.child, held)
            await fault.begin()
            await it.child.kill()
            assert it.child.status == -9
            await fault.end()

    asyncio.run(story())


def test_a_thread_that_is_not_there_is_named(tmp_path: Path) -> None:
    async def story() -> None:
        child = Child("one", [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "l")
        await child.start()
        try:
            assert child.pid is not None
            assert thread(child.pid, "io") == child.pid
            with pytest.raises(ThreadError, match="no thread kernel"):
                await ThreadFault(child, "kernel").begin()
        finally:
            await child.kill()

    asyncio.run(story())


def test_a_stopped_process_stands_still_as_a_whole(tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(tmp_path) as it:
            fault = PauseFault(it.child)
            await fault.begin()
            await asyncio.sleep(0.02)
            await it.stands("kernel")
            await it.stands("io")
            await fault.end()
            await it.goes("kernel")
            await it.goes("io")

    asyncio.run(story())


FED = """
import os, socket, time
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(word): out.sendto(word.encode(), os.environ["NOTIFY_SOCKET"])
assert os.environ["WATCHDOG_USEC"] == "300000"
say("READY=1")
for _ in range(8):
    time.sleep(0.1)
    say("WATCHDOG=1")
time.sleep(60)
"""


def test_who_is_not_fed_any_more_is_started_anew(tmp_path: Path) -> None:
    async def story() -> None:
        service = Service(tmp_path, 0.3)
        restarts: list[int] = []
        service.on_restart = lambda: restarts.append(1)
        child = Child("fed", [sys.executable, "-c", FED], tmp_path / "log", service.env)
        await service.open(child)
        try:
            await child.start()
            first = child.pid
            await until(lambda: service.said == ["READY=1"])
            await asyncio.sleep(0.6)
            assert child.pid == first
            await until(lambda: service.said == ["READY=1", "READY=1"])
            assert child.pid != first
            assert restarts == [1]
        finally:
            await service.close()
            await child.kill()

    asyncio.run(story())
