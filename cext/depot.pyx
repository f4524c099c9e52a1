# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What happens inside the virtual depot: loads, vehicles, chargers, meters.

Time runs in inner steps. Between two changes a charger costs one comparison: its energy
is counted when something about it changes. Energy is kept as current times steps, so
that every milliwatt-hour is exact.
"""

from cext.rows import NEVER_NS, NO_PHASE, Vehicle

from libc.stdint cimport int32_t, int64_t, uint64_t

from cext.watched cimport watch

cdef enum:
    LEAST_OFFER_MA = 6000  # below it a vehicle stops (IEC 61851-1)
    TAPER_STEPS = 16  # a tapering current is renewed this often
    MILLION = 1_000_000

cdef int64_t NEVER = NEVER_NS
cdef int32_t UNWIRED = NO_PHASE
cdef int32_t NO_VEHICLE = Vehicle.A
cdef int32_t CONNECTED = Vehicle.B
cdef int32_t CHARGING = Vehicle.C


# Loads ---------------------------------------------------------------------------------


cdef void add_load(Depot* depot, int32_t circuit, int32_t phase, int64_t ma) noexcept nogil:
    while circuit >= 0:
        depot.nodes[circuit].load_ma[phase] += ma
        circuit = depot.nodes[circuit].parent


cdef uint64_t draw(uint64_t* stream) noexcept nogil:
    """Splitmix64: streams of their own for each circuit and meter; none depends on the others."""
    stream[0] += <uint64_t>0x9E3779B97F4A7C15
    cdef uint64_t bits = stream[0]
    bits = (bits ^ (bits >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    bits = (bits ^ (bits >> 27)) * <uint64_t>0x94D049BB133111EB
    return bits ^ (bits >> 31)


cdef void new_noise(Depot* depot, int32_t circuit) noexcept nogil:
    """Even noise within ± noise_ma, 21 bits per phase."""
    cdef Node* node = &depot.nodes[circuit]
    cdef uint64_t bits = draw(&node.random) if node.noise_ma else 0
    cdef int64_t span = 2 * <int64_t>node.noise_ma + 1
    cdef int64_t noise
    cdef int32_t phase
    for phase in range(TERMINALS):
        noise = ((<int64_t>(bits & 0x1FFFFF) * span) >> 21) - node.noise_ma
        add_load(depot, circuit, phase, noise - node.noise_now[phase])
        node.noise_now[phase] = noise
        bits >>= 21


cdef int64_t by_chance(Node* node) noexcept nogil:
    """As good as normal, of variance sigma_ma squared, never beyond 6 sigma: a sum of twelve."""
    cdef int64_t sum = -6 * 65535
    cdef uint64_t bits = 0
    cdef int32_t i
    for i in range(12):
        if i % 4 == 0:
            bits = draw(&node.chance)
        sum += <int64_t>(bits & 0xFFFF)
        bits >>= 16
    return sum * node.sigma_ma // 65536


cdef int64_t in_steps(int64_t ma, int64_t step_ma) noexcept nogil:
    """The nearest whole number of steps."""
    cdef int64_t half = step_ma // 2
    return (ma + half if ma >= 0 else ma - half) // step_ma * step_ma


cdef void show(Node* node, int64_t now) noexcept nogil:
    """A meter: the load `lag` steps ago, looked at every `refresh` steps."""
    cdef int64_t ring = node.lag + 1
    cdef int64_t* newest = &node.past_ma[now % ring * TERMINALS]
    cdef int64_t* oldest = &node.past_ma[(now + 1) % ring * TERMINALS]
    cdef int32_t phase
    for phase in range(TERMINALS):
        newest[phase] = node.load_ma[phase]
    if now % node.refresh == 0:
        for phase in range(TERMINALS):
            node.shown_ma[phase] = oldest[phase]
            if node.sigma_ma:
                node.shown_ma[phase] += by_chance(node)
            if node.step_ma > 1:
                node.shown_ma[phase] = in_steps(node.shown_ma[phase], node.step_ma)


# Chargers and vehicles -----------------------------------------------------------------


cdef void add_draw(Depot* depot, int32_t circuit, int32_t phase, int64_t ma) noexcept nogil:
    """A charger's current: load, and on the bus bars above however much is fed in there."""
    add_load(depot, circuit, phase, ma)
    while circuit >= 0:
        depot.nodes[circuit].drawn_ma[phase] += ma
        circuit = depot.nodes[circuit].parent


cdef void set_current(Depot* depot, Station* station, int32_t ma) noexcept nogil:
    cdef int32_t terminal
    if ma == station.current_ma:
        return
    for terminal in range(station.car.terminals):
        if station.phase[terminal] != UNWIRED:
            add_draw(depot, station.circuit, station.phase[terminal], ma - station.current_ma)
    station.current_ma = ma


cdef void take_power(Depot* depot, Station* station, int32_t pull_ma) noexcept nogil:
    """Its vehicle takes so much of the offer: that many mA or, commanded in watts, the power of so
    many at nominal voltage, whatever the voltage is."""
    cdef int64_t ma = pull_ma
    station.pull_ma = pull_ma
    if station.draws_ppm:
        ma = ma * station.draws_ppm // depot.voltage_ppm
    set_current(depot, station, <int32_t>ma)


cdef void bend(Depot* depot, int32_t voltage_ppm) noexcept nogil:
    """The voltage changes: what is commanded in watts draws another current at once."""
    cdef int32_t i
    depot.voltage_ppm = voltage_ppm
    for i in range(depot.stations_n):
        take_power(depot, &depot.stations[i], depot.stations[i].pull_ma)


cdef int32_t drawn_ma(const Station* station, int32_t terminal) noexcept nogil:
    if terminal >= station.car.terminals or station.phase[terminal] == UNWIRED:
        return 0
    return station.current_ma


cdef int32_t told_ma(const Depot* depot, const Station* station, int32_t terminal) noexcept nogil:
    """The current at a terminal as the charger reports it."""
    cdef int64_t ma = drawn_ma(station, terminal)
    if station.told_ma >= 0 and terminal < station.car.terminals and station.car.plugged:
        return station.told_ma if station.phase[terminal] != UNWIRED else 0
    if station.shows_ppm:
        ma = ma * depot.voltage_ppm // MILLION * station.shows_ppm // MILLION
    return <int32_t>ma


cdef void count_energy(Station* station, int64_t now) noexcept nogil:
    station.delivered += (now - station.settled_at) * station.pull_ma * station.in_use
    station.car.wanted -= (now - station.settled_at) * station.pull_ma * station.in_use
    station.settled_at = now


cdef void tell(Station* station, int32_t ma, int64_t now) noexcept nogil:
    """The pilot changes: the vehicle sees it after its dead time.

    With every place taken the newest offer is replaced and keeps its instant: a vehicle
    may be early, never late.
    """
    cdef Guest* car = &station.car
    if ma == station.pilot_ma:
        return
    station.pilot_ma = ma
    if not car.plugged:
        return
    if car.pending < OFFERS:
        car.offers[car.pending].due = now + car.dead
        car.pending += 1
    car.offers[car.pending - 1].ma = ma
    station.next_at = min(station.next_at, car.offers[0].due)


cdef void greet(Station* station, int64_t now) noexcept nogil:
    """A vehicle begins to see what it is told."""
    cdef Guest* car = &station.car
    if car.plugged:
        car.offers[0].due = now + car.dead
        car.offers[0].ma = station.pilot_ma
        car.pending = 1
        station.next_at = min(station.next_at, car.offers[0].due)


cdef void offer(Station* station, int32_t ma, int64_t now) noexcept nogil:
    ma = min(ma, station.max_ma)
    station.changes += ma != station.offered_ma
    station.offered_ma = ma
    if station.obeys:
        tell(station, station.offered_ma, now)


cdef void see_offers(Guest* car, int64_t now) noexcept nogil:
    cdef int32_t i, gone = 0
    while gone < car.pending and car.offers[gone].due <= now:
        car.seen_ma = car.offers[gone].ma
        gone += 1
    if gone:
        car.pending -= gone
        for i in range(car.pending):
            car.offers[i] = car.offers[i + gone]


cdef int32_t wish(Guest* car) noexcept nogil:
    """What the vehicle would draw, were it there already."""
    if not car.plugged or car.wanted <= 0 or car.seen_ma < LEAST_OFFER_MA:
        return 0
    return min(
        <int32_t>(car.seen_ma + <int64_t>car.seen_ma * car.gain_ppm // MILLION), car.max_ma
    )


cdef int32_t tapered(Guest* car, int32_t ma) noexcept nogil:
    """Nearly full: the most it takes falls to 6 A with the energy still wanted."""
    if car.wanted >= car.taper or ma <= LEAST_OFFER_MA or car.wanted <= 0:
        return ma
    return min(ma, <int32_t>(
        LEAST_OFFER_MA + (car.max_ma - LEAST_OFFER_MA) * car.wanted // car.taper))


cdef int32_t follow(Guest* car, int32_t pull_ma, int64_t now) noexcept nogil:
    """The vehicle's current: a straight ramp to its wish, at once to 0 when full."""
    cdef int32_t to_ma = wish(car)
    if car.wanted <= 0 or not car.plugged:
        car.to_ma = 0
        return 0
    if to_ma != car.to_ma:
        car.from_ma, car.to_ma, car.from_at = pull_ma, to_ma, now
    if now >= car.from_at + car.ramp:
        return tapered(car, to_ma)
    return tapered(car, <int32_t>(
        car.from_ma + (car.to_ma - car.from_ma) * (now - car.from_at) // car.ramp))


cdef int64_t next_change(Station* station, int64_t now) noexcept nogil:
    """The first step at which something about this charger may be different."""
    cdef Guest* car = &station.car
    cdef int64_t at = NEVER
    cdef int64_t per_step = <int64_t>station.pull_ma * station.in_use
    if station.deadline:
        at = station.deadline
    if car.pending:
        at = min(at, car.offers[0].due)
    if now < car.from_at + car.ramp:
        return min(at, now + 1)
    if per_step > 0:
        at = min(at, now + (car.wanted + per_step - 1) // per_step)
        if car.wanted < car.taper:
            at = min(at, now + TAPER_STEPS)
        else:
            at = min(at, now + (car.wanted - car.taper) // per_step + 1)
    return at


cdef void stop(Depot* depot, Station* station) noexcept nogil:
    """The contactor opens: no current, and nothing the vehicle was told counts any more."""
    count_energy(station, depot.now)
    take_power(depot, station, 0)
    station.car.pending = station.car.seen_ma = station.car.to_ma = 0
    station.car.from_at = depot.now - station.car.ramp
    station.next_at = next_change(station, depot.now)


cdef void power_up(Station* station, int64_t now) noexcept nogil:
    """It begins anew, with its power-on current and without its watchdog."""
    station.deadline = 0
    station.awake_at = now + station.boot
    station.offered_ma = station.pilot_ma = min(station.power_on_ma, station.max_ma)
    greet(station, now)


cdef void power_down(Depot* depot, Station* station) noexcept nogil:
    stop(depot, station)
    station.deadline = 0
    station.offered_ma = station.pilot_ma = 0
    station.next_at = NEVER


cdef void count_supply(Depot* depot, Station* station, bint closed) noexcept nogil:
    """One thing before it closes or opens."""
    station.off += -1 if closed else 1
    if closed and station.off == 0:
        power_up(station, depot.now)
    elif not closed and station.off == 1:
        power_down(depot, station)


cdef void throw_switch(Depot* depot, Switch* switch) noexcept nogil:
    """Goes where it is wanted, if it can; what stands behind it loses its power, or has it back."""
    cdef int32_t i
    cdef bint closed = switch.wanted or (switch.welded and switch.closed)
    if closed == switch.closed:
        return
    switch.closed = closed
    for i in range(switch.first, switch.first + switch.count):
        count_supply(depot, &depot.stations[depot.members[i]], closed)


cdef void update(Depot* depot, Station* station) noexcept nogil:
    cdef int64_t now = depot.now
    count_energy(station, now)
    if station.deadline and now >= station.deadline:
        station.deadline = 0
        offer(station, station.fallback_ma, now)
    see_offers(&station.car, now)
    take_power(depot, station, follow(&station.car, station.pull_ma, now))
    station.next_at = next_change(station, now)


cdef void run(Depot* depot, int64_t until) noexcept nogil:
    cdef int32_t i
    while depot.now < until:
        depot.now += 1
        for i in range(depot.stations_n):
            if depot.stations[i].next_at <= depot.now:
                update(depot, &depot.stations[i])
        for i in range(depot.nodes_n):
            if depot.nodes[i].noise_ma:
                new_noise(depot, i)
        for i in range(depot.nodes_n):
            watch(&depot.nodes[i], depot.tolerance_ma)
            if depot.nodes[i].past_ma != NULL:
                show(&depot.nodes[i], depot.now)


cdef int32_t shown_state(const Station* station) noexcept nogil:
    """rows.Vehicle: none, connected or charging."""
    if not station.car.plugged:
        return NO_VEHICLE
    return CHARGING if station.current_ma or station.car.to_ma else CONNECTED
