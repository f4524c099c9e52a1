"""What feeds a charger's watchdog where its setpoint does not: a life bit, a token, its time-out.

It is written after an order and never instead of one: what is fed may bring back what the charger
was told before.
"""

from controller.units import NS_PER_S
from drivers.chargerprofile import ChargerProfile
from drivers.decode import encode, raw_words
from drivers.device import Request

PARTS = 4  # of its watchdog's time: some look only each half of it whether they were fed
_NS_PER_MS = 1_000_000


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
