"""What is ordered, and what must never be ordered: beside what flows, the promises about orders."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from cext.rows import Rule
from hil.search.ailing import CALM_NS, DOUBT_NS, DOUBTS, LAPSES
from hil.search.case import Table, told
from hil.search.judge import PROVING_NS, Finding, FoundError

if TYPE_CHECKING:
    from hil.search.world import World

SILENT_NS = 1_000_000_000  # beyond the age of its last report, nobody believes a charger any more


class Doubt(NamedTuple):
    """A fault that nothing may rise for, until another thing happens or the time is over."""

    event: Table
    until_ns: int
    orders_ma: list[int]
    parked: frozenset[int]  # whose vehicles draw nothing: they may be asked again
    paused: set[int]  # since then


class Orders:
    """Looks at every change of an order. Raises FoundError."""

    def __init__(self, world: World, twin: bool) -> None:
        """`twin`: a world that is only compared with."""
        self._world = world
        self._twin = twin
        self.now_ma: list[int | None] = []  # at the last look
        self.older_ma = [0] * len(world.site.chargers)  # what each was told before
        self.latched = False
        self._offered_ma: list[int] = []  # the most in force since the start, until the first order
        self._started_ns = 0
        self._closed: tuple[bool, ...] = ()
        self._rose_ns = self._stirred_ns = 0
        self._doubt: Doubt | None = None

    def start(self) -> None:
        """Another enforcer: nothing is ordered yet."""
        self.now_ma = [None] * len(self._world.site.chargers)
        self._offered_ma = [0] * len(self.now_ma)
        self._started_ns = self._world.now_ns
        self._closed = ()

    @property
    def starting(self) -> bool:
        """Whether a first order is still to be expected from anybody who answers."""
        return None in self.now_ma and self._world.now_ns < self._started_ns + PROVING_NS

    def look(self, orders_ma: list[int | None]) -> None:
        if None in self.now_ma:
            self._note_offers()
        if orders_ma != self.now_ma:
            self._note(orders_ma)
        if self.latched:
            self._check_contactors()

    def _note_offers(self) -> None:
        """A charger that has had no order yet does what it does alone."""
        for index, order_ma in enumerate(self.now_ma):
            if order_ma is None:
                offered_ma = self._world.plant.charger(index).offered_ma
                self._offered_ma[index] = max(self._offered_ma[index], offered_ma)

    def _note(self, orders_ma: list[int | None]) -> None:
        before, self.now_ma = self.now_ma, orders_ma
        for i, (was, now) in enumerate(zip(before, orders_ma, strict=True)):
            if now is None or was == now:
                continue
            self._world.judge.moved(i)
            if was is None:
                self._check_first(i, now)
            else:
                self.older_ma[i] = was
                if now > was:
                    self._rose_ns = self._world.now_ns
                    self._check_rise(i, was, now)
            self._check_never(i, now, was)
            if self._doubt is not None:
                if now == 0:
                    self._doubt.paused.add(i)
                self._check_doubt(i, now, self._doubt)

    # A start

    def _check_first(self, charger: int, order_ma: int) -> None:
        """A start orders no more than what the charger does alone, and no more than is in force."""
        row = self._world.site.chargers[charger]
        alone_ma = max(row.alone_ma, row.always_ma)
        if order_ma > alone_ma:
            what = f"the first order of {row.id} is {order_ma} mA; alone it does {alone_ma}"
            self._found("start", what)
        early = self._world.now_ns < self._started_ns + PROVING_NS
        if early and order_ma > self._offered_ma[charger]:
            what = f"the first order of {row.id} is {order_ma} mA; it offered "
            self._found("start", what + f"{self._offered_ma[charger]}")

    def _check_rise(self, charger: int, was_ma: int, order_ma: int) -> None:
        """None while latched, of a charger that is silent, or below a circuit never read."""
        world = self._world
        row = world.site.chargers[charger]
        rise = f"{row.id} was raised from {was_ma} to {order_ma} mA"
        if self.latched:
            self._found("latched", f"{rise} while latched")
        silent_ns = world.ills.silent_for_ns(row.id)
        if silent_ns > row.max_age_ns + SILENT_NS:
            self._found("silent", f"{rise}, silent for {silent_ns / 1e9:.1f} s")
        for circuit in world.judge.tree.paths[charger]:
            if world.gateway.unheard(circuit):
                name = world.site.circuits[circuit].id
                self._found("start", f"{rise} although nothing has been read of {name} yet")

    def _check_never(self, charger: int, order_ma: int, was_ma: int | None) -> None:
        """Who may never be paused is never ordered below his minimum, once he was above it."""
        row = self._world.site.chargers[charger]
        if was_ma is not None and order_ma < row.always_ma <= was_ma:
            self._found("never", f"{row.id} may never be paused, and was told {order_ma} mA")

    def _check_contactors(self) -> None:
        """While latched none closes that was open."""
        world = self._world
        closed = tuple(world.plant.contactor(i) for i in range(len(world.site.contactors)))
        for index, (was, now) in enumerate(zip(self._closed, closed, strict=False)):
            if now and not was:
                self._found("latched", f"{world.site.contactors[index].id} closed while latched")
        self._closed = closed

    def latch(self, latched: bool) -> None:
        self.latched = latched
        self._closed = ()

    # Doubt

    def expect(self, event: Table) -> None:
        """Out of a calm, a fault that only takes knowledge away: nothing may rise for it."""
        now_ns = self._world.now_ns
        calm_ns = now_ns - max(self._rose_ns, self._stirred_ns)
        lapses = event["do"] in LAPSES and bool(self._world.site.limit_sources)
        self._doubt = None
        if calm_ns >= CALM_NS and event["do"] in DOUBTS and not lapses and not self._twin:
            orders_ma = [0 if each is None else each for each in self.now_ma]
            self._doubt = Doubt(event, now_ns + DOUBT_NS, orders_ma, self._parked(), set())
        self._stirred_ns = now_ns

    def _parked(self) -> frozenset[int]:
        enforcer = self._world.gateway.enforcer
        if enforcer is None:
            return frozenset()
        every = range(len(self.now_ma))
        return frozenset(i for i in every if enforcer.kernel.output(i).why.rule is Rule.IDLE)

    def _check_doubt(self, charger: int, order_ma: int, doubt: Doubt) -> None:
        world = self._world
        if world.now_ns > doubt.until_ns or order_ma <= doubt.orders_ma[charger]:
            return
        name = world.site.chargers[charger].id
        if doubt.event.get("charger", name) != name:
            return  # another one's share, which it has lost, passes on
        if charger in doubt.parked and order_ma <= world.site.chargers[charger].least_ma:
            return  # its vehicle drew nothing, did something, and is asked again
        if sum(each or 0 for each in self.now_ma) <= sum(doubt.orders_ma):
            return  # what others have lost passes on
        if charger in doubt.paused:
            return  # let go again, it is to show anew what it can use
        events = [event for event in world.case.events if event is not doubt.event]
        without_ma = world.twin(replace(world.case, events=events)).order_at(charger, world.now_ns)
        if without_ma is not None and order_ma <= without_ma:
            return  # it would have risen anyway
        what = (
            f"{name} was raised from {doubt.orders_ma[charger]} to {order_ma} mA after "
            f"{told(doubt.event)}; without that it is at {without_ma}"
        )
        self._found("doubt", what)

    def _found(self, kind: str, what: str) -> None:
        raise FoundError(Finding(kind, self._world.now_ns / 1e9, what))
