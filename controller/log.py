"""Log lines to standard error: one for each unit of work, with fields.

JSON lines, or key=value where a person watches. Lines are written by a thread of their own: a
stuck terminal or journal costs lines, never a control step.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

import structlog

from controller.threads import name_this_thread

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

PENDING_LINES = 10_000


class Outlet:
    """Takes lines from any thread, at most 10 000 ahead of the stream; more are counted."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(PENDING_LINES)
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def msg(self, line: str) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    debug = info = warning = warn = error = critical = exception = fatal = failure = log = msg

    def close(self, within_s: float = 1.0) -> None:
        """Writes what is pending, for as long as the stream takes it."""
        try:
            self._lines.put(None, timeout=within_s)
        except queue.Full:
            return
        self._thread.join(within_s)

    def _write(self) -> None:
        name_this_thread("log")
        while (line := self._lines.get()) is not None:
            if self._lost:
                lost, self._lost = self._lost, 0
                line = f"{lost} log lines were lost: the log did not take them\n{line}"
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):  # nobody reads any more: go on without a log
                self._lost += 1


def configure(process: str, stream: TextIO | None = None) -> Callable[[], None]:
    """Sets structlog up for this process. The returned function writes out what is pending."""
    stream = sys.stderr if stream is None else stream
    outlet = Outlet(stream)
    render: Processor = (
        structlog.dev.ConsoleRenderer(colors=False, pad_event_to=24)
        if stream.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )

    def stamp(_logger: object, _method: str, event: EventDict) -> EventDict:
        # The monotonic second too: it is what readings carry, and no time server moves it.
        monotonic_s = round(time.monotonic(), 3)
        first = {key: event.pop(key) for key in ("timestamp", "level", "event")}
        return {**first, "process": process, **event, "monotonic_s": monotonic_s}

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            stamp,
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=lambda *_: outlet,
        cache_logger_on_first_use=False,
    )
    return outlet.close
