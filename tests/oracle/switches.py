"""What is known of contactors, and what must hold of every order to one.

Ordered open is not open: a charger is known to be cut off only where an auxiliary contact said
so after the order. Power comes back one contactor at a time, where the power-on currents fit.
"""

from typing import Any, Protocol

from tests.oracle.beliefs import Beliefs, ChargerBelief
from tests.oracle.site import S, Site

STAGGER = S
MARGIN_MA = 2000


class Ordered(Protocol):
    """Where orders to contactors can be read."""

    def contactor(self, contactor: int) -> Any: ...


class Switches:
    """Every contactor of a site, as a controller can know it. All are open at a start."""

    def __init__(self, site: Site, beliefs: Beliefs) -> None:
        self.site = site
        self.beliefs = beliefs
        count = len(site.contactors)
        self.closed = [False] * count  # as ordered
        self._since = [0] * count
        self._contact: list[tuple[int, bool] | None] = [None] * count
        self._closed_ns = -(10**12) * S  # the last closing

    def contact(self, contactor: int, at_ns: int, closed: bool) -> None:
        self._contact[contactor] = (at_ns, closed)

    def take(self, port: Ordered, now_ns: int, tick: int) -> tuple[list[int], str]:
        """Takes this tick's orders in: which changed, and what is wrong with their form."""
        changed, wrong = [], ""
        for i in range(len(self.site.contactors)):
            out = port.contactor(i)
            if (out.tick, out.expires_ns) != (tick, now_ns + self.site.pace.dead_man_ns):
                wrong = (
                    wrong
                    or f"contactor {i}: confirmed by tick {out.tick}, expires {out.expires_ns}"
                )
            if (out.closed != self.closed[i]) != (out.changed_tick == tick):
                wrong = (
                    wrong or f"contactor {i}: ordered {out.closed}, said in tick {out.changed_tick}"
                )
            if out.closed != self.closed[i]:
                changed.append(i)
                self.closed[i], self._since[i] = out.closed, now_ns
        for i in changed:
            for charger in self.site.contactors[i].chargers if self.closed[i] else ():
                belief = self.beliefs.chargers[charger]
                before = self._before(charger, open_only=True)
                if not before or (belief.cut and not any(self._is_open(k) for k in before)):
                    belief.wake(now_ns)  # with nothing left before it that is known to be open
        for charger, belief in enumerate(self.beliefs.chargers):
            before = self._before(charger, open_only=True)
            belief.parted = bool(before)
            belief.cut = any(self._is_open(i) for i in before)
        for i, row in enumerate(self.site.contactors):
            behind = [self.beliefs.chargers[c] for c in row.chargers]
            if port.contactor(i).verified_open and not all(belief.cut for belief in behind):
                wrong = wrong or f"contactor {i} is called verified open"
        return changed, wrong

    def closing(self, changed: list[int], now_ns: int) -> tuple[list[int], str]:
        """Who gets power back by these orders; and what is wrong with when."""
        closing = [i for i in changed if self.closed[i]]
        if not closing:
            return [], ""
        if len(closing) > 1 or now_ns - self._closed_ns < STAGGER:
            return [], f"contactors {closing} closed together, or at once after another"
        self._closed_ns = now_ns
        row = self.site.contactors[closing[0]]
        return [c for c in row.chargers if self.beliefs.chargers[c].powered_ns == now_ns], ""

    def opening(self, changed: list[int], now_ns: int) -> str:
        """What speaks against an opening: nobody there disobeys, or nothing is over."""
        for i in changed:
            if self.closed[i]:
                continue
            row = self.site.contactors[i]
            guilty = [c for c in row.chargers if disobeys(self.beliefs.chargers[c], now_ns)]
            if not guilty:
                return f"contactor {i} opened against {row.chargers}, who do as told"
            behind = [self.beliefs.chargers[c] for c in row.chargers]
            if any((belief.ordered or 0) > belief.least for belief in behind):
                return f"contactor {i} opened before 0 A was ordered"
            if not any(self._over(c, now_ns) for c in guilty):
                return f"contactor {i} opened, and nothing that may be enforced is exceeded"
        return ""

    def _before(self, charger: int, open_only: bool) -> list[int]:
        """The contactors that a charger is behind."""
        found = [i for i, row in enumerate(self.site.contactors) if charger in row.chargers]
        return [i for i in found if not (open_only and self.closed[i])]

    def _is_open(self, contactor: int) -> bool:
        contact = self._contact[contactor]
        return contact is not None and not contact[1] and contact[0] >= self._since[contactor]

    def _over(self, charger: int, now_ns: int) -> bool:
        """Some circuit above is over a cap that is not economic by more than max(2 %, 2 A)."""
        for circuit in self.site.path(self.site.chargers[charger].circuit):
            for phase in range(3):
                cap = self.beliefs.cap(circuit, phase, now_ns, economic=False)
                readings = self.beliefs.fresh(circuit, now_ns)
                load = self.beliefs.draw_hi(circuit, phase, now_ns)
                load += self.site.circuits[circuit].worst_base_ma[phase]
                if readings:
                    meters = self.site.meters
                    load = max(amps[phase] + meters[m].error_ma for m, _, amps in readings)
                if load - cap > max(cap // 50, MARGIN_MA):
                    return True
        return False


def disobeys(belief: ChargerBelief, now_ns: int) -> bool:
    """Silent, or it draws more than it was told, or does not tell that it was told so."""
    if belief.silent(now_ns):
        return True
    report, ordered = belief.reports[-1], belief.ordered or 0
    drawn = max(report.current_ma) if report.current_ma is not None else 0
    return drawn > (ordered + 500) * 11 // 10 or report.in_force_ma != ordered
