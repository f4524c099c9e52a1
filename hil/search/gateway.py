"""The gateway of a case: it starts, stands still, dies, is latched, gets advice and documents."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from cext.rows import Advice
from controller.guard.guard import Verdict
from controller.hardware import killed, let_go
from controller.limits import Lease
from controller.plant import VirtualEnforcer
from controller.proof import prove
from controller.site import DocumentError, Site, operated, parse
from hil.search.ailing import Ailing
from hil.search.case import CaseProfiles, Table
from hil.search.eyes import Eye
from hil.search.judge import Finding, FoundError
from hil.search.sites import amended
from hil.search.units import nanoseconds

if TYPE_CHECKING:
    from hil.search.world import World

START_NS = 1_000_000_000  # from a process's start until it is at work


class Gateway:
    """One enforcer after the other, or none."""

    def __init__(self, world: World, guarded: bool, make: Callable[..., VirtualEnforcer]) -> None:
        self._world = world
        self.first = world.site  # the document it began with
        self._guarded = guarded
        self._make = make
        self.enforcer: VirtualEnforcer | None = None
        self.life = self._deaths = 0  # of the enforcer
        self._ticks = 0  # of enforcers that are gone
        self._leases: dict[str, Lease] = {}
        self._unheard: dict[int, list[tuple[Eye, int]]] = {}  # circuits, since the start
        self.stalled, self._latches = Ailing(), Ailing()
        self._unfed_ns = 0  # of a stall: when its first charger may fall back
        self.acts: dict[str, Callable[[Table], None]] = {
            "stall": self._stall,
            "restart": self._restart,
            "power_cut": self._power_cut,
            "clock": self._clock,
            "latch": self._latch,
            "document": self._document,
            "advise": self._advise,
        }

    @property
    def ticks(self) -> int:
        """Decisions so far."""
        return self._ticks + (0 if self.enforcer is None else self.enforcer.kernel.ticks)

    @property
    def unfed(self) -> bool:
        """Whether it stands still for so long that chargers may have fallen back."""
        return bool(self.stalled.ids) and self._world.now_ns >= self._unfed_ns

    def unheard(self, circuit: int) -> bool:
        """Whether somebody measures it, and nothing of that came since the start."""
        sources = self._unheard[circuit]
        return bool(sources) and all(eye.shown == before for eye, before in sources)

    def start(self) -> None:
        world = self._world
        self.life += 1
        self.enforcer = self._make(
            world.site,
            world.plant,
            world.now_ns,
            world.ills.silent.ids,
            self._leases,
            self.stalled.ids,
            shows=world.ills.eyes,
            deaf=world.ills.deaf.ids,
            disputed=self._disputed if self._guarded else None,
        )
        self.enforcer.limits.open_session(world.cloud.nonce())
        self.enforcer.kernel.latch(world.orders.latched)
        self._unheard = {
            i: [
                (world.ills.eyes[each.id], world.ills.eyes[each.id].shown)
                for each in world.sources.values()
                if each.circuit == circuit.id
            ]
            for i, circuit in enumerate(world.site.circuits)
        }
        world.orders.start()
        world.look_closely()
        world.judge.lives()
        world.set_caps()
        world.cloud.renew()

    def _disputed(self, verdict: Verdict) -> None:
        what = "; ".join(f"{each.rule}: {each.why}" for each in verdict.disputes[:3])
        raise FoundError(Finding("guard", self._world.now_ns / 1e9, what))

    def _die(self, *, power: bool = True) -> None:
        """Killed; or, without `power`, with the whole gateway."""
        self._deaths += 1
        if self.enforcer is not None:
            self._leases = self.enforcer.limits.leases
            self._ticks += self.enforcer.kernel.ticks
            self.enforcer = None
            (killed if power else let_go)(self._world.site, self._world.plant)
        self._world.judge.died()
        self._world.set_caps()

    def _restart(self, event: Table, *, power: bool = True) -> None:
        self._die(power=power)
        deaths = self._deaths

        def again() -> None:
            if self._deaths == deaths:  # it did not die once more meanwhile
                self.start()

        self._world.after(event["for_s"] + START_NS / 1e9, again)

    def _power_cut(self, event: Table) -> None:
        for index in range(len(self._world.chargers)):
            self._world.plant.set_supply(index, False)
        self._world.after(event["for_s"], self._power_back)
        self._restart(event, power=False)

    def _power_back(self) -> None:
        """An enforcer that is there already finds them at their power-on currents."""
        for index in range(len(self._world.chargers)):
            self._world.plant.set_supply(index, True)
            if self.enforcer is not None:
                self._world.judge.charger_ill(index, self._world.now_ns)

    def _stall(self, event: Table) -> None:
        for_ns = nanoseconds(event["for_s"])
        self._world.judge.stall(self._world.now_ns + for_ns)
        if not self.stalled.ids:
            site = self._world.site
            falls_ns = min((each.fallback_delay_ns or 0 for each in site.chargers), default=0)
            self._unfed_ns = self._world.now_ns + max(site.control.dead_man_ns, falls_ns // 2)
            self._world.agenda.at(self._unfed_ns, self._world.look)
        for thread in event["threads"]:
            self.stalled.begin(thread)
            self._world.after(event["for_s"], partial(self.stalled.end, thread))
        self._world.after(event["for_s"], self._resume)

    def _resume(self) -> None:
        if self.enforcer is not None:
            self._world.judge.resumes()
        self._world.set_caps()

    def _latch(self, event: Table) -> None:
        """Closed for a while; a restart keeps it."""
        self._latches.begin("latch")
        self._hold()

        def reset() -> None:
            self._latches.end("latch")
            self._hold()

        self._world.after(event["for_s"], reset)

    def _hold(self) -> None:
        self._world.orders.latch(bool(self._latches.ids))
        if self.enforcer is not None:
            self.enforcer.kernel.latch(self._world.orders.latched)

    def _advise(self, event: Table) -> None:
        """A planner's wish; a restart forgets it."""
        if self.enforcer is None:
            return
        floor_a, cap_a = event["floor_a"], event["cap_a"]
        advice = Advice(
            weight=event["weight"],
            floor_ma=None if floor_a is None else round(floor_a * 1000),
            cap_ma=None if cap_a is None else round(cap_a * 1000),
            until_ns=self._world.now_ns + nanoseconds(event["for_s"]),
        )
        self.enforcer.image.advise(event["charger"], advice)

    def _document(self, event: Table) -> None:
        """Adopted if it would be by a running enforcer, and rolled back after a while."""
        if self.enforcer is None or self.stalled.ids:
            return
        installed = amended(self._world.case.site, event["rating_share"])
        try:
            site = operated(parse(installed, CaseProfiles(self._world.case)), event["operation"])
        except DocumentError:
            return
        if prove(site).passed:
            self._world.switch(site)
            self._world.after(event["for_s"], partial(self._roll_back, site))

    def _roll_back(self, site: Site) -> None:
        """Unless another one came after it; one that is dead then does so when it starts."""
        if self._world.site is site and not self.stalled.ids:
            self._world.switch(self.first)

    def _clock(self, event: Table) -> None:
        if self.enforcer is not None:
            self.enforcer.clock.ahead_ns += nanoseconds(event["ahead_s"])
