# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""The kernel at its edge: tables and readings in, orders out, one lock around the world.

Every outside index and value is checked here, once. Inside, the tick runs without the
GIL on structs that the kernel owns, and allocates nothing.
"""

from cext.check import MOST_MA, MOST_NS, check_tables
from cext.rows import (
    NO_PHASE,
    ChargerState,
    CircuitState,
    Output,
    Rule,
    SlotState,
    Vehicle,
)
from cext.rows import Why as WhyRow

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from cext.ledger cimport count_base, count_draw, count_readings, take_reading, take_report
from cext.pace cimport decide
from cext.shares cimport filler_free, filler_make
from cext.slots cimport count_slots
from cext.targets cimport line_up, set_failsafe, set_targets
from cext.types cimport (
    GRID_PHASES,
    RING,
    Charger,
    Circuit,
    Slot,
    Source,
    Why,
    Wish,
    World,
)


cdef extern from "<unistd.h>" nogil:
    ssize_t write(int fd, const void* buffer, size_t count)


RULES = tuple(Rule)
VEHICLES = tuple(Vehicle)
SLOT_STATES = ("live", "unlimited", "ended", "lost")


cdef class Kernel:
    def __cinit__(self, *_args, **_named):
        cdef pthread_mutexattr_t attr
        pthread_mutexattr_init(&attr)
        pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT)
        pthread_mutex_init(&self.lock, &attr)
        pthread_mutexattr_destroy(&attr)
        self.wake_fd = -1

    def __init__(self, circuits, sources, chargers, slots, tuning):
        if self.world.circuits != NULL:
            raise ValueError("a kernel is built once")
        check_tables(circuits, sources, chargers, slots, tuning)
        reserve(&self.world, len(circuits), len(sources), len(chargers), len(slots))
        for i, row in enumerate(circuits):
            lay_circuit(&self.world, i, row)
        for i, row in enumerate(chargers):
            lay_charger(&self.world.chargers[<int32_t>i], row)
        for i, row in enumerate(sources):
            lay_source(&self.world, i, row)
        for i, row in enumerate(slots):
            lay_slot(&self.world.slots[<int32_t>i], row)
        lay_pace(&self.world, tuning)
        lay_windows(&self.world)
        ranks = sorted(range(len(chargers)), key=lambda i: chargers[i].class_rank)
        for i, charger in enumerate(ranks):
            self.world.by_class[<int32_t>i] = charger
        set_failsafe(&self.world)

    def __dealloc__(self):
        free(self.world.circuits)
        free(self.world.sources)
        free(self.world.chargers)
        free(self.world.slots)
        free(self.world.wishes)
        free(self.world.wisher)
        free(self.world.by_class)
        free(self.world.turn_order)
        filler_free(&self.world.filler)
        pthread_mutex_destroy(&self.lock)

    # --- readings in ----------------------------------------------------------------

    def post_reading(self, source, at_ns, current_ma):
        cdef int32_t current[GRID_PHASES]
        cdef int32_t i = index("source", source, self.world.sources_n)
        cdef int64_t at = instant("at_ns", at_ns)
        amps("current_ma", current_ma, -MOST_MA, current)
        pthread_mutex_lock(&self.lock)
        take_reading(&self.world.sources[i], at, current)
        pthread_mutex_unlock(&self.lock)
        self.wake()

    def post_report(self, charger, at_ns, in_force_ma, current_ma, vehicle, written_tick):
        cdef int32_t current[GRID_PHASES]
        cdef int32_t i = index("charger", charger, self.world.chargers_n)
        cdef int64_t at = instant("at_ns", at_ns)
        cdef int64_t written = instant("written_tick", written_tick)
        cdef int32_t in_force = -1
        cdef int32_t state = int(Vehicle(vehicle))
        cdef bint known = current_ma is not None
        if in_force_ma is not None:
            in_force = whole("in_force_ma", in_force_ma, 0, MOST_MA)
        if known:
            amps("current_ma", current_ma, -MOST_MA, current)
        pthread_mutex_lock(&self.lock)
        take_report(
            &self.world.chargers[i], at, in_force, current if known else NULL, state, written
        )
        pthread_mutex_unlock(&self.lock)

    def set_limit(self, slot, limit_ma, limit_until_ns, alive_until_ns):
        cdef int32_t limit[GRID_PHASES]
        cdef int32_t i = index("slot", slot, self.world.slots_n)
        cdef int64_t limit_until = whole("limit_until_ns", limit_until_ns, 0, 2**63 - 1)
        cdef int64_t alive_until = whole("alive_until_ns", alive_until_ns, 0, 2**63 - 1)
        cdef int32_t phase
        cdef Slot* to = &self.world.slots[i]
        cdef bint unlimited = limit_ma is None
        if not unlimited:
            amps("limit_ma", limit_ma, 0, limit)
        pthread_mutex_lock(&self.lock)
        to.known = 1
        to.unlimited = unlimited
        to.limit_until = limit_until
        to.alive_until = alive_until
        for phase in range(GRID_PHASES):
            to.limit[phase] = 0 if unlimited else limit[phase]
        pthread_mutex_unlock(&self.lock)
        self.wake()

    cdef void wake(self) noexcept:
        cdef uint64_t one = 1
        if self.wake_fd >= 0:
            write(self.wake_fd, &one, sizeof(one))

    # --- the tick -------------------------------------------------------------------

    def tick(self, now_ns):
        cdef int64_t now = instant("now_ns", now_ns)
        cdef int changed
        with nogil:
            changed = self.tick_at(now)
        if changed < 0:
            raise ValueError(f"time runs backwards: {now_ns} after {self.now_ns}")
        return changed > 0

    cdef int tick_at(self, int64_t now) noexcept nogil:
        """1 when an order changed, 0 when none did, -1 when time ran backwards."""
        cdef World* world = &self.world
        cdef int changed
        pthread_mutex_lock(&self.lock)
        if now < world.now:
            pthread_mutex_unlock(&self.lock)
            return -1
        if world.tick == 0:
            world.began = now
        world.now = now
        world.tick += 1
        world.changed = 0
        line_up(world)
        count_slots(world)
        count_readings(world)
        count_draw(world)
        count_base(world)
        set_targets(world)
        decide(world)
        changed = world.changed
        pthread_mutex_unlock(&self.lock)
        return changed

    # --- orders out -----------------------------------------------------------------

    @property
    def ticks(self):
        return self.world.tick

    @property
    def now_ns(self):
        return self.world.now

    def output(self, charger):
        cdef Charger c
        cdef int64_t tick, now
        cdef int32_t i = index("charger", charger, self.world.chargers_n)
        pthread_mutex_lock(&self.lock)
        c = self.world.chargers[i]
        tick = self.world.tick
        now = self.world.now
        pthread_mutex_unlock(&self.lock)
        return Output(
            c.order if c.started else None, c.order_tick, tick, now + self.world.pace.dead_man,
            why_row(&c.why), why_row(&c.cause),
        )

    def circuit(self, circuit):
        cdef Circuit c
        cdef int32_t i = index("circuit", circuit, self.world.circuits_n)
        pthread_mutex_lock(&self.lock)
        c = self.world.circuits[i]
        pthread_mutex_unlock(&self.lock)
        return CircuitState(
            three(c.cap), three(c.cap_slot), three(c.reading) if c.fresh else None,
            c.reading_at, three64(c.base_hi), three64(c.excess), three64(c.draw_hi),
            three(c.worst),
        )

    def charger(self, charger):
        cdef Charger c
        cdef int32_t i = index("charger", charger, self.world.chargers_n)
        pthread_mutex_lock(&self.lock)
        c = self.world.chargers[i]
        pthread_mutex_unlock(&self.lock)
        return ChargerState(
            c.in_force if c.heard and c.in_force >= 0 else None,
            three(c.current) if c.fresh and c.current_known else None,
            VEHICLES[c.vehicle if c.fresh else 0],
            max(three64(c.draw_lo)), max(three64(c.draw_hi)), bool(c.fresh),
        )

    def slot(self, slot):
        cdef Slot s
        cdef int32_t i = index("slot", slot, self.world.slots_n)
        pthread_mutex_lock(&self.lock)
        s = self.world.slots[i]
        pthread_mutex_unlock(&self.lock)
        return SlotState(
            SLOT_STATES[s.state], three(s.cap) if s.asks else None, s.limit_until, s.alive_until
        )

    def failsafe_ma(self, charger):
        return self.world.chargers[<int32_t>index("charger", charger, self.world.chargers_n)].failsafe


# --- checks at the edge -----------------------------------------------------------------


cdef object whole(str name, value, least, most):
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}: {value!r} is not a whole number")
    if not least <= value <= most:
        raise ValueError(f"{name}: {value} is not within {least} and {most}")
    return value


cdef object instant(str name, value):
    return whole(name, value, 0, MOST_NS)


cdef object index(str name, value, int32_t count):
    if not isinstance(value, int) or not 0 <= value < count:
        raise IndexError(f"there is no {name} {value!r}, only {count}")
    return value


cdef int amps(str name, value, least, int32_t* to) except -1:
    if len(value) != GRID_PHASES:
        raise ValueError(f"{name}: {value!r} is not one value per phase")
    for phase in range(GRID_PHASES):
        to[<int32_t>phase] = whole(name, value[phase], least, MOST_MA)
    return 0


cdef object three(const int32_t* value):
    return (value[0], value[1], value[2])


cdef object three64(const int64_t* value):
    return (value[0], value[1], value[2])


cdef object why_row(const Why* why):
    return WhyRow(RULES[why.rule], why.circuit, why.phase, why.slot)


# --- laying the tables down -------------------------------------------------------------


cdef int reserve(
    World* world, int32_t circuits, int32_t sources, int32_t chargers, int32_t slots
) except -1:
    world.circuits_n = circuits
    world.sources_n = sources
    world.chargers_n = chargers
    world.slots_n = slots
    world.turn_index = -1
    world.circuits = <Circuit*>calloc(max(circuits, 1), sizeof(Circuit))
    world.sources = <Source*>calloc(max(sources, 1), sizeof(Source))
    world.chargers = <Charger*>calloc(max(chargers, 1), sizeof(Charger))
    world.slots = <Slot*>calloc(max(slots, 1), sizeof(Slot))
    world.wishes = <Wish*>calloc(max(chargers, 1), sizeof(Wish))
    world.wisher = <int32_t*>calloc(max(chargers, 1), sizeof(int32_t))
    world.by_class = <int32_t*>calloc(max(chargers, 1), sizeof(int32_t))
    world.turn_order = <int32_t*>calloc(max(chargers, 1), sizeof(int32_t))
    if (filler_make(&world.filler, circuits, chargers) or world.circuits == NULL
            or world.sources == NULL or world.chargers == NULL or world.slots == NULL
            or world.wishes == NULL or world.wisher == NULL or world.by_class == NULL
            or world.turn_order == NULL):
        raise MemoryError("kernel")
    return 0


cdef int lay_circuit(World* world, int32_t i, row) except -1:
    cdef Circuit* circuit = &world.circuits[i]
    circuit.parent = row.parent
    world.filler.parent[i] = row.parent
    circuit.credit_export = row.credit_export
    for phase in range(GRID_PHASES):
        circuit.rating[<int32_t>phase] = row.rating_ma[phase]
        circuit.cap[<int32_t>phase] = row.rating_ma[phase]
        circuit.worst[<int32_t>phase] = row.worst_base_ma[phase]
    return 0


cdef int lay_charger(Charger* charger, row) except -1:
    charger.circuit = row.circuit
    for phase in row.phases:
        if phase != NO_PHASE:
            charger.wired[<int32_t>phase] = 1
    charger.minimum = row.min_ma
    charger.maximum = row.max_ma
    charger.step = row.step_ma
    charger.fallback = row.fallback_ma
    charger.power_on = row.power_on_ma
    charger.tolerance_ppm = row.tolerance_ppm
    charger.standby = row.standby_ma
    charger.settle = row.settle_ns
    charger.metered = row.metered
    charger.error = row.error_ma
    charger.lag = row.lag_ns
    charger.poll = row.poll_ns
    charger.max_age = row.max_age_ns
    charger.weight = row.weight
    charger.class_rank = row.class_rank
    charger.in_force = -1
    charger.in_force_hi = row.max_ma
    return 0


cdef int lay_source(World* world, int32_t i, row) except -1:
    cdef Source* source = &world.sources[i]
    source.circuit = row.circuit
    source.error = row.error_ma
    source.lag = row.lag_ns
    source.max_age = row.max_age_ns
    source.poll = row.poll_ns
    world.circuits[source.circuit].measured = 1
    return 0


cdef int lay_slot(Slot* slot, row) except -1:
    slot.circuit = row.circuit
    slot.kind = int(row.kind)
    slot.hold = row.hold_ns
    for phase in range(GRID_PHASES):
        slot.failsafe[<int32_t>phase] = row.failsafe_ma[phase]
    return 0


cdef int lay_pace(World* world, tuning) except -1:
    world.pace.dead_man = tuning.dead_man_ns
    world.pace.dwell = tuning.dwell_ns
    world.pace.ramp_ma_per_s = tuning.ramp_ma_per_s
    world.pace.calm = tuning.calm_ns
    world.pace.turn = tuning.turn_ns
    return 0


cdef bint is_below(const World* world, int32_t circuit, int32_t top) noexcept nogil:
    while circuit > top:  # parents stand before their children
        circuit = world.circuits[circuit].parent
    return circuit == top


cdef void lay_windows(World* world) noexcept nogil:
    """How far back each ring must reach, from the lags of meters and chargers.

    Nothing is calm that is faster than this: a change would be judged before it can show.
    """
    cdef int32_t i, k
    cdef int64_t lag, span
    cdef Source* source
    cdef Charger* charger
    for k in range(world.chargers_n):
        charger = &world.chargers[k]
        world.window = max(world.window, charger.max_age + charger.lag + charger.poll)
    for i in range(world.sources_n):
        source = &world.sources[i]
        for k in range(world.chargers_n):
            charger = &world.chargers[k]
            if not is_below(world, charger.circuit, source.circuit):
                continue
            lag = charger.lag + charger.poll
            if charger.metered:
                source.charger_lag = max(source.charger_lag, lag)
            charger.show = max(charger.show, lag + source.lag + source.poll)
        world.window = max(
            world.window, source.max_age + source.lag + source.charger_lag
        )
    world.pace.calm = max(world.pace.calm, world.window)
    span = world.window // (RING - 4) + 1
    for i in range(world.sources_n):
        world.sources[i].ring.span_ns = span
    for k in range(world.chargers_n):
        world.chargers[k].ring.span_ns = span
