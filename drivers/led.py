"""The status LED: a blink code that only completed turns carry on.

There is no timer in here: whatever stops the turns leaves the LED as it is, lit or dark. One that
does not change for longer than five seconds says that nothing is decided any more.
"""

from __future__ import annotations

from controller.condition import Condition
from controller.document.gpio import StatusLed
from controller.units import NS_PER_S
from drivers.device import PinError, ProcessImage
from drivers.health import DeviceHealth
from drivers.pindriver import OutputPin, PulsedDriver

STEP_NS = NS_PER_S // 2  # two turns or more: none of a code's steps is left out
CODES = {  # one step each, again and again
    Condition.RUNNING: "#.......",
    Condition.NO_LINK: "#.#.....",
    Condition.DEGRADED: "#.#.#...",
    Condition.LATCHED: "#.#.#.#.",
}


class LedDriver(PulsedDriver):
    """Offers `pulse()` to whoever completes turns."""

    def __init__(self, led: StatusLed, pin: OutputPin | None, image: ProcessImage) -> None:
        super().__init__(led.id, pin)
        self._led = led
        self._image = image
        self._step: int | None = None  # that it shows
        self._health = DeviceHealth(led.id, True, None, 0)

    def pulse(self) -> None:
        """A turn is complete: shows the step that is due, and never raises what the pin does."""
        now_ns = self._image.clock.now_ns()
        step = now_ns // STEP_NS
        if self._pin is None or step == self._step:
            return
        code = CODES[self._image.condition()]
        error = None
        try:
            self._pin.write((code[step % len(code)] == "#") == self._led.active_high)
            self._step = step
        except PinError as caught:
            error = str(caught)
        if error != self._health.error:
            self._health = DeviceHealth(self.id, error is None, error, now_ns)

    def health(self) -> DeviceHealth:
        return self._health
