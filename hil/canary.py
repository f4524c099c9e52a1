"""Notices when the machine, and with it a measurement, was disturbed."""

from __future__ import annotations

import threading
import time
from typing import Self

STALL_NS = 50_000_000
_STEP_S = 0.005


class Canary:
    """A thread that, within `with`, wants to wake every 5 ms and remembers how late it was."""

    def __init__(self) -> None:
        self.worst_ns = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="canary", daemon=True)

    @property
    def disturbed(self) -> bool:
        """Whether it was ever more than 50 ms late."""
        return self.worst_ns > STALL_NS

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        before_ns = time.monotonic_ns()
        while not self._ended.is_set():
            time.sleep(_STEP_S)
            now_ns = time.monotonic_ns()
            self.worst_ns = max(self.worst_ns, now_ns - before_ns - int(_STEP_S * 1e9))
            before_ns = now_ns
