"""A slow closed loop around a controller: true depot, meters, drivers, virtual time.

Everything random comes from one generator, so a seed tells a whole story. Delays stay
within what the rows declare: a world that keeps its word has no excuse for an overload.
"""

import heapq
import itertools
import random
from collections.abc import Callable

from tests.oracle.beliefs import DOUBT_SETTLES, Report
from tests.oracle.depot import Car, Depot, Device
from tests.oracle.promises import Watch
from tests.oracle.site import MS, Port, S, Site, Triple, plus
from tests.oracle.truth import TICK, WRITE_AT_MOST, Truth

EARLY_GAP = 5 * MS
WATCHDOG = 10 * S
LOOK = 500 * MS  # between two looks at an auxiliary contact
BOOT = 4 * S  # with power again, a charger answers within


class World:
    """A depot, a controller, and the wires between them."""

    def __init__(
        self, site: Site, open_port: Callable[[Site], Port], seed: int, start_ns: int = 1000 * S
    ) -> None:
        self.site = site
        self.rng = random.Random(seed)
        self.now_ns = start_ns
        self.depot = Depot(site, self.rng)
        self.watch = Watch(site, open_port(site))
        self.cut_meters: set[int] = set()
        self.jitter = self.rng.random()  # share of a meter's lag that varies
        self.steps = 1  # reductions that one cause may take: 2 where it meets a raise on its way
        self.honest = True  # no charger starts anew and no controller: intervals hold the truth
        self.history: list[list[int | None]] = []  # orders after each tick
        self.moments: list[int] = []
        self.cause_ns = start_ns  # when somebody outside last changed something
        self._open_port = open_port
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._writing: set[int] = set()
        self.truth = Truth(self)
        self._last_tick = 0
        self._next_meter = [0] * len(site.meters)
        self._lag = [meter.lag_ns for meter in site.meters]
        self.base_then: dict[int, Triple] = {}  # the truth behind each meter's newest reading
        for meter in range(len(site.meters)):
            self.after(self._share(site.meters[meter].poll_ns), self._sampler(meter))
        for charger in range(len(site.chargers)):
            self.after(self._share(site.chargers[charger].poll_ns), self._poller(charger))
        self.closed = [False] * len(site.contactors)  # as they truly are
        self.welded: set[int] = set()
        self._asked = [False] * len(site.contactors)
        for contactor in range(len(site.contactors)):
            self._supply(contactor)
            self.after(self._share(LOOK), self._looker(contactor))
        self.after(TICK, self._period)

    # -- time ----------------------------------------------------------------------------------

    def at(self, when_ns: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when_ns, next(self._count), what))

    def after(self, delay_ns: int, what: Callable[[], None]) -> None:
        self.at(self.now_ns + delay_ns, what)

    def run(self, seconds: float) -> None:
        """Lets that much virtual time pass."""
        until = self.now_ns + int(seconds * S)
        while self._events and self._events[0][0] <= until:
            self.now_ns, _, what = heapq.heappop(self._events)
            self.depot.follow(self.now_ns)
            what()
        self.now_ns = until

    def _share(self, whole_ns: int) -> int:
        return self.rng.randrange(whole_ns + 1)

    # -- what happens outside ------------------------------------------------------------------

    def base(self, circuit: int, own_ma: Triple) -> None:
        """A new base load of the circuit's own, without the children's."""
        self.depot.own_base[circuit] = own_ma
        self._stir()

    def add_base(self, circuit: int, more_ma: Triple) -> None:
        self.base(circuit, plus(self.depot.own_base[circuit], more_ma))

    def lie(self, circuit: int, own_ma: Triple) -> None:
        """A base load that need not keep what was declared."""
        self.base(circuit, own_ma)
        self.honest = False

    def plug(self, charger: int, car: Car | None) -> None:
        self.depot.devices[charger].car = car
        self._stir()

    def want(self, charger: int, ma: int) -> None:
        """The vehicle's own wish changes."""
        car = self.depot.devices[charger].car
        if car is not None:
            car.want_ma = ma
        self._stir()

    def voltage(self, ppm: int) -> None:
        """Of nominal, everywhere."""
        for device in self.depot.devices:
            device.voltage_ppm = ppm
        self._stir()

    def limit(self, slot: int, ma: Triple | None, for_s: float, alive_s: float) -> None:
        until, alive = self.now_ns + int(for_s * S), self.now_ns + int(alive_s * S)
        self.watch.limit(slot, ma, until, alive)
        for instant in (self.now_ns, until, alive, alive + self.site.slots[slot].hold_ns):
            self.at(instant, self._stir)

    def silence(self, charger: int, silent: bool) -> None:
        self.depot.devices[charger].online = not silent
        self.honest = self.honest and DOUBT_SETTLES

    def distrust(self, meter: int) -> None:
        """Somebody begins, or ends, to doubt what a meter says."""
        self.watch.distrust(meter, meter not in self.watch.beliefs.distrusted)

    def prove(self, charger: int) -> None:
        """A charger's fallback can no longer be read back, or can again."""
        missing = self.watch.beliefs.chargers[charger].missing_ns is not None
        self.watch.prove(charger, self.now_ns, missing)

    def power_cycle(self, charger: int) -> None:
        device = self.depot.devices[charger]
        device.offer(self.now_ns, device.row.power_on_ma)
        self._stir()
        self.honest = False

    def stick(self, charger: int) -> None:
        """It goes on drawing what it draws, or obeys again."""
        device = self.depot.devices[charger]
        drawn = max(device.current_ma()) - device.row.standby_ma
        device.stuck_ma = None if device.stuck_ma is not None or drawn < 6000 else drawn
        self._stir()
        self.honest = False

    def restart(self) -> None:
        """The controller is killed and comes back knowing nothing."""
        self.watch = Watch(self.site, self._open_port(self.site))
        for device in self.depot.devices:
            device.acknowledged = 0
        for contactor in range(len(self.closed)):
            self._asked[contactor] = False
            self._move(contactor, False)
        self.base_then.clear()
        self._stir()
        self.honest = False

    def rebuild(self, site: Site) -> None:
        """The same controller goes on with another document. New chargers stand at its end."""
        self.site = site
        self.watch.rebuild(site)
        for index, row in enumerate(site.chargers):
            if index < len(self.depot.devices):
                self.depot.devices[index].row = row
            else:
                self.depot.devices.append(Device(row, offered_ma=row.power_on_ma))
                self.after(self._share(row.poll_ns), self._poller(index))
        self.depot.rebuild(site)
        self._stir()

    def _stir(self) -> None:
        self.cause_ns = self.now_ns

    # -- the wires -----------------------------------------------------------------------------

    def _sampler(self, index: int) -> Callable[[], None]:
        meter = self.site.meters[index]

        def sample() -> None:
            load = self.depot.load(meter.circuit)
            error = [self.rng.randint(-meter.error_ma, meter.error_ma) for _ in load]
            seen = plus(load, (error[0], error[1], error[2]))
            if meter.unsigned:
                seen = (abs(seen[0]), abs(seen[1]), abs(seen[2]))
            self._next_meter[index] += 1
            number = self._next_meter[index]
            base = self.depot.base(meter.circuit)
            self._drift(index)
            self.after(self._lag[index], lambda: arrive(seen, number, base))
            self.after(meter.poll_ns, sample)

        newest = 0

        def arrive(seen: Triple, number: int, base: Triple) -> None:
            nonlocal newest
            if index not in self.cut_meters and number > newest:
                newest = number
                self.base_then[index] = base
                self.watch.reading(index, self.now_ns, seen)
                if self.now_ns - self._last_tick >= EARLY_GAP:
                    self._tick()

        return sample

    def _drift(self, index: int) -> None:
        """The lag of a meter wanders slowly, so that its readings keep coming steadily."""
        meter = self.site.meters[index]
        least = int(meter.lag_ns * (1 - self.jitter))
        lag = self._lag[index] + self.rng.randint(-meter.poll_ns // 4, meter.poll_ns // 4)
        self._lag[index] = min(max(lag, least), meter.lag_ns)

    def _poller(self, index: int) -> Callable[[], None]:
        row, device = self.site.chargers[index], self.depot.devices[index]

        def poll() -> None:
            self.after(row.poll_ns, poll)
            if not device.powered or self.now_ns < device.awake_ns:
                return
            if not device.online:
                if self.now_ns - device.contact_ns > WATCHDOG:
                    if device.offered_ma != row.fallback_ma:
                        self._stir()
                    device.offer(self.now_ns, row.fallback_ma)
                return
            device.contact_ns = self.now_ns
            amps, offered, vehicle = device.current_ma(), device.offered_ma, device.vehicle()
            written, watch = device.acknowledged, self.watch
            seen = [
                max(0, device.shown(a) + self.rng.randint(-row.error_ma, row.error_ma)) if a else 0
                for a in amps
            ]
            told = (seen[0], seen[1], seen[2]) if row.metered else None

            def arrive() -> None:
                if self.watch is watch and device.answers(self.now_ns):
                    watch.report(index, Report(self.now_ns, offered, told, vehicle), written)

            self.after(min(self._share(row.lag_ns), row.poll_ns - 1), arrive)

        return poll

    def _looker(self, contactor: int) -> Callable[[], None]:
        def look() -> None:
            self.after(LOOK, look)
            if self.site.contactors[contactor].feedback:
                self.watch.contact(contactor, self.now_ns, self.closed[contactor])

        return look

    def _switch(self, contactor: int) -> None:
        """Its coil follows the order, a little later the contactor."""
        closed = self.watch.port.contactor(contactor).closed
        if closed != self._asked[contactor]:
            self._asked[contactor] = closed
            takes = self._share(self.site.contactors[contactor].opens_ns)
            self.after(takes, lambda: self._move(contactor, closed))

    def _move(self, contactor: int, closed: bool) -> None:
        if self._asked[contactor] == closed and not (contactor in self.welded and not closed):
            self.closed[contactor] = closed
            self._supply(contactor)

    def _supply(self, contactor: int) -> None:
        """Who is behind it has power, if all before it are closed."""
        rows = self.site.contactors
        for charger in rows[contactor].chargers:
            before = [
                closed
                for row, closed in zip(rows, self.closed, strict=True)
                if charger in row.chargers
            ]
            self.depot.devices[charger].supply(self.now_ns, all(before), self._share(BOOT))

    def _write(self, index: int) -> None:
        """Hands an order over when it differs from what was acknowledged; one at a time."""
        device, out, watch = self.depot.devices[index], self.watch.port.output(index), self.watch
        settled = device.acknowledged == out.changed_tick and device.offered_ma == out.setpoint_ma
        if out.setpoint_ma is None or settled or index in self._writing:
            return
        if not device.answers(self.now_ns):
            return
        self._writing.add(index)
        if self.now_ns < device.next_write_ns:  # the newest order is written when the gap ends
            self._writing.discard(index)
            self.at(device.next_write_ns, lambda: self._write(index))
            return
        device.next_write_ns = self.now_ns + WRITE_AT_MOST + device.row.write_gap_ns
        takes = self._share(WRITE_AT_MOST // 2)

        def effect() -> None:
            if device.answers(self.now_ns) and (self.now_ns < out.expires_ns):
                device.offer(self.now_ns, out.setpoint_ma)
                device.contact_ns = self.now_ns

        def acknowledge() -> None:
            self._writing.discard(index)
            if device.answers(self.now_ns) and self.watch is watch:
                device.acknowledged = out.changed_tick
                self._write(index)

        self.after(takes, effect)
        self.after(takes + self._share(WRITE_AT_MOST // 2), acknowledge)

    # -- the controller's turn -----------------------------------------------------------------

    def _period(self) -> None:
        self.after(TICK, self._period)
        self._tick()

    def _tick(self) -> None:
        self._last_tick = self.now_ns
        self.watch.tick(self.now_ns)
        self.moments.append(self.now_ns)
        self.history.append([belief.ordered for belief in self.watch.beliefs.chargers])
        for charger in range(len(self.site.chargers)):
            self._write(charger)
        for contactor in range(len(self.closed)):
            self._switch(contactor)
        for circuit in range(len(self.site.circuits)):
            self.truth.circuit(circuit)
        if self.honest:
            self.truth.beliefs()
