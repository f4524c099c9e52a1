"""How long a device that does not answer is left alone, for the sake of the others on its line."""

from controller.image import Clock
from controller.units import NS_PER_S
from drivers.device import (
    BadReplyError,
    DeviceError,
    GatewaySilenceError,
    HushedError,
    NoConnectionError,
    NoReplyError,
    PathError,
)

PAUSE_MAX_NS = 3 * NS_PER_S
BAD_IN_A_ROW = 2  # wrong or garbled replies, then they are as good as none
SILENT = (NoReplyError, NoConnectionError, GatewaySilenceError, PathError)


class Silence:
    """Begins with an exchange that was not answered, and ends with the first that is.

    A pause follows each failure: a poll period at first, doubling to `longest_ns`. A single
    garbled or wrong reply is a mishap; from the second in a row on they are failures, too, for
    each of them costs its line a time-out.
    """

    def __init__(self, clock: Clock, poll_ns: int, longest_ns: int = PAUSE_MAX_NS) -> None:
        self._clock = clock
        self._first_ns = min(poll_ns, longest_ns)
        self._longest_ns = longest_ns
        self._pause_ns = 0  # 0: it answers
        self._until_ns = 0
        self._bad = 0  # replies in a row

    @property
    def lasts(self) -> bool:
        return self._pause_ns > 0

    @property
    def may_ask(self) -> bool:
        return self._clock.now_ns() >= self._until_ns

    @property
    def left_s(self) -> float:
        """Of the pause."""
        return max(self._until_ns - self._clock.now_ns(), 0) / NS_PER_S

    def failed(self, error: DeviceError) -> None:
        """A refusal is an answer, too; not having asked is neither."""
        if isinstance(error, HushedError):
            return
        if isinstance(error, BadReplyError):
            self._bad = min(self._bad + 1, BAD_IN_A_ROW)
            if self._bad < BAD_IN_A_ROW:
                return
        elif not isinstance(error, SILENT):
            self.answered()
            return
        doubled_ns = 2 * self._pause_ns or self._first_ns
        self._pause_ns = min(doubled_ns, self._longest_ns)
        self._until_ns = self._clock.now_ns() + self._pause_ns

    def answered(self) -> None:
        self._pause_ns = self._until_ns = self._bad = 0
