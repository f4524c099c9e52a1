# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""The virtual depot as Python sees it: every number and index is checked here, once."""

from math import gcd

from cext.plantrows import Car, Over, PlantCharger, PlantChargerState
from cext.rows import NEVER_NS, NO_PHASE, ROOT, Vehicle

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from cext.depot cimport (
    TERMINALS, Depot, Guest, Node, Station, Switch,
    add_load,
    bend,
    count_supply,
    drawn_ma,
    greet,
    new_noise,
    offer,
    power_up,
    run,
    shown_state,
    stop,
    tell,
    throw_switch,
    told_ma,
    update,
)
from cext.watched cimport forget
from cext.whole cimport long_whole, whole

cdef enum:
    MOST_MA = 10_000_000
    MOST_GAIN_PPM = 500_000
    MOST_DRAWS_PPM = 10_000_000  # times MOST_MA, by the least voltage, fits
    LEAST_VOLTAGE_PPM = 500_000
    MOST_VOLTAGE_PPM = 1_500_000
    MOST_PAST = 1 << 20  # steps a meter may lag
    MOST_EASY_UNIT = 1 << 20  # so much, times what is below MOST_EASY, fits

cdef int64_t MOST_EASY = <int64_t>1 << 42
cdef object VEHICLES = tuple(Vehicle)
cdef object FEMTOJOULES_MWH = 3_600_000_000_000_000  # mA x mV x ns is femtojoules


cdef class Plant:
    """The virtual depot: integers in, integers out, deterministic by seed."""

    def __init__(self, parents, chargers, nominal_mv, seed, step_ns=10_000_000,
                 tolerance_ma=500, contactors=()):
        if self.depot.nodes != NULL:
            raise ValueError("a plant begins once")
        self.step_ns = whole(step_ns, 1_000_000, 1_000_000_000, "step_ns")
        self.energy_unit = whole(nominal_mv, 1, 1_000_000, "nominal_mv") * int(step_ns)
        common = gcd(self.energy_unit, FEMTOJOULES_MWH)
        self.unit_over = self.energy_unit // common
        self.unit_under = FEMTOJOULES_MWH // common
        self.depot.voltage_ppm = 1_000_000
        self.depot.tolerance_ma = whole(tolerance_ma, 0, MOST_MA, "tolerance_ma")
        self.depot.nodes = <Node*>calloc(max(1, len(parents)), sizeof(Node))
        self.depot.stations = <Station*>calloc(max(1, len(chargers)), sizeof(Station))
        if self.depot.nodes == NULL or self.depot.stations == NULL:
            raise MemoryError
        for i, parent in enumerate(parents):
            self._add_circuit(i, parent, seed)
        for i, charger in enumerate(chargers):
            self._add_charger(i, charger)
        self._add_contactors(contactors)

    def __dealloc__(self):
        cdef int32_t i
        for i in range(self.depot.nodes_n):
            free(self.depot.nodes[i].past_ma)
        free(self.depot.nodes)
        free(self.depot.stations)
        free(self.depot.switches)
        free(self.depot.members)

    cdef int _add_circuit(self, int32_t i, object parent, object seed) except -1:
        cdef Node* node = &self.depot.nodes[i]
        cdef int32_t phase
        node.parent = whole(parent, ROOT, i - 1, "parent")
        node.random = <uint64_t>((seed * 0x2545F4914F6CDD1D + i) & 0xFFFFFFFFFFFFFFFF)
        node.chance = ~node.random
        node.together_above_ma = -NEVER_NS
        for phase in range(TERMINALS):
            node.cap_ma[phase] = NEVER_NS // 2
            node.above_ma[phase] = node.busbar_above_ma[phase] = -NEVER_NS
        self.depot.nodes_n = i + 1
        return 0

    cdef int _add_charger(self, int32_t i, object charger) except -1:
        cdef Station* station = &self.depot.stations[i]
        cdef int32_t terminal
        station.circuit = whole(charger.circuit, 0, self.depot.nodes_n - 1, "circuit")
        for terminal, phase in zip(range(TERMINALS), charger.phases, strict=True):
            station.phase[terminal] = whole(phase, NO_PHASE, TERMINALS - 1, "phase")
        station.max_ma = whole(charger.max_ma, 0, MOST_MA, "max_ma")
        station.power_on_ma = whole(charger.power_on_ma, 0, MOST_MA, "power_on_ma")
        station.fallback_ma = whole(charger.fallback_ma, 0, MOST_MA, "fallback_ma")
        station.watchdog = self._steps(charger.watchdog_ns)
        station.boot = self._steps(charger.boot_ns)
        station.draws_ppm = whole(charger.draws_ppm, 0, MOST_DRAWS_PPM, "draws_ppm")
        station.shows_ppm = whole(charger.shows_ppm, 0, MOST_DRAWS_PPM, "shows_ppm")
        station.obeys = 1
        station.told_ma = -1
        offer(station, station.power_on_ma, 0)
        station.changes = 0
        station.next_at = NEVER_NS
        self.depot.stations_n = i + 1
        return 0

    cdef int _add_contactors(self, object contactors) except -1:
        """All closed at first."""
        cdef int32_t member = 0
        cdef Switch* switch
        self.depot.switches = <Switch*>calloc(max(1, len(contactors)), sizeof(Switch))
        self.depot.members = <int32_t*>calloc(
            max(1, sum([len(chargers) for chargers in contactors])), sizeof(int32_t))
        if self.depot.switches == NULL or self.depot.members == NULL:
            raise MemoryError
        for i, chargers in enumerate(contactors):
            switch = &self.depot.switches[<int32_t>i]
            switch.first, switch.count = member, len(chargers)
            switch.closed = switch.wanted = 1
            for charger in chargers:
                self.depot.members[member] = whole(
                    charger, 0, self.depot.stations_n - 1, "charger")
                member += 1
            self.depot.switches_n = i + 1
        return 0

    cdef int64_t _steps(self, object duration_ns) except -1:
        """Whole steps, never shorter than asked."""
        return long_whole(-(-duration_ns // int(self.step_ns)), 1 << 40, "a duration in steps")

    cdef int64_t _charge(self, object watt_hours, object most) except -1:
        """Energy as mA x steps over all phases."""
        amount = watt_hours * 1000 * FEMTOJOULES_MWH // self.energy_unit
        return long_whole(amount, most, "an energy in mA x steps")

    cdef Station* _station(self, object charger) except NULL:
        return &self.depot.stations[whole(charger, 0, self.depot.stations_n - 1, "charger")]

    cdef Switch* _switch(self, object contactor) except NULL:
        return &self.depot.switches[
            whole(contactor, 0, self.depot.switches_n - 1, "contactor")]

    cdef Node* _node(self, object circuit) except NULL:
        return &self.depot.nodes[whole(circuit, 0, self.depot.nodes_n - 1, "circuit")]

    def advance(self, now_ns):
        """Runs inner steps up to `now_ns`; the first call sets the origin.

        The GIL is kept: other threads never see half a step.
        """
        self.go_to(now_ns)

    cdef void go_to(self, int64_t now_ns) noexcept:
        if not self.begun:
            self.origin_ns = now_ns
            self.begun = True
        run(&self.depot, (now_ns - self.origin_ns) // self.step_ns)

    @property
    def now_ns(self):
        return self.origin_ns + self.depot.now * self.step_ns

    # What happens in the depot

    def set_base(self, circuit, base_ma, noise_ma=0):
        """The circuit's own base load; what stands below it comes on top."""
        cdef Node* node = self._node(circuit)
        cdef int32_t phase, ma
        node.noise_ma = whole(noise_ma, 0, MOST_MA, "noise_ma")
        for phase, value in zip(range(TERMINALS), base_ma, strict=True):
            ma = whole(value, -MOST_MA, MOST_MA, "base_ma")
            add_load(&self.depot, circuit, phase, ma - node.base_ma[phase])
            node.base_ma[phase] = ma
        new_noise(&self.depot, circuit)

    def set_voltage(self, ppm):
        """Of nominal, in the whole depot: what is commanded in watts draws other currents now."""
        bend(&self.depot, whole(ppm, LEAST_VOLTAGE_PPM, MOST_VOLTAGE_PPM, "voltage_ppm"))

    def plug(self, charger, car):
        """A vehicle takes the place of whatever was plugged in."""
        cdef Station* station = self._station(charger)
        cdef Guest guest
        cdef int32_t terminal
        guest.plugged = 1
        guest.max_ma = whole(car.max_ma, 0, MOST_MA, "max_ma")
        guest.terminals = whole(car.phases, 1, TERMINALS, "phases")
        guest.gain_ppm = whole(car.gain_ppm, 0, MOST_GAIN_PPM, "gain_ppm")
        guest.dead = max(1, self._steps(car.reaction_ns) // 2)
        guest.ramp = max(1, self._steps(car.reaction_ns) - guest.dead)
        guest.wanted = self._charge(car.energy_wh, NEVER_NS // 2)
        guest.taper = self._charge(car.taper_wh, NEVER_NS // MOST_MA)  # no overflow x mA
        guest.pending = guest.seen_ma = guest.from_ma = guest.to_ma = 0
        guest.from_at = self.depot.now - guest.ramp
        self.unplug(charger)
        station.car = guest
        for terminal in range(guest.terminals):
            station.in_use += station.phase[terminal] != NO_PHASE
        greet(station, self.depot.now)

    def unplug(self, charger):
        cdef Station* station = self._station(charger)
        stop(&self.depot, station)
        station.car.plugged = 0
        station.in_use = 0

    def set_car_max(self, charger, max_ma):
        """The vehicle's own wish changes (wakes up, or saves its battery)."""
        cdef Station* station = self._station(charger)
        if not station.car.plugged:
            raise ValueError(f"no vehicle at charger {charger}")
        station.car.max_ma = whole(max_ma, 0, MOST_MA, "max_ma")
        update(&self.depot, station)

    def power_cycle(self, charger):
        """Its supply is cut and returns at once."""
        cdef Station* station = self._station(charger)
        if station.off == 0:
            stop(&self.depot, station)
            power_up(station, self.depot.now)

    def set_alone(self, charger, fallback_ma, watchdog_ns):
        """Its watchdog is set up anew: counts from the next time it is fed; 0 ns: it is off."""
        cdef Station* station = self._station(charger)
        station.fallback_ma = whole(fallback_ma, 0, MOST_MA, "fallback_ma")
        station.watchdog = self._steps(watchdog_ns)
        if not station.watchdog:
            station.deadline = 0

    def set_supply(self, charger, supplied):
        """Something else before it opens or closes; with power again it begins anew."""
        cdef Station* station = self._station(charger)
        if bool(station.dark) == bool(supplied):
            station.dark = 0 if supplied else 1
            count_supply(&self.depot, station, supplied)

    def set_contactor(self, contactor, closed):
        """What its coil asks for: it opens at once, unless it is welded."""
        cdef Switch* switch = self._switch(contactor)
        switch.wanted = 1 if closed else 0
        throw_switch(&self.depot, switch)

    def set_welded(self, contactor, welded):
        """From the next time it is closed on it stays so, until it is mended."""
        cdef Switch* switch = self._switch(contactor)
        switch.welded = 1 if welded else 0
        throw_switch(&self.depot, switch)

    def contactor(self, contactor):
        """Whether it is closed."""
        return bool(self._switch(contactor).closed)

    def set_obeys(self, charger, obeys):
        """False: goes on drawing what it drew, whatever is written."""
        cdef Station* station = self._station(charger)
        station.obeys = 1 if obeys else 0
        if station.obeys:
            tell(station, station.offered_ma, self.depot.now)

    def set_told(self, charger, told_ma):
        """What it reports of each phase it uses, whatever it draws; None: what it draws."""
        cdef Station* station = self._station(charger)
        station.told_ma = -1 if told_ma is None else whole(told_ma, 0, MOST_MA, "told_ma")

    # What a controller can do and see

    def write_setpoint(self, charger, ma):
        """Accepted by the charger's register: takes effect, feeds its watchdog.

        False: it came within the gap after another, and is lost.
        """
        return bool(self.take_setpoint(
            self._station(charger), whole(ma, 0, MOST_MA, "setpoint")))

    cdef bint take_setpoint(self, Station* station, int32_t setpoint_ma) noexcept:
        if not self.speaks(station):
            return True
        if self.depot.now < station.next_write:
            return False
        station.next_write = self.depot.now + station.write_gap
        offer(station, setpoint_ma, self.depot.now)
        self.feed_one(station)
        return True

    def set_write_gap(self, charger, gap_ns):
        """From now on it takes no write so soon after another."""
        self._station(charger).write_gap = self._steps(gap_ns)

    def feed(self, charger):
        """A request that feeds its watchdog and changes nothing, where any request does."""
        self.feed_one(self._station(charger))

    cdef void feed_one(self, Station* station) noexcept:
        if station.watchdog and self.speaks(station):
            station.deadline = self.depot.now + station.watchdog
            station.next_at = min(station.next_at, station.deadline)

    cdef bint speaks(self, Station* station) noexcept:
        return station.off == 0 and self.depot.now >= station.awake_at

    def answers(self, charger):
        """Whether it has power, and has had it long enough to speak."""
        return bool(self.speaks(self._station(charger)))

    def charger(self, charger):
        cdef Station* station = self._station(charger)
        valid = (station.deadline - self.depot.now) * self.step_ns if station.deadline else 0
        return tuple.__new__(PlantChargerState, (  # as the class does, without its frame
            station.offered_ma,
            valid,
            (drawn_ma(station, 0), drawn_ma(station, 1), drawn_ma(station, 2)),
            VEHICLES[shown_state(station)],
            self._energy_mwh(station),
        ))

    cdef object _energy_mwh(self, Station* station):
        cdef int64_t since = self.depot.now - station.settled_at
        cdef int64_t delivered = station.delivered + since * station.pull_ma * station.in_use
        if 0 <= delivered < MOST_EASY and self.unit_over < MOST_EASY_UNIT:
            return delivered * self.unit_over // self.unit_under  # never 0: it is a quotient
        return delivered * self.energy_unit // FEMTOJOULES_MWH

    def glance(self):
        cdef int32_t i
        cdef Station* station
        offered, drawn, energy = [], [], []
        guarded = bytearray(self.depot.stations_n)
        for i in range(self.depot.stations_n):
            station = &self.depot.stations[i]
            offered.append(station.offered_ma)
            drawn.append(station.current_ma if station.in_use else 0)
            energy.append(self._energy_mwh(station))
            if station.deadline and station.deadline != self.depot.now:
                guarded[i] = 1
        return tuple(offered), tuple(drawn), sum(energy), bytes(guarded)

    def changes(self):
        """How often the setpoint in force of each charger became another, so far."""
        cdef int32_t i
        return tuple([self.depot.stations[i].changes for i in range(self.depot.stations_n)])

    def wanted_mwh(self, charger):
        """What its vehicle still wants; 0 where there is none."""
        cdef Station* station = self._station(charger)
        cdef int64_t since = self.depot.now - station.settled_at
        cdef int64_t wanted = station.car.wanted - since * station.pull_ma * station.in_use
        if not station.car.plugged or wanted <= 0:
            return 0
        return wanted * self.energy_unit // FEMTOJOULES_MWH

    cdef int32_t told(self, Station* station, int32_t terminal) noexcept:
        return told_ma(&self.depot, station, terminal)

    def set_meter(self, circuit, lag_ns, refresh_ns, sigma_ma=0, step_ma=1):
        """Currents reach the meter's registers `lag_ns` late, once every `refresh_ns`."""
        cdef Node* node = self._node(circuit)
        cdef int64_t i
        lag = self._steps(lag_ns)
        if lag > MOST_PAST:
            raise ValueError(f"a meter that lags {lag} steps")
        sigma_ma = whole(sigma_ma, 0, MOST_MA, "sigma_ma")
        step_ma = whole(step_ma, 1, MOST_MA, "step_ma")
        past = <int64_t*>calloc((lag + 1) * TERMINALS, sizeof(int64_t))
        if past == NULL:
            raise MemoryError
        free(node.past_ma)
        node.past_ma, node.lag = past, lag
        node.refresh = max(1, self._steps(refresh_ns))
        node.sigma_ma, node.step_ma = sigma_ma, step_ma
        for i in range((lag + 1) * TERMINALS):
            past[i] = node.load_ma[i % TERMINALS]
        node.shown_ma = node.load_ma

    def meter(self, circuit):
        """What a meter with the set lag and refresh shows now, signed."""
        cdef Node* node = self._node(circuit)
        if node.past_ma == NULL:
            raise ValueError(f"circuit {circuit} has no meter")
        return node.shown_ma[0], node.shown_ma[1], node.shown_ma[2]

    # The truth that stories are judged by

    def load(self, circuit):
        cdef Node* node = self._node(circuit)
        return node.load_ma[0], node.load_ma[1], node.load_ma[2]

    def set_cap(self, circuit, cap_ma):
        cdef Node* node = self._node(circuit)
        cdef int32_t phase
        for phase, value in zip(range(TERMINALS), cap_ma, strict=True):
            node.cap_ma[phase] = whole(value, -MOST_MA, MOST_MA, "cap_ma")

    def cap(self, circuit):
        cdef Node* node = self._node(circuit)
        return node.cap_ma[0], node.cap_ma[1], node.cap_ma[2]

    def over(self, circuit):
        cdef Node* node = self._node(circuit)
        return Over(
            node.worst_ma, node.longest * self.step_ns, node.over_for * self.step_ns)

    def above(self, circuit):
        cdef Node* node = self._node(circuit)
        return node.above_ma[0], node.above_ma[1], node.above_ma[2]

    def set_bounds(self, circuit, together_ma, busbar_ma, nets=False):
        cdef Node* node = self._node(circuit)
        cdef int32_t phase
        node.bounded, node.nets = 1, bool(nets)
        node.together_ma = NEVER_NS // 2 if together_ma is None else long_whole(
            together_ma, 3 * MOST_MA, "together_ma")
        for phase in range(TERMINALS):
            node.busbar_ma[phase] = NEVER_NS // 2 if busbar_ma is None else whole(
                busbar_ma[phase], -MOST_MA, MOST_MA, "busbar_ma")

    def beyond(self, circuit):
        cdef Node* node = self._node(circuit)
        return (node.together_above_ma, node.busbar_above_ma[0], node.busbar_above_ma[1],
                node.busbar_above_ma[2])

    def mark(self):
        """Begins a new measuring window for `over()`, `above()` and `beyond()` of every circuit."""
        forget(&self.depot)

    def offered_total_ma(self):
        """Σ of setpoints in force: for "nothing rose"."""
        cdef int32_t i
        cdef int64_t total = 0
        for i in range(self.depot.stations_n):
            total += self.depot.stations[i].offered_ma
        return total
