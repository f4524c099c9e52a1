"""What explains that a circuit is over its cap for a moment: steps of its base load, just now.

Nothing else does. A vehicle that arrives does not: nothing rises without slack.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container

from cext.rows import Phases
from controller.reaction import answer_ns
from controller.simulation.day import BaseLoad
from controller.site import Site
from controller.units import NS_PER_S

Load = tuple[float, Phases]  # since when, and how much


class Steps:
    """Base loads of each circuit and of what is below it, as far back as an answer takes."""

    def __init__(self, site: Site) -> None:
        ids = [circuit.id for circuit in site.circuits]
        self._inside = [site.inside(circuit) for circuit in ids]
        self._ids = ids
        self._window_s = [answer_ns(site, circuit) / NS_PER_S for circuit in ids]
        self._load_ma: list[Phases] = [(0, 0, 0)] * len(ids)
        self._noise_ma = [0] * len(ids)
        self._lately: list[deque[Load]] = [deque([(0.0, (0, 0, 0))]) for _ in ids]

    def take(self, base: BaseLoad, at_s: float) -> None:
        """Another load of a circuit itself, from now on."""
        before_ma = self._load_ma[base.circuit]
        self._load_ma[base.circuit] = base.load_ma
        self._noise_ma[base.circuit] = base.noise_ma
        if base.load_ma == before_ma:
            return
        for circuit, inside in enumerate(self._inside):
            if self._ids[base.circuit] in inside:
                self._lately[circuit].append((at_s, self._of(inside)))

    def _of(self, inside: Container[str]) -> Phases:
        loads = (ma for ma, id_ in zip(self._load_ma, self._ids, strict=True) if id_ in inside)
        first, second, third = (sum(each) for each in zip(*loads, strict=True))
        return first, second, third

    def explain(self, circuit: int, over_ma: Phases, at_s: float) -> bool:
        """Whether an excess on each phase (below 0: none) is no more than the base load has risen
        by within the time of an answer, and the noise around it."""
        lately = self._lately[circuit]
        while len(lately) > 1 and lately[1][0] + self._window_s[circuit] < at_s:
            lately.popleft()
        if len(lately) == 1:  # it has not changed since
            return max(over_ma) <= 0
        noise_ma = 2 * sum(
            ma
            for ma, id_ in zip(self._noise_ma, self._ids, strict=True)
            if id_ in self._inside[circuit]
        )
        now_ma = lately[-1][1]
        return all(
            ma <= 0 or ma <= now_ma[phase] - min(load[phase] for _, load in lately) + noise_ma
            for phase, ma in enumerate(over_ma)
        )
