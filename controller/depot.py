"""One document with all that runs it, and what of it goes on under the next one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from controller.document.clamps import Clamp
from controller.document.devices import Charger, Meter
from controller.driver import Driver
from controller.guard.account import Maps
from controller.image import Image
from controller.realtime import Ticker
from controller.site import Site
from controller.tables import Tables

if TYPE_CHECKING:
    from cext.tick import Kernel


@dataclass(frozen=True, slots=True)
class Depot:
    """One site with everything that runs it."""

    site: Site
    tables: Tables
    kernel: Kernel
    ticker: Ticker
    image: Image
    drivers: Sequence[Driver]
    mode: Literal["control", "observe"]


class Build(Protocol):
    """Makes the depot of another document, around the same image; changes nothing yet.

    Called in a thread of its own, one call at a time.
    """

    def __call__(self, site: Site, image: Image) -> Depot:
        """Drivers of unchanged devices are the same objects. Raises ValueError, KeyError."""


def take_over(before: Depot, after: Depot) -> Maps:
    """The kernel goes on with what means the same in both documents; what does."""
    old, new = before.tables, after.tables
    measured = _measuring(before.site)
    wired = {charger.id: charger for charger in before.site.chargers}
    limited = {source.id: source.circuit for source in before.site.limit_sources}
    sources = {
        new.source_index[id_]: old.source_index[id_]
        for id_, each in _measuring(after.site).items()
        if measured.get(id_) == each
    }
    stays = Maps(
        circuits=_same(new.circuit_index, old.circuit_index),
        sources=sources,
        chargers={
            new.charger_index[each.id]: old.charger_index[each.id]
            for each in after.site.chargers
            if each.id in wired and _place(each) == _place(wired[each.id])
        },
        slots={
            new.slot_index[each.id]: old.slot_index[each.id]
            for each in after.site.limit_sources
            if limited.get(each.id) == each.circuit
        },
        contactors=_same(new.contactor_index, old.contactor_index),
    )
    after.kernel.adopt(before.kernel, **stays._asdict())
    return stays


def _place(charger: Charger) -> tuple[Hashable, ...]:
    """What makes it the same device: one with several connectors is several."""
    return charger.bus, charger.unit, charger.connector, charger.phases


def _measuring(site: Site) -> dict[str, Meter | Clamp]:
    found: dict[str, Meter | Clamp] = {meter.id: meter for meter in site.meters}
    return found | {clamp.id: clamp for clamp in site.clamps}


def _same(new: dict[str, int], old: dict[str, int]) -> dict[int, int]:
    return {index: old[id_] for id_, index in new.items() if id_ in old}
