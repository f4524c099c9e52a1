"""When to try again to connect: at once, then after pauses that double to a bound."""

import asyncio

FIRST_S = 0.1
MAX_S = 3.0
_COUNTED = 10  # more failures make no pause longer


class Pauses:
    """Failures to connect, or to stay connected, since the last reply."""

    def __init__(self) -> None:
        self.reason = ""  # of the last failure
        self.not_before_s = 0.0
        self._failures = 0

    @property
    def over(self) -> bool:
        return asyncio.get_running_loop().time() >= self.not_before_s

    def failed(self, reason: str) -> None:
        self.reason = reason
        if self._failures:
            pause_s = min(FIRST_S * 2 ** (self._failures - 1), MAX_S)
            self.not_before_s = asyncio.get_running_loop().time() + pause_s
        self._failures = min(self._failures + 1, _COUNTED)

    def answered(self) -> None:
        self._failures = 0
