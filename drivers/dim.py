"""A contact that asks to dim: each look at which it is still renews what its source asks for.

It dims as soon as it is believed, and no longer when it has been at rest for a second: one that
flutters dims.
"""

from __future__ import annotations

from controller.document.gpio import DimInput
from controller.units import NS_PER_S
from drivers.bell import Bell
from drivers.contact import Contact
from drivers.device import PinError, ProcessImage
from drivers.health import DeviceHealth, Health

LOOK_NS = NS_PER_S // 10
LIFT_NS = NS_PER_S


class DimDriver:
    """Looks on absolute instants and at each edge. One that cannot be read renews nothing."""

    def __init__(self, dim: DimInput, contact: Contact, image: ProcessImage) -> None:
        self.id = dim.id
        self._dim = dim
        self._contact = contact
        self._image = image
        self._health = Health(dim.id, image.clock, LOOK_NS, LOOK_NS)
        self._bell = Bell(dim.id, LOOK_NS / NS_PER_S)
        self._active_ns: int | None = None  # when it was seen active last

    def health(self) -> DeviceHealth:
        return self._health.now

    async def run(self) -> None:
        """Until cancelled."""
        remark = self._contact.watch(self._bell.ring)
        try:
            while True:
                await self._bell.wait()
                try:
                    self._look()
                except PinError as error:
                    self._health.bad(error)
                else:
                    self._health.good(remark)
        finally:
            self.close()

    def close(self) -> None:
        self._contact.close()

    def _look(self) -> None:
        now_ns = self._image.clock.now_ns()
        high = self._contact.look(now_ns)
        if high is None:
            return
        if self._dim.active(high):
            self._active_ns = now_ns
        dims = self._active_ns is not None and now_ns - self._active_ns < LIFT_NS
        self._image.post_input(self.id, now_ns, dims)
