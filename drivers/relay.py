"""The health relay: it holds while its pin toggles, and each toggle is a completed turn.

There is no timer in here. Whatever stops the turns leaves the pin still, high or low, and the
relay's own release delay runs out.
"""

from __future__ import annotations

from controller.document.gpio import HealthRelay
from controller.image import Clock
from controller.units import NS_PER_S, seconds_text
from drivers.device import PinError
from drivers.health import DeviceHealth
from drivers.pindriver import OutputPin, PulsedDriver

GAP_NS = NS_PER_S // 20  # turns may follow each other closer than a relay needs its pulses


class HealthRelayDriver(PulsedDriver):
    """Offers `pulse()` to whoever completes turns."""

    def __init__(self, relay: HealthRelay, pin: OutputPin | None, clock: Clock) -> None:
        super().__init__(relay.id, pin)
        self._relay = relay
        self._clock = clock
        self._high = False
        self._pulsed_ns: int | None = None
        self._failure: str | None = None
        self._told = DeviceHealth(relay.id, False, "no pulse yet", 0)

    def pulse(self) -> None:
        """A turn is complete: toggles the pin, and never raises what the pin does."""
        now_ns = self._clock.now_ns()
        if self._pulsed_ns is not None and now_ns - self._pulsed_ns < GAP_NS:
            return
        if self._pin is None:
            return
        try:
            self._pin.write(not self._high)
        except PinError as error:
            self._failure = str(error)
            return
        self._high = not self._high
        self._pulsed_ns, self._failure = now_ns, None

    def health(self) -> DeviceHealth:
        now_ns = self._clock.now_ns()
        online = self._pulsed_ns is not None and now_ns - self._pulsed_ns < self._relay.release_ns
        error = self._failure or (None if online else self._why())
        if (online, error) != (self._told.online, self._told.error):
            self._told = DeviceHealth(self.id, online, error, now_ns)
        return self._told

    def _why(self) -> str:
        if self._pin is None:
            return f"no pulses: {self._relay.drops} is dropped while nothing may be driven"
        if self._pulsed_ns is None:
            return "no pulse yet"
        release = seconds_text(self._relay.release_ns)
        return f"no pulse for {release} s: {self._relay.drops} is dropped"
