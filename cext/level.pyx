# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Progressive filling, exact: a common level rises, and whoever meets what is full stops.

The level rises from zero. A wish stays at what it stands at (its minimum, or an advised floor)
until level × weight passes it, grows with the level, and stops at its maximum or when a circuit
and phase on its path is full. Nobody can then have more without taking it from somebody who has
no more for his weight: that is what max-min fair means, and it is exact because the level moves
from event to event and never past one. It is kept in 2^-24 mA per unit of weight, and sums of
what has stopped likewise, so that rounding stays below 1 mA in sum; shares are rounded down.

They stand by circuit, every subtree in one piece, and when a circuit and phase is full all that
grows or waits to grow through it leaves at once. Each event is told to the circuits above once
for each circuit and not once for each wish. When a circuit and phase is full is one division,
and only of the first of three phases where the others cannot be sooner; it is done again only
when something there began to grow (it may be full sooner) or when its turn comes (what stops
makes it full later, never sooner). A tournament knows which circuit is first.

With n wishes, c circuits and a depth of d this takes O(n + c) to sort (by digits, cext.sort),
and O(d + log c) for each event; there are at most two events for each wish and three for each
circuit.

What the phases of a circuit carry together is one more row beside them, where something grows and
stops as often as it has phases (cext.admit).

Bounds: a minimum and a maximum are below 2^31 mA, a cap too, a weight is at most 1000, and there
are fewer than 2^17 wishes. So a level is below 2^55, a sum of weights below 2^27, and level ×
weight of a wish that grows is at most what its circuit holds, 2^55, and a rounding. A sum of
phases is at most four times as much.
"""

from libc.stdint cimport int32_t, int64_t

from cext.sort cimport sort_events
from cext.types cimport GRID_PHASES, ROWS, SUM, Event, Filler, Sharer, Vessel, Wish

cdef enum:
    FRACTION = 24
    # a sharer's way through a run
    STANDING = 0
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
    """All that pass what they stand at, at the level of `floors[n]`; where the next level begins."""
    cdef Change change
    cdef int64_t level = floors[n].level
    cdef Sharer* sharer
    cdef int32_t at = -1
    begin(&change)
    while n < filler.sharers and floors[n].level == level:
        sharer = &filler.sharer[floors[n].who]
        n += 1
        if sharer.stage != STANDING:
            continue
        if at != sharer.vessel:
            pour(filler, at, &change, True)
            at = sharer.vessel
        sharer.stage = GROWING
        note(&change, sharer, -sharer.stands, sharer.weight)
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
        wishes[sharer.wish].stands = <int64_t>sharer.maximum << FRACTION
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
    cdef int64_t amount
    cdef Sharer* sharer = NULL
    cdef Wish* wish
    begin(&change)
    for place in range(filler.first[spot], filler.first[spot + 1]):
        sharer = &filler.sharer[place]
        if sharer.stage == STOPPED or not (sharer.wired >> row) & 1:
            continue
        wish = &wishes[sharer.wish]
        wish.bound_circuit = top
        wish.bound_phase = row
        if sharer.stage == GROWING:
            amount = max(level * sharer.weight, sharer.stands)
            wish.share = amount >> FRACTION
            wish.stands = amount
            note(&change, sharer, amount, -sharer.weight)
        sharer.stage = STOPPED
        stopped += 1
    if stopped:
        filler.growing[spot] -= stopped
        pour(filler, sharer.vessel, &change, False)
    return stopped


# --- a line of them ---------------------------------------------------------------------


cdef void set_out(Filler* filler) noexcept nogil:
    """Reckons when each passes what it stands at, and has its maximum; nothing grows yet."""
    cdef int32_t i
    cdef int64_t floor, top
    cdef Sharer* sharer
    for i in range(filler.sharers):
        sharer = &filler.sharer[i]
        floor = sharer.stands
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


cdef void raise_level(Filler* filler, Wish* wishes) noexcept nogil:
    """Fills those that are lined up (cext.admit); answers stand in the wishes.

    What happens at one and the same level is done together: it cannot fill anything below that
    level.
    """
    cdef int32_t floor = 0, top = 0, left, n
    cdef int64_t level = 0, next_floor, next_top
    cdef Event* floors
    cdef Event* tops
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
        while floor < n and filler.sharer[floors[floor].who].stage != STANDING:
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
