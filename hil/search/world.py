"""A case told on the plant: the real kernel, image, limits and doubts, and all that goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

from cext.errands import Agenda
from cext.plant import Car
from cext.rows import Phases
from controller.document.clamps import Clamp
from controller.document.devices import Meter
from controller.hardware import build_plant, hardware, let_go
from controller.plant import VirtualEnforcer
from controller.site import Site
from hil.search.bounds import standby_ma
from hil.search.case import Case, Table
from hil.search.cloud import Cloud
from hil.search.gateway import Gateway
from hil.search.ills import Ills
from hil.search.judge import Finding, FoundError, Judge
from hil.search.orders import Orders
from hil.search.sites import read_site
from hil.search.units import milliamps, nanoseconds
from hil.story.truth import Truth

LOOK_NS = 500_000_000


def rise(before: Phases, after: Phases) -> Phases:
    """By how much each phase is higher now, 0 where it is not."""
    first, second, third = (max(0, b - a) for a, b in zip(before, after, strict=True))
    return first, second, third


class World:
    """One run of a case, from 0 ns to its end."""

    def __init__(
        self,
        case: Case,
        twin: bool = False,
        guarded: bool = False,
        enforcer: Callable[..., VirtualEnforcer] = VirtualEnforcer,
    ) -> None:
        """`twin`: only to be compared with. `guarded`: what the guard disputes is found, too.
        `enforcer`: makes one, each time that the gateway starts."""
        self.case = case
        self.site = read_site(case)
        self.rows = hardware(self.site)
        self.plant = build_plant(self.site, case.seed, self.rows, case.step_ms * 1_000_000)
        self.truth = Truth(self.site)
        self.now_ns = 0
        self.agenda = Agenda(self._go_on)
        self.circuits = {circuit.id: i for i, circuit in enumerate(self.site.circuits)}
        self.chargers = {charger.id: i for i, charger in enumerate(self.site.chargers)}
        every: list[Meter | Clamp] = [*self.site.meters, *self.site.clamps]
        self.sources = {each.id: each for each in every}
        self.gateway = Gateway(self, guarded, enforcer)
        self.ills = Ills(self)
        self._own_ma: dict[str, Phases] = {}
        self._standby_ma = self._standby()
        self._caps_ma = [circuit.rating_ma for circuit in self.site.circuits]
        self._phases: dict[int, int] = {}  # of the last vehicle at each charger
        self.cloud = Cloud(self)
        noise = [self._noise_below(index) for index in range(len(self.circuits))]
        self.judge = Judge(self.site, self.plant, noise)
        self.orders = Orders(self, twin)
        self.happened: Counter[str] = Counter()

    def run(self) -> Finding | None:
        """What was found, or None."""
        try:
            self._begin()
            self.agenda.run_until(nanoseconds(self.case.duration_s))
            self.look()
        except FoundError as found:
            return found.finding
        return None

    # Time

    def _go_on(self, now_ns: int) -> None:
        self.now_ns = now_ns
        if self.gateway.enforcer is not None:
            self.gateway.enforcer.run_until(now_ns)
        self.plant.advance(now_ns)

    def _begin(self) -> None:
        let_go(self.site, self.plant)
        self.plant.advance(0)
        for base in self.case.base:
            self._base(base)
        for vehicle in self.case.vehicles:
            self._plug(vehicle)
        for meter in self.site.meters:
            lag_ns = nanoseconds(self.case.lags.get(meter.id, 0.0))
            self.plant.set_meter(self.circuits[meter.circuit], lag_ns, 0)
        self.gateway.start()
        for event in self.case.events:
            self.agenda.at(nanoseconds(event["t_s"]), partial(self._happens, event))
        self.agenda.at(LOOK_NS, self._look_again)

    def _look_again(self) -> None:
        self.agenda.at(self.now_ns + LOOK_NS, self._look_again)
        self.look()

    def look(self) -> None:
        self.judge.look(self.now_ns)
        self.set_caps()
        if self.gateway.enforcer is None:
            return
        self.orders.look(self.gateway.enforcer.kernel.setpoints())

    def look_closely(self) -> None:
        """Each inner step of the plant, while chargers are to get their first order."""
        self.look()
        if self.gateway.enforcer is not None and self.orders.starting:
            step_ns = self.case.step_ms * 1_000_000
            self.agenda.at(self.now_ns - self.now_ns % step_ns + step_ns, self.look_closely)

    def twin(self, case: Case) -> World:
        """Another world to be compared with."""
        return World(case, twin=True)

    def order_at(self, charger: int, at_ns: int) -> int | None:
        """What a charger is told then, in a world that nothing is found in."""
        self._begin()
        self.agenda.run_until(at_ns)
        enforcer = self.gateway.enforcer
        return None if enforcer is None else enforcer.kernel.setpoints()[charger]

    def set_caps(self) -> None:
        """What truly may flow from now on; without anybody alive, the ratings only."""
        if self.judge.dead or self.gateway.unfed:
            caps_ma = [circuit.rating_ma for circuit in self.site.circuits]
        else:
            caps_ma = self.truth.caps_ma(self.now_ns)
        if caps_ma == self._caps_ma:
            return
        for index, cap_ma in enumerate(caps_ma):
            fall_ma = rise(cap_ma, self._caps_ma[index])
            if any(fall_ma):
                self.judge.cap(index, fall_ma)
            self.plant.set_cap(index, cap_ma)
        self._caps_ma = caps_ma

    # What happens

    def _happens(self, event: Table) -> None:
        self.look()
        self.orders.expect(event)
        self.happened[event["do"]] += 1
        acts: dict[str, Callable[[Table], None]] = {
            "base": self._base,
            "plug": self._plug,
            "unplug": self._unplug,
            "wish": self._wish,
            "voltage": self._voltage,
            "limit": self.cloud.limit,
            "cloud": self.cloud.lose,
            "flood": self.cloud.flood,
        }
        (acts | self.gateway.acts | self.ills.acts).get(event["do"], self.ills.source)(event)
        self.judge.watch_ill()
        self.set_caps()

    def after(self, for_s: float, act: Callable[[], None]) -> None:
        def then() -> None:
            self.look()
            act()

        self.agenda.at(self.now_ns + nanoseconds(for_s), then)

    def switch(self, site: Site) -> None:
        """Another document holds."""
        self.site = site
        self.truth.switch(site)
        self.judge.switch(site)
        if self.gateway.enforcer is not None:
            self.gateway.enforcer.switch(site)
        self.set_caps()

    # The depot

    def _base(self, event: Table) -> None:
        circuit = event["circuit"]
        own_ma, noise_ma = milliamps(event["load_a"]), round(event["noise_a"] * 1000)
        before_ma = self._own_ma.get(circuit, (0, 0, 0))
        self._own_ma[circuit] = own_ma
        standby_ma = self._standby_ma[circuit]
        first, second, third = map(int.__add__, own_ma, standby_ma)
        self.plant.set_base(self.circuits[circuit], (first, second, third), noise_ma)
        self.judge.base(circuit, rise(before_ma, own_ma), rise(own_ma, before_ma))

    def _standby(self) -> dict[str, Phases]:
        """What chargers draw besides charging, as part of the load beside them."""
        found = {circuit.id: [0, 0, 0] for circuit in self.site.circuits}
        for charger in self.site.chargers:
            for phase in charger.phases:
                if phase >= 0:
                    found[charger.circuit][phase] += standby_ma(self.site, charger)
        return {circuit: (ma[0], ma[1], ma[2]) for circuit, ma in found.items()}

    def _noise_below(self, index: int) -> int:
        """By how much the base loads of a circuit and below may differ from one look to another."""
        noise_a = 0.0
        tree = {c.id: c.parent for c in self.site.circuits}
        for base in self.case.base:
            here: str | None = base["circuit"]
            while here is not None:
                noise_a += base["noise_a"] if self.circuits[here] == index else 0
                here = tree[here]
        return round(2000 * noise_a)

    def _plug(self, event: Table) -> None:
        car = Car(
            max_ma=round(event["max_a"] * 1000),
            phases=event["phases"],
            reaction_ns=nanoseconds(event["reaction_s"]),
            energy_wh=round(event["energy_kwh"] * 1000),
            taper_wh=0,
            gain_ppm=event["gain_pct"] * 10_000,
        )
        charger = self.chargers[event["charger"]]
        if car.phases > self._phases.get(charger, 3):
            self.judge.takes_back(charger)
        self._phases[charger] = car.phases
        self.plant.plug(charger, car)
        self.judge.wake(charger, car.reaction_ns)

    def _unplug(self, event: Table) -> None:
        self.plant.unplug(self.chargers[event["charger"]])

    def _voltage(self, event: Table) -> None:
        """Who is commanded in watts may draw more: that must fit, but for a step just before."""
        self.plant.set_voltage(event["percent"] * 10_000)
        for charger, row in enumerate(self.site.chargers):
            if row.watts is not None:
                self.judge.wake(charger, 0)

    def _wish(self, event: Table) -> None:
        charger = self.chargers[event["charger"]]
        try:
            self.plant.set_car_max(charger, round(event["max_a"] * 1000))
        except ValueError:
            return  # nobody is plugged in
        self.judge.wake(charger, 5_000_000_000)


def tell(case: Case, guarded: bool = False) -> Finding | None:
    """What is found in a case, or None. Raises DocumentError for a site that is none."""
    return tell_world(World(case, guarded=guarded))


def tell_world(world: World) -> Finding | None:
    """Likewise; any error of the controller is one more thing that must not be."""
    try:
        return world.run()
    except Exception as error:  # noqa: BLE001  # of one case; the hunt goes on with the next
        return crashed(error, world.now_ns)


def crashed(error: Exception, at_ns: int) -> Finding:
    return Finding("crash", at_ns / 1e9, f"{type(error).__name__}: {error}")
