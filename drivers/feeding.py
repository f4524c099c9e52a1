"""What feeds a charger's watchdog where its setpoint does not: a life bit, a token, its time-out.

It is written after an order and never instead of one: what is fed may bring back what the charger
was told before.
"""

from controller.document.devices import Charger
from controller.units import NS_PER_S
from drivers.chargerprofile import ChargerProfile
from drivers.decode import encode, raw_words
from drivers.device import Request
from drivers.encodable import timeout_least_ns, timeout_most_ns
from drivers.reader import Sample
from drivers.report import time_set_ns

PARTS = 4  # of its watchdog's time: some look only each half of it whether they were fed
_NS_PER_MS = 1_000_000


class Feed:
    """Of one charger: what is written to feed it, as far as that may be known by now."""

    def __init__(self, charger: Charger, profile: ChargerProfile) -> None:
        """Raises ValueError, as `feed_of`."""
        watchdog = profile.watchdog
        self._charger = charger
        self._profile = profile
        stated_ns = charger.set_delay_ns or charger.fallback_delay_ns or watchdog.timeout_ns
        self._time_ns = stated_ns or None
        # Its time is read, and is somebody else's: not to be prolonged by what feeds it.
        rewrites = watchdog.kind == "timeout_rewrite" and watchdog.timeout is not None
        self._follows = rewrites and charger.set_delay_ns is None
        self.request = None if self._follows else self._made()

    def report(self, sample: Sample) -> None:
        """What it says of its time."""
        set_ns = time_set_ns(self._profile, sample) if self._follows else None
        if not set_ns:
            return
        shorter = self._time_ns is None or set_ns < self._time_ns
        if shorter or self.request is None:
            self._time_ns = set_ns if shorter else self._time_ns
            self.request = self._made()

    def _made(self) -> Request | None:
        """None, too, for a time that would be written as none at all: rather it falls back."""
        time_ns = self._time_ns
        if time_ns and self._profile.watchdog.kind == "timeout_rewrite":
            time_ns = min(time_ns, timeout_most_ns(self._profile) or time_ns)
            if time_ns < timeout_least_ns(self._profile):
                return None
        return feed_of(self._charger.id, self._charger.unit, self._profile, time_ns)


def feed_of(device: str, unit: int, profile: ChargerProfile, time_ns: int | None) -> Request | None:
    """The write that feeds it; None where nothing of its own does.

    `time_ns` is what its watchdog is to be set to; None: as it was delivered. Raises ValueError
    for a time that its register cannot hold.
    """
    watchdog = profile.watchdog
    time_ns = time_ns or watchdog.timeout_ns
    if watchdog.feed is not None and watchdog.feed_value is not None:
        name, fc = watchdog.feed, watchdog.feed_fc
        words = raw_words(profile.registers[name], watchdog.feed_value)
    elif watchdog.kind == "timeout_rewrite" and watchdog.timeout_set is not None and time_ns:
        name, fc = watchdog.timeout_set, watchdog.fc
        words = encode(profile.registers[name], time_ns // _NS_PER_MS)
    else:
        return None
    gap_s = profile.gap_ns / NS_PER_S
    return Request(device, unit, fc, profile.registers[name].addr, len(words), words, gap_s=gap_s)


def every_ns(profile: ChargerProfile, time_ns: int | None) -> int | None:
    """How often it must be written, for a watchdog of that time; None where nobody knows."""
    stated_ns = profile.watchdog.feed_every_ns
    known = [each for each in (stated_ns, time_ns and time_ns // PARTS) if each]
    return min(known, default=None)
