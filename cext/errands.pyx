# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Virtual time: what is to be done when, and the drivers of a depot's chargers, without Python.

A charger's driver polls, writes, refreshes and gives up as the real one does. What it does at an
instant, and in which order with everything else of that instant, is what counts here: entries of
an agenda are numbered, and of one instant the one that was entered first comes first.
"""

from cext.rows import NO_PHASE

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, realloc

from cext.depot cimport TERMINALS, Station, shown_state
from cext.draw cimport take_report
from cext.journal cimport KIND_PROVEN, note_pair, note_report
from cext.plant cimport Plant
from cext.tick cimport Kernel, pthread_mutex_lock, pthread_mutex_unlock
from cext.types cimport GRID_PHASES, PROOF_NOT_ASKED, Charger

cdef enum:
    REFRESHES = 3  # writes within a charger's own watchdog time
    FIRST_ROOM = 64
    # what an entry asks for
    CALL = 0  # of Python
    POLL = 1
    ARRIVE = 2  # a setpoint reaches its charger
    GAP_OVER = 3  # it takes a write again

cdef int64_t MILLISECOND = 1_000_000
cdef int64_t FOREVER = <int64_t>1 << 62
cdef int32_t UNKNOWN_MA = -1

cdef struct Entry:
    int64_t at
    int64_t number
    int32_t kind
    int32_t who

# A charger's driver.
cdef struct Driver:
    int32_t phase[TERMINALS]  # as the document says it is wired; negative: not at all
    int32_t metered
    int32_t any_traffic
    int64_t look  # it goes round so often
    int64_t refresh
    int64_t poll
    int64_t write_gap
    int64_t next_poll
    int64_t next_write  # the device takes none before
    int32_t waiting  # for that instant
    int32_t writing
    int32_t owed  # an order has changed and is not written yet
    int32_t written_ma  # -1: nothing yet
    int32_t in_force_ma
    int64_t refresh_at
    int64_t written_tick  # of the last order acknowledged
    int64_t written_at
    int64_t written_before  # the tick of the one before
    int32_t arriving_ma  # the order under way
    int64_t arriving_tick


cdef class Agenda:
    cdef Entry* heap
    cdef int32_t count
    cdef int32_t room
    cdef int64_t number
    cdef dict acts  # by number
    cdef object went

    def __init__(self, go_on):
        self.went = go_on
        self.acts = {}

    def __dealloc__(self):
        free(self.heap)

    def at(self, instant_ns, act):
        self.acts[self.number] = act
        self.enter(instant_ns, CALL, 0)

    def run_until(self, until_ns):
        cdef int64_t until = until_ns
        cdef Entry entry
        while self.count and self.heap[0].at <= until:
            entry = self.take()
            self.go_to(entry.at)
            if entry.kind == CALL:
                self.acts.pop(entry.number)()
            else:
                self.do(entry.kind, entry.who, entry.at)
        self.go_to(until)

    cdef int go_to(self, int64_t now) except -1:
        self.went(now)
        return 0

    cdef int do(self, int32_t kind, int32_t who, int64_t now) except -1:
        return 0

    cdef int enter(self, int64_t at, int32_t kind, int32_t who) except -1:
        cdef Entry entry
        cdef Entry* more
        cdef int32_t i, up
        if self.count == self.room:
            self.room = max(2 * self.room, <int32_t>FIRST_ROOM)
            more = <Entry*>realloc(self.heap, self.room * sizeof(Entry))
            if more == NULL:
                self.room = self.count
                raise MemoryError("agenda")
            self.heap = more
        entry.at, entry.number, entry.kind, entry.who = at, self.number, kind, who
        self.number += 1
        i = self.count
        self.count += 1
        while i > 0:
            up = (i - 1) // 2
            if not before(&entry, &self.heap[up]):
                break
            self.heap[i] = self.heap[up]
            i = up
        self.heap[i] = entry
        return 0

    cdef Entry take(self) noexcept:
        """The first; there is one."""
        cdef Entry first = self.heap[0]
        cdef Entry last
        cdef int32_t i = 0, child
        self.count -= 1
        last = self.heap[self.count]
        while 2 * i + 1 < self.count:
            child = 2 * i + 1
            if child + 1 < self.count and before(&self.heap[child + 1], &self.heap[child]):
                child += 1
            if not before(&self.heap[child], &last):
                break
            self.heap[i] = self.heap[child]
            i = child
        self.heap[i] = last
        return first


cdef inline bint before(const Entry* one, const Entry* other) noexcept nogil:
    return one.at < other.at or (one.at == other.at and one.number < other.number)


cdef class Errands(Agenda):
    cdef Kernel kernel
    cdef Plant plant
    cdef object reported
    cdef object silent
    cdef object stalled
    cdef object deaf
    cdef list ids
    cdef Driver* drivers
    cdef int32_t drivers_n
    cdef int64_t now
    cdef int64_t exchange
    cdef readonly int64_t setpoint_writes

    def __init__(self, Kernel kernel not None, Plant plant not None, exchange_ns, went, reported,
                 silent, stalled, deaf=frozenset()):
        super().__init__(went)
        self.kernel = kernel
        self.plant = plant
        self.exchange = exchange_ns
        self.reported = reported
        self.silent = silent
        self.stalled = stalled
        self.deaf = deaf
        self.ids = []

    def __dealloc__(self):
        free(self.drivers)

    def drive(self, charger, phases, metered, any_traffic, poll_ns, fallback_delay_ns,
              write_gap_ns, begin_ns):
        cdef Driver driver
        cdef Driver* more
        cdef int64_t fed = FOREVER
        if self.drivers_n >= min(self.kernel.world.chargers_n, self.plant.depot.stations_n):
            raise ValueError(f"{charger}: the tables have no such charger")
        more = <Driver*>realloc(self.drivers, (self.drivers_n + 1) * sizeof(Driver))
        if more == NULL:
            raise MemoryError("drivers")
        self.drivers = more
        if fallback_delay_ns:
            fed = fallback_delay_ns // REFRESHES
        for terminal, phase in zip(range(TERMINALS), phases, strict=True):
            if not NO_PHASE <= phase < GRID_PHASES:
                raise ValueError(f"{charger}: there is no phase {phase}")
            driver.phase[<int32_t>terminal] = phase
        driver.metered = bool(metered)
        driver.any_traffic = bool(any_traffic)
        driver.poll = poll_ns
        driver.look = min(driver.poll, fed)
        driver.refresh = FOREVER if any_traffic else fed
        driver.write_gap = write_gap_ns
        driver.next_poll = driver.next_write = driver.refresh_at = 0
        driver.waiting = driver.writing = driver.owed = 0
        driver.written_ma = driver.in_force_ma = UNKNOWN_MA
        driver.written_tick = driver.written_at = driver.written_before = 0
        driver.arriving_ma = 0
        driver.arriving_tick = 0
        if driver.look <= 0:
            raise ValueError(f"{charger}: a poll each {poll_ns} ns")
        self.drivers[self.drivers_n] = driver
        self.plant.set_write_gap(self.drivers_n, write_gap_ns)
        self.ids.append(charger)
        self.enter(begin_ns, POLL, self.drivers_n)
        self.drivers_n += 1

    def wake(self, charger):
        if not 0 <= charger < self.drivers_n:
            raise IndexError(f"there is no charger {charger}")
        self.drivers[<int32_t>charger].owed = 1
        self.write(charger)

    def switch(self, Kernel kernel not None):
        if kernel.world.chargers_n < self.drivers_n:
            raise ValueError("another kernel has fewer chargers than there are drivers")
        self.kernel = kernel

    cdef int go_to(self, int64_t now) except -1:
        self.plant.go_to(now)
        self.now = now
        self.went(now)
        return 0

    cdef int do(self, int32_t kind, int32_t who, int64_t now) except -1:
        if kind == POLL:
            self.poll(who)
        elif kind == ARRIVE:
            self.arrive(who)
        else:
            self.drivers[who].waiting = 0
            self.write(who)
        return 0

    cdef int poll(self, int32_t who) except -1:
        cdef Driver* driver = &self.drivers[who]
        self.enter(self.now + driver.look, POLL, who)
        if self.stalled and "io" in self.stalled:
            return 0
        if self.now >= driver.next_poll and self.answers(who):
            driver.next_poll = self.now + driver.poll
            self.report(who)
        if driver.any_traffic:
            self.feed(who)
        if (driver.owed or driver.in_force_ma != driver.written_ma
                or self.now >= driver.refresh_at):
            self.write(who)
        return 0

    cdef bint answers(self, int32_t who) except -1:
        if self.silent and self.ids[who] in self.silent:
            return False
        return self.plant.speaks(&self.plant.depot.stations[who])

    cdef int feed(self, int32_t who) except -1:
        """Reads go on beside the reports, and feed its watchdog, while there is an order."""
        cdef Station* station = &self.plant.depot.stations[who]
        cdef int32_t ma
        cdef int64_t tick
        if station.deadline == 0 or station.deadline == self.plant.depot.now:
            return 0
        if self.answers(who) and self.order(who, &ma, &tick):
            self.plant.feed_one(station)
        return 0

    cdef int report(self, int32_t who) except -1:
        cdef Station* station = &self.plant.depot.stations[who]
        cdef Driver* driver = &self.drivers[who]
        cdef int64_t tick = driver.written_tick
        cdef int32_t current[GRID_PHASES]
        cdef int32_t terminal
        cdef int64_t at = self.now - self.now % MILLISECOND  # as the image tells its instants
        cdef Charger* charger = &self.kernel.world.chargers[who]
        if driver.written_at > self.now - self.exchange:  # acknowledged while this reply was under way
            tick = driver.written_before
        else:
            driver.in_force_ma = station.offered_ma
        for terminal in range(GRID_PHASES):
            current[terminal] = 0
        for terminal in range(TERMINALS):
            if driver.phase[terminal] >= 0:
                current[driver.phase[terminal]] += self.plant.told(station, terminal)
        pthread_mutex_lock(&self.kernel.lock)
        note_report(
            &self.kernel.world, who, at, station.offered_ma,
            current if driver.metered else NULL, shown_state(station), tick,
        )
        take_report(charger, at, station.offered_ma, current if driver.metered else NULL,
                    shown_state(station), tick)
        if charger.proof != PROOF_NOT_ASKED:
            note_pair(&self.kernel.world, KIND_PROVEN, who, PROOF_NOT_ASKED)
            charger.proof = PROOF_NOT_ASKED
            charger.proof_at = self.kernel.world.now
        pthread_mutex_unlock(&self.kernel.lock)
        if driver.metered:
            self.reported(who, self.now, (current[0], current[1], current[2]))
        else:
            self.reported(who, self.now, None)
        return 0

    cdef bint order(self, int32_t who, int32_t* ma, int64_t* tick) noexcept:
        """What may be written now; False while there is nothing, or when it has expired."""
        cdef Charger* charger = &self.kernel.world.chargers[who]
        cdef bint lives
        pthread_mutex_lock(&self.kernel.lock)
        lives = charger.started and (
            self.now < self.kernel.world.now + self.kernel.world.pace.dead_man
        )
        ma[0] = charger.order
        tick[0] = charger.order_tick
        pthread_mutex_unlock(&self.kernel.lock)
        return lives

    cdef int write(self, int32_t who) except -1:
        cdef Driver* driver = &self.drivers[who]
        cdef int32_t ma
        cdef int64_t tick
        if self.now < driver.next_write:
            if not driver.waiting:
                driver.waiting = 1
                self.enter(driver.next_write, GAP_OVER, who)
            return 0
        if not driver.writing and self.order(who, &ma, &tick):
            driver.writing = 1
            driver.arriving_ma = ma
            driver.arriving_tick = tick
            self.enter(self.now + self.exchange, ARRIVE, who)
        return 0

    cdef int arrive(self, int32_t who) except -1:
        """Takes effect and is acknowledged; a silent charger is tried again at the next poll."""
        cdef Driver* driver = &self.drivers[who]
        cdef int32_t ma
        cdef int64_t tick
        driver.writing = 0
        if not self.answers(who) or (self.deaf and self.ids[who] in self.deaf):
            return 0
        if not self.plant.take_setpoint(
            &self.plant.depot.stations[who], driver.arriving_ma
        ):
            return 0  # lost: too soon after another; its read-back will tell
        driver.next_write = self.now + driver.write_gap
        self.setpoint_writes += 1
        driver.written_before = driver.written_tick
        driver.written_tick = driver.arriving_tick
        driver.written_at = self.now
        driver.written_ma = driver.in_force_ma = driver.arriving_ma
        driver.refresh_at = self.now + driver.refresh
        driver.owed = self.order(who, &ma, &tick) and ma != driver.arriving_ma
        if driver.owed:
            self.write(who)
        return 0
