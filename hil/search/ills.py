"""What ails meters, clamps, chargers and contactors, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hil.search.ailing import Ailing
from hil.search.case import Table
from hil.search.eyes import LIES, Eye
from hil.search.units import nanoseconds

if TYPE_CHECKING:
    from hil.search.world import World

SOON_NS = 20_000_000_000  # after a thing of a moment


class Ills:
    """Of all devices of a depot."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.silent, self.deaf, self._welded = Ailing(), Ailing(), Ailing()
        self.eyes = {
            each.id: Eye(world.case.seed + i, each.error_ma, each in world.site.meters)
            for i, each in enumerate(world.sources.values())
        }
        self.acts: dict[str, Callable[[Table], None]] = {
            "silent": self._charger_silent,
            "deaf": self._charger_deaf,
            "disobeys": self._disobeys,
            "reboot": self._reboot,
            "forgets": self._forgets,
            "told": self._told,
            "old_write": self._old_write,
            "weld": self._weld,
        }

    def silent_for_ns(self, device: str) -> int:
        """For how long nothing has come through from it, as far as that is its fault."""
        since_ns = self.silent.since_ns.get(device)
        return 0 if since_ns is None else self._world.now_ns - since_ns

    # Meters and clamps

    def source(self, event: Table) -> None:
        source, what = event["source"], event["do"]
        until_ns = self._world.now_ns + nanoseconds(event["for_s"])
        row = self._world.sources[source]
        signed = any(each.circuit == row.circuit for each in self._world.site.meters)
        counts = row in self._world.site.meters or not signed
        self._world.judge.source_ill(row.circuit, until_ns, what in LIES, counts)
        if what == "lost":
            self.silent.begin(source, self._world.now_ns)
            self._world.after(event["for_s"], partial(self.silent.end, source))
        else:
            self.eyes[source].begin(what)
            self._world.after(event["for_s"], partial(self.eyes[source].end, what))

    # Chargers

    def _ill(self, event: Table) -> tuple[str, int]:
        charger = event["charger"]
        for_ns = nanoseconds(event["for_s"]) if "for_s" in event else SOON_NS
        self._world.judge.charger_ill(self._world.chargers[charger], self._world.now_ns + for_ns)
        return charger, self._world.chargers[charger]

    def _charger_silent(self, event: Table) -> None:
        charger, _ = self._ill(event)
        self.silent.begin(charger, self._world.now_ns)
        self._world.after(event["for_s"], partial(self.silent.end, charger))

    def _charger_deaf(self, event: Table) -> None:
        charger, _ = self._ill(event)
        self.deaf.begin(charger)
        self._world.after(event["for_s"], partial(self.deaf.end, charger))

    def _disobeys(self, event: Table) -> None:
        _, index = self._ill(event)
        self._world.plant.set_obeys(index, False)
        self._world.after(event["for_s"], partial(self._world.plant.set_obeys, index, True))

    def _reboot(self, event: Table) -> None:
        _, index = self._ill(event)
        self._world.plant.power_cycle(index)

    def _forgets(self, event: Table) -> None:
        """Starts anew, and for a while without its watchdog."""
        _, index = self._ill(event)
        row = self._world.rows[index]
        self._world.plant.power_cycle(index)
        self._world.plant.set_alone(index, row.fallback_ma, 0)
        again = partial(self._world.plant.set_alone, index, row.fallback_ma, row.watchdog_ns)
        self._world.after(event["for_s"], again)

    def _told(self, event: Table) -> None:
        _, index = self._ill(event)
        self._world.plant.set_told(index, round(event["told_a"] * 1000))
        self._world.after(event["for_s"], partial(self._world.plant.set_told, index, None))

    def _old_write(self, event: Table) -> None:
        """A write of before comes a second time, or late."""
        _, index = self._ill(event)
        if self._world.plant.answers(index):
            self._world.plant.write_setpoint(index, self._world.orders.older_ma[index])

    def _weld(self, event: Table) -> None:
        """A contactor that is closed, or closes, stays so."""
        name = event["contactor"]
        index = [each.id for each in self._world.site.contactors].index(name)
        self._welded.begin(name)
        self._world.plant.set_welded(index, True)
        self._world.judge.weld(index, self._world.now_ns + nanoseconds(event["for_s"]))

        def mended() -> None:
            self._welded.end(name)
            self._world.plant.set_welded(index, name in self._welded.ids)

        self._world.after(event["for_s"], mended)
