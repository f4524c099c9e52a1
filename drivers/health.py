"""How a device answers, as people are told."""

from dataclasses import dataclass

from controller.image import Clock
from drivers.device import DeviceError

OFFLINE_AFTER = 3  # polls that failed in a row


@dataclass(frozen=True, slots=True)
class DeviceHealth:
    id: str
    online: bool  # one of its last three polls was answered in full
    error: str | None  # what is wrong now, in the installer's words; None: nothing
    since_ns: int  # `online` and `error` have been so since then; 0: from the start


class Health:
    """Starts offline: only an answer proves a device."""

    def __init__(self, device: str, clock: Clock) -> None:
        self._clock = clock
        self._failures = OFFLINE_AFTER
        self.now = DeviceHealth(device, False, "not heard yet", 0)

    def good(self, remark: str | None = None) -> None:
        """Answered in full; `remark` is what somebody should look at nevertheless."""
        self._failures = 0
        self._set(True, remark)

    def bad(self, error: DeviceError) -> None:
        self._failures = min(self._failures + 1, OFFLINE_AFTER)
        self._set(self._failures < OFFLINE_AFTER, str(error))

    def _set(self, online: bool, error: str | None) -> None:
        if (online, error) != (self.now.online, self.now.error):
            self.now = DeviceHealth(self.now.id, online, error, self._clock.now_ns())
