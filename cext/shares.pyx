# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Exact weighted max-min fair shares by progressive filling.

A common level rises from zero. A wish stands at its minimum until level × weight
passes it, grows with the level, and stops at its maximum or when a circuit and phase on
its path is full. Nobody can then have more without taking it from somebody who has no
more for his weight: that is what max-min fair means, and it is exact because the level
moves from event to event and never past one. It is kept in 2^-24 mA per unit of weight,
and sums of what has stopped likewise, so that rounding stays below 1 mA in sum; shares
are rounded down.

What is never worth a step costs none. Wishes are admitted first (cext.admit), and with them
circuits that can never be full, and wishes that only such circuits stand above, are left out.
The others stand by circuit, every subtree in one piece, and when a circuit and phase is full
all that grows or waits to grow through it leaves at once. Each event is told to the circuits
above once for each circuit and not once for each wish. When a circuit and phase is full is one
division, and only of the first of three phases where the others cannot be sooner; it is done
again only when something there began to grow (it may be full sooner) or when its turn comes (what
stops makes it full later, never sooner). A tournament knows which circuit is first.

With n wishes, c circuits and a depth of d this takes O(n + c) to admit and sort (sorting is by
digits, cext.sort), and O(d + log c) for each event; there are at most two events for each wish and
three for each circuit.

What the phases of a circuit carry together is one more row beside them, where something grows and
stops as often as it has phases (cext.admit).

Bounds: a minimum and a maximum are below 2^31 mA, a cap too, a weight is at most 1000, and there
are fewer than 2^17 wishes. So a level is below 2^55, a sum of weights below 2^27, and level ×
weight of a wish that grows is at most what its circuit holds, 2^55, and a rounding. A sum of
phases is at most four times as much.
"""

from cext import check
from cext.rows import NO_PHASE

from libc.stdint cimport int32_t, int64_t

from cext.admit cimport admit
from cext.filler cimport filler_make, filler_order
from cext.memory cimport Memory, give_back, take
from cext.sort cimport sort_events
from cext.types cimport GRID_PHASES, ROWS, SUM, Event, Filler, Sharer, Vessel, Wish

cdef enum:
    FRACTION = 24
    # a sharer's way through a run
    FLOOR = 0
    GROWING = 1
    STOPPED = 2

cdef int64_t NEVER = 0x7FFFFFFFFFFFFFFF


# --- when what is full ------------------------------------------------------------------


cdef inline int64_t reckon(Vessel* vessel) noexcept nogil:
    """The level at which the first row is full, as things grow now; the lower row of two."""
    cdef int32_t row, first = 0
    cdef int64_t level, least = NEVER
    vessel.stale = 0
    vessel.row = 0
    for row in range(ROWS):
        if vessel.weight[row] <= 0:
            continue
        if least < NEVER and (
            vessel.room[row] >= vessel.room[first] and vessel.weight[row] <= vessel.weight[first]
        ):
            continue  # no less room for no more weight: no sooner
        level = vessel.room[row] // vessel.weight[row]
        if level < least:
            least = level
            first = row
    vessel.row = first
    return least


cdef inline void play(Event* full, int32_t place) noexcept nogil:
    """Who of a pair is full first; of two at one level the one that stands first."""
    full[place] = full[2 * place + (full[2 * place + 1].level < full[2 * place].level)]


cdef inline void enter(Filler* filler, int32_t circuit) noexcept nogil:
    """Reckons one circuit anew, and plays its matches up to the last."""
    cdef int32_t place = filler.leaves + circuit
    filler.full[place].level = reckon(&filler.vessel[circuit])
    while place > 1:
        place //= 2
        play(filler.full, place)


cdef void enter_changed(Filler* filler) noexcept nogil:
    """All in which something began to grow; many at once, all matches once."""
    cdef int32_t n, place
    if filler.changed_n * 8 < filler.leaves:
        for n in range(filler.changed_n):
            filler.vessel[filler.changed[n]].listed = 0
            enter(filler, filler.changed[n])
    else:
        for n in range(filler.changed_n):
            place = filler.changed[n]
            filler.vessel[place].listed = 0
            filler.full[filler.leaves + place].level = reckon(&filler.vessel[place])
        for place in range(filler.leaves - 1, 0, -1):
            play(filler.full, place)
    filler.changed_n = 0


cdef inline bint full_by(Filler* filler, int64_t level) noexcept nogil:
    """Whether some circuit is full at that level or before; `full[1]` says which is first."""
    cdef Event* full = filler.full
    while full[1].level <= level and filler.vessel[full[1].who].stale:
        enter(filler, full[1].who)
    return full[1].level <= level


# --- what grows and what stops ------------------------------------------------------------


# What changes below one circuit at one level: room taken and weight that begins to grow.
cdef struct Change:
    int64_t taken[ROWS]
    int64_t weight[ROWS]


cdef inline void begin(Change* change) noexcept nogil:
    cdef int32_t row
    for row in range(ROWS):
        change.taken[row] = change.weight[row] = 0


cdef inline void note(
    Change* change, const Sharer* sharer, int64_t taken, int64_t weight
) noexcept nogil:
    cdef int32_t phase
    cdef int64_t mask
    for phase in range(GRID_PHASES):
        mask = -<int64_t>((sharer.wired >> phase) & 1)
        change.taken[phase] += taken & mask
        change.weight[phase] += weight & mask
    change.taken[SUM] += taken * sharer.phases
    change.weight[SUM] += weight * sharer.phases


cdef void pour(Filler* filler, int32_t circuit, Change* change, bint grows) noexcept nogil:
    """Tells a change to every circuit on the way up; the next one begins."""
    cdef int32_t row
    cdef Vessel* vessel
    while circuit >= 0:
        vessel = &filler.vessel[circuit]
        for row in range(ROWS):
            vessel.room[row] -= change.taken[row]
            vessel.weight[row] += change.weight[row]
        if not grows:
            vessel.stale = 1
        elif not vessel.listed:
            vessel.listed = 1
            filler.changed[filler.changed_n] = circuit
            filler.changed_n += 1
        circuit = vessel.above
    begin(change)


cdef int32_t grow(Filler* filler, const Event* floors, int32_t n) noexcept nogil:
    """All that pass their minima at the level of `floors[n]`; where the next level begins."""
    cdef Change change
    cdef int64_t level = floors[n].level
    cdef Sharer* sharer
    cdef int32_t at = -1
    begin(&change)
    while n < filler.sharers and floors[n].level == level:
        sharer = &filler.sharer[floors[n].who]
        n += 1
        if sharer.stage != FLOOR:
            continue
        if at != sharer.vessel:
            pour(filler, at, &change, True)
            at = sharer.vessel
        sharer.stage = GROWING
        note(&change, sharer, -(<int64_t>sharer.minimum << FRACTION), sharer.weight)
    pour(filler, at, &change, True)
    enter_changed(filler)
    return n


cdef int32_t top_out(
    Filler* filler, Wish* wishes, const Event* tops, int32_t n, int32_t* left
) noexcept nogil:
    """All that have their maxima at the level of `tops[n]`; where the next level begins."""
    cdef Change change
    cdef int64_t level = tops[n].level
    cdef Sharer* sharer
    cdef int32_t at = -1
    begin(&change)
    while n < filler.sharers and tops[n].level == level:
        sharer = &filler.sharer[tops[n].who]
        n += 1
        if sharer.stage == STOPPED:
            continue
        if at != sharer.vessel:
            pour(filler, at, &change, False)
            at = sharer.vessel
        sharer.stage = STOPPED
        left[0] -= 1
        filler.growing[filler.spot[wishes[sharer.wish].circuit]] -= 1
        wishes[sharer.wish].share = sharer.maximum
        note(&change, sharer, <int64_t>sharer.maximum << FRACTION, -sharer.weight)
    pour(filler, at, &change, False)
    return n


cdef int32_t overflow(Filler* filler, Wish* wishes, int32_t top, int64_t level) noexcept nogil:
    """A circuit and phase is full: everything below that uses it stops; how many they are."""
    cdef int32_t spot, stopped = 0
    for spot in range(filler.spot[top], filler.end[top]):
        if filler.growing[spot]:
            stopped += dam(filler, wishes, spot, top, level)
    return stopped


cdef int32_t dam(
    Filler* filler, Wish* wishes, int32_t spot, int32_t top, int64_t level
) noexcept nogil:
    """Stops the sharers of one circuit that use the phase, or any, that is full above it."""
    cdef Change change
    cdef int32_t place, stopped = 0, row = filler.vessel[top].row
    cdef int64_t amount, floor
    cdef Sharer* sharer = NULL
    cdef Wish* wish
    begin(&change)
    for place in range(filler.first[spot], filler.first[spot + 1]):
        sharer = &filler.sharer[place]
        if sharer.stage == STOPPED or not (sharer.wired >> row) & 1:
            continue
        wish = &wishes[sharer.wish]
        wish.share = sharer.minimum
        wish.bound_circuit = top
        wish.bound_phase = row
        if sharer.stage == GROWING:
            floor = <int64_t>sharer.minimum << FRACTION
            amount = max(level * sharer.weight, floor)
            wish.share = amount >> FRACTION
            note(&change, sharer, amount, -sharer.weight)
        sharer.stage = STOPPED
        stopped += 1
    if stopped:
        filler.growing[spot] -= stopped
        pour(filler, sharer.vessel, &change, False)
    return stopped


# --- a run ------------------------------------------------------------------------------


cdef void set_out(Filler* filler) noexcept nogil:
    """Reckons when each sharer passes its minimum and has its maximum; nothing grows yet."""
    cdef int32_t i
    cdef int64_t floor, top
    cdef Sharer* sharer
    for i in range(filler.sharers):
        sharer = &filler.sharer[i]
        floor = <int64_t>sharer.minimum << FRACTION
        top = <int64_t>sharer.maximum << FRACTION
        if sharer.weight > 1:
            floor = (floor + sharer.weight - 1) // sharer.weight
            top = top // sharer.weight
        filler.floors[i].level = floor
        filler.tops[i].level = top
        filler.floors[i].who = filler.tops[i].who = i
    for i in range(1, 2 * filler.leaves):
        filler.full[i].level = NEVER
        filler.full[i].who = i - filler.leaves if i >= filler.leaves else 0
    filler.changed_n = 0


cdef void fill(Filler* filler, Wish* wishes, int32_t count) noexcept nogil:
    """One run under `filler.cap`; answers stand in the wishes. Negative caps are 0.

    Every wish with 0 <= minimum <= maximum < 2^31 and 1 <= weight <= 1000. What happens at
    one and the same level is done together: it cannot fill anything below that level.
    """
    cdef int32_t floor = 0, top = 0, left, n
    cdef int64_t level = 0, next_floor, next_top
    cdef Event* floors
    cdef Event* tops
    admit(filler, wishes, count)
    left = n = filler.sharers
    if left == 0:
        return
    set_out(filler)
    floors = sort_events(filler.floors, filler.spare, n)
    if floors == filler.spare:
        filler.spare = filler.floors
        filler.floors = floors
    tops = sort_events(filler.tops, filler.spare, n)
    if tops == filler.spare:
        filler.spare = filler.tops
        filler.tops = tops
    while left > 0:  # each round starts, stops or fills something: at most 5 for each sharer
        while floor < n and filler.sharer[floors[floor].who].stage != FLOOR:
            floor += 1
        while top < n - 1 and filler.sharer[tops[top].who].stage == STOPPED:
            top += 1
        next_floor = floors[floor].level if floor < n else NEVER
        next_top = tops[top].level
        if full_by(filler, min(next_floor, next_top)):
            level = max(level, filler.full[1].level)
            left -= overflow(filler, wishes, filler.full[1].who, level)
        elif next_floor <= next_top:
            level = max(level, next_floor)
            floor = grow(filler, floors, floor)
        else:
            level = max(level, next_top)
            top = top_out(filler, wishes, tops, top, &left)


def fair_shares(parents, caps_ma, demands, sums_ma=None):
    shares = ShareRun(parents, caps_ma, demands, sums_ma)
    shares.run()
    return shares.shares_ma()


cdef class ShareRun:
    cdef Memory memory
    cdef Filler filler
    cdef Wish* wishes
    cdef int32_t count

    def __init__(self, parents, caps_ma, demands, sums_ma=None):
        cdef int32_t i
        if self.wishes != NULL:
            raise ValueError("a run is laid out once")
        check.check_demands(parents, caps_ma, demands, sums_ma)
        self.count = len(demands)
        self.wishes = <Wish*>take(&self.memory, self.count, sizeof(Wish))
        filler_make(&self.filler, &self.memory, len(parents), self.count)
        if self.memory.lacking:
            raise MemoryError("fair shares")
        for i in range(self.filler.circuits):
            self.filler.parent[i] = parents[i]
            for phase in range(GRID_PHASES):
                self.filler.cap[i * ROWS + <int32_t>phase] = caps_ma[i][phase]
            self.filler.cap[i * ROWS + SUM] = NEVER
            if sums_ma is not None and sums_ma[i] is not None:
                self.filler.cap[i * ROWS + SUM] = sums_ma[i]
        filler_order(&self.filler)
        for i in range(self.count):
            wish_from(&self.wishes[i], demands[i], sums_ma is not None)

    def __dealloc__(self):
        give_back(&self.memory)

    def run(self):
        with nogil:
            fill(&self.filler, self.wishes, self.count)

    def shares_ma(self):
        cdef int32_t i
        return [self.wishes[i].share for i in range(self.count)]


cdef void wish_from(Wish* wish, object demand, bint summed) except *:
    wish.circuit = demand.circuit
    wish.minimum = demand.min_ma
    wish.maximum = demand.max_ma
    wish.weight = demand.weight
    for phase in demand.phases:
        if phase != NO_PHASE:
            wish.wired[<int32_t>phase] = 1
            wish.wired[SUM] += summed
