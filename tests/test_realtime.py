"""Real time, granted and refused: a whole enforcer in a process of its own, looked at from outside.

Capabilities and limits are taken from that process before it starts, as a unit would.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.commands.status import screen
from controller.realtime import STACK_BYTES, in_words
from controller.status_report import RealTimeReport
from tests.linked import DOCUMENT
from tests.patience import wait_for
from tests.test_wire import REPORT

ROOT = Path(__file__).parents[1]
SYS_NICE, IPC_LOCK = 23, 14
ORDINARY, FIFO = 0, 1  # as /proc shows a thread's policy
KB = 1024


def held(capability: int) -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> capability & 1)


def lacking() -> str | None:
    """Why real time cannot be tested here; None: it can."""
    if not (held(SYS_NICE) and held(IPC_LOCK)):
        return "NOT TESTED: real time. It needs CAP_SYS_NICE and CAP_IPC_LOCK: run as root"
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        return "the address sanitizer locks no memory, whatever is asked"
    return None


privileged = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))


def without(*capabilities: str, memlock_kb: int | None = None) -> list[str]:
    """What to start a process with, so that it can never have these."""
    less = ",".join(f"-{each}" for each in capabilities)
    words = ["setpriv", f"--bounding-set={less}", f"--inh-caps={less}"] if less else []
    if memlock_kb is not None:
        words = ["prlimit", f"--memlock={memlock_kb * KB}:{memlock_kb * KB}", *words]
    return words


@dataclass(frozen=True)
class Thread:
    policy: int
    priority: int
    stack_bytes: int


@dataclass
class Process:
    """As everybody on the machine sees it."""

    pid: int
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def line(self, event: str) -> dict[str, Any]:
        return next(line for line in self.lines() if line["event"] == event)

    def kb(self, field: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(rf"^{field}:\s*(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1])

    def locked_kb(self) -> int:
        return self.kb("VmLck")

    def threads(self) -> dict[str, Thread]:
        found = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            # The fields after the name, which may hold anything; 0 is the state.
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            name = "main" if task.name == str(self.pid) else (task / "comm").read_text().strip()
            found[name] = Thread(int(fields[38]), int(fields[37]), self._stack_bytes(task))
        return found

    def _stack_bytes(self, task: Path) -> int:
        """Of the mapping that the thread's stack pointer points into."""
        words = (task / "syscall").read_text().split()
        if words == ["running"]:  # it is in no system call now
            return 0
        pointer = int(words[-2], 16)
        for line in Path(f"/proc/{self.pid}/maps").read_text().splitlines():
            low, high = (int(each, 16) for each in line.split()[0].split("-"))
            if low <= pointer < high:
                return high - low
        raise AssertionError("a stack pointer that points nowhere")


@contextmanager
def enforcer(place: Path, prefix: list[str]) -> Iterator[Process]:
    """One that has started; its site's devices are nowhere."""
    site, log = place / "site.json", place / "log"
    site.write_text(json.dumps(DOCUMENT))
    words = [sys.executable, "-m", "controller", "run", str(site)]
    words += ["--runtime", str(place / "runtime"), "--state", str(place / "state")]
    with log.open("w") as out:
        child = subprocess.Popen([*prefix, *words], cwd=ROOT, stderr=out, stdout=out)
    try:
        process = Process(child.pid, log)
        wait_for(lambda: '"event": "started"' in log.read_text() or child.poll() is not None)
        assert child.poll() is None, log.read_text()
        yield process
    finally:
        child.kill()
        child.wait()


def python(code: str, prefix: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    words = [*(prefix or []), sys.executable, "-c", code]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


# --- the enforcer ------------------------------------------------------------------------------


@privileged
def test_with_both_capabilities_all_is_granted(tmp_path: Path) -> None:
    with enforcer(tmp_path, without()) as process:
        threads = process.threads()
        assert (threads.pop("kernel").policy, process.locked_kb() > 20_000) == (FIFO, True)
        assert threads  # the loop, the log and more: none of them is real time
        assert {each.policy for each in threads.values()} == {ORDINARY}
        line = process.line("real time")
        assert line["level"] == "info"
        assert line["scheduling"] == "SCHED_FIFO 20"
        assert line["memory"] == "all locked, as it is touched"


@privileged
def test_locked_memory_is_what_was_touched_and_no_more(tmp_path: Path) -> None:
    """Without MCL_ONFAULT all of each library, stack and buffer would come into memory."""
    resident_kb = []
    for name, prefix in (("all", without()), ("own", without("ipc_lock", memlock_kb=8192))):
        (tmp_path / name).mkdir()
        with enforcer(tmp_path / name, prefix) as process:
            resident_kb.append(process.kb("VmRSS"))
    assert abs(resident_kb[0] - resident_kb[1]) < 5000


@privileged
def test_without_sys_nice_the_thread_is_an_ordinary_one(tmp_path: Path) -> None:
    with enforcer(tmp_path, without("sys_nice")) as process:
        assert {each.policy for each in process.threads().values()} == {ORDINARY}
        assert process.locked_kb() > 20_000
        line = process.line("real time")
        assert line["level"] == "warning"
        assert "not real time" in line["scheduling"]
        assert "AmbientCapabilities=CAP_SYS_NICE" in line["scheduling"]


@privileged
def test_without_ipc_lock_the_kernels_own_memory_is_locked(tmp_path: Path) -> None:
    with enforcer(tmp_path, without("ipc_lock", memlock_kb=8192)) as process:
        assert process.threads()["kernel"].policy == FIFO
        assert STACK_BYTES < process.locked_kb() * KB < 8 * STACK_BYTES  # all of it: 20 MB
        memory = process.line("real time")["memory"]
        assert re.match(r"the kernel's own \d+ kB locked and nothing else; ", memory)
        assert "AmbientCapabilities=CAP_IPC_LOCK" in memory


@privileged
@pytest.mark.parametrize("memlock_kb", [0, 64])
def test_with_neither_and_a_small_limit_it_runs_all_the_same(
    tmp_path: Path, memlock_kb: int
) -> None:
    prefix = without("sys_nice", "ipc_lock", memlock_kb=memlock_kb)
    with enforcer(tmp_path, prefix) as process:
        assert process.locked_kb() <= memlock_kb
        assert process.threads()["kernel"].policy == ORDINARY
        memory = process.line("real time")["memory"]
        assert f"the limit of {memlock_kb} kB leaves no room" in memory


def test_stacks_are_small_and_it_starts_without_any_privilege(tmp_path: Path) -> None:
    prefix = without("sys_nice", "ipc_lock") if os.geteuid() == 0 else []
    with enforcer(tmp_path, prefix) as process:
        stacks = {name: each.stack_bytes for name, each in process.threads().items()}
        assert {"kernel", "log"} <= stacks.keys()
        stacks.pop("main")
        assert max(stacks.values()) <= STACK_BYTES


# --- the process -------------------------------------------------------------------------------

POOL = """
import asyncio, os, re, threading
from controller.realtime import prepare
prepare()

def stack():
    here = int(open(f"/proc/self/task/{threading.get_native_id()}/syscall").read().split()[-2], 16)
    for line in open("/proc/self/maps"):
        low, high = (int(each, 16) for each in line.split()[0].split("-"))
        if low <= here < high:
            return high - low

print(asyncio.run(asyncio.to_thread(stack)))
"""


def test_threads_of_pools_have_small_stacks_too() -> None:
    ended = python(POOL)
    assert 0 < int(ended.stdout) <= STACK_BYTES, ended.stderr


DEEP = """
import threading
from controller.strictjson import JsonError, loads
threading.stack_size(64 * 1024)

def read():
    for text in ("[" * 100_000, '{"a":' * 50_000, '[{"a":' * 50_000):
        try:
            loads(text, max_bytes=1 << 20)
        except JsonError as error:
            print(error)

thread = threading.Thread(target=read)
thread.start()
thread.join()
"""


def test_nested_json_does_not_run_over_the_end_of_a_small_stack() -> None:
    ended = python(DEEP)
    assert ended.returncode == 0, "it has crashed"
    assert ended.stdout == "nested deeper than 32\n" * 3


RUNAWAY = """
import os, threading
from controller.realtime import prepare
prepare()

def burn():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    while True:
        pass

threading.Thread(target=burn).start()
"""


@privileged
def test_a_real_time_thread_that_does_not_pause_ends_the_process() -> None:
    assert python(RUNAWAY).returncode == -signal.SIGXCPU


def test_the_units_own_bound_on_a_runaway_stands() -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_RTTIME, (200_000, 300_000))
from controller.realtime import prepare
prepare()
print(*resource.getrlimit(resource.RLIMIT_RTTIME))
"""
    assert python(code).stdout == "200000 300000\n"


# --- the kernel's thread -----------------------------------------------------------------------

SUCCESSION = """
import json, re
from cext.thread import KernelThread
from tests.test_thread import MS, make_kernel, wait_for

def locked_kb():
    return int(re.search(r"VmLck:\\s*(\\d+)", open("/proc/self/status").read())[1])

before = make_kernel()
first = KernelThread(before, 10 * MS)
first.start()
both = make_kernel()
wait_for(before, 1)
one = locked_kb()
first.stop()
both.adopt(before, {0: 0}, {0: 0}, {0: 0}, {})
second = KernelThread(both, 10 * MS)
second.start()
wait_for(both, 1)
del before, first
two = locked_kb()
granted = second.granted
second.stop()
del both, second
print(json.dumps([one, two, locked_kb(), *granted]))
"""


@privileged
def test_the_thread_of_a_new_document_has_it_too_and_the_old_one_gives_it_back() -> None:
    ended = python(SUCCESSION, without("ipc_lock", memlock_kb=8192))
    assert ended.returncode == 0, ended.stderr
    one_kb, two_kb, none_kb, priority, *_, lock_errno, own_bytes = json.loads(ended.stdout)
    assert priority == 20
    assert lock_errno == 0
    assert own_bytes // KB <= one_kb < own_bytes // KB + 256
    assert abs(two_kb - one_kb) < 64
    assert none_kb < 64  # the pages of a few objects, where other things lie, too


# --- its words ---------------------------------------------------------------------------------


def test_status_says_it_in_one_line_or_says_what_would_grant_it() -> None:
    def said(report: RealTimeReport | None) -> list[str]:
        lines = list(screen(REPORT.model_copy(update={"real_time": report})))
        return [line for line in lines if line.startswith(("real time:", "  "))]

    full = RealTimeReport(
        full=True, scheduling="SCHED_FIFO 20", memory="all locked", worst_late_ms=0.084
    )
    assert said(full) == [
        "real time: SCHED_FIFO 20, memory all locked; ticks began 0.084 ms late at most"
    ]
    poor = full.model_copy(update={"full": False, "scheduling": "not real time: why"})
    assert said(poor) == [
        "real time: not granted in full; ticks began 0.084 ms late at most",
        "  scheduling: not real time: why",
        "  memory: all locked",
    ]
    assert said(None) == []


def test_a_thread_that_has_not_begun_was_granted_nothing() -> None:
    assert not in_words(None).full
