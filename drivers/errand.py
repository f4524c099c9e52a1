"""An order on its way to a charger: which of its writes were acknowledged, and which is next."""

from dataclasses import replace

from controller.document.devices import Charger
from controller.image import Order
from drivers.chargerprofile import ChargerProfile
from drivers.device import Request
from drivers.setpoint import writes_of


class Errand:
    """One at a time. Another order, or a write that failed, begins it anew."""

    def __init__(self, charger: Charger, profile: ChargerProfile) -> None:
        self._charger = charger
        self._profile = profile
        self._order: Order | None = None
        self._writes: tuple[Request, ...] = ()
        self._done = 0

    def next(self, order: Order, *, enabled: bool) -> Request:
        """What is to be written next of that order. Raises ValueError."""
        begun = self._order
        if begun is None or (begun.tick, begun.ma) != (order.tick, order.ma):
            its = self._charger
            writes = writes_of(its.id, its.unit, self._profile, order.ma, enabled=enabled)
            last = len(writes) - 1
            self._writes = tuple(replace(each, more=last - i) for i, each in enumerate(writes))
            self._done = 0
        self._order = order
        return self._writes[self._done]

    @property
    def ma(self) -> int:
        """Of the order that is on its way."""
        assert self._order is not None
        return self._order.ma

    @property
    def begun(self) -> bool:
        """Whether some of it was acknowledged."""
        return self._done > 0

    @property
    def request(self) -> Request:
        """The write that was asked for last."""
        return self._writes[self._done]

    def acknowledged(self) -> Order | None:
        """It was; returns the order when that was all of it."""
        self._done += 1
        if self._done < len(self._writes):
            return None
        order, self._order = self._order, None
        return order

    def drop(self) -> None:
        """All of it again: nobody knows what stands in the charger."""
        self._order = None
