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
from libc.stdlib cimport calloc, free

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


cdef int filler_make(Filler* filler, int32_t circuits, int32_t room) noexcept:
    """Reserves everything a run needs; 0, or -1 when memory is short."""
    cdef int32_t nodes = circuits if circuits > 0 else 1
    cdef int32_t places = room if room > 0 else 1
    filler.circuits = circuits
    filler.room = room
    filler.parent = <int32_t*>calloc(nodes, sizeof(int32_t))
    filler.cap = <int64_t*>calloc(nodes * GRID_PHASES, sizeof(int64_t))
    filler.vessel = <Vessel*>calloc(nodes * GRID_PHASES, sizeof(Vessel))
    filler.floor_level = <int64_t*>calloc(places, sizeof(int64_t))
    filler.top_level = <int64_t*>calloc(places, sizeof(int64_t))
    filler.by_floor = <int32_t*>calloc(places, sizeof(int32_t))
    filler.by_top = <int32_t*>calloc(places, sizeof(int32_t))
    filler.stage = <int32_t*>calloc(places, sizeof(int32_t))
    if (filler.parent == NULL or filler.cap == NULL or filler.vessel == NULL
            or filler.floor_level == NULL or filler.top_level == NULL
            or filler.by_floor == NULL or filler.by_top == NULL
            or filler.stage == NULL):
        return -1
    return 0


cdef void filler_free(Filler* filler) noexcept:
    free(filler.parent)
    free(filler.cap)
    free(filler.vessel)
    free(filler.floor_level)
    free(filler.top_level)
    free(filler.by_floor)
    free(filler.by_top)
    free(filler.stage)


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


cdef void refresh(Vessel* vessel) noexcept nogil:
    if vessel.weight > 0:
        vessel.full_at = (vessel.cap - vessel.held) // vessel.weight
    else:
        vessel.full_at = NEVER


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
                refresh(vessel)
        circuit = filler.parent[circuit]


cdef bint passes(const Filler* filler, const Wish* wish, int32_t vessel) noexcept nogil:
    """Whether a wish draws through that circuit and phase."""
    cdef int32_t circuit = wish.circuit, wanted = vessel // GRID_PHASES
    if not wish.wired[vessel % GRID_PHASES]:
        return False
    while circuit > wanted:  # parents stand before their children
        circuit = filler.parent[circuit]
    return circuit == wanted


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
    cdef int32_t i, best = 0
    for i in range(1, filler.circuits * GRID_PHASES):
        if filler.vessel[i].full_at < filler.vessel[best].full_at:
            best = i
    return best


cdef void overflow(
    Filler* filler, Wish* wishes, int32_t count, int32_t full, int64_t level
) noexcept nogil:
    """A circuit and phase is full: everything that grows through it stops at the level."""
    cdef int32_t i
    cdef int64_t amount
    for i in range(count):
        if filler.stage[i] == GROWING and passes(filler, &wishes[i], full):
            amount = level * wishes[i].weight
            if amount < wishes[i].minimum << FRACTION:
                amount = wishes[i].minimum << FRACTION
            wishes[i].bound_circuit = full // GRID_PHASES
            wishes[i].bound_phase = full % GRID_PHASES
            stop(filler, &wishes[i], i, amount)


cdef void fill(Filler* filler, Wish* wishes, int32_t count) noexcept nogil:
    """One run under `filler.cap`; answers stand in the wishes. Negative caps are 0.

    Every wish with 0 <= minimum <= maximum < 2^31 and 1 <= weight <= 1000.
    """
    cdef int32_t i, full, floors = 0, tops = 0, admitted = 0
    cdef int64_t level = 0, next_floor, next_top
    cdef Vessel* vessel
    for i in range(filler.circuits * GRID_PHASES):
        vessel = &filler.vessel[i]
        vessel.cap = min(max(filler.cap[i], 0), MOST_MA) << FRACTION
        vessel.held = 0
        vessel.weight = 0
        vessel.full_at = NEVER
    for i in range(count):
        admit(filler, &wishes[i], i)
        if wishes[i].admitted:
            filler.by_floor[admitted] = i
            filler.by_top[admitted] = i
            admitted += 1
    sort_by(filler.by_floor, filler.floor_level, admitted)
    sort_by(filler.by_top, filler.top_level, admitted)
    while tops < admitted:  # each round starts, stops or fills something: at most 5 per wish
        next_floor = NEVER
        if floors < admitted:
            next_floor = filler.floor_level[filler.by_floor[floors]]
        while tops < admitted and filler.stage[filler.by_top[tops]] == STOPPED:
            tops += 1
        if tops == admitted:
            break
        next_top = filler.top_level[filler.by_top[tops]]
        full = first_full(filler)
        if filler.vessel[full].full_at <= next_floor and filler.vessel[full].full_at <= next_top:
            level = max(level, filler.vessel[full].full_at)
            overflow(filler, wishes, count, full, level)
        elif next_floor <= next_top:
            level = max(level, next_floor)
            i = filler.by_floor[floors]
            if filler.stage[i] == FLOOR:
                grow(filler, &wishes[i], i)
            floors += 1
        else:
            level = max(level, next_top)
            i = filler.by_top[tops]
            if filler.stage[i] == FLOOR:  # minimum equals maximum, rounded
                filler.stage[i] = STOPPED
                wishes[i].share = wishes[i].minimum
            else:
                stop(filler, &wishes[i], i, wishes[i].maximum << FRACTION)
            tops += 1


def fair_shares(parents, caps_ma, demands):
    cdef Filler filler
    cdef Wish* wishes
    cdef int32_t i, n = len(demands), circuits = len(parents)
    check.check_demands(parents, caps_ma, demands)
    wishes = <Wish*>calloc(max(n, 1), sizeof(Wish))
    try:
        if filler_make(&filler, circuits, n) or wishes == NULL:
            raise MemoryError("fair shares")
        for i in range(circuits):
            filler.parent[i] = parents[i]
            for phase in range(GRID_PHASES):
                filler.cap[i * GRID_PHASES + phase] = caps_ma[i][phase]
        for i in range(n):
            wish_from(&wishes[i], demands[i])
        with nogil:
            fill(&filler, wishes, n)
        return [wishes[i].share for i in range(n)]
    finally:
        filler_free(&filler)
        free(wishes)


cdef void wish_from(Wish* wish, object demand) except *:
    wish.circuit = demand.circuit
    wish.minimum = demand.min_ma
    wish.maximum = demand.max_ma
    wish.weight = demand.weight
    for phase in demand.phases:
        if phase != NO_PHASE:
            wish.wired[<int32_t>phase] = 1
