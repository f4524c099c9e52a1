"""Contacts that ask to dim: each look at which they are still renews what their source asks for.

It dims as soon as it is believed, and no longer when it has been at rest for a second: one that
flutters dims. Contacts of which just one should be active are believed together: what none or
several of them mean is counted only when they have stood so for longer than it takes to change
over from one to the other, and until then nothing is renewed. What they stood so for is summed up
until they have been clear for a second: those that flutter dim, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from cext.rows import Phases
from controller.document.inputs import DimInput
from controller.units import NS_PER_S
from drivers.bell import Bell
from drivers.contact import Contact
from drivers.device import PinError, ProcessImage
from drivers.health import DeviceHealth, Health

LOOK_NS = NS_PER_S // 10
LIFT_NS = NS_PER_S
CHANGEOVER_NS = NS_PER_S // 2


class DimDriver:
    """Looks on absolute instants and at each edge. One that cannot be read renews nothing."""

    def __init__(self, dim: DimInput, contacts: Sequence[Contact], image: ProcessImage) -> None:
        """One contact for each step of the input, in its order."""
        self.id = dim.id
        self._dim = dim
        self._contacts = contacts
        self._image = image
        self._health = Health(dim.id, image.clock, LOOK_NS, LOOK_NS)
        self._bell = Bell(dim.id, LOOK_NS / NS_PER_S)
        self._seen_ns: dict[Phases, int] = {}  # when each limit was asked for last
        self._doubt = ""  # at the last look
        self._looked_ns = 0
        self._doubtful_ns = 0  # when they contradicted each other last
        self._doubted_ns = 0  # for how long, since they were clear for LIFT_NS
        self._told = ""  # what is wrong, while it counts

    def health(self) -> DeviceHealth:
        return self._health.now

    async def run(self) -> None:
        """Until cancelled."""
        deaf = [contact.watch(self._bell.ring) for contact in self._contacts]
        remark = next((each for each in deaf if each is not None), None)
        try:
            while True:
                await self._bell.wait()
                try:
                    doubt = self._look()
                except PinError as error:
                    self._health.bad(error)
                else:
                    self._health.good(doubt or remark)
        finally:
            self.close()

    def close(self) -> None:
        for contact in self._contacts:
            contact.close()

    def _look(self) -> str:
        """What is wrong with what they say together."""
        now_ns = self._image.clock.now_ns()
        levels = [contact.look(now_ns) for contact in self._contacts]
        high = [level for level in levels if level is not None]
        if len(high) < len(levels):
            return self._told
        asked = self._dim.asked(high)
        stood = self._doubt_stood(asked.doubt, now_ns)
        if asked.doubt and not stood:
            return ""
        if asked.limit_ma is not None:
            self._seen_ns[asked.limit_ma] = now_ns
        self._image.post_input(self.id, now_ns, self._least(now_ns))
        return self._told

    def _doubt_stood(self, doubt: str, now_ns: int) -> bool:
        """Whether they have contradicted each other for too long to be changing over."""
        if self._doubt:
            self._doubted_ns += now_ns - self._looked_ns
        if doubt:
            self._doubtful_ns = now_ns
        elif now_ns - self._doubtful_ns >= LIFT_NS:
            self._doubted_ns, self._told = 0, ""
        self._doubt, self._looked_ns = doubt, now_ns
        stood = self._doubted_ns >= CHANGEOVER_NS
        if doubt and stood:
            self._told = doubt
        return stood

    def _least(self, now_ns: int) -> Phases | None:
        """Of all that was asked for within the last second; None: nothing."""
        self._seen_ns = {
            limit_ma: at_ns for limit_ma, at_ns in self._seen_ns.items() if now_ns - at_ns < LIFT_NS
        }
        if not self._seen_ns:
            return None
        first, second, third = map(min, zip(*self._seen_ns, strict=True))
        return first, second, third
