"""The judge: what truly flows against what truly may, at every instant, by the plant alone.

What nobody can prevent is allowed for, and exactly so: a step of base load or a fallen cap flows
until the site's declared times are over, and no more flows than those steps together. Outside
such times nothing may be over. Where all that could be lowered is at 0, nothing more is asked.
"""

from __future__ import annotations

from typing import NamedTuple

from cext.plant import Plant
from cext.rows import Phases
from controller.site import Site
from controller.units import NS_PER_S
from hil.search import flows
from hil.search.bounds import TRUSTED_NS, Tree, bounds, standby_ma, switched
from hil.search.causes import Cause, Stand, explains_all, less
from hil.search.draws import Draws
from hil.search.flows import FLOWS, MISREAD, NOTHING, TOGETHER, Flow

ROUNDING_MA = 60
NOTHING_MA = 500
RISES_MA = 200  # of an ill charger's current: a smaller rise is none
PROVING_NS = 10 * NS_PER_S  # a start expects every charger to answer within


class Finding(NamedTuple):
    """One thing that must not be."""

    kind: str  # over, doubt, start, silent, latched, never, crash, taken or guard
    t_s: float
    what: str  # a sentence


class FoundError(Exception):
    """The search has found something."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


class Judge:
    """Told of all that happens, by whoever makes it happen; looks at the plant."""

    def __init__(self, site: Site, plant: Plant, tolerance_ma: list[int]) -> None:
        self.site = site
        self.plant = plant
        self.tree = Tree(site)
        self.bounds = bounds(site, self.tree)
        self.now_ns = 0
        self.dead = False
        self._draws = Draws(site, plant, self.tree)
        self._tolerance_ma = [each + ROUNDING_MA for each in tolerance_ma]
        self._bounded = [self._bound(index) for index in range(len(site.circuits))]
        self._floor_ma = [
            NOTHING_MA + (each.draw_ma(each.always_ma) if each.always_ma else 0)
            for each in site.chargers
        ]
        self.stands = [Stand() for _ in site.circuits]
        self._ill_ns = [0] * len(site.chargers)
        self._drawn_ma = [0] * len(site.chargers)
        self._index = {charger.id: i for i, charger in enumerate(site.chargers)}
        self._welded_ns = [0] * len(site.chargers)
        self._moved_ns = [-(1 << 62)] * len(site.chargers)
        self._dead_ns = 0
        self._seen_ns = -1  # the plant's time when last looked at
        self._stalled_ns = 0
        self.judged_ns = self.blind_ns = 0  # of all circuits with chargers together

    def _bound(self, index: int) -> bool:
        """Tells the plant what a circuit bears beside its caps; whether there is anything."""
        circuit = self.site.circuits[index]
        busbar_ma = circuit.busbar_ma
        if busbar_ma is not None:
            besides_ma = [0, 0, 0]
            for charger in self.tree.below[index]:
                row = self.site.chargers[charger]
                for phase in row.phases:
                    if phase >= 0:
                        besides_ma[phase] += standby_ma(self.site, row)
            first, second, third = (
                ma - worst - standby
                for ma, worst, standby in zip(
                    busbar_ma, circuit.worst_base_ma, besides_ma, strict=True
                )
            )
            busbar_ma = (first, second, third)
        self.plant.set_bounds(index, circuit.sum_ma, busbar_ma, circuit.credit_export)
        return busbar_ma is not None or circuit.sum_ma is not None

    def switch(self, site: Site) -> None:
        """Another document of the same devices."""
        self.site = self._draws.site = site
        self._bounded = [self._bound(index) for index in range(len(site.circuits))]

    def moved(self, charger: int) -> None:
        """Its order has changed."""
        self._moved_ns[charger] = self.now_ns

    # What happens

    def cause(
        self, circuit: int, size_ma: Flow = NOTHING, more_ns: int = 0, is_base: bool = False
    ) -> None:
        """Something outside drives a circuit up; its answer may take the declared time."""
        stand, bound = self.stands[circuit], self.bounds[circuit]
        for_ns = bound.react_ns + more_ns
        if any(self._moved_ns[i] > self.now_ns - bound.react_ns for i in self.tree.below[circuit]):
            for_ns += bound.react_ns  # what is under way is counted on, and may be less than that
        if any(self._ill_ns[i] > self.now_ns for i in self.tree.below[circuit]):
            for_ns += bound.ill_ns
        if stand.ill_ns > self.now_ns:
            for_ns += bound.blind_ns
        until_ns = self._answered_ns(stand, for_ns)
        stand.excused_ns = max(stand.excused_ns, until_ns)
        stand.wakes_ns = max(stand.wakes_ns, until_ns + bound.calm_ns)
        if any(size_ma):
            calm_ns = 0 if explains_all(size_ma) else bound.calm_ns
            stand.causes.append(Cause(until_ns + calm_ns, size_ma, is_base))

    def _answered_ns(self, stand: Stand, for_ns: int) -> int:
        """When what happens now is answered, in the time `for_ns`: while threads stand still, when
        they are back, or when the chargers have fallen back by themselves."""
        if self.now_ns >= stand.waits_ns:
            return self.now_ns + for_ns
        if stand.waits_ns < stand.alone_ns:
            return stand.waits_ns + for_ns
        return max(self.now_ns, stand.alone_ns)

    def base(self, circuit: str, rise_ma: Phases, fall_ma: Phases = (0, 0, 0)) -> None:
        """The base load here rose, or fell, by so much on each phase."""
        for index in self.tree.above(circuit):
            if any(fall_ma):
                stand = self.stands[index]
                stand.causes = list(less(stand.causes, fall_ma))
            if not any(rise_ma):
                continue
            if self.dead:
                self._explain(index, self._dead_ns, flows.load(rise_ma), is_base=True)
            elif self.bounds[index].measured:  # elsewhere all of it is counted all the time
                self.cause(index, flows.load(rise_ma), is_base=True)

    def cap(self, circuit: int, fall_ma: Phases) -> None:
        self.cause(circuit, flows.cap(fall_ma))

    def wake(self, charger: int, reaction_ns: int) -> None:
        """A vehicle may draw more; what it is permitted must fit, but for what is worth no write,
        unless a step was just before."""
        for index in self.tree.paths[charger]:
            stand, bound = self.stands[index], self.bounds[index]
            if self.now_ns < stand.wakes_ns:
                self.cause(index, more_ns=reaction_ns)
            elif bound.measured:  # elsewhere all that is permitted fits at once
                until_ns = self._answered_ns(stand, bound.react_ns + reaction_ns)
                stand.causes = [it for it in stand.causes if it.size_ma is not bound.kept_ma]
                self._explain(index, until_ns, bound.kept_ma)

    def takes_back(self, charger: int) -> None:
        """A vehicle that uses more phases stands where one with fewer did: until that is noticed,
        it draws on those what it was permitted on the others."""
        row = self.site.chargers[charger]
        offered_ma = self.plant.charger(charger).offered_ma
        offered_ma = row.draw_ma(offered_ma)
        first, second, third = (offered_ma if phase in row.phases else 0 for phase in range(3))
        for index in self.tree.paths[charger]:
            more_ns = row.poll_ns + row.facts.lag_ns
            self.cause(index, flows.drawn((first, second, third)), more_ns)

    def charger_ill(self, charger: int, until_ns: int) -> None:
        """It does not do as it should until then, and is given time to come round."""
        bound = self.bounds[self.tree.paths[charger][0]]
        if self._ill_ns[charger] <= self.now_ns:
            self._drawn_ma[charger] = self._draws.may_be(charger)
        until_ns += bound.react_ns + bound.ill_ns
        self._ill_ns[charger] = max(self._ill_ns[charger], until_ns)
        for index in self.tree.paths[charger]:
            self.cause(index, more_ns=max(0, until_ns - self.now_ns))

    def weld(self, contactor: int, until_ns: int) -> None:
        """While it cannot open, what is behind it does not lose its power when nobody is there; nor
        when it is told to, which without an auxiliary contact nobody sees."""
        row = self.site.contactors[contactor]
        for charger in row.chargers:
            index = self._index[charger]
            self._welded_ns[index] = max(self._welded_ns[index], until_ns)
            if row.feedback is None:
                self.charger_ill(index, until_ns)

    def source_ill(self, circuit: str, until_ns: int, lies: bool, alone: bool) -> None:
        """A source is lost, or lies. `alone`: nothing honest that counts there contradicts it."""
        index = self.tree.index[circuit]
        stand, bound = self.stands[index], self.bounds[index]
        until_ns += TRUSTED_NS if lies else 0
        stand.ill_ns = max(stand.ill_ns, until_ns + bound.blind_ns)
        lasts_ns = until_ns - self.now_ns if lies and alone else 0
        self.cause(index, MISREAD if lies and alone else NOTHING, lasts_ns)

    def stall(self, until_ns: int) -> None:
        """Threads stand still until then. What had to be answered waits for their return, or until
        the chargers, which nobody feeds, have fallen back: some perhaps to more than they had, and
        before the others come down. Nothing else is explained by it."""
        control = self.site.control
        goes_on = self.now_ns < self._stalled_ns
        self._stalled_ns = max(self._stalled_ns, until_ns)
        rows = zip(self.stands, self.bounds, strict=True)
        for index, (stand, bound) in enumerate(rows):
            if not self.tree.below[index]:
                continue
            if not goes_on or stand.waits_ns < stand.alone_ns:  # else nobody fed them meanwhile
                stand.alone_ns = self.now_ns + control.dead_man_ns + bound.alone_ns
            stand.waits_ns = self._stalled_ns
            if not self.dead:
                stand.fallen_ma = self._draws.fallen_back(index, self._stalled_ns - self.now_ns)
            if any(stand.fallen_ma):
                stand.excused_ns = max(stand.excused_ns, self._answered_ns(stand, bound.react_ns))
            if stand.excused_ns > self.now_ns:
                self._wait(stand, self._answered_ns(stand, stand.excused_ns - self.now_ns))

    def _wait(self, stand: Stand, until_ns: int) -> None:
        """What is being answered is so no sooner than then; what has been is forgotten."""
        stand.excused_ns = max(stand.excused_ns, until_ns)
        stand.causes = [
            it if explains_all(it.size_ma) else it._replace(until_ns=max(it.until_ns, until_ns))
            for it in stand.causes
            if it.until_ns >= self.now_ns
        ]

    def resumes(self, more_ns: int = 0, starts: bool = False) -> None:
        """Somebody is at work again: what is over at that instant is to be answered from now on.
        After a start, or where chargers have fallen back, so is what vehicles are about to draw."""
        for index, stand in enumerate(self.stands):
            if stand.waits_ns > self.now_ns:
                continue
            self._wait(stand, self.now_ns)
            about_to_ma = NOTHING
            if starts or any(stand.fallen_ma):
                about_to_ma = self._draws.about_to(index)
            stand.fallen_ma = NOTHING
            left_ma = (
                max(0, over_ma - sum(it.size_ma[flow] for it in stand.causes))
                for flow, over_ma in enumerate(stand.over_ma)
            )
            self.cause(index, tuple(left_ma), more_ns)
            self._explain(index, stand.excused_ns, about_to_ma)
            self._wait(stand, stand.excused_ns)

    def _alone(self, stand: Stand) -> bool:
        """Whether its chargers have fallen back, for nobody is there."""
        return self.dead or stand.alone_ns <= self.now_ns <= stand.waits_ns

    def died(self) -> None:
        """Nobody is there: what is over must be gone when the chargers have fallen back."""
        self.dead = True
        for charger, until_ns in enumerate(self._welded_ns):
            if until_ns > self.now_ns:
                self.charger_ill(charger, until_ns)
        for bound in self.bounds:
            self._dead_ns = max(self._dead_ns, self.now_ns + bound.alone_ns)
        for index, stand in enumerate(self.stands):  # what had to be answered is not, until then
            self._wait(stand, self._dead_ns)
            stand.fallen_ma = self._draws.fallen_back(index)

    def lives(self) -> None:
        """Somebody is there again, or for the first time: he must hear the chargers first."""
        self.dead = False
        self._stalled_ns = 0
        for stand in self.stands:
            stand.waits_ns = 0
        self.resumes(PROVING_NS, starts=True)

    def _explain(self, circuit: int, until_ns: int, size_ma: Flow, is_base: bool = False) -> None:
        stand = self.stands[circuit]
        stand.excused_ns = max(stand.excused_ns, until_ns)
        stand.causes.append(Cause(until_ns, size_ma, is_base))

    # What is

    def look(self, now_ns: int) -> None:
        """Judges what was since the last look. Raises FoundError."""
        before_ns, self.now_ns = self.now_ns, now_ns
        self.watch_ill()
        if self.plant.now_ns == self._seen_ns:
            return  # not a step since then
        self._seen_ns = self.plant.now_ns
        for index in range(len(self.bounds)):
            above_ma: Flow = self.plant.above(index)
            if self._bounded[index]:
                above_ma += self.plant.beyond(index)
            self.stands[index].over_ma = (*above_ma, *NOTHING[len(above_ma) :])
            self._count(index, now_ns - before_ns, before_ns)
            if max(above_ma) > self._tolerance_ma[index]:
                for flow, ma in enumerate(above_ma):
                    self._judge(index, flow, ma, before_ns)
            else:
                self.stands[index].stands_ma = [0] * FLOWS
        self.plant.mark()

    def _count(self, circuit: int, for_ns: int, since_ns: int) -> None:
        """How much of the time is judged, and how much of that blindly: anything would do."""
        below, stand = self.tree.below[circuit], self.stands[circuit]
        if not below:
            return
        self.judged_ns += for_ns
        anything = since_ns < stand.excused_ns and any(
            explains_all(it.size_ma) for it in stand.causes if it.until_ns >= since_ns
        )
        if anything or (not self.dead and all(self._ill_ns[i] > since_ns for i in below)):
            self.blind_ns += for_ns

    def watch_ill(self) -> None:
        """What an ill charger does by itself drives its circuits up."""
        for charger, until_ns in enumerate(self._ill_ns):
            if until_ns <= self.now_ns:
                continue
            drawn_ma = self._draws.may_be(charger)
            rise_ma = drawn_ma - self._drawn_ma[charger]
            self._drawn_ma[charger] = drawn_ma
            if rise_ma > RISES_MA:
                wired = self.site.chargers[charger].phases
                first, second, third = (rise_ma if phase in wired else 0 for phase in range(3))
                size_ma = flows.drawn((first, second, third))
                for index in self.tree.paths[charger]:
                    if self.dead:
                        self._explain(index, self._dead_ns, size_ma)
                    else:
                        self.cause(index, size_ma)

    def _judge(self, circuit: int, flow: int, above_ma: int, before_ns: int) -> None:
        stand = self.stands[circuit]
        stand.causes = [it for it in stand.causes if it.until_ns >= before_ns]
        tolerance_ma = self._tolerance_ma[circuit] * len(flows.phases(flow))
        if above_ma <= tolerance_ma:
            stand.stands_ma[flow] = 0
            return
        if self._beyond_control(circuit, flow, above_ma, tolerance_ma):
            stand.stands_ma[flow] = above_ma
            return
        explained_ma = stand.stands_ma[flow] + stand.fallen_ma[flow]
        explained_ma += sum(it.size_ma[flow] for it in stand.causes)
        excused = before_ns < stand.excused_ns
        if excused and above_ma <= explained_ma + tolerance_ma:
            return
        once_more = before_ns < stand.excused_ns + self.bounds[circuit].react_ns
        inexact_ma = self._draws.inexact_ma(circuit, flow)
        inexact_ma += 2 * self.bounds[circuit].error_ma * len(flows.phases(flow))
        if once_more and above_ma <= inexact_ma + tolerance_ma:
            return  # the next reading may show so much more, and be answered anew
        where = (
            f"{flows.place(flow, self.site.circuits[circuit].id)} carried "
            f"{above_ma / 1000:.2f} A more than it may{self._now(circuit, flow)}"
        )
        if excused:
            why = f"; all that happened explains {explained_ma / 1000:.2f} A"
        else:
            why = f", {(self.now_ns - stand.excused_ns) / 1e9:.1f} s after it had to be answered"
        raise FoundError(Finding("over", self.now_ns / 1e9, where + why))

    def _now(self, circuit: int, flow: int) -> str:
        if flow >= TOGETHER:
            return ""
        load_ma, cap_ma = self.plant.load(circuit)[flow], self.plant.cap(circuit)[flow]
        return f" (now {load_ma / 1000:.1f} of {cap_ma / 1000:.1f} A)"

    def _beyond_control(self, circuit: int, flow: int, above_ma: int, tolerance_ma: int) -> bool:
        """All that does as it should is at its least; or dead, what is over ill ones draw."""
        below = self.tree.below[circuit]
        ill = [i for i in below if self._ill_ns[i] > self.now_ns]
        if self._alone(self.stands[circuit]):
            more_ma = sum(
                max(0, max(self.plant.charger(i).current_ma) - self.site.chargers[i].alone_ma)
                for i in ill
            )
            if not self.dead:  # nobody restarts it here, and what a relay feeds stays fed
                held = [i for i in below if switched(self.site, self.site.chargers[i])]
                more_ma += sum(max(self.plant.charger(i).current_ma) for i in held)
            return above_ma <= more_ma * len(flows.phases(flow)) + tolerance_ma
        return all(
            self._draws.on(i, phase) < self._floor_ma[i]
            for i in below
            if i not in ill
            for phase in flows.phases(flow)
        )
