# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Exact weighted max-min fair shares by progressive filling.

A common level rises from zero. A wish stands at its minimum until level × weight
passes it, grows with the level, and stops at its maximum or when a circuit and phase on
its path is full. The level is kept in 2^-24 mA per unit of weight, and sums of what has
stopped likewise, so that rounding stays below 1 mA in sum; shares are rounded down.
"""

from cext import check
from cext.rows import NO_PHASE

from libc.stdint cimport int32_t, int64_t

from cext.memory cimport Memory, give_back, take
from cext.types cimport GRID_PHASES, Filler, Wish, Vessel

cdef enum:
    FRACTION = 24
    # a wish's way through a run
    OUT = 0
    FLOOR = 1
    GROWING = 2
    STOPPED = 3

cdef int64_t NEVER = 0x7FFFFFFFFFFFFFFF
cdef int64_t MOST_MA = 0x7FFFFFFF


cdef void filler_make(Filler* filler, Memory* memory, int32_t circuits, int32_t room) noexcept:
    """Takes everything a run needs; `memory.lacking` tells when it could not be had."""
    filler.circuits = circuits
    filler.room = room
    filler.parent = <int32_t*>take(memory, circuits, sizeof(int32_t))
    filler.cap = <int64_t*>take(memory, circuits * GRID_PHASES, sizeof(int64_t))
    filler.vessel = <Vessel*>take(memory, circuits * GRID_PHASES, sizeof(Vessel))
    filler.floor_level = <int64_t*>take(memory, room, sizeof(int64_t))
    filler.top_level = <int64_t*>take(memory, room, sizeof(int64_t))
    filler.by_floor = <int32_t*>take(memory, room, sizeof(int32_t))
    filler.by_top = <int32_t*>take(memory, room, sizeof(int32_t))
    filler.stage = <int32_t*>take(memory, room, sizeof(int32_t))
    filler.next_wish = <int32_t*>take(memory, room, sizeof(int32_t))
    filler.first_wish = <int32_t*>take(memory, circuits, sizeof(int32_t))
    filler.below = <int32_t*>take(memory, circuits, sizeof(int32_t))


cdef void sift(int32_t* heap, const int64_t* key, int32_t start, int32_t end) noexcept nogil:
    cdef int32_t root = start, child, top = heap[start]
    while 2 * root + 1 < end:
        child = 2 * root + 1
        if child + 1 < end and key[heap[child]] < key[heap[child + 1]]:
            child += 1
        if key[top] >= key[heap[child]]:
            break
        heap[root] = heap[child]
        root = child
    heap[root] = top


cdef void sort_by(int32_t* index, const int64_t* key, int32_t count) noexcept nogil:
    """Heap sort of `index`, ascending by key: bounded, in place."""
    cdef int32_t i, last
    for i in range(count // 2 - 1, -1, -1):
        sift(index, key, i, count)
    for i in range(count - 1, 0, -1):
        last = index[i]
        index[i] = index[0]
        index[0] = last
        sift(index, key, 0, i)


cdef void pour(Filler* filler, const Wish* wish, int64_t held, int64_t weight) noexcept nogil:
    """Adds to what is held and to what grows on the whole path of a wish."""
    cdef int32_t circuit = wish.circuit, phase
    cdef Vessel* vessel
    while circuit >= 0:
        for phase in range(GRID_PHASES):
            if wish.wired[phase]:
                vessel = &filler.vessel[circuit * GRID_PHASES + phase]
                vessel.held += held
                vessel.weight += weight
                vessel.stale = 1
        circuit = filler.parent[circuit]


cdef void admit(Filler* filler, Wish* wish, int32_t index) noexcept nogil:
    """Gives a wish its minimum where that fits the whole path; otherwise says where not."""
    cdef int32_t circuit = wish.circuit, phase
    cdef int64_t floor = wish.minimum << FRACTION
    cdef Vessel* vessel
    filler.stage[index] = OUT
    wish.admitted = 0
    wish.share = 0
    wish.bound_circuit = -1
    wish.bound_phase = -1
    if wish.maximum < wish.minimum or wish.maximum <= 0:
        return
    while circuit >= 0:
        for phase in range(GRID_PHASES):
            if wish.wired[phase]:
                vessel = &filler.vessel[circuit * GRID_PHASES + phase]
                if vessel.held + floor > vessel.cap:
                    wish.bound_circuit = circuit
                    wish.bound_phase = phase
                    return
        circuit = filler.parent[circuit]
    wish.admitted = 1
    filler.stage[index] = FLOOR
    pour(filler, wish, floor, 0)
    filler.floor_level[index] = (floor + wish.weight - 1) // wish.weight
    filler.top_level[index] = (wish.maximum << FRACTION) // wish.weight


cdef void grow(Filler* filler, const Wish* wish, int32_t index) noexcept nogil:
    filler.stage[index] = GROWING
    pour(filler, wish, -(wish.minimum << FRACTION), wish.weight)


cdef void stop(Filler* filler, Wish* wish, int32_t index, int64_t amount) noexcept nogil:
    """Freezes a growing wish at `amount` (2^-24 mA)."""
    filler.stage[index] = STOPPED
    pour(filler, wish, amount, -wish.weight)
    wish.share = amount >> FRACTION


cdef int32_t first_full(const Filler* filler) noexcept nogil:
    """The circuit and phase that is full at the lowest level, as things grow now."""
    cdef int32_t i, best = 0
    cdef Vessel* vessel
    for i in range(filler.circuits * GRID_PHASES):
        vessel = &filler.vessel[i]
        if vessel.stale:
            vessel.stale = 0
            vessel.full_at = NEVER
            if vessel.weight > 0:
                vessel.full_at = (vessel.cap - vessel.held) // vessel.weight
        if vessel.full_at < filler.vessel[best].full_at:
            best = i
    return best


cdef void overflow(Filler* filler, Wish* wishes, int32_t full, int64_t level) noexcept nogil:
    """A circuit and phase is full: everything that grows through it stops at the level."""
    cdef int32_t node, i, top = full // GRID_PHASES, phase = full % GRID_PHASES
    cdef int64_t amount
    for node in range(top, filler.circuits):  # parents stand before their children
        filler.below[node] = node == top or (
            filler.parent[node] >= top and filler.below[filler.parent[node]]
        )
        i = filler.first_wish[node] if filler.below[node] else -1
        while i >= 0:
            if filler.stage[i] == GROWING and wishes[i].wired[phase]:
                amount = max(level * wishes[i].weight, wishes[i].minimum << FRACTION)
                wishes[i].bound_circuit = top
                wishes[i].bound_phase = phase
                stop(filler, &wishes[i], i, amount)
            i = filler.next_wish[i]


cdef int32_t begin(Filler* filler, Wish* wishes, int32_t count) noexcept nogil:
    """Empties the vessels, admits what fits, and lines the admitted up; how many they are."""
    cdef int32_t i, admitted = 0
    cdef Vessel* vessel
    for i in range(filler.circuits):
        filler.first_wish[i] = -1
    for i in range(filler.circuits * GRID_PHASES):
        vessel = &filler.vessel[i]
        vessel.cap = min(max(filler.cap[i], 0), MOST_MA) << FRACTION
        vessel.held = 0
        vessel.weight = 0
        vessel.full_at = NEVER
        vessel.stale = 0
    for i in range(count):
        admit(filler, &wishes[i], i)
        if wishes[i].admitted:
            filler.by_floor[admitted] = i
            filler.by_top[admitted] = i
            filler.next_wish[i] = filler.first_wish[wishes[i].circuit]
            filler.first_wish[wishes[i].circuit] = i
            admitted += 1
    sort_by(filler.by_floor, filler.floor_level, admitted)
    sort_by(filler.by_top, filler.top_level, admitted)
    return admitted


cdef void top_out(Filler* filler, Wish* wishes, int32_t i) noexcept nogil:
    """A wish has its maximum."""
    if filler.stage[i] == GROWING:
        stop(filler, &wishes[i], i, wishes[i].maximum << FRACTION)
    elif filler.stage[i] == FLOOR:  # minimum equals maximum, rounded
        filler.stage[i] = STOPPED
        wishes[i].share = wishes[i].minimum


cdef void fill(Filler* filler, Wish* wishes, int32_t count) noexcept nogil:
    """One run under `filler.cap`; answers stand in the wishes. Negative caps are 0.

    Every wish with 0 <= minimum <= maximum < 2^31 and 1 <= weight <= 1000. What happens at
    one and the same level is done together: it cannot fill anything below that level.
    """
    cdef int32_t i, full, floors = 0, tops = 0
    cdef int64_t level = 0, next_floor, next_top, full_at
    cdef int32_t admitted = begin(filler, wishes, count)
    while tops < admitted:  # each round starts, stops or fills something: at most 5 per wish
        next_floor = NEVER
        if floors < admitted:
            next_floor = filler.floor_level[filler.by_floor[floors]]
        next_top = filler.top_level[filler.by_top[tops]]
        full = first_full(filler)
        full_at = filler.vessel[full].full_at
        if full_at <= next_floor and full_at <= next_top:
            level = max(level, full_at)
            overflow(filler, wishes, full, level)
        elif next_floor <= next_top:
            level = max(level, next_floor)
            while floors < admitted and filler.floor_level[filler.by_floor[floors]] == next_floor:
                i = filler.by_floor[floors]
                if filler.stage[i] == FLOOR:
                    grow(filler, &wishes[i], i)
                floors += 1
        else:
            level = max(level, next_top)
            while tops < admitted and filler.top_level[filler.by_top[tops]] == next_top:
                top_out(filler, wishes, filler.by_top[tops])
                tops += 1
        while tops < admitted and filler.stage[filler.by_top[tops]] == STOPPED:
            tops += 1


def fair_shares(parents, caps_ma, demands):
    shares = ShareRun(parents, caps_ma, demands)
    shares.run()
    return shares.shares_ma()


cdef class ShareRun:
    cdef Memory memory
    cdef Filler filler
    cdef Wish* wishes
    cdef int32_t count

    def __init__(self, parents, caps_ma, demands):
        cdef int32_t i
        if self.wishes != NULL:
            raise ValueError("a run is laid out once")
        check.check_demands(parents, caps_ma, demands)
        self.count = len(demands)
        self.wishes = <Wish*>take(&self.memory, self.count, sizeof(Wish))
        filler_make(&self.filler, &self.memory, len(parents), self.count)
        if self.memory.lacking:
            raise MemoryError("fair shares")
        for i in range(self.filler.circuits):
            self.filler.parent[i] = parents[i]
            for phase in range(GRID_PHASES):
                self.filler.cap[i * GRID_PHASES + phase] = caps_ma[i][phase]
        for i in range(self.count):
            wish_from(&self.wishes[i], demands[i])

    def __dealloc__(self):
        give_back(&self.memory)

    def run(self):
        with nogil:
            fill(&self.filler, self.wishes, self.count)

    def shares_ma(self):
        cdef int32_t i
        return [self.wishes[i].share for i in range(self.count)]


cdef void wish_from(Wish* wish, object demand) except *:
    wish.circuit = demand.circuit
    wish.minimum = demand.min_ma
    wish.maximum = demand.max_ma
    wish.weight = demand.weight
    for phase in demand.phases:
        if phase != NO_PHASE:
            wish.wired[<int32_t>phase] = 1
