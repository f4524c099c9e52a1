"""What a charger is to be told next: its order, what must stand in its memory, or what feeds it.

The order comes first; but one that rises waits for its memory to be set, and for what feeds its
watchdog when that is overdue. Time is handed in, and no line is known here.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from controller.document.devices import Charger
from controller.image import Order
from drivers.arming import Arming
from drivers.chargerprofile import ChargerProfile
from drivers.device import Rank, Request
from drivers.errand import Errand
from drivers.feeding import Feed
from drivers.memory import Memory
from drivers.reader import Sample
from drivers.retries import REFUSED_MOST_NS, REFUSED_WORN_NS, Refusals
from drivers.standing import Standing
from drivers.wear import Wear


class What(Enum):
    """What a write is for."""

    NOTHING = auto()
    ORDER = auto()
    SETTING = auto()
    FEED = auto()


class Then(Enum):
    """What follows an acknowledged write."""

    MORE = auto()  # of the same order
    FEED = auto()  # all of the order was taken, and something else feeds its watchdog
    LOOK = auto()  # what it does now is to be read
    NOTHING = auto()


class Telling:
    """Of one charger."""

    def __init__(
        self,
        charger: Charger,
        profile: ChargerProfile,
        now_ns: Callable[[], int],
        wear: Wear,
    ) -> None:
        """`profile` is seated at its connector (drivers.watts)."""
        self.memory = Memory.of(wear, charger, profile)
        self.standing = Standing(charger, profile)
        self.arming = Arming(charger, profile, now_ns, self.memory)
        self.offered = What.NOTHING  # handed to the line last
        self._asked_ns = 0  # when: it did not arrive before
        self._errand = Errand(charger, profile)
        most_ns = REFUSED_MOST_NS if profile.order_wears_ns is None else REFUSED_WORN_NS
        self._refusals = {What.ORDER: Refusals(most_ns), What.FEED: Refusals()}
        self._feed = Feed(charger, profile)
        self._feeds_apart = profile.watchdog.feeds_apart

    def report(self, sample: Sample) -> None:
        """What it says, before what is in force is made of it."""
        self.standing.report(sample)
        self._feed.report(sample)

    # What goes out.

    def next(self, order: Order, now_ns: int, *, fresh: bool, silent: bool) -> Request | None:
        """The write that is due; `fresh`: turns are completed. Raises ValueError for an order that
        a register cannot hold."""
        self._asked_ns = now_ns
        setting, standing = None, self.standing
        if not silent and not standing.owes_again:
            setting = self.arming.due()
        if self.due(order, now_ns, fresh=fresh):
            rises = self._rises(order)
            overdue = fresh and not silent and standing.feed_overdue(now_ns)
            held = setting is not None and self.arming.holds
            if self._may(order, now_ns) and not (rises and (held or overdue)):
                self.offered = What.ORDER
                return self._errand.next(order, enabled=standing.enabled)
            if not rises:
                return None  # one that refuses to be lowered is not kept alive
        if not fresh:
            return None  # either may feed its watchdog
        if setting is not None:
            self.offered = What.SETTING
            return setting
        self.offered = What.FEED
        due = standing.feed_due(now_ns) and self._refusals[What.FEED].may(0, now_ns, rises=True)
        return self._feed.request if due else None

    def due(self, order: Order, now_ns: int, *, fresh: bool) -> bool:
        """Whether it is to be written. One that rises waits where it would wear a memory out."""
        if not self.standing.due(order, now_ns, fresh):
            return False
        if not self._rises(order):
            return True
        return self.memory.may_rise(enabled=self.standing.enabled)

    def ready(self, order: Order, now_ns: int, *, fresh: bool) -> bool:
        """Whether it is due, and waits for no refusal of it."""
        return self._may(order, now_ns) and self.due(order, now_ns, fresh=fresh)

    def _may(self, order: Order, now_ns: int) -> bool:
        rises = self.standing.rises(order)
        return self._refusals[What.ORDER].may(order.ma, now_ns, rises=rises)

    def rank(self, order: Order | None) -> Rank:
        rises = order is not None and self.standing.rises(order)
        return Rank.INCREASE if rises else Rank.REDUCTION

    def _rises(self, order: Order) -> bool:
        """Whether it may wait until the charger can be relied upon alone."""
        return self.standing.taken is not None and self.standing.rises(order)

    # What became of it.

    def drop(self) -> None:
        """All of the order again: nobody knows what stands in the charger."""
        self._errand.drop()

    def left(self, *, stored: bool = True) -> None:
        """What was offered may have arrived; not `stored`: it was surely not taken."""
        if self.offered is What.SETTING:
            self.arming.wrote(stored=stored)
        elif self.offered is What.ORDER:
            self.standing.sent(self._errand.ma)
            if stored:
                self.memory.wrote(self._errand.request)

    def refused(self, now_ns: int, *, never: bool = False) -> None:
        """The device says that it did not take what was offered; or that it `never` will."""
        if self.offered is What.ORDER:
            in_vain = never and self._errand.begun
            self._refusals[What.ORDER].refused(self._errand.ma, now_ns, in_vain=in_vain)
        elif self.offered is What.FEED:
            self._refusals[What.FEED].refused(0, now_ns)

    def acknowledged(self, at_ns: int) -> Then:
        if self.offered is What.ORDER:
            order = self._errand.acknowledged()
            if order is None:
                return Then.MORE
            self._refusals[What.ORDER].taken()
            self.standing.took(order, at_ns, self._asked_ns)
            return Then.FEED if self._feeds_apart else Then.LOOK
        if self.offered is What.FEED:
            self._refusals[What.FEED].taken()
            self.standing.fed(self._asked_ns)
            return Then.NOTHING
        return Then.LOOK
