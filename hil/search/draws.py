"""What vehicles at a site's chargers draw, or may draw before anybody can answer it: the truth."""

from __future__ import annotations

from cext.plant import Plant
from controller.site import Site
from hil.search import flows
from hil.search.bounds import Tree
from hil.search.flows import Flow


class Draws:
    """All in mA, by index in the site's order."""

    def __init__(self, site: Site, plant: Plant, tree: Tree) -> None:
        self.site = site
        self._plant = plant
        self._tree = tree

    def on(self, charger: int, phase: int) -> int:
        """On a phase of the grid."""
        wired = self.site.chargers[charger].phases
        drawn_ma = self._plant.charger(charger).current_ma
        return sum(ma for grid, ma in zip(wired, drawn_ma, strict=True) if grid == phase)

    def may_be(self, charger: int) -> int:
        """On one phase, or what a vehicle is about to draw there."""
        state, row = self._plant.charger(charger), self.site.chargers[charger]
        offered_ma = state.offered_ma if row.watts is None else row.draw_ma(state.offered_ma)
        return max(*state.current_ma, offered_ma)

    def about_to(self, circuit: int) -> Flow:
        """What is permitted below a circuit, and vehicles do not draw yet."""
        return self._more(circuit, {i: self.may_be(i) for i in self._tree.below[circuit]})

    def fallen_back(self, circuit: int, after_ns: int | None = None) -> Flow:
        """How much more than now chargers that nobody feeds draw, once they have fallen back: each
        by itself, perhaps before the others come down. `after_ns`: who has by then; None: all."""
        alone_ma = {}
        for charger in self._tree.below[circuit]:
            row = self.site.chargers[charger]
            delay_ns = row.fallback_delay_ns
            if delay_ns is not None and (after_ns is None or delay_ns <= after_ns):
                alone_ma[charger] = row.draw_ma(row.alone_ma)
        return self._more(circuit, alone_ma)

    def _more(self, circuit: int, than_now_ma: dict[int, int]) -> Flow:
        phases_ma = [0, 0, 0]
        for charger, ma in than_now_ma.items():
            for phase in self.site.chargers[charger].phases:
                if phase >= 0:
                    phases_ma[phase] += max(0, ma - self.on(charger, phase))
        first, second, third = phases_ma
        return flows.drawn((first, second, third))

    def inexact_ma(self, circuit: int, flow: int) -> int:
        """What vehicles may draw beyond their setpoints: what is lowered falls short by no more,
        and the rest is lowered when that has shown."""
        found_ma = 0
        for charger in self._tree.below[circuit]:
            row = self.site.chargers[charger]
            offered_ma = self._plant.charger(charger).offered_ma
            on = sum(phase in flows.phases(flow) for phase in row.phases)
            found_ma += on * (row.draw_ma(offered_ma) - row.standby_ma - offered_ma)
        return found_ma
