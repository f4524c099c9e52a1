"""The kernel and the oracle's whole-tick model side by side, through random histories.

`python -m tests.whole --histories 2000` (`make whole`) says how many values were compared, which
share of them the rules pin to one, and the first difference of each history with its seed, tick
and place; exit status 1 when there is any.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from cext.rows import Rule, Vehicle
from tests.door import kernel_of
from tests.oracle.site import S, Site, Triple
from tests.oracle.whole.draw import Report
from tests.oracle.whole.history import DOUBT, QUIET, START_NS, History
from tests.oracle.whole.model import PHASES, WholeTick
from tests.oracle.whole.sites import random_depot
from tests.oracle.whole.span import Span

# Differences that are known: told with their number, and no reason to stop a history.
BEYOND = "an upper end is above the declared worst case that nothing has disproved yet"
BLOCK = 10
SHOWN = 10  # differences in full
TICKS = 150


class DifferentError(AssertionError):
    """The kernel is outside of what the rules permit."""


@dataclass
class Tally:
    """How many values were compared, how many of them the rules pin, and what differed."""

    compared: Counter[str] = field(default_factory=Counter)
    pinned: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    known: Counter[str] = field(default_factory=Counter)  # what is told and not yet mended

    def count(self, what: str, pinned: bool) -> None:
        self.compared[what] += 1
        self.pinned[what] += pinned

    def add(self, other: Tally) -> None:
        self.compared += other.compared
        self.pinned += other.pinned
        self.known += other.known
        self.differences += other.differences

    def __str__(self) -> str:
        lines = [*self.differences[:SHOWN]]
        for what, count in sorted(self.compared.items()):
            lines.append(
                f"{what}: {count} compared, {100 * self.pinned[what] / count:.1f} % pinned"
            )
        lines += [f"known, {count} times: {what}" for what, count in sorted(self.known.items())]
        return "\n".join(lines)


class Pair:
    """Both hear the same; after each tick they are held against each other."""

    def __init__(self, site: Site, tally: Tally) -> None:
        self.site, self.tally = site, tally
        self.kernel = kernel_of(site)
        self.model = WholeTick(site)

    # -- what goes in --------------------------------------------------------------------------

    def reading(self, source: int, at_ns: int, current_ma: Triple) -> None:
        self.kernel.post_reading(source, at_ns, current_ma)
        self.model.reading(source, at_ns, current_ma)

    def distrust(self, source: int, distrusted: bool) -> None:
        self.kernel.distrust(source, distrusted)
        self.model.distrust(source, distrusted)

    def report(self, charger: int, report: Report) -> None:
        at_ns, in_force_ma, current_ma, vehicle, written = report
        self.kernel.post_report(charger, at_ns, in_force_ma, current_ma, Vehicle[vehicle], written)
        self.model.report(charger, report)

    def limit(self, slot: int, ma: Triple | None, until_ns: int, alive_ns: int) -> None:
        self.kernel.set_limit(slot, ma, until_ns, alive_ns)
        self.model.limit(slot, ma, until_ns, alive_ns)

    def prove(self, charger: int, proven: bool | None) -> None:
        self.kernel.prove(charger, proven)
        self.model.prove(charger, proven)

    def latch(self, on: bool) -> None:
        self.kernel.latch(on)
        self.model.latch(on)

    def order(self, charger: int) -> tuple[int, int] | None:
        out = self.kernel.output(charger)
        return None if out.setpoint_ma is None else (out.setpoint_ma, out.changed_tick)

    # -- a tick --------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        self.kernel.tick(now_ns)
        self._proved()
        chargers, circuits = range(len(self.site.chargers)), range(len(self.site.circuits))
        self.model.tick(now_ns, [self.kernel.failsafe_ma(i) for i in chargers])
        before = {
            (c, p): self.model.circuits.draw_hi(c, p, now_ns) for c in circuits for p in PHASES
        }
        before_hi = [charger.hi(now_ns) for charger in self.model.chargers]
        for charger in chargers:
            self._order(charger)
        raised = self._take_orders()
        self._judge(set(raised))
        for slot in range(len(self.site.slots)):
            self._slot(slot)
        for charger in chargers:
            self._charger(charger, before_hi[charger])
        for circuit in circuits:
            self._circuit(circuit, before, raised)

    def _proved(self) -> None:
        """A declared worst case that readings have disproved: it is what they show, or less."""
        for circuit in range(len(self.site.circuits)):
            worst = self.kernel.circuit(circuit).worst_base_ma
            if worst != self.model.worst_ma[circuit]:
                self.tally.count("worst case disproved", False)
                if words := self.model.disprove(circuit, worst):
                    self._differ(f"worst case of circuit {circuit}", worst, words)

    def _take_orders(self) -> dict[int, int]:
        """Tells the model what was ordered; who was raised, and by how much."""
        raised = {}
        for charger, setpoint in enumerate(self.kernel.setpoints()):
            was = self.model.chargers[charger].ordered_ma
            if setpoint is None or setpoint == was:
                continue
            for_a_cap = self.kernel.output(charger).cause.rule == Rule.SHED
            self.model.ordered(charger, setpoint, for_a_cap)
            if was is not None and setpoint > was:
                raised[charger] = setpoint - was
        return raised

    def _judge(self, raised: set[int]) -> None:
        """What rose had slack, and what had to come down did."""
        orders = self.model.orders
        for words in orders.unjust_rises(raised, self.model.circuits.told_ma):
            self._differ("a rise", words, "nothing is raised there")
        for words in orders.not_shed(self.model.excess()):
            self._differ("a reduction", words, "it comes down at once")

    # -- one value -----------------------------------------------------------------------------

    def _differ(self, what: str, said: object, should: object) -> None:
        at_s = (self.model.now_ns - START_NS) / S
        where = f"tick {self.model.ticks}, {at_s:.3f} s"
        raise DifferentError(f"{where}: {what}: kernel {said}, model {should}")

    def _span(self, kind: str, where: str, said: int, span: Span) -> None:
        self.tally.count(kind, span.pinned)
        if said not in span:
            self._differ(f"{kind} {where}", said, f"{span.least} to {span.most} ({span.why})")

    def _order(self, charger: int) -> None:
        out, span = self.kernel.output(charger), self.model.orders.permitted(charger)
        where = f"of charger {charger}"
        if span is None or out.setpoint_ma is None:
            self.tally.count("order", span is None)
            if (span is None) != (out.setpoint_ma is None):
                self._differ(f"order {where}", out.setpoint_ma, span)
            return
        self._span("order", where, out.setpoint_ma, span)
        due_ns = self.model.now_ns + self.site.pace.dead_man_ns
        if (out.tick, out.expires_ns) != (self.model.ticks, due_ns):
            self._differ(f"order {where} lives", out, due_ns)

    def _slot(self, slot: int) -> None:
        said, asked = self.kernel.slot(slot), self.model.asked(slot)
        self.tally.count("slot", len(asked) == 1)
        if (said.state, said.cap_ma) not in [(each.state, each.cap_ma) for each in asked]:
            self._differ(f"slot {slot}", said, asked)

    def _charger(self, charger: int, before: Span) -> None:
        """Told of before its order changed, or after."""
        said, its = self.kernel.charger(charger), self.model.chargers[charger]
        after = its.hi(self.model.now_ns)
        span = Span(min(before.least, after.least), after.most, after.why)
        self._span("draw_hi", f"of charger {charger}", said.draw_hi_ma, span)
        self.tally.count("fresh", True)
        if said.fresh == its.silent(self.model.now_ns):
            self._differ(f"charger {charger} fresh", said.fresh, not said.fresh)

    def _circuit(
        self, circuit: int, before: dict[tuple[int, int], Span], raised: dict[int, int]
    ) -> None:
        said, view = self.kernel.circuit(circuit), self.model.circuit(circuit)
        if (said.reading_ma is None) != view.blind:
            self._differ(f"circuit {circuit} blind", said.reading_ma is None, view.blind)
        for phase in PHASES:
            where, was, now = f"{circuit}.{phase}", before[circuit, phase], view.draw_hi[phase]
            self.tally.count("cap", len(view.caps_ma[phase]) == 1)
            if said.cap_ma[phase] not in view.caps_ma[phase]:
                self._differ(f"cap {where}", said.cap_ma[phase], view.caps_ma[phase])
            reading = view.reading[phase]
            if reading is not None and said.reading_ma is not None:
                self._span("reading", where, said.reading_ma[phase], reading)
            # Observed: while something rises below, the kernel tells the upper end with it.
            more = self._rose(circuit, phase, raised)
            base = view.base_hi[phase]
            base = base._replace(most=base.most + more)
            shown = self.model.circuits.shown_ma.get((circuit, phase), 0) + more
            if base.most < said.base_hi_ma[phase] <= shown and not view.blind:
                self.tally.known[BEYOND] += 1
                base = base._replace(most=shown)
            self._span("base_hi", where, said.base_hi_ma[phase], base)
            both = Span(min(was.least, now.least), now.most, now.why)
            self._span("draw_hi of circuit", where, said.draw_hi_ma[phase], both)
            self._span("excess", where, said.excess_ma[phase], view.excess[phase])

    def _rose(self, circuit: int, phase: int, raised: dict[int, int]) -> int:
        """By how much what may be drawn there was raised in this tick."""
        return sum(
            self.model.chargers[i].drawn_at(ma).__ceil__()
            for i, ma in raised.items()
            if i in self.model.circuits.below[circuit] and phase in self.site.chargers[i].phases
        )


def tell(seed: int, tally: Tally, ticks: int = TICKS) -> None:
    """One history. Raises DifferentError at the first difference."""
    rng = random.Random(seed)
    pair = Pair(random_depot(rng), tally)
    history = History(pair.site, pair, seed, rng.choice([QUIET, QUIET, DOUBT]))
    try:
        history.run(ticks)
    except DifferentError as different:
        lately = "\n  ".join(history.told[-8:])
        raise DifferentError(f"seed {seed}, {different}\n  {lately}") from None


def tell_many(seeds: Iterable[int], ticks: int) -> Tally:
    tally = Tally()
    for seed in seeds:
        try:
            tell(seed, tally, ticks)
        except DifferentError as different:
            tally.differences.append(str(different))
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.whole", description=__doc__)
    parser.add_argument("--histories", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1, help="of the first history")
    parser.add_argument("--ticks", type=int, default=TICKS, help="of each history")
    asked = parser.parse_args()
    last = asked.seed + asked.histories
    blocks = [range(at, min(at + BLOCK, last)) for at in range(asked.seed, last, BLOCK)]
    whole = Tally()
    with ProcessPoolExecutor() as pool:
        for tally in pool.map(partial(tell_many, ticks=asked.ticks), blocks):
            whole.add(tally)
    differ = f"{asked.histories} histories, {len(whole.differences)} differ"
    sys.stdout.write(f"{whole}\n{differ}\n")
    return 1 if whole.differences else 0


if __name__ == "__main__":
    sys.exit(main())
