"""What explains that a circuit is over its cap for a moment: steps of its base load, just now.

Nothing else does. A vehicle that arrives does not: nothing rises without slack.
"""

from __future__ import annotations

from collections import deque

from cext.rows import Phases
from controller.reaction import answer_ns
from controller.simulation.day import BaseLoad
from controller.site import Site
from controller.units import NS_PER_S

Step = tuple[float, Phases]  # when, and by how much each phase rose


class Steps:
    """Those of each circuit, its own and of what is below it, that may not be answered yet."""

    def __init__(self, site: Site) -> None:
        ids = [circuit.id for circuit in site.circuits]
        self._inside = [site.inside(circuit) for circuit in ids]
        self._ids = ids
        self._window_s = [answer_ns(site, circuit) / NS_PER_S for circuit in ids]
        self._load_ma: list[Phases] = [(0, 0, 0)] * len(ids)
        self._noise_ma = [0] * len(ids)
        self._lately: list[deque[Step]] = [deque() for _ in ids]

    def take(self, base: BaseLoad, at_s: float) -> None:
        """Another load of a circuit itself, from now on."""
        first, second, third = (
            max(0, now - was)
            for now, was in zip(base.load_ma, self._load_ma[base.circuit], strict=True)
        )
        self._load_ma[base.circuit] = base.load_ma
        self._noise_ma[base.circuit] = base.noise_ma
        for circuit, inside in enumerate(self._inside):
            if self._ids[base.circuit] in inside and (first or second or third):
                self._lately[circuit].append((at_s, (first, second, third)))

    def explain(self, circuit: int, over_ma: Phases, at_s: float) -> bool:
        """Whether an excess on each phase (below 0: none) is no more than the steps within the time
        of an answer, and the noise around them."""
        lately = self._lately[circuit]
        while lately and lately[0][0] + self._window_s[circuit] < at_s:
            lately.popleft()
        noise_ma = 2 * sum(
            ma
            for ma, id_ in zip(self._noise_ma, self._ids, strict=True)
            if id_ in self._inside[circuit]
        )
        return all(
            ma <= 0 or (bool(lately) and ma <= sum(rise[phase] for _, rise in lately) + noise_ma)
            for phase, ma in enumerate(over_ma)
        )
