# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""The kernel at its edge: tables and readings in, orders out, one lock around the world.

Every outside index and value is checked here, once. Inside, the tick runs without the
GIL on structs that the kernel owns, and allocates nothing.
"""

from cext.check import MOST_MA, check_tables
from cext.rows import Output, Vehicle

from libc.stdint cimport int32_t, int64_t, uint64_t

from cext.adopt cimport refit, take_over
from cext.advice cimport take_advice
from cext.base cimport count_base, count_readings, distrust, take_reading
from cext.breaker cimport Breaker
from cext.contactors cimport count_contactors, take_contact
from cext.draw cimport count_draw, take_report
from cext.edge cimport advised, amps, index, index_map, instant, read_heat, whole, why_row
from cext.journal cimport (
    KIND_DISTRUST,
    KIND_FALLBACK,
    KIND_LATCH,
    KIND_LEAVE,
    KIND_PROVEN,
    journal_take,
    journal_used,
    note,
    note_advice,
    note_contact,
    note_heat,
    note_limit,
    note_pair,
    note_reading,
    note_report,
    note_tick,
    note_worst,
)
from cext.lay cimport lay_world
from cext.memory cimport give_back
from cext.orders cimport start
from cext.pace cimport decide
from cext.slots cimport count_slots
from cext.states cimport (
    charger_state, circuit_state, contactor_state, heat_row, slot_state, source_state
)
from cext.sums cimport add_up
from cext.swing cimport apportion
from cext.targets cimport set_failsafe
from cext.thermal cimport count_heat, take_heat
from cext.turns cimport pass_turn
from cext.undeclared cimport believe_worst
from cext.types cimport (
    LATCH_CLOSING,
    LATCH_OPEN,
    PROOF_GIVEN,
    PROOF_MISSING,
    PROOF_NOT_ASKED,
    GRID_PHASES,
    VEHICLE_E,
    Charger,
    Circuit,
    Contactor,
    Slot,
    Source,
    World,
)


cdef extern from "Python.h":
    object PyBytes_FromStringAndSize(const char* start, Py_ssize_t count)
    char* PyBytes_AsString(object value) except NULL


cdef extern from "<unistd.h>" nogil:
    ssize_t write(int fd, const void* buffer, size_t count)


cdef class Kernel:
    def __cinit__(self, *_args, **_named):
        cdef pthread_mutexattr_t attr
        pthread_mutexattr_init(&attr)
        pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT)
        pthread_mutex_init(&self.lock, &attr)
        pthread_mutexattr_destroy(&attr)
        self.wake_fd = -1
        self.world.pace.turn = 1

    def __init__(self, circuits, sources, chargers, slots, tuning, contactors=()):
        if self.world.circuits != NULL:
            raise ValueError("a kernel is built once")
        check_tables(circuits, sources, chargers, slots, tuning, contactors)
        lay_world(&self.world, circuits, sources, chargers, slots, tuning, contactors)
        set_failsafe(&self.world)

    def __dealloc__(self):
        give_back(&self.world.memory)
        pthread_mutex_destroy(&self.lock)

    def adopt(self, Kernel old not None, circuits, sources, chargers, slots, contactors=None):
        cdef World* world = &self.world
        maps = (
            index_map("circuit", circuits, world.circuits_n, old.world.circuits_n),
            index_map("source", sources, world.sources_n, old.world.sources_n),
            index_map("charger", chargers, world.chargers_n, old.world.chargers_n),
            index_map("slot", slots, world.slots_n, old.world.slots_n),
            index_map(
                "contactor", contactors or {}, world.contactors_n, old.world.contactors_n
            ),
        )
        if old is self or world.tick != 0:
            raise ValueError("only a kernel that has not ticked yet takes over from another")
        pthread_mutex_lock(&old.lock)
        pthread_mutex_lock(&self.lock)
        try:
            take_over(world, &old.world, maps)
        finally:
            pthread_mutex_unlock(&self.lock)
            pthread_mutex_unlock(&old.lock)

    # --- readings in ----------------------------------------------------------------

    def post_reading(self, source, at_ns, current_ma):
        cdef int32_t current[GRID_PHASES]
        cdef int32_t i = index("source", source, self.world.sources_n)
        cdef int64_t at = instant("at_ns", at_ns)
        amps("current_ma", current_ma, -MOST_MA, current)
        pthread_mutex_lock(&self.lock)
        note_reading(&self.world, i, at, current)
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
        cdef bint news, known = current_ma is not None
        if in_force_ma is not None:
            in_force = whole("in_force_ma", in_force_ma, 0, MOST_MA)
        if known:
            amps("current_ma", current_ma, -MOST_MA, current)
        pthread_mutex_lock(&self.lock)
        news = state == VEHICLE_E and self.world.chargers[i].vehicle != VEHICLE_E
        note_report(&self.world, i, at, in_force, current if known else NULL, state, written)
        take_report(
            &self.world.chargers[i], at, in_force, current if known else NULL, state, written
        )
        pthread_mutex_unlock(&self.lock)
        if news:
            self.wake()

    def distrust(self, source, distrusted):
        cdef int32_t i = index("source", source, self.world.sources_n)
        cdef bint doubted = distrusted
        pthread_mutex_lock(&self.lock)
        if self.world.sources[i].distrusted != doubted:
            note_pair(&self.world, KIND_DISTRUST, i, doubted)
        distrust(&self.world.sources[i], doubted)
        pthread_mutex_unlock(&self.lock)
        self.wake()

    def set_fallback(self, charger, fallback_ma):
        cdef int32_t i = index("charger", charger, self.world.chargers_n)
        cdef int32_t fallback = whole("fallback_ma", fallback_ma, 0, MOST_MA)
        cdef Charger* to = &self.world.chargers[i]
        pthread_mutex_lock(&self.lock)
        if to.told_fallback != fallback:
            note_pair(&self.world, KIND_FALLBACK, i, fallback)
        to.told_fallback = fallback
        to.fallback = max(to.declared_fallback, fallback)
        pthread_mutex_unlock(&self.lock)

    def prove(self, charger, proven):
        cdef int32_t i = index("charger", charger, self.world.chargers_n)
        cdef int32_t proof = PROOF_NOT_ASKED
        cdef Charger* to = &self.world.chargers[i]
        if proven is not None:
            proof = PROOF_GIVEN if proven else PROOF_MISSING
        pthread_mutex_lock(&self.lock)
        if to.proof != proof:
            note_pair(&self.world, KIND_PROVEN, i, proof)
            to.proof = proof
            to.proof_at = self.world.now
        pthread_mutex_unlock(&self.lock)

    def post_contactor(self, contactor, at_ns, closed):
        cdef int32_t i = index("contactor", contactor, self.world.contactors_n)
        cdef int64_t at = instant("at_ns", at_ns)
        cdef bint is_closed = closed is not False  # what is not a clear "open" is not one
        cdef bint news
        pthread_mutex_lock(&self.lock)
        note_contact(&self.world, i, at, is_closed)
        news = take_contact(&self.world.contactors[i], at, is_closed)
        pthread_mutex_unlock(&self.lock)
        if news:
            self.wake()

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
        note_limit(&self.world, i)
        pthread_mutex_unlock(&self.lock)
        self.wake()

    def advise(self, charger, advice):
        cdef int32_t i = index("charger", charger, self.world.chargers_n)
        cdef int32_t wish[3]
        cdef int64_t until = advised("advice", advice, wish)
        pthread_mutex_lock(&self.lock)
        take_advice(&self.world.chargers[i], wish[0], wish[1], wish[2], until)
        note_advice(&self.world, i)
        pthread_mutex_unlock(&self.lock)

    def heat(self, circuit):
        cdef Breaker b
        cdef int32_t i = index("circuit", circuit, self.world.circuits_n)
        pthread_mutex_lock(&self.lock)
        b = self.world.breakers[i]
        pthread_mutex_unlock(&self.lock)
        return heat_row(&b)

    def restore_heat(self, circuit, heat):
        cdef Breaker was
        cdef int32_t i = index("circuit", circuit, self.world.circuits_n)
        read_heat(heat, &was)
        pthread_mutex_lock(&self.lock)
        if self.world.tick == 0 and self.world.breakers[i].known:
            take_heat(&self.world.breakers[i], &was)
            note_heat(&self.world, i)
        pthread_mutex_unlock(&self.lock)

    def restore_worst(self, circuit, worst_ma):
        cdef int32_t worst[GRID_PHASES]
        cdef int32_t i = index("circuit", circuit, self.world.circuits_n)
        amps("worst_ma", worst_ma, 0, worst)
        pthread_mutex_lock(&self.lock)
        note_worst(&self.world, i, worst)
        believe_worst(&self.world, &self.world.circuits[i], worst)
        pthread_mutex_unlock(&self.lock)

    def leave(self):
        pthread_mutex_lock(&self.lock)
        note(&self.world, KIND_LEAVE, NULL, 0)
        self.world.leaving = 1
        pthread_mutex_unlock(&self.lock)
        self.wake()

    def latch(self, on):
        cdef bint closes = on is not False  # what is not a clear "off" is none
        cdef int64_t told = closes
        pthread_mutex_lock(&self.lock)
        note(&self.world, KIND_LATCH, &told, 1)
        if not closes:
            self.world.latched = LATCH_OPEN
        elif self.world.latched == LATCH_OPEN:
            self.world.latched = LATCH_CLOSING
        pthread_mutex_unlock(&self.lock)
        self.wake()

    @property
    def latched(self):
        cdef bint latched
        pthread_mutex_lock(&self.lock)
        latched = self.world.latched != LATCH_OPEN
        pthread_mutex_unlock(&self.lock)
        return latched

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
        world.lapsed = world.tick > 0 and now - world.now >= world.pace.dead_man
        world.now = now
        world.tick += 1
        world.changed = 0
        pass_turn(world)
        count_slots(world)
        count_readings(world)
        start(world)
        refit(world)
        count_contactors(world)
        count_draw(world)
        count_base(world)
        add_up(world)
        count_heat(world)
        apportion(world)
        decide(world)
        changed = world.changed
        note_tick(world)
        pthread_mutex_unlock(&self.lock)
        return changed

    # --- the journal ----------------------------------------------------------------

    def drain(self):
        cdef int64_t count, tail
        cdef bint mine
        pthread_mutex_lock(&self.lock)
        count = journal_used(&self.world)
        tail = self.world.journal.tail
        pthread_mutex_unlock(&self.lock)
        drained = PyBytes_FromStringAndSize(NULL, count)  # not while a tick waits for the lock
        pthread_mutex_lock(&self.lock)
        mine = tail == self.world.journal.tail  # else another drain was faster
        if mine:
            journal_take(&self.world, PyBytes_AsString(drained), count)
        pthread_mutex_unlock(&self.lock)
        return drained if mine else b""

    # --- orders out -----------------------------------------------------------------

    @property
    def ticks(self):
        cdef int64_t tick
        pthread_mutex_lock(&self.lock)
        tick = self.world.tick
        pthread_mutex_unlock(&self.lock)
        return tick

    @property
    def now_ns(self):
        cdef int64_t now
        pthread_mutex_lock(&self.lock)
        now = self.world.now
        pthread_mutex_unlock(&self.lock)
        return now

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

    def setpoints(self):
        cdef int32_t i, order
        cdef bint started
        setpoints = []
        for i in range(self.world.chargers_n):
            pthread_mutex_lock(&self.lock)
            started = self.world.chargers[i].started
            order = self.world.chargers[i].order
            pthread_mutex_unlock(&self.lock)
            setpoints.append(order if started else None)
        return setpoints

    def circuit(self, circuit):
        cdef Circuit c
        cdef Breaker b
        cdef int32_t i = index("circuit", circuit, self.world.circuits_n)
        pthread_mutex_lock(&self.lock)
        c = self.world.circuits[i]
        b = self.world.breakers[i]
        pthread_mutex_unlock(&self.lock)
        return circuit_state(&c, &b)


    def charger(self, charger):
        cdef Charger c
        cdef int32_t i = index("charger", charger, self.world.chargers_n)
        pthread_mutex_lock(&self.lock)
        c = self.world.chargers[i]
        pthread_mutex_unlock(&self.lock)
        return charger_state(&c)


    def contactor(self, contactor):
        cdef Contactor c
        cdef int64_t tick, now
        cdef int32_t i = index("contactor", contactor, self.world.contactors_n)
        pthread_mutex_lock(&self.lock)
        c = self.world.contactors[i]
        tick = self.world.tick
        now = self.world.now
        pthread_mutex_unlock(&self.lock)
        return contactor_state(&c, tick, now, self.world.pace.dead_man)

    def source(self, source):
        cdef Source s
        cdef int32_t i = index("source", source, self.world.sources_n)
        pthread_mutex_lock(&self.lock)
        s = self.world.sources[i]
        pthread_mutex_unlock(&self.lock)
        return source_state(&s)

    def slot(self, slot):
        cdef Slot s
        cdef int32_t i = index("slot", slot, self.world.slots_n)
        pthread_mutex_lock(&self.lock)
        s = self.world.slots[i]
        pthread_mutex_unlock(&self.lock)
        return slot_state(&s)

    def failsafe_ma(self, charger):
        cdef int32_t failsafe
        cdef int32_t i = index("charger", charger, self.world.chargers_n)
        pthread_mutex_lock(&self.lock)
        failsafe = self.world.chargers[i].failsafe
        pthread_mutex_unlock(&self.lock)
        return failsafe
