"""How a device answers, as people are told."""

from dataclasses import dataclass

from controller.image import Clock
from controller.units import seconds_text
from drivers.device import DeviceError

OFFLINE_AFTER = 3  # polls that failed in a row, or for as long


@dataclass(frozen=True, slots=True)
class DeviceHealth:
    id: str
    online: bool  # one of its last three polls was answered in full
    error: str | None  # what is wrong now, in the installer's words; None: nothing
    since_ns: int  # `online` and `error` have been so since then; 0: from the start


class Health:
    """Starts offline: only an answer proves a device, and only for three polls and a time-out."""

    def __init__(self, device: str, clock: Clock, poll_ns: int, timeout_ns: int) -> None:
        self._clock = clock
        self._believed_ns = OFFLINE_AFTER * poll_ns + timeout_ns
        self._heard_ns = 0
        self._failures = OFFLINE_AFTER
        self._told = DeviceHealth(device, False, "not heard yet", 0)

    @property
    def now(self) -> DeviceHealth:
        """At this moment: a device that nobody asks any more does not stay online."""
        ends_ns = self._heard_ns + self._believed_ns
        if self._told.online and self._clock.now_ns() >= ends_ns:
            self._failures = OFFLINE_AFTER
            error = self._told.error or f"not heard for {seconds_text(self._believed_ns)} s"
            self._told = DeviceHealth(self._told.id, False, error, ends_ns)
        return self._told

    def good(self, remark: str | None = None) -> None:
        """Answered in full; `remark` is what somebody should look at nevertheless."""
        self._failures = 0
        self._heard_ns = self._clock.now_ns()
        self._set(True, remark)

    def bad(self, error: DeviceError) -> None:
        self._failures = min(self._failures + 1, OFFLINE_AFTER)
        self._set(self._failures < OFFLINE_AFTER, str(error))

    def _set(self, online: bool, error: str | None) -> None:
        if (online, error) != (self._told.online, self._told.error):
            self._told = DeviceHealth(self._told.id, online, error, self._clock.now_ns())
