"""Log lines leave the process without ever holding it up; dead threads are not overlooked."""

import asyncio
import io
import json
import os
import threading

import pytest
import structlog
from structlog.testing import capture_logs

from controller.log import PENDING_LINES, Outlet, configure
from controller.threads import first_death, log_what_nobody_awaits


def test_lines_are_json_with_the_event_first() -> None:
    stream = io.StringIO()
    close = configure("enforcer", stream)
    try:
        structlog.get_logger().info("setpoint", charger="bay-1", to_a=6.0)
    finally:
        close()
        structlog.reset_defaults()
    line = json.loads(stream.getvalue())
    assert list(line)[:4] == ["timestamp", "level", "event", "process"]
    assert (line["event"], line["charger"], line["to_a"]) == ("setpoint", "bay-1", 6.0)


def test_a_reader_that_is_stuck_costs_lines_and_no_time() -> None:
    reading, writing = os.pipe()
    heard: list[str] = []
    with os.fdopen(reading) as reader:
        late = threading.Thread(target=lambda: heard.extend(reader))
        with os.fdopen(writing, "w") as stream:
            outlet = Outlet(stream)
            for number in range(PENDING_LINES + 500):  # a pipe takes 64 KiB, the rest waits or goes
                outlet.msg(f"{number:0200}")
            late.start()
            outlet.close(within_s=10)
        late.join()
    lost = [line for line in heard if "were lost" in line]
    assert lost
    assert next(line for line in heard if line not in lost) == f"{0:0200}\n"


def test_a_thread_that_dies_is_raised_where_it_is_waited_for() -> None:
    def die() -> None:
        raise ZeroDivisionError("in a thread")

    async def run() -> None:
        waiting = asyncio.create_task(first_death())
        await asyncio.sleep(0)
        thread = threading.Thread(target=die)
        thread.start()
        async with asyncio.timeout(5):
            await waiting

    before = threading.excepthook
    with pytest.raises(ZeroDivisionError, match="in a thread"):
        asyncio.run(run())
    assert threading.excepthook is before


def test_an_exception_in_a_callback_is_a_log_line(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ZeroDivisionError("in a callback")

    async def run() -> None:
        loop = asyncio.get_running_loop()
        log_what_nobody_awaits(loop)
        loop.call_soon(fail)
        await asyncio.sleep(0)

    with capture_logs() as logs:
        asyncio.run(run())
    (line,) = logs
    assert line["log_level"] == "error"
    assert isinstance(line["exc_info"], ZeroDivisionError)
    assert capfd.readouterr().err == ""
